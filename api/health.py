"""Routes for who watches over the server; they need no key."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import select

from alphagrad.api.deps import DatabaseDep
from alphagrad.tuner.models import StudyRow

router = APIRouter(tags=["monitoring"])


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
@router.head("/healthz", include_in_schema=False)
def healthz() -> Health:
    """Whether the server answers; needs no key."""
    return Health()


@router.get("/readyz")
@router.head("/readyz", include_in_schema=False)
def readyz(database: DatabaseDep) -> Health:
    """Whether the server can do its work: the database answers; needs no key."""
    with database.read() as session:
        session.execute(select(StudyRow.id).limit(1))
    return Health()
