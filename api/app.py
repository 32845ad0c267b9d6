"""The application: routes, errors, auth and the dashboard put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from alphagrad import __version__
from alphagrad.api import (
    comparison,
    events,
    health,
    insights,
    knobs,
    login,
    prometheus,
    remote,
    studies,
    tasks,
    trial_data,
    trials,
    webhooks,
)
from alphagrad.api.auth import RequireKey
from alphagrad.api.authorize import Authorize
from alphagrad.api.dashboard import Dashboard
from alphagrad.api.event_hub import EventHub
from alphagrad.api.hosts import AllowedHosts
from alphagrad.api.idempotency import IdempotencyKeys
from alphagrad.api.keys import KeyRing
from alphagrad.api.openapi import describe, operation_id
from alphagrad.api.problems import install_problem_handlers
from alphagrad.api.prometheus import Monitor
from alphagrad.api.request_log import RequestLog
from alphagrad.api.sessions import Sessions
from alphagrad.api.settings import ApiSettings
from alphagrad.api.webhook_sender import WebhookSender
from alphagrad.tuner.database import Database
from alphagrad.tuner.housekeeping import Housekeeper
from alphagrad.tuner.importance import Importances
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage
from alphagrad.tuner.remote_trials import RemoteTrials


def create_app(settings: ApiSettings) -> FastAPI:
    """The ASGI application; migrates the database first.

    It runs no trials: a worker on the same database does.

    Args:
        settings: where the database is, and the API key.

    Example::

        app = create_app(ApiSettings(home=Path("state"), api_key="sixteen letters!"))
        Server(uvicorn.Config(app)).run()
    """
    database = Database(settings.url)
    migrate(database)
    optuna_storage = OptunaStorage(database)
    dashboard_storage = OptunaStorage(database, reads_only=True)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        housekeeper = Housekeeper(
            database,
            optuna_storage,
            lease_seconds=settings.lease_seconds,
            progress=app.state.remote_trials.progress,
        )
        housekeeper.start()
        sender = WebhookSender(database, local=settings.webhooks_local)
        if settings.webhooks:
            sender.start()
        yield
        app.state.events.close()
        await sender.stop()
        await run_in_threadpool(housekeeper.stop)
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
    )
    app.state.settings = settings
    app.state.database = database
    app.state.optuna_storage = optuna_storage
    app.state.monitor = Monitor(database)
    app.state.importances = Importances(database)
    app.state.events = EventHub(database)
    app.state.remote_trials = RemoteTrials(
        database, optuna_storage, lease_seconds=settings.lease_seconds
    )
    app.state.keys = KeyRing(database, settings)
    app.state.sessions = Sessions(settings.home)
    install_problem_handlers(app)
    app.include_router(tasks.router)
    app.include_router(studies.router)
    app.include_router(trials.router)
    app.include_router(comparison.router)
    app.include_router(knobs.router)
    app.include_router(trial_data.router)
    app.include_router(insights.router)
    app.include_router(health.router)
    app.include_router(prometheus.router)
    app.include_router(events.router)
    app.include_router(webhooks.router)
    app.include_router(remote.router)
    app.include_router(login.router)

    @app.get("/", include_in_schema=False)
    def index() -> RedirectResponse:
        """The dashboard is the first page."""
        return RedirectResponse("/dashboard", status_code=303)

    # Not mounted: a mount at the root would match before a wrong method is found to be one.
    app.openapi = describe(app)  # type: ignore[method-assign]
    app.router.default = Dashboard(dashboard_storage)
    # The last one added is the first that a request meets.
    app.add_middleware(IdempotencyKeys, database=database)
    app.add_middleware(Authorize, database=database)
    app.add_middleware(RequireKey, keys=app.state.keys, sessions=app.state.sessions)
    app.add_middleware(AllowedHosts, names=settings.host_names)
    app.add_middleware(RequestLog, monitor=app.state.monitor)
    return app
