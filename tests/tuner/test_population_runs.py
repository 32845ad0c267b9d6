"""Populations run by real workers: what is gained, what is repeated, what survives."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import FrozenTrial

from alphagrad.tuner.attempts import list_attempts
from alphagrad.tuner.database import Database
from alphagrad.tuner.exploits import list_exploits
from alphagrad.tuner.lists import list_trials
from alphagrad.tuner.study_store import get_study
from tests.marks import on_sqlite
from tests.tuner.conftest import HEAD

OptunaTrials = Callable[[Database, str], list[FrozenTrial]]

TASK = """
import contextlib, pathlib, random
from alphagrad.tuner.errors import DuplicateStudyError

@task("drift")
def drift(trial: Trial) -> float:
    # The best α falls from 100 to 1 over the training: no fixed one is good all the time.
    state = trial.load_checkpoint() or {"value": 0.0, "history": []}
    alpha, steps = trial.params["alpha"], trial.params["steps"]
    while len(state["history"]) < steps:
        best = 2.0 - 2.0 * len(state["history"]) / steps
        gain = math.exp(-((3 * (math.log10(alpha) - best)) ** 2))
        state["value"] += gain / steps
        state["history"].append((trial.number, alpha))
        time.sleep(trial.params["seconds"])
        trial.report(gain, len(state["history"]))
        if len(state["history"]) % 3 == 0:
            if len(state["history"]) == 12:
                pathlib.Path(os.environ["ALPHAGRAD_HOME"], "judged").touch()
            trial.save_checkpoint(state)
    with open(os.environ["ALPHAGRAD_HOME"] + f"/{trial.study}-{trial.number}", "w") as file:
        json.dump(state["history"], file)
    return state["value"]

BODY = {
    "task": "drift",
    "n_trials": 4,
    "sampler": {"type": "random"},
    "params": {
        "alpha": {"type": "float", "low": 1, "high": 100, "log": True}, "steps": 25, "seconds": 0,
    },
}
POPULATION = {
    "perturbation_interval": 3,
    "quantile_fraction": 0.5,
    "perturbation_factors": [0.5, 2.0],
    "mutate": ["alpha"],
}
"""

COMPARED = """
def main():
    return run_studies({
        "one": BODY | {"population": POPULATION},
        "other": BODY | {"population": POPULATION},
        "fixed": BODY,
    })
"""


@on_sqlite
def test_a_population_follows_what_no_fixed_alpha_can_and_is_repeated_by_its_seed(
    run_script: Callable[..., Any], database: Database, optuna_trials: OptunaTrials
) -> None:
    ended = run_script(TASK + COMPARED, seconds=100)
    assert {state for trials in ended.values() for state, *_ in trials} == {"COMPLETE"}
    values = {name: [value for _, value, *_ in trials] for name, trials in ended.items()}
    assert max(values["one"]) > 1.2 * max(values["fixed"])
    assert sum(values["one"]) > 1.3 * sum(values["fixed"])

    # The members of each study run one after another, so nothing depends on chance.
    assert values["one"] == values["other"]
    lineages = [
        [(one.number, one.row.step, one.source, one.row.source_step, one.row.new_params)
         for one in list_exploits(database, name)]
        for name in ("one", "other")
    ]  # fmt: skip
    assert lineages[0] == lineages[1]
    assert len(lineages[0]) >= 4
    assert not list_exploits(database, "fixed")
    starts = [[t.params["alpha"] for t in optuna_trials(database, n)] for n in ("one", "fixed")]
    assert starts[0] == starts[1]  # both began with the same draws


KILLED = """
def die_when(mark):
    # The worker dies at about the moment in which it judges who comes there first.
    while not mark.exists():
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.03))
    os.kill(os.getpid(), signal.SIGKILL)

def main():
    mark = pathlib.Path(os.environ["ALPHAGRAD_HOME"], "judged")
    if not mark.exists():
        threading.Thread(target=die_when, args=[mark], daemon=True).start()
    settings = TunerSettings()
    database, body = Database(settings.url), BODY | {"name": "s", "seed": 3, "parallelism": 4}
    body["params"] |= {"steps": 31, "seconds": 0.01}
    with contextlib.suppress(DuplicateStudyError):
        spec = parse_spec(body | {"population": POPULATION})
        create_study(database, OptunaStorage(database), spec)
    Worker(database, settings, study="s").run()

if __name__ == "__main__":
    main()
"""


@on_sqlite
def test_kill_minus_nine_loses_no_exploit_and_doubles_none(
    database: Database,
    environment: dict[str, str],
    tmp_path: Path,
    optuna_trials: OptunaTrials,
) -> None:
    environment = environment | {"ALPHAGRAD_LEASE_SECONDS": "2"}
    script = tmp_path / "script.py"
    script.write_text(HEAD + TASK + KILLED)
    for end in (-signal.SIGKILL, 0):
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, timeout=120, check=False
        )
        assert done.returncode == end

    status = get_study(database, "s")
    assert (status.row.state, status.trials) == ("COMPLETED", {"COMPLETE": 4})
    trials = {trial.number: trial for trial in list_trials(database, "s")}
    assert sum(trial.losses for trial in trials.values()) >= 1
    exploits = list_exploits(database, "s")
    # Whatever anyone trained with was drawn at first or came from a recorded exploit.
    known = {(t.number, t.params["alpha"]) for t in optuna_trials(database, "s")}
    known |= {(one.number, one.row.new_params["alpha"]) for one in exploits}
    for number, trial in trials.items():
        mine = [one for one in exploits if one.number == number]
        attempts = {row.attempt: row.outcome for row in list_attempts(database, trial.id)}
        assert len(attempts) == trial.attempt
        # A fence is raised with each attempt: the exploits are those of the attempts that say so.
        ended = [attempt for attempt, outcome in attempts.items() if outcome == "EXPLOITED"]
        assert [one.row.fence for one in mine] == ended
        history = [tuple(one) for one in json.loads((tmp_path / f"s-{number}").read_text())]
        assert len(history) == 31
        own = (number, (trial.params or {})["alpha"])
        assert history[-1] == own
        assert trial.value == pytest.approx(value_of(history))
        if mine:
            last = mine[-1].row
            assert own == (number, last.new_params["alpha"])
            assert set(history[last.source_step :]) == {own}
            assert history[last.source_step - 1][1] == last.source_params["alpha"]
        assert set(history) <= known


def value_of(history: list[tuple[int, float]]) -> float:
    steps = len(history)
    return sum(
        math.exp(-((3 * (math.log10(alpha) - 2.0 + 2.0 * step / steps)) ** 2)) / steps
        for step, (_, alpha) in enumerate(history)
    )
