"""The commands that steer a study: pause, resume, stop, cancel, edit, enqueue, rm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alphagrad.cli_app import STEERING, StudyName
from alphagrad.cli_assigned import Assignments, assigned
from alphagrad.cli_session import Session, command

if TYPE_CHECKING:
    from alphagrad.api.client_study import Study


@command(panel=STEERING)
def pause(session: Session, study: StudyName) -> None:
    """Start no more trials of a study until it is resumed; those that run go on to their end."""
    _say(session, session.client.study(study).pause())


@command(panel=STEERING)
def resume(session: Session, study: StudyName) -> None:
    """Let a paused study go on."""
    _say(session, session.client.study(study).resume())


@command(panel=STEERING)
def stop(session: Session, study: StudyName) -> None:
    """Start no more trials of a study; those that run go on to their end."""
    _say(session, session.client.study(study).stop())


@command(panel=STEERING)
def cancel(session: Session, study: StudyName) -> None:
    """Start no more trials of a study and kill those that run."""
    _say(session, session.client.study(study).cancel())


@command(panel=STEERING)
def edit(session: Session, study: StudyName, changes: Assignments) -> None:
    """Edit an open study, e.g. n_trials=40: n_trials, parallelism, priority, pruner, limits."""
    values = assigned(changes)  # a mistake in them comes before the study is looked for
    _say(session, session.client.study(study).edit(**values))


@command(panel=STEERING)
def enqueue(session: Session, study: StudyName, params: Assignments) -> None:
    """Let the next trial of a study try some parameters, e.g. alpha=98."""
    values = assigned(params)
    _say(session, session.client.study(study).enqueue(values))


@command("rm", panel=STEERING)
def remove(session: Session, study: StudyName) -> None:
    """Delete a study that has ended, with its checkpoints and logs."""
    session.client.study(study).delete()
    session.show({"name": study, "deleted": True}, lambda: f"{study} deleted")


def _say(session: Session, study: Study) -> None:
    session.show(study.data, lambda: f"{study.name} {study.state}")
