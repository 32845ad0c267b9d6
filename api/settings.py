"""Settings of the API, beside those of the tuner."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import Field, SecretStr

from alphagrad.tuner.settings import TunerSettings


class ApiSettings(TunerSettings):
    """Where the API listens and who may use it.

    Example:
        >>> ApiSettings(host="0.0.0.0").is_loopback
        False
    """

    host: str = "127.0.0.1"
    """The address to bind; any but a loopback one needs ``api_key``."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    api_key: Annotated[SecretStr, Field(min_length=16)] | None = None
    """The one key; without it, one is made at the first start and printed once."""
    allowed_hosts: list[str] = Field(default_factory=list)
    """Host names to answer to, beside loopback's and ``host``."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the API."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def host_names(self) -> list[str]:
        """Host headers that are answered (a check against DNS rebinding)."""
        return ["127.0.0.1", "localhost", "[::1]", self.host, *self.allowed_hosts]
