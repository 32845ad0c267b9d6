"""The client's methods on a database, for a machine without a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from alphagrad.api.study_models import ExploitOut, StudyOut, SubmittedStudy
from alphagrad.api.trial_models import MetricsOut, TrialOut
from alphagrad.tuner import exploits, parse_spec, study_changes, study_store
from alphagrad.tuner.database import Database
from alphagrad.tuner.export import Format, export_study
from alphagrad.tuner.export_rows import Tables
from alphagrad.tuner.metrics import read_metrics
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.retention import delete_study
from alphagrad.tuner.settings import TunerSettings

PAGE = 500


class LocalClient:
    """Studies in a database, with the methods and answers of :class:`alphagrad.api.client.Client`.

    Args:
        settings: where the database is; it is migrated first.
    """

    def __init__(self, settings: TunerSettings) -> None:
        self._settings = settings
        self._database = Database(settings.url)
        migrate(self._database)

    def __enter__(self) -> Self:
        """Close the connections at the end of the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connections."""
        self._database.dispose()

    def submit(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Store a study for the next worker on this database."""
        parsed = parse_spec(spec)
        optuna_storage = OptunaStorage(self._database)
        study_store.create_study(self._database, optuna_storage, parsed)
        optuna_storage.dispose()
        status = study_store.get_study(self._database, parsed.name)
        return SubmittedStudy.of(status).model_dump(mode="json")

    def studies(self) -> Iterator[dict[str, Any]]:
        """All studies, oldest first."""
        after = 0
        while page := study_store.list_studies(self._database, after=after, limit=PAGE):
            yield from (_study(status) for status in page)
            after = page[-1].row.id

    def study(self, name: str) -> dict[str, Any]:
        """One study."""
        return _study(study_store.get_study(self._database, name))

    def trials(self, study: str) -> Iterator[dict[str, Any]]:
        """A study's trials by number."""
        after = -1
        while page := study_store.list_trials(self._database, study, after=after, limit=PAGE):
            yield from (TrialOut.of(row).model_dump(mode="json") for row in page)
            after = page[-1].number or 0

    def exploits(self, study: str) -> Iterator[dict[str, Any]]:
        """Who of a population took over from whom, oldest first."""
        after = 0
        while page := exploits.list_exploits(self._database, study, after=after, limit=PAGE):
            yield from (ExploitOut.of(one).model_dump(mode="json") for one in page)
            after = page[-1].row.id

    def metrics(
        self, study: str, number: int, *, names: Sequence[str] = (), max_steps: int = 2000
    ) -> dict[str, Any]:
        """What a trial recorded."""
        trial = study_store.get_trial(self._database, study, number)
        found = read_metrics(self._database, trial, names or None, max_steps)
        return MetricsOut.of(found).model_dump(mode="json")

    def export(
        self,
        study: str,
        *,
        what: Tables = "trials",
        format: Format = "csv",  # noqa: A002
    ) -> Iterator[bytes]:
        """A study's rows as a file, in pieces."""
        return export_study(self._database, study, what=what, format=format)

    def delete(self, study: str) -> None:
        """Delete a study that has ended, with its checkpoints and logs."""
        delete_study(self._database, self._settings, study)

    def pause(self, study: str) -> dict[str, Any]:
        """Start no more trials of a study until it is resumed."""
        return _study(study_changes.pause_study(self._database, study))

    def resume(self, study: str) -> dict[str, Any]:
        """Let a paused study go on."""
        return _study(study_changes.resume_study(self._database, study))

    def stop(self, study: str) -> dict[str, Any]:
        """Start no more trials of a study."""
        return _study(study_changes.stop_study(self._database, study))

    def cancel(self, study: str) -> dict[str, Any]:
        """Start no more trials of a study and kill those that run."""
        return _study(study_changes.cancel_study(self._database, study))

    def edit(self, study: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Edit an open study."""
        return _study(study_changes.update_study(self._database, study, changes))

    def enqueue(self, study: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Let the next trial of a study try these parameters."""
        return _study(study_changes.enqueue_trial(self._database, study, params))


def _study(status: study_store.StudyStatus) -> dict[str, Any]:
    return StudyOut.of(status).model_dump(mode="json")
