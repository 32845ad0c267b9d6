"""What the API gives of the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from alphagrad.api.pages import timestamp
from alphagrad.tuner.access_models import AuditRow


class AuditOut(BaseModel):
    """A request that was to change something."""

    id: int
    at: datetime
    key_name: str
    role: str
    method: str
    path: str
    study: str | None
    status: int = Field(description="of the answer")
    request_id: str | None
    client: str | None = Field(description="the address that it came from")

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """From a row."""
        fields = {name: getattr(row, name) for name in cls.model_fields}
        return cls.model_validate(fields | {"at": timestamp(row.at)})
