"""The application: routes, errors, auth and the dashboard put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from alphagrad import __version__
from alphagrad.api import (
    events,
    insights,
    login,
    page_routes,
    remote,
    spec_check,
    studies,
    tasks,
    trial_data,
    trials,
    web_files,
)
from alphagrad.api.auth import RequireKey
from alphagrad.api.authorize import Authorize
from alphagrad.api.dashboard import Dashboard
from alphagrad.api.event_hub import EventHub
from alphagrad.api.hosts import AllowedHosts
from alphagrad.api.keys import KeyRing
from alphagrad.api.problems import install_problem_handlers
from alphagrad.api.sessions import Sessions
from alphagrad.api.settings import ApiSettings
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
        housekeeper = Housekeeper(database, optuna_storage, lease_seconds=settings.lease_seconds)
        housekeeper.start()
        yield
        app.state.events.close()
        await run_in_threadpool(housekeeper.stop)
        for closing in (dashboard_storage, optuna_storage, database):
            closing.dispose()

    # The interactive docs load their scripts from another host, so they are left out.
    app = FastAPI(
        title="AlphaGrad", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.settings = settings
    app.state.database = database
    app.state.optuna_storage = optuna_storage
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
    app.include_router(spec_check.router)
    app.include_router(trials.router)
    app.include_router(trial_data.router)
    app.include_router(insights.router)
    app.include_router(events.router)
    app.include_router(remote.router)
    for pages in (login.router, page_routes.router, web_files.router):
        app.include_router(pages)

    @app.get("/healthz", tags=["health"])
    def healthz() -> dict[str, str]:
        """Whether the server answers; needs no key."""
        return {"status": "ok"}

    # Not mounted: a mount at the root would match before a wrong method is found to be one.
    app.router.default = Dashboard(dashboard_storage)
    # The last one added is the first that a request meets.
    app.add_middleware(Authorize, database=database)
    app.add_middleware(RequireKey, keys=app.state.keys, sessions=app.state.sessions)
    app.add_middleware(AllowedHosts, names=settings.host_names)
    return app
