"""``POST /v1/studies:check``: what a submission would say of a study, without submitting it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from alphagrad.api.deps import DatabaseDep, OptunaDep
from alphagrad.api.problems import shown
from alphagrad.tuner import parse_spec
from alphagrad.tuner.advice import spec_warnings
from alphagrad.tuner.errors import FieldError, SpecError
from alphagrad.tuner.warm_start import check_sources

router = APIRouter(prefix="/v1", tags=["studies"])


class WrongField(BaseModel):
    """A field that a submission would refuse."""

    field: str = Field(description="its place, as in params.alpha.low; empty: all of it")
    value: Any = Field(description="what it is, long values shortened")
    message: str

    @classmethod
    def of(cls, error: FieldError) -> WrongField:
        """From an error."""
        text = error.message.encode("utf-8", "backslashreplace").decode()
        return cls(field=str(shown(error.field)), value=shown(error.value), message=text)


class CheckedStudy(BaseModel):
    """What a submission would say of the study."""

    errors: list[WrongField] = Field(description="empty: it would be taken")
    warnings: list[str] = Field(
        description="what of it fits together badly, and is done all the same"
    )


@router.post("/studies:check")
def check_study(
    spec: dict[str, Any], database: DatabaseDep, optuna_storage: OptunaDep
) -> CheckedStudy:
    """Check a study as a submission does, but for the owner's quota, and store nothing."""
    try:
        parsed = parse_spec(spec)
        if parsed.warm_start:
            check_sources(database, parsed)
    except SpecError as error:
        return CheckedStudy(errors=[WrongField.of(one) for one in error.errors], warnings=[])
    if optuna_storage.has_study(parsed.name):
        taken = FieldError("name", parsed.name, "a study of this name exists")
        return CheckedStudy(errors=[WrongField.of(taken)], warnings=[])
    return CheckedStudy(errors=[], warnings=spec_warnings(parsed))
