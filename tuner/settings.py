"""Settings of the service and its workers: environment variables ``ALPHAGRAD_…``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from alphagrad.tuner.secret_files import SecretFiles


class TunerSettings(BaseSettings):
    """Where state is kept, and how workers behave.

    Example:
        >>> TunerSettings(home=Path("/srv/alphagrad")).url
        'sqlite:////srv/alphagrad/alphagrad.db'
    """

    model_config = SettingsConfigDict(
        env_prefix="ALPHAGRAD_", extra="ignore", hide_input_in_errors=True
    )

    home: Path = Field(default_factory=lambda: Path.home() / ".alphagrad")
    """The folder of all state: database (if embedded), checkpoints, logs."""
    database_url: SecretStr | None = None
    """``postgresql://…``; by default SQLite in ``home``."""
    slots: Annotated[int, Field(ge=1)] = Field(default_factory=lambda: os.cpu_count() or 1)
    """How many trials of one CPU a worker runs at a time; by default one a core."""
    gpus: Annotated[int, Field(ge=0)] | None = None
    """How many GPUs a worker gives to trials that ask for them; by default those it sees."""
    nice: Annotated[int, Field(ge=0, le=19)] = 0
    """How far trials make way for other work on the machine, as the command ``nice`` counts."""
    lease_seconds: Annotated[float, Field(ge=1)] = 15.0
    """After so long without a sign of its worker, a trial is taken over."""
    log_format: Literal["text", "json"] = "text"
    """Of the lines on standard error: text, or JSON with the ids of what they are about."""
    ray_address: str | None = None
    """``HOST:PORT`` of a Ray cluster that this machine is part of, or ``auto``; by default engine
    ``ray`` starts Ray on this machine, for this machine alone."""

    quota_running_trials: Annotated[int, Field(ge=0)] | None = None
    """How many trials of a submitter's key run at a time, if it has no quota of its own."""
    audit_days: Annotated[float, Field(ge=0)] = 90.0
    """``alphagrad db prune`` deletes what the audit log holds from before."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code comes first, then the environment, then files of secrets."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @property
    def url(self) -> str:
        """The database's URL; it may hold a password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        from alphagrad.tuner.database import sqlite_url

        return sqlite_url(self.home.absolute() / "alphagrad.db")

    def checkpoint_dir(self, study_id: int, slot: int) -> Path:
        """The folder of one trial's checkpoints."""
        return self.home.absolute() / "checkpoints" / str(study_id) / str(slot)

    def log_path(self, study: str, number: int) -> Path:
        """The file with one trial's log."""
        return self.home.absolute() / "logs" / study / f"{number}.log"
