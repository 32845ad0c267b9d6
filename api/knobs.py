"""Routes: turn the knob of a running trial, and look at what its tanh receives."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Set
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from alphagrad.api.deps import DatabaseDep
from alphagrad.api.knob_models import HistogramOut
from alphagrad.api.pages import Page
from alphagrad.api.trial_models import AlphaPatch, KnobOut, LayerGlob
from alphagrad.api.trials import Number
from alphagrad.tuner import histograms, knobs, study_store
from alphagrad.tuner.errors import ConflictError, NoAnswerError

router = APIRouter(prefix="/v1/studies/{name}/trials/{number}", tags=["knob"])

ANSWER_SECONDS = 5.0
POLL_SECONDS = 0.05


@router.patch("/alpha", status_code=202)
def turn_knob(
    name: str,
    number: Number,
    patch: AlphaPatch,
    database: DatabaseDep,
    response: Response,
    if_match: Annotated[
        str | None,
        Header(description="the ETag of GET …/knobs: 412 if another command came between"),
    ] = None,
) -> KnobOut:
    """Change α of some layers in a running trial; ``GET …/knobs`` says when it was applied."""
    trial = study_store.get_trial(database, name, number)
    knob = knobs.request_knob(
        database,
        trial,
        layers=patch.layers,
        alpha=patch.alpha,
        pin=patch.pin,
        only_after=None if if_match is None else _named(if_match),
    )
    response.headers["ETag"] = _etag(knob.id)
    return KnobOut.of(knob)


@router.get("/knobs")
def list_knobs(
    name: str, number: Number, database: DatabaseDep, response: Response
) -> Page[KnobOut]:
    """The knob commands of a trial, oldest first; the ETag names the latest."""
    trial = study_store.get_trial(database, name, number)
    rows = knobs.list_knobs(database, trial.id)
    response.headers["ETag"] = _etag(rows[-1].id if rows else 0)
    return Page(items=[KnobOut.of(row) for row in rows], next_page_token=None)


@router.get("/alpha/histogram")
async def read_histogram(
    name: str,
    number: Number,
    database: DatabaseDep,
    layers: Annotated[LayerGlob, Query(description="a glob on names")] = "*",
    bins: Annotated[int, Query(ge=1, le=500)] = 60,
) -> HistogramOut:
    """How |α·g̃|, what the tanh of each layer receives, is distributed in a running trial now.

    The trial is asked, and answers before its next optimizer step.
    """
    trial = await run_in_threadpool(study_store.get_trial, database, name, number)
    question = await run_in_threadpool(histograms.ask, database, trial, layers=layers, bins=bins)
    give_up_at = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < give_up_at:
        row = await run_in_threadpool(histograms.read_answer, database, question)
        if row is not None:
            if row.answer is None or row.reason is not None:
                raise ConflictError(f"trial {number} gives no histogram: {row.reason}")
            return HistogramOut.model_validate(row.answer)
        await asyncio.sleep(POLL_SECONDS)
    raise NoAnswerError(
        f"trial {number} did not answer within {ANSWER_SECONDS:.0f} s: it answers before an "
        "optimizer step, and makes none now"
    )


def _etag(command: int) -> str:
    return f'"knob-{command}"'


def _named(if_match: str) -> Set[int] | None:
    """The commands that a header names; ``None`` if any will do."""
    if if_match.strip() == "*":
        return None
    # A weak tag never matches, and what is no tag of ours names no command.
    tags = [tag.strip() for tag in if_match.split(",")]
    found = [re.fullmatch(r'"knob-(\d{1,18})"', tag) for tag in tags]
    return {int(match[1]) for match in found if match is not None}
