"""``/v1/studies/{name}/trials:ask`` and what follows: trials that are run by their clients."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from alphagrad.api.deps import DatabaseDep
from alphagrad.api.remote_models import AskIn, AskOut, HeartbeatIn, StandingOut, TellIn
from alphagrad.api.remote_report_models import ReportsIn
from alphagrad.api.trial_models import TrialOut
from alphagrad.api.trials import Number
from alphagrad.tuner import study_store
from alphagrad.tuner.remote_trials import RemoteTrials

router = APIRouter(prefix="/v1/studies/{name}", tags=["remote trials"])


def _remote_trials(request: Request) -> RemoteTrials:
    remote: RemoteTrials = request.app.state.remote_trials
    return remote


RemoteDep = Annotated[RemoteTrials, Depends(_remote_trials)]


@router.post("/trials:ask")
def ask(name: str, body: AskIn, remote: RemoteDep) -> AskOut:
    """Ask for a trial to run; the same client asking again gets the trial that it has."""
    asked = remote.ask(name, client=body.client)
    return AskOut.of(asked, lease_seconds=remote.lease_seconds)


@router.post("/trials/{number}:heartbeat")
def heartbeat(name: str, number: Number, body: HeartbeatIn, remote: RemoteDep) -> StandingOut:
    """Say that the trial is alive, and hear how it stands."""
    standing = remote.heartbeat(name, number, fence=body.fence, client=body.client)
    return StandingOut.of(standing, lease_seconds=remote.lease_seconds)


@router.post("/trials/{number}:report")
def report(name: str, number: Number, body: ReportsIn, remote: RemoteDep) -> StandingOut:
    """Report values, traces, metrics and what became of commands; the same may be sent again."""
    standing = remote.report(name, number, fence=body.fence, client=body.client, said=body.said())
    return StandingOut.of(standing, lease_seconds=remote.lease_seconds)


@router.post("/trials/{number}:tell")
def tell(
    name: str, number: Number, body: TellIn, remote: RemoteDep, database: DatabaseDep
) -> TrialOut:
    """Say how the attempt ended, once; told again with its fence it changes nothing."""
    spec = study_store.get_study(database, name).spec
    row = remote.tell(
        name,
        number,
        fence=body.fence,
        client=body.client,
        end=body.finished(n_objectives=len(spec.objectives)),
        constraints=body.constraints,
    )
    return TrialOut.of(row)
