"""The client on a database, for a machine without a server."""

from __future__ import annotations

import secrets
from typing import cast

from alphagrad.api.app import create_app
from alphagrad.api.client import Client
from alphagrad.api.client_answers import TaskData
from alphagrad.api.in_process import InProcess
from alphagrad.api.settings import ApiSettings
from alphagrad.api.tasks import TaskOut
from alphagrad.tuner.registry import get_task, task_names
from alphagrad.tuner.settings import TunerSettings

PATIENCE_SECONDS = 2.0


class LocalClient(Client):
    """Studies in a database: the application itself answers, in this process.

    Args:
        settings: where the database is; it is migrated first.
    """

    def __init__(self, settings: TunerSettings) -> None:
        key = secrets.token_urlsafe()  # for this process alone
        given = {name: getattr(settings, name) for name in settings.model_fields_set}
        # A study file may be as long as it likes here; webhooks are for servers to send.
        given |= {"api_key": key, "host": "127.0.0.1", "max_body_bytes": 1 << 30, "webhooks": False}
        app = create_app(ApiSettings.model_validate(given), local=True)
        super().__init__(
            "http://localhost", key, transport=InProcess(app), patience=PATIENCE_SECONDS
        )


def installed_tasks(name: str | None = None) -> list[TaskData]:
    """The tasks of this machine as the API shows them, all or one; no database is opened.

    Raises:
        UnknownTaskError: no task has this name.
    """
    names = task_names() if name is None else [name]
    return [cast("TaskData", TaskOut.of(get_task(one)).model_dump(mode="json")) for one in names]
