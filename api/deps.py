"""What route functions ask for.

All are coroutines: FastAPI would call each plain function in a thread, for nothing.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from alphagrad.api.event_hub import EventHub
from alphagrad.api.principal import Principal
from alphagrad.tuner.database import Database
from alphagrad.tuner.importance import Importances
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settings import TunerSettings


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _optuna_storage(request: Request) -> OptunaStorage:
    storage: OptunaStorage = request.app.state.optuna_storage
    return storage


async def _settings(request: Request) -> TunerSettings:
    settings: TunerSettings = request.app.state.settings
    return settings


async def _importances(request: Request) -> Importances:
    importances: Importances = request.app.state.importances
    return importances


async def _event_hub(request: Request) -> EventHub:
    hub: EventHub = request.app.state.events
    return hub


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


DatabaseDep = Annotated[Database, Depends(_database)]
OptunaDep = Annotated[OptunaStorage, Depends(_optuna_storage)]
EventHubDep = Annotated[EventHub, Depends(_event_hub)]
SettingsDep = Annotated[TunerSettings, Depends(_settings)]
ImportancesDep = Annotated[Importances, Depends(_importances)]
PrincipalDep = Annotated[Principal, Depends(_principal)]
