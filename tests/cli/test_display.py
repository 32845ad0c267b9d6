"""What the command line draws."""

import io
from typing import Any

import pytest
from rich.console import Console

from alphagrad import display
from alphagrad.api import client_progress


def trial(number: int, *values: float, **changes: Any) -> dict[str, Any]:
    base = {
        "number": number,
        "state": "COMPLETE",
        "value": values[0] if len(values) == 1 else None,
        "values": list(values) if len(values) > 1 else None,
        "feasible": True,
        "params": {"alpha": 2.123456, "epochs": 3},
        "error": None,
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:00:01.25Z",
    }
    return base | changes


def study(**changes: Any) -> dict[str, Any]:
    base = {
        "name": "bar",
        "state": "RUNNING",
        "spec": {
            "task": "digits",
            "params": {"alpha": {"type": "float", "low": 1, "high": 9}, "epochs": 3},
        },
        "n_trials": 20,
        "trials": {"COMPLETE": 3, "FAIL": 1, "PRUNED": 2, "RUNNING": 2, "QUEUED": 12},
        "best": trial(4, 0.9876),
        "best_trials": [trial(4, 0.9876)],
        "eta_seconds": 75.0,
    }
    return base | changes


def printed(what: object) -> str:
    out = io.StringIO()
    Console(file=out, width=120).print(what)
    return out.getvalue()


def test_progress_in_a_log_is_a_line_per_finished_trial() -> None:
    out = io.StringIO()
    with client_progress.StudyProgress(Console(file=out, width=120)) as progress:
        for finished in (0, 0, 1, 1, 2):
            progress.update(study(trials={"COMPLETE": finished}))
        progress.update(study(trials={"COMPLETE": 20}, state="COMPLETED"))
    lines = out.getvalue().splitlines()
    assert [line.split("bar: ")[1] for line in lines] == [
        "0/20 trials  best 0.9876 (trial 4)  ETA 1:15",
        "1/20 trials  best 0.9876 (trial 4)  ETA 1:15",
        "2/20 trials  best 0.9876 (trial 4)  ETA 1:15",
        "20/20 trials  best 0.9876 (trial 4)",
    ]


def test_progress_on_a_terminal_shows_trials_best_and_time_left() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None)
    with client_progress.StudyProgress(console) as progress:
        progress.update(study())
    for part in ("bar", "6/20", "best 0.9876 (trial 4)", "ETA 1:15"):
        assert part in out.getvalue(), part


def test_a_study_without_a_value_has_an_empty_place_for_it() -> None:
    text = printed(display.studies_table([study(best=None, best_trials=[])]))
    assert "6/20" in text
    assert "None" not in text


def test_what_others_have_written_is_no_markup() -> None:
    spec = study()["spec"]
    for task in ("lab/[/vision]", "resnet[cifar10]"):
        assert task in printed(display.studies_table([study(spec=spec | {"task": task})]))
        params = {"properties": {task: {"description": task, "default": task}}}
        offered = {"name": task, "about": f"of {task}", "params": params, "stackable": False}
        text = printed(display.tasks_table([offered]))
        assert f" {task} " in text
        assert f"of {task}" in text
        assert printed(display.params_table(params)).count(task) == 3


def test_trials_show_the_searched_parameters_the_time_and_the_error() -> None:
    failed = {"error": "ValueError: [red]no[/red]", "started_at": None, "finished_at": None}
    trials = [trial(0, 0.5), trial(1, state="FAIL", params={"epochs": 3}, **failed)]
    text = printed(display.trials_table(trials, searched=display.searched_params(study())))
    assert "2.123 " in text
    assert "1.2 " in text
    assert "epochs" not in text
    # An error's own words, whatever brackets are in them.
    assert "ValueError: [red]no[/red]" in text


def test_several_objectives_and_what_is_infeasible_are_shown() -> None:
    front = [trial(number, 0.5 + number, 2.0) for number in range(4)]
    several = study(best=None, best_trials=front)
    assert client_progress.best_of(several) == (
        "0.5, 2 (trial 0); 1.5, 2 (trial 1); 2.5, 2 (trial 2); 1 more"
    )
    trials = [trial(0, 0.5, 2.0), trial(1, 0.75, feasible=False, params={"alpha[q.*]": 9.0})]
    text = printed(display.trials_table(trials, searched=["alpha[q.*]"]))
    assert "0.5, 2 " in text
    assert "COMPLETE (infeasible)" in text
    assert "alpha[q.*]" in text


@pytest.mark.parametrize(("value", "text"), [(0, "0:00"), (59.6, "1:00"), (3600, "60:00")])
def test_durations(value: float, text: str) -> None:
    assert client_progress.seconds(value) == text
