"""The tuner's own time: a trial from ask to tell, a report, busy slots, lists of 1e5 trials.

    python benchmarks/tuner.py [--rounds 3] [--databases sqlite postgresql] [--trials 60]
                               [--many 100000] [--no-ray] [--json FILE] [--plot FILE]

Everything takes turns within each round, each in a process of its own. A trial that returns at once
costs what lies between its end and the end of the one before: for our worker that is claim, ask, a
fresh process, result and tell; beside it stand plain ``study.optimize`` on the same kind of
database, in its own process, and Ray Tune with its own searcher and ``reuse_actors=True``, which
keeps no database. All draw three parameters at random, one trial at a time. A report is measured
in the trial: ``report()`` and ``should_prune()``, without a pruner and with the median pruner. Busy
is the share of two slots' time that trials of one second fill. "Commit" is one row written by the
bare driver: no report can be stored sooner.

Without ``--postgresql URL`` (of a server, without a database) a server is started for the run, with
PostgreSQL's defaults: a commit waits for the disk.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from places import DATABASES, FIGURES, Places, child
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

WAITS = 8
"""Trials of one second per slot and round."""
ASKS = 100
"""Requests of each kind to the server."""


def main() -> None:
    """Measure, print a table, write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--trials", type=int, default=60, help="trials of each runner and round")
    parser.add_argument("--many", type=int, default=100_000, help="trials in the study of lists")
    parser.add_argument("--ray", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--postgresql", metavar="URL", help="a server, without a database")
    parser.add_argument("--json", type=Path, default=FIGURES / "tuner.json")
    parser.add_argument("--plot", type=Path, default=FIGURES / "tuner.png", help="PNG or SVG")
    options = parser.parse_args()
    for name in ("rounds", "trials"):
        if getattr(options, name) < (2 if name == "trials" else 1):
            parser.error(f"--{name} is too small: {getattr(options, name)}")
    if find_spec("matplotlib") is None:
        parser.error("matplotlib is not here; install it with: pip install -e '.[bench]'")
    from optimizer import machine
    from tuner_chart import draw
    from tuner_pages import pages
    from tuner_tables import summary, tables

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    load = os.getloadavg()[0]
    rounds: list[dict[str, Any]] = []
    listed: dict[str, Any] = {}
    with (
        Progress(*columns, console=console, auto_refresh=False) as progress,
        Places(options.postgresql, options.databases) as places,
    ):
        turns = options.rounds * (3 * len(options.databases) + options.ray)
        bar = progress.add_task("turns", total=turns + len(options.databases))

        def turn(name: str) -> None:
            progress.update(bar, description=name, refresh=True)

        for number in range(options.rounds):
            found: dict[str, Any] = {}
            # Every other round in the other order: who is first meets another machine.
            for kind in options.databases[:: 1 if number % 2 == 0 else -1]:
                for what in ("ours", "plain", "commits")[:: 1 if number % 2 == 0 else -1]:
                    turn(f"round {number + 1}: {what}, {kind}")
                    job = places.new(kind) | {
                        "what": what,
                        "trials": options.trials,
                        "waits": WAITS,
                    }
                    script = "tuner_ours.py" if what == "ours" else "tuner_others.py"
                    found.setdefault(kind, {})[what] = child(script, job)
                    progress.advance(bar)
            if options.ray:
                turn(f"round {number + 1}: Ray Tune")
                job = places.new("sqlite") | {"what": "ray", "trials": options.trials}
                found["ray"] = child("tuner_others.py", job)
                progress.advance(bar)
            rounds.append(found)
        for kind in options.databases:
            turn(f"lists of {options.many} trials, {kind}")
            place = places.new(kind)
            listed[kind] = pages(place["url"], Path(place["home"]), trials=options.many, asks=ASKS)
            progress.advance(bar)
    result = {
        "machine": machine("cpu"),
        "load_before": load,
        "trials": options.trials,
        "many": options.many,
        **summary(rounds, options.databases),
        "lists": listed,
    }
    for table in tables(result):
        console.print(table)
    options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    draw(result, options.plot)


if __name__ == "__main__":
    main()
