"""Errors that callers of the tuner are meant to handle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a specification: where, what stands there, and what is allowed."""

    field: str
    value: Any
    message: str


class TunerError(Exception):
    """Something the caller can mend; the message says how."""


class SpecError(TunerError):
    """A study's specification is not valid."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = list(errors)
        super().__init__(
            "; ".join(f"{e.field or 'study'}: {e.message} (got {e.value!r})" for e in self.errors)
        )


class SettingsError(TunerError, ValueError):
    """A setting cannot be used; the message hides passwords."""


class NewerDatabaseError(TunerError):
    """A newer version of alphagrad has upgraded the database."""

    def __init__(self, revision: str, newest: str | None) -> None:
        super().__init__(
            f"the database has schema revision {revision}, of a newer alphagrad; this one knows "
            f"revisions up to {newest}: install the newer one, or restore a copy from before"
        )


class DuplicateStudyError(TunerError):
    """A study of this name exists."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"a study named {name!r} exists; choose another name")


class StudyNotFoundError(TunerError):
    """No study has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no study is named {name!r}")


class TrialNotFoundError(TunerError):
    """The study has no trial of this number."""

    def __init__(self, study: str, number: int) -> None:
        super().__init__(f"study {study!r} has no trial {number}")


class NoLogError(TunerError):
    """A trial's log is not on this machine."""

    def __init__(self, study: str, number: int, *, worker: str | None) -> None:
        where = f"the machine of its worker, {worker}," if worker else "the machine of its worker"
        super().__init__(
            f"the log of trial {number} of study {study!r} is not on this machine; {where} has it, "
            "unless it was pruned"
        )


class ConflictError(TunerError):
    """What was asked does not fit the state of the study or trial."""


class PreconditionError(TunerError):
    """What the caller saw last is not what is there now."""


class NoAnswerError(TunerError):
    """A running trial did not answer in time."""


class QuotaError(TunerError):
    """An API key has as much as it may have."""


class StaleFenceError(TunerError):
    """A lease was lost: another worker has the trial, or it has ended."""


class NonRetryableError(Exception):
    """Raised by a task: this trial fails, and trying it again would not help."""


# Names that pydantic puts into an error's place for the kind of a union's member.
_KINDS = {"float", "int", "categorical", "constant"}
_PRUNERS = ("pruner", "wrapped_pruner", "value_pruner")


def field_errors(details: Sequence[Any]) -> list[FieldError]:
    """Pydantic's error details as fields in dotted words, e.g. ``params.alpha.low``."""
    found: dict[tuple[str, str], FieldError] = {}
    for detail in details:
        place = [str(part) for part in detail["loc"]]
        if len(place) > 2 and place[0] == "params" and place[2] in _KINDS:
            # Below a constant come the types it might have had.
            place = place[:2] if place[2] == "constant" else place[:2] + place[3:]
        elif len(place) > 1 and place[0] in ("sampler", "pruner"):
            inner = [i for i, part in enumerate(place) if part in ("sampler", *_PRUNERS)]
            place = [part for i, part in enumerate(place) if i - 1 not in inner]
        if detail["type"] == "union_tag_invalid":
            place.append("type")
        field = ".".join(place)
        value = detail["input"]
        if detail["type"] in ("union_tag_invalid", "unknown_dimension") and isinstance(value, dict):
            value = value.get("type", value)
        message = detail["msg"].removeprefix("Value error, ")
        found[field, message] = FieldError(field, value, message)
    return list(found.values())
