"""The commands that submit studies and show them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from alphagrad.api.client_answers import StudyState, TrialState
from alphagrad.cli_app import STUDIES, NewName, StudyFile, StudyName, read, warn
from alphagrad.cli_assigned import Changes, assigned
from alphagrad.cli_complete import study_names
from alphagrad.cli_session import Session, command
from alphagrad.user_errors import NothingYetError

Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


@command(panel=STUDIES)
def submit(session: Session, study_file: StudyFile, name: NewName = None) -> None:
    """Submit a study; a worker runs it."""
    study = session.client.submit(read(study_file, name))
    warn(study.warnings)
    session.show(study.data, lambda: f"{study.name} {study.state}")


@command(panel=STUDIES)
def clone(
    session: Session,
    study: StudyName,
    name: Annotated[str, typer.Argument(help="The new study's name.")],
    changes: Changes = None,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Let the sampler know the trials of the old one.")
    ] = False,
) -> None:
    """Submit a study again under another name, e.g. with seed=2 n_trials=40."""
    fields = {"warm_start": warm_start} | assigned(changes)
    if "name" in fields:
        raise typer.BadParameter(f"name={fields['name']}: the new study's name is {name!r} already")
    made = session.client.study(study).clone(name, **fields)
    warn(made.warnings)
    session.show(made.data, lambda: f"{made.name} {made.state}")


@command("ls", panel=STUDIES)
def list_studies(
    session: Session,
    state: Annotated[
        StudyState | None, typer.Option(case_sensitive=False, help="Only those in this state.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only those of this task.")] = None,
    name: Annotated[str | None, typer.Option(help="Only those that this glob matches.")] = None,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """List the studies in the order of submission."""
    from alphagrad import display

    found = session.client.studies(
        name=name, state=state, task=task, order="newest" if newest else "oldest", limit=limit
    )
    studies = [study.data for study in found]
    none = "no studies; `alphagrad submit FILE` makes one"
    session.show(studies, lambda: display.studies_table(studies) if studies else none)


@command(panel=STUDIES)
def show(
    session: Session,
    study: StudyName,
    limit: Limit = 50,
    state: Annotated[
        TrialState | None, typer.Option(case_sensitive=False, help="Only trials in this state.")
    ] = None,
) -> None:
    """Show a study and its first trials, and of a population who took over from whom."""
    from alphagrad import display

    found = session.client.study(study)
    trials = [trial.data for trial in found.trials(limit=limit, state=state)]
    exploits = list(found.exploits(limit=limit)) if found.data["spec"].get("population") else []
    counts = found.data["trials"]
    started = sum(count for of, count in counts.items() if of != "QUEUED")
    more = max(0, (started if state is None else counts.get(state, 0)) - len(trials))
    rest = f"{more} more trials: --limit shows more, `alphagrad export {study}` writes all"
    searched = display.searched_params(found.data)
    session.show(
        {"study": found.data, "trials": trials, "more_trials": more, "exploits": exploits},
        lambda: display.studies_table([found.data]),
        lambda: display.trials_table(trials, searched=searched),
        lambda: rest if more else None,
        lambda: display.exploits_table(exploits) if exploits else None,
    )


@command(panel=STUDIES)
def best(session: Session, study: StudyName) -> None:
    """Show the best trial's parameters; with several objectives the Pareto front."""
    from alphagrad import display

    found = session.client.study(study)
    trials = [trial.data for trial in found.best_trials]
    if not trials and not session.json:
        raise NothingYetError(f"{study} has no complete and feasible trial yet")
    session.show(
        trials, lambda: display.trials_table(trials, searched=display.searched_params(found.data))
    )


@command(panel=STUDIES)
def importance(
    session: Session,
    study: StudyName,
    evaluator: Annotated[
        Literal["ped-anova", "fanova"],
        typer.Option(help="What makes the best trials, or what moves the value anywhere."),
    ] = "ped-anova",
    objective: Annotated[int, typer.Option(min=0, help="The objective's place, from 0.")] = 0,
) -> None:
    """Show how much each searched parameter matters for the value."""
    from alphagrad import display

    found = session.client.study(study).importance(evaluator=evaluator, objective=objective)
    session.show(found, lambda: display.importance_table(found))


@command(panel=STUDIES)
def compare(
    session: Session,
    studies: Annotated[
        list[str],
        typer.Argument(help="Names of studies, at most 8.", autocompletion=study_names),
    ],
) -> None:
    """Show studies side by side: the best of each, and how soon it was found."""
    from alphagrad import display

    found = session.client.compare(*studies)
    session.show(found, lambda: display.compared_table(found))
