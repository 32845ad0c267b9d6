"""The command that runs a study here."""

from __future__ import annotations

import sys

import typer

from alphagrad.cli_app import (
    ENDED_BADLY,
    STUDIES,
    AsJson,
    DatabaseUrl,
    Home,
    NewName,
    StudyFile,
    app,
    given,
    read,
    warn,
)


@app.command(rich_help_panel=STUDIES)
def run(
    study_file: StudyFile,
    name: NewName = None,
    home: Home = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Run a study here, without a server, and show its trials."""
    from rich.console import Console

    from alphagrad import display
    from alphagrad.api.client_progress import StudyProgress
    from alphagrad.api.local import LocalClient
    from alphagrad.api.study_models import StudyOut
    from alphagrad.cli_session import Session
    from alphagrad.tuner import parse_spec, run_study
    from alphagrad.tuner.advice import spec_warnings
    from alphagrad.tuner.settings import TunerSettings

    spec = parse_spec(read(study_file, name))
    warn(spec_warnings(spec))
    settings = TunerSettings(**given(home=home, database_url=database_url))
    # What programs read is the document at the end alone.
    with StudyProgress(Console(file=sys.stderr if as_json else sys.stdout)) as progress:
        run_study(
            spec,
            settings,
            on_progress=lambda now: progress.update(StudyOut.of(now).model_dump(mode="json")),
        )
    with LocalClient(settings) as client:
        study = client.study(spec.name)
        trials = [trial.data for trial in study.trials(limit=display.MOST_TRIALS)]
        searched = display.searched_params(study.data)
        Session(client, as_json=as_json).show(
            study.data,
            lambda: display.trials_table(trials, searched=searched),
            lambda: f"{study.name} {study.state}",
        )
    if study.state != "COMPLETED":
        raise typer.Exit(ENDED_BADLY)
