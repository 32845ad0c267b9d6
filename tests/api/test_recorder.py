"""What is written after the answers: nothing that waits is dropped but the oldest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from alphagrad.api import recorder as recorder_module
from alphagrad.api.recorder import Recorder
from alphagrad.tuner import audit
from alphagrad.tuner.audit import Entry
from alphagrad.tuner.database import Database


def entry(number: int) -> Entry:
    return Entry(
        age=0.0, key_name="k", role="admin", method="POST", path=f"/{number}", study=None,
        status=202, request_id=str(number), client="127.0.0.1",
    )  # fmt: skip


def test_what_is_added_while_a_full_queue_is_written_waits_for_its_turn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, written = audit.append, list[str]()
    monkeypatch.setattr(recorder_module, "MOST_WAITING", 3)
    monkeypatch.setattr(recorder_module, "PAUSE_SECONDS", 60.0)
    recorder = Recorder(database)

    def meanwhile(database: Database, entries: Sequence[Entry], **options: Any) -> None:
        append(database, entries, **options)
        written.extend(one.path for one in entries)
        if len(written) == 3:
            recorder.add(entry(3))

    monkeypatch.setattr(audit, "append", meanwhile)
    for number in range(3):
        recorder.add(entry(number))
    recorder.flush()
    recorder.close()
    assert written == ["/0", "/1", "/2", "/3"]
