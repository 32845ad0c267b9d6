"""The audit log: who changed what, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from alphagrad.tuner.access_models import ApiKeyRow, AuditRow
from alphagrad.tuner.database import Database, db_now
from alphagrad.tuner.text import clean_text

MOST_PATH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request that was to change something.

    Attributes:
        age: how many seconds ago it was answered.
        key_name: whose it was.
        role: the key's role then.
        method: of the request.
        path: its decoded path, without the query.
        study: the study it was about, if one.
        status: of the answer.
        request_id: as the answer's ``X-Request-Id`` has it.
        client: the address that it came from.
    """

    age: float
    key_name: str
    role: str
    method: str
    path: str
    study: str | None
    status: int
    request_id: str | None
    client: str | None


def append(database: Database, entries: Sequence[Entry], *, used_keys: Sequence[int] = ()) -> None:
    """Add to the log, and note that some keys were used, in one transaction.

    Args:
        database: the database.
        entries: what to add, oldest first.
        used_keys: the keys' row ids.
    """
    with database.write() as session:
        now = session.scalar(select(db_now())) or 0.0
        if entries:
            session.execute(insert(AuditRow), [_values(entry, now) for entry in entries])
        if used_keys:
            used = update(ApiKeyRow).where(ApiKeyRow.id.in_(used_keys))
            session.execute(used.values(last_used_at=now))


def read(
    database: Database,
    *,
    before: int | None = None,
    limit: int = 100,
    key_name: str | None = None,
    study: str | None = None,
) -> list[AuditRow]:
    """What the log holds, newest first.

    Args:
        database: the database.
        before: only what is older than the row with this id.
        limit: at most so many rows.
        key_name: only of this key.
        study: only about this study.
    """
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditRow.id < before)
    if key_name is not None:
        query = query.where(AuditRow.key_name == key_name)
    if study is not None:
        query = query.where(AuditRow.study == study)
    with database.read() as session:
        return list(session.scalars(query))


def _values(entry: Entry, now: float) -> dict[str, object]:
    return {
        "at": now - entry.age,
        "key_name": entry.key_name,
        "role": entry.role,
        "method": clean_text(entry.method, most=31),
        "path": clean_text(entry.path, most=MOST_PATH),
        "study": entry.study,
        "status": entry.status,
        "request_id": None if entry.request_id is None else clean_text(entry.request_id, most=199),
        "client": None if entry.client is None else clean_text(entry.client, most=99),
    }
