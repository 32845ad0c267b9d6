"""First light, the whole way through: what ``make run`` does.

Starts the service, submits studies over REST with the key it gave the service, follows them, and
compares the α that was found with the √d rule and with Adam, each at its own best learning rate,
on seeds that no search has seen.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from alphagrad import display
from alphagrad.api.client import Client
from alphagrad.api.client_errors import ApiError
from alphagrad.api.client_progress import StudyProgress, seconds
from alphagrad.api.client_study import Study
from alphagrad.local_service import LocalService
from alphagrad.tuner.spec_reading import load_toml

POLL_SECONDS = 0.5
SEARCHED = "AlphaGrad, α searched"
COMPARED_SEEDS = 6
BASELINE_TRIALS = 8
COMPARISON_SEED = 1_000
"""The seed of the comparison: not that of any search, and the same for all that are compared."""


class DemoError(RuntimeError):
    """The demo cannot go on; the message says what to look at."""


def run(home: Path) -> None:
    """Do it all, and leave the service up.

    Args:
        home: the service's folder; a service that runs there already is used.

    Raises:
        ServiceError: the service did not start.
        DemoError: a study did not complete.
    """
    console = Console()
    started = time.monotonic()
    service = LocalService(home)
    url, key = service.start(), service.key
    if service.started:
        console.print(f"The service is up at {url} (log: {service.log}).", highlight=False)
    stamp = datetime.now().strftime("%m%d-%H%M%S")
    search = load_toml(Path(str(files("alphagrad.studies") / "cartpole_dqn.toml")))
    search["name"] = f"{search['name']}-{stamp}"
    try:
        with Client(url, key) as client:
            _tune(client, search, console)
    except ApiError as error:
        raise DemoError(f"{error}; the service's log is {service.log}") from error
    console.print(f"\nLook at it, with the key [bold]{key}[/bold]:", highlight=False)
    console.print(f"  {url}             studies, trials, the knob", soft_wrap=True)
    console.print(f"  {url}/v1/studies  REST, 'Authorization: Bearer <key>'", soft_wrap=True)
    minutes = seconds(time.monotonic() - started)
    console.print(f"The service stays up; `make stop` ends it. All took {minutes} min.")


def _tune(client: Client, search: dict[str, Any], console: Console) -> None:
    arms = {
        SEARCHED: search,
        "AlphaGrad, α = 1.5·√d": _baseline(search, "sqrt-d", alpha_rule="sqrt_d"),
        "Adam": _baseline(search, "adam", optimizer="adam"),
    }
    found = {arm: _follow(client, spec, console) for arm, spec in arms.items()}
    study = found[SEARCHED]
    trials = [trial.data for trial in study.trials()]
    console.print(display.trials_table(trials, searched=display.searched_params(study.data)))
    console.print(f"The best of each again, with {COMPARED_SEEDS} other seeds:")
    table = Table(
        "optimizer", "α", "learning rate", f"mean of {COMPARED_SEEDS}", "lowest", "highest"
    )
    for arm, study in found.items():
        name = f"{study.name}-again"
        again = _follow(client, _repeat(study.data, name), console)
        values = [trial.value for trial in again.trials() if trial.value is not None]
        if not values:
            raise DemoError(f"no trial of {name} gave a value")
        assert study.best is not None  # it was followed to its end
        best = study.best.params
        table.add_row(
            arm,
            f"{best['alpha']:.3g}" if "alpha" in best else "–",
            f"{best['learning_rate']:.2g}",
            f"{statistics.fmean(values):.0f}",
            f"{min(values):.0f}",
            f"{max(values):.0f}",
        )
    console.print(table)
    console.print("Value: mean return of greedy episodes in the second half; 500 is the highest.")


def _baseline(search: Mapping[str, Any], suffix: str, **changes: Any) -> dict[str, Any]:
    """The same study without α: the learning rate alone is searched."""
    params = {name: value for name, value in search["params"].items() if name != "alpha"}
    return {
        **search,
        "name": f"{search['name']}-{suffix}",
        "n_trials": BASELINE_TRIALS,
        "params": params | changes,
    }


def _repeat(study: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The best trial's parameters as constants, with seeds of their own."""
    spec = study["spec"]
    return {
        "name": name,
        "task": spec["task"],
        "direction": spec["direction"],
        "n_trials": COMPARED_SEEDS,
        "parallelism": spec["parallelism"],
        "seed": COMPARISON_SEED,
        "params": study["best"]["params"],
    }


def _follow(client: Client, spec: Mapping[str, Any], console: Console) -> Study:
    """Submit a study and show its progress to the end."""
    study = client.submit(spec)
    with StudyProgress(console) as progress:
        while study.state in ("QUEUED", "RUNNING", "STOPPING"):
            time.sleep(POLL_SECONDS)
            progress.update(study.refresh())
    if study.state != "COMPLETED" or study.best is None:
        raise DemoError(f"study {study.name} ended {study.state}: {study.data['trials']}")
    return study
