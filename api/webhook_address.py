"""Where webhooks may go: names are looked up once, and what is private is refused."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_UNICAST = ipaddress.IPv6Network("2000::/3")
_6TO4 = ipaddress.IPv6Network("2002::/16")
MOST_CHARACTERS = 2000


class TargetError(ValueError):
    """A URL that webhooks do not go to; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in parts, for a connection to an address that was looked up before.

    Attributes:
        scheme: http or https.
        host: the name or address, without brackets.
        port: the port.
        path: the path and the query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the ``Host`` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"

    def at(self, address: Address) -> str:
        """The URL with the address in the name's place."""
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_target(url: str, *, local: bool) -> Target:
    """The parts of a webhook's URL.

    Args:
        url: the URL.
        local: whether plain HTTP is allowed.

    Raises:
        TargetError: it is not a URL of that kind, or holds a password.

    Example:
        >>> parse_target("https://example.org/hook?a=1", local=False).path
        '/hook?a=1'
    """
    allowed = ("https", "http") if local else ("https",)
    if len(url) > MOST_CHARACTERS or not url.isascii() or any(c <= " " for c in url):
        raise TargetError(f"must be ASCII without spaces, at most {MOST_CHARACTERS} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetError(f"is not a URL: {error}") from None
    if parts.scheme not in allowed or not parts.hostname:
        raise TargetError(f"must begin with {' or '.join(f'{one}://' for one in allowed)}HOST")
    if "@" in parts.netloc:
        raise TargetError("must hold no user name and no password")
    if parts.fragment or "#" in url or "\\" in url:
        raise TargetError("must hold no '#' and no backslash")
    path = parts.path or "/"
    return Target(
        parts.scheme,
        parts.hostname,
        port or {"http": 80, "https": 443}[parts.scheme],
        f"{path}?{parts.query}" if parts.query else path,
    )


async def look_up(target: Target, *, local: bool) -> Address:
    """The address to connect to, the first that is allowed.

    Args:
        target: where to.
        local: whether addresses of this machine and its network are allowed.

    Raises:
        TargetError: the name has no address, or none that is allowed.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetError(f"{target.host} has no address: {error}") from None
    # Scoped ones (fe80::1%eth0) are link-local.
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if local or is_public(address):
            return address
    raise TargetError(
        f"{target.host} is {addresses[0]}: addresses of this machine, of private networks and of "
        "groups are refused"
    )


def is_public(address: Address) -> bool:
    """Whether an address is one machine's on the public internet.

    Example:
        >>> is_public(ipaddress.ip_address("::ffff:10.0.0.1"))
        False
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        # Others may hold an IPv4 address too, and lead to it through a gateway.
        return address in _UNICAST and address.is_global and address not in _6TO4
    return address.is_global and not address.is_multicast and not address.is_reserved
