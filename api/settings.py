"""Settings of the API, beside those of the tuner."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from alphagrad.tuner.settings import TunerSettings


def _host_name(name: str) -> str:
    bare = name.strip("[]")
    if not bare or set(bare) & set("*/@ ") or ("[" not in name and bare.count(":") == 1):
        raise ValueError(f"{name!r} must be a name or an address, without scheme, port or *")
    return name


HostName = Annotated[str, AfterValidator(_host_name)]


class ApiSettings(TunerSettings):
    """Where the API listens and who may use it.

    Example:
        >>> ApiSettings(host="0.0.0.0").is_loopback
        False
    """

    host: str = "127.0.0.1"
    """The address to bind; any but a loopback one needs a key."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    api_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """An admin's key beside those in the database; without either, one is made at the first start
    and printed once."""
    allowed_hosts: list[HostName] = Field(default_factory=list)
    """Host names to answer to, without a port, beside loopback's and ``host``."""
    trusted_proxies: list[str] = Field(default_factory=list)
    """Addresses of proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1 << 20
    """A longer body is refused."""
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    """How many requests of one key a process answers; by default 60,000 on a loopback address and
    6,000 on others."""
    wrong_keys_per_minute: Annotated[int, Field(ge=1)] = 10
    """How many keys one address may try; loopback addresses 60 times as many."""
    quota_open_studies: Annotated[int, Field(ge=0)] | None = 100
    """How many open studies a submitter's key may have that has no quota of its own."""
    webhooks: bool = False
    """Whether events may be sent to other servers."""
    webhooks_local: bool = False
    """For tests and closed networks: webhooks may go to private addresses, and over plain HTTP."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the API."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def request_limit(self) -> int:
        """How many requests a minute a key without a quota of its own may make."""
        if self.requests_per_minute is not None:
            return self.requests_per_minute
        return 60_000 if self.is_loopback else 6_000

    @property
    def host_names(self) -> list[str]:
        """Host headers that are answered (a check against DNS rebinding)."""
        return ["127.0.0.1", "localhost", "[::1]", self.host, *self.allowed_hosts]
