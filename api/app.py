"""The application: routes, errors, auth and the dashboard put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from alphagrad import __version__
from alphagrad.api.dashboard import Dashboard
from alphagrad.api.event_hub import EventHub
from alphagrad.api.guards import add_guards
from alphagrad.api.keys import KeyRing
from alphagrad.api.known_parameters import only_known_parameters
from alphagrad.api.openapi import describe, operation_id
from alphagrad.api.problems import install_problem_handlers
from alphagrad.api.prometheus import Monitor
from alphagrad.api.recorder import Recorder
from alphagrad.api.routes import ROUTERS
from alphagrad.api.sessions import Sessions
from alphagrad.api.settings import ApiSettings
from alphagrad.api.webhook_sender import WebhookSender
from alphagrad.api.wrong_keys import WrongKeys
from alphagrad.tuner.database import Database
from alphagrad.tuner.housekeeping import Housekeeper
from alphagrad.tuner.importance import Importances
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.remote_trials import RemoteTrials


def create_app(settings: ApiSettings, *, local: bool = False) -> FastAPI:
    """The ASGI application; migrates the database first.

    It runs no trials: a worker on the same database does.

    Args:
        settings: where the database is, and the API key.
        local: it answers in the process of a command on the database: what that submits has no
            owner.

    Example::

        app = create_app(ApiSettings(home=Path("state"), api_key="sixteen letters!"))
        Server(uvicorn.Config(app)).run()
    """
    database = Database(settings.url)
    migrate(database)
    optuna_storage = OptunaStorage(database)
    dashboard_storage = OptunaStorage(database, reads_only=True)
    recorder = Recorder(database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        housekeeper = Housekeeper(database, optuna_storage, lease_seconds=settings.lease_seconds)
        housekeeper.start()
        sender = WebhookSender(database, local=settings.webhooks_local)
        if settings.webhooks:
            sender.start()
        yield
        await app.state.events.stop()
        await sender.stop()
        await run_in_threadpool(housekeeper.stop)
        await run_in_threadpool(recorder.close)
        for closing in (dashboard_storage, optuna_storage, database):
            closing.dispose()

    # The interactive docs load their scripts from another host, so they are left out.
    app = FastAPI(
        title="AlphaGrad",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        dependencies=[Depends(only_known_parameters)],
    )
    app.state.settings = settings
    app.state.database = database
    app.state.optuna_storage = optuna_storage
    app.state.monitor = Monitor(database)
    app.state.importances = Importances(database)
    app.state.events = EventHub(database)
    app.state.remote_trials = RemoteTrials(
        database,
        optuna_storage,
        lease_seconds=settings.lease_seconds,
        quota=settings.quota_running_trials,
    )
    app.state.keys = KeyRing(database, settings, local=local)
    app.state.sessions = Sessions(settings.home)
    app.state.wrong_keys = WrongKeys(settings.wrong_keys_per_minute)
    app.state.recorder = recorder
    install_problem_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    app.openapi = describe(app)  # type: ignore[method-assign]
    # Not mounted: a mount at the root would match before a wrong method is found to be one.
    app.router.default = app.state.dashboard = Dashboard(dashboard_storage)
    add_guards(app, settings)
    return app
