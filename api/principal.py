"""Who makes a request, and what a role may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["reader", "submitter", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The API key behind a request, as ``request.state.principal``.

    Attributes:
        name: the key's name.
        role: reader, submitter or admin.
        key_id: the key's row; 0 is the key in the settings.
        is_local: it is a command on the database, whose studies have no owner.
        max_open_studies: how many studies of its own may be open at a time; ``None`` is any number.
        max_requests_per_minute: how many requests are answered.

    Example:
        >>> ci = Principal(name="ci", role="submitter", key_id=1, max_requests_per_minute=600)
        >>> ci.may("reader"), ci.may("admin")
        (True, False)
    """

    name: str
    role: Role
    key_id: int
    max_open_studies: int | None = None
    max_requests_per_minute: int
    is_local: bool = False

    @property
    def owner(self) -> str | None:
        """What its studies have as their owner."""
        return None if self.is_local else self.name

    def may(self, needed: Role) -> bool:
        """Whether the role is at least another one."""
        return ROLES.index(self.role) >= ROLES.index(needed)
