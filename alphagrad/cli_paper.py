"""The commands that repeat the paper's experiments and report what came out."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

paper = typer.Typer(
    help="Repeat the paper's experiments, and report on them.", no_args_is_help=True
)

ResultsFolder = Annotated[
    Path, typer.Option("--results", help="Folder of results: JSON and Parquet files.")
]
RESULTS = Path("studies/paper/results")


@paper.command("run")
def run_plans(
    plans: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK|PLAN.TOML]...", help="Whose experiments, in this order; by default all."
        ),
    ] = None,
    results: ResultsFolder = RESULTS,
    home: Annotated[
        Path, typer.Option(help="Folder of all state of the service, which is its own.")
    ] = Path(".alphagrad/paper"),
) -> None:
    """Run what has no result yet on a service of its own; a second call goes on."""
    from alphagrad.api.client import Client
    from alphagrad.local_service import LocalService
    from alphagrad.paper.plan import load_plan, plan_files
    from alphagrad.paper.progress import Shown
    from alphagrad.paper.results import Results
    from alphagrad.paper.run import run
    from alphagrad.paper.theory import THEORY, measure

    known = plan_files()
    for name in plans or ():
        if name not in known and not Path(name).is_file():
            message = f"{name!r} is no plan: {', '.join(known)}, or a TOML file"
            raise typer.BadParameter(message)
    chosen = [load_plan(known.get(name) or Path(name)) for name in plans or known]
    theory = results / THEORY
    if not theory.exists():
        measure(theory)
    service = LocalService(home)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # as Ctrl-C
    url = service.start()
    typer.echo(f"The service is at {url}; its log and its key are in {service.home}.")
    try:
        with Client(url, service.key) as client, Shown() as shown:
            run(client, chosen, Results(results), on_progress=shown.update)
    finally:
        if service.started:
            service.stop()


@paper.command("report")
def write_report(
    page: Annotated[
        Path, typer.Argument(help="The page; its figures go into figures/paper beside it.")
    ] = Path("docs/paper.md"),
    results: ResultsFolder = RESULTS,
) -> None:
    """Write the report from the results: the same results give the same bytes."""
    from alphagrad.paper import report
    from alphagrad.paper.plan import load_plan, plan_files
    from alphagrad.paper.results import Results

    plans = {name: load_plan(path) for name, path in plan_files().items()}
    report.write_report(plans, Results(results), page)
    typer.echo(f"{page} written")
