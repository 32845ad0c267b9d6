"""What ``alphagrad watch`` draws, and the lines that it writes where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alphagrad import display
from alphagrad.api.client_progress import best_of, finished_trials, seconds, values_of
from alphagrad.watch_state import POINTS, Watched, WatchedTrial

BLOCKS = "▁▂▃▄▅▆▇█"
USUAL_SATURATION = 0.3
STATE_STYLES = {
    "RUNNING": "cyan",
    "COMPLETE": "green",
    "COMPLETED": "green",
    "PRUNED": "yellow",
    "PAUSED": "yellow",
    "STOPPING": "yellow",
    "WAITING": "dim",
    "QUEUED": "dim",
    "FAIL": "red",
    "FAILED": "red",
    "CANCELLED": "red",
}


def sparkline(
    values: Iterable[float], *, low: float | None = None, high: float | None = None
) -> str:
    """Values as blocks of eight heights, from the lowest to the highest or between given limits.

    Example:
        >>> sparkline([0.0, 0.5, 1.0])
        '▁▅█'
        >>> sparkline([0.1], low=0.0, high=1.0)
        '▁'
    """
    known = list(values)
    if not known:
        return ""
    bottom = min(known) if low is None else low
    top = max(known) if high is None else high
    span = top - bottom
    scaled = [(value - bottom) / span if span > 0 else 0.0 for value in known]
    return "".join(BLOCKS[min(7, max(0, int(8 * part)))] for part in scaled)


def view(watched: Watched, *, hint: str) -> RenderableType:
    """The studies with their progress, then their trials, then a hint."""
    parts: list[RenderableType] = [_studies(watched.studies.values())]
    if watched.trials:
        parts.append(_trials(watched))
    return Group(*parts, Text(hint, style="dim"))


def line(event: Mapping[str, Any]) -> str | None:
    """An event as a line; ``None`` for one that is no news to a reader of a log."""
    at = datetime.fromisoformat(event["at"]).astimezone().strftime("%H:%M:%S")
    place = event["study"] + ("" if event["trial"] is None else f"/{event['trial']}")
    said = _said(event)
    return None if said is None else f"{at}  {place}  {said}".rstrip()


def _said(event: Mapping[str, Any]) -> str | None:
    match event["kind"]:
        case "study.submitted" | "study.changed":
            return str(event.get("state", "submitted"))
        case "study.deleted":
            return "deleted"
        case "trial.started":
            params = ", ".join(f"{k}={display.short(v)}" for k, v in event["params"].items())
            again = f" (attempt {event['attempt']})" if event["attempt"] > 1 else ""
            return f"started{again}: {params}"
        case "trial.ended":
            said = [event["state"], values_of(event), event["error"] or ""]
            return "  ".join(part for part in said if part)
        case "trial.retried":
            return f"attempt ended, another follows: {event['outcome']}"
        case "trial.knob":
            knob = event["knob"]
            if knob["state"] == "requested":
                return None
            at = "" if knob["step"] is None else f" at step {knob['step']}"
            return f"α of {knob['layers']} = {display.short(knob['alpha'])} {knob['state']}{at}"
    return None


def _studies(studies: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("study", "state", "trials", "", "best", "time left", box=None, pad_edge=False)
    for study in studies:
        done, total = finished_trials(study), study["n_trials"]
        left = study["eta_seconds"] if study["state"] == "RUNNING" else None
        table.add_row(
            escape(study["name"]),
            _state(study["state"]),
            f"{done}/{total}",
            ProgressBar(total=max(total, 1), completed=done, width=20),
            best_of(study),
            "" if left is None else seconds(left),
        )
    return table


def _trials(watched: Watched) -> Table:
    one = len(watched.studies) == 1
    names: list[str] = []
    if one:
        names = display.searched_params(next(iter(watched.studies.values())))
    chart: dict[str, Any] = {
        "min_width": POINTS,
        "no_wrap": True,
    }  # the columns behind it stay where they are
    table = Table("trial", "state", "step", box=None, pad_edge=False)
    table.add_column("value", min_width=8)
    table.add_column("", **chart)
    table.add_column("saturation")
    table.add_column("", **chart)
    for name in names:
        table.add_column(escape(name))
    for (study, number), trial in sorted(watched.trials.items()):
        table.add_row(
            str(number) if one else f"{study}/{number}",
            _state(trial.data["state"]),
            "" if trial.step is None else str(trial.step),
            values_of(trial.data) or _last(trial.values),
            Text(sparkline(trial.values), style="green"),
            _last(trial.saturations),
            Text(_saturation(trial), style="magenta"),
            *(Text(display.short(trial.data["params"].get(name))) for name in names),
        )
    return table


def _saturation(trial: WatchedTrial) -> str:
    top = max([USUAL_SATURATION, *trial.saturations])
    return sparkline(trial.saturations, low=0.0, high=top)


def _last(values: Iterable[float]) -> str:
    known = list(values)
    return f"{known[-1]:.4g}" if known else ""


def _state(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))
