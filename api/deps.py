"""What route functions ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from alphagrad.api.principal import Principal
from alphagrad.tuner.database import Database
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.settings import TunerSettings


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _optuna_storage(request: Request) -> OptunaStorage:
    storage: OptunaStorage = request.app.state.optuna_storage
    return storage


def _settings(request: Request) -> TunerSettings:
    settings: TunerSettings = request.app.state.settings
    return settings


def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


DatabaseDep = Annotated[Database, Depends(_database)]
OptunaDep = Annotated[OptunaStorage, Depends(_optuna_storage)]
SettingsDep = Annotated[TunerSettings, Depends(_settings)]
PrincipalDep = Annotated[Principal, Depends(_principal)]
