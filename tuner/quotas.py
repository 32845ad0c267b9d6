"""Quotas of API keys: how many studies are open, and how many trials run, at a time."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alphagrad.tuner.access_models import ApiKeyRow
from alphagrad.tuner.errors import QuotaError
from alphagrad.tuner.models import OPEN_STUDY, StudyRow, TrialRow


def check_open_studies(session: Session, owner: str, *, most: int) -> None:
    """Make sure that an owner may open one more study, in the transaction that stores it.

    Args:
        session: the transaction; the owner's key is locked in it, so that of two studies
            submitted at once the second counts the first.
        owner: the name of the key.
        most: how many it may have.

    Raises:
        QuotaError: it has so many.
    """
    session.execute(select(ApiKeyRow.id).where(ApiKeyRow.name == owner).with_for_update())
    of_owner = select(func.count()).select_from(StudyRow)
    of_owner = of_owner.where(StudyRow.owner == owner, StudyRow.state.in_(OPEN_STUDY))
    count = session.scalar(of_owner) or 0
    if count >= most:
        raise QuotaError(
            f"key {owner!r} has {count} open studies of {most} that it may have: wait for one to "
            "end, or stop one"
        )


def at_limit(
    session: Session, owners: Collection[str], *, default: int | None, lock: bool = False
) -> set[str]:
    """Which owners have as many running trials as they may.

    Args:
        session: a transaction.
        owners: names of keys.
        default: for submitters whose key has no quota of its own; ``None`` is any number.
        lock: lock the keys that have a limit, to claim a trial in this transaction.
    """
    if not owners:
        return set()
    keys = select(ApiKeyRow.name, ApiKeyRow.role, ApiKeyRow.max_running_trials).where(
        ApiKeyRow.name.in_(owners)
    )
    limits: dict[str, int] = {}
    for name, role, own in session.execute(keys):
        most = default if own is None and role != "admin" else own
        if most is not None:
            limits[name] = most
    if not limits:
        return set()
    if lock:
        locked = select(ApiKeyRow.id).where(ApiKeyRow.name.in_(limits))
        session.execute(locked.order_by(ApiKeyRow.id).with_for_update())
    running = (
        select(StudyRow.owner, func.count())
        .join(TrialRow, TrialRow.study_id == StudyRow.id)
        .where(TrialRow.state == "RUNNING", StudyRow.owner.in_(limits))
        .group_by(StudyRow.owner)
    )
    counts = {owner: count for owner, count in session.execute(running)}  # noqa: C416
    return {name for name, most in limits.items() if counts.get(name, 0) >= most}
