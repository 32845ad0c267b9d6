"""Parts of a log: whole lines at its end, whole characters everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphagrad.tuner.log_tail import read_log


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "0.log"


def test_the_end_begins_with_a_whole_line(log: Path) -> None:
    log.write_bytes(b"one\ntwo\nthree\n")
    assert read_log(log, limit=10).text == "two\nthree\n"
    assert read_log(log, limit=9).text == "three\n"
    assert read_log(log, limit=100).text == "one\ntwo\nthree\n"
    assert read_log(log, limit=100).next_offset == 14


def test_a_long_line_is_cut_at_a_character(log: Path) -> None:
    log.write_text("α" * 100, encoding="utf-8")
    part = read_log(log, limit=9)
    assert (part.text, part.next_offset, part.size) == ("αααα", 200, 200)


def test_a_character_whose_end_is_not_written_waits(log: Path) -> None:
    whole = "0.5 ≤ α".encode()
    log.write_bytes(whole[:-1])
    part = read_log(log)
    assert part.text == "0.5 ≤ "
    log.write_bytes(whole)
    assert read_log(log, offset=part.next_offset).text == "α"


def test_past_the_end_there_is_nothing(log: Path) -> None:
    log.write_bytes(b"abc")
    part = read_log(log, offset=10)
    assert (part.text, part.next_offset, part.size) == ("", 3, 3)


@given(st.text(), st.integers(4, 30))
def test_the_parts_of_a_log_are_the_log(log: Path, text: str, limit: int) -> None:
    data = text.encode("utf-8", "replace")
    log.write_bytes(data)
    offset, read = 0, ""
    while offset < len(data):
        part = read_log(log, offset=offset, limit=limit)
        assert offset < part.next_offset <= offset + limit
        read += part.text
        offset = part.next_offset
    assert read == data.decode()


@given(st.binary(), st.integers(4, 30))
def test_bytes_that_are_no_text_are_read_past(log: Path, data: bytes, limit: int) -> None:
    log.write_bytes(data)
    offset = 0
    for _ in range(len(data)):
        offset = read_log(log, offset=offset, limit=limit).next_offset
    assert len(data) - offset < 4  # what could be a character's beginning
