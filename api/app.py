"""The application: routes, errors, auth and the dashboard put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from alphagrad import __version__
from alphagrad.api import login, page_routes, studies, tasks, trials, web_files
from alphagrad.api.auth import RequireKey, Sessions
from alphagrad.api.dashboard import Dashboard
from alphagrad.api.hosts import AllowedHosts
from alphagrad.api.keys import KeyCheck
from alphagrad.api.problems import install_problem_handlers
from alphagrad.api.settings import ApiSettings
from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate
from alphagrad.tuner.optuna_storage import OptunaStorage


def create_app(settings: ApiSettings) -> FastAPI:
    """The ASGI application; migrates the database first.

    It runs no trials: a worker on the same database does.

    Args:
        settings: where the database is, and the API key.

    Example::

        uvicorn.run(create_app(ApiSettings(home=Path("state"), api_key="sixteen letters!")))
    """
    database = Database(settings.url)
    migrate(database)
    optuna_storage = OptunaStorage(database)
    dashboard_storage = OptunaStorage(database, reads_only=True)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        for closing in (dashboard_storage, optuna_storage, database):
            closing.dispose()

    # The interactive docs load their scripts from another host, so they are left out.
    app = FastAPI(
        title="AlphaGrad", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.settings = settings
    app.state.database = database
    app.state.optuna_storage = optuna_storage
    app.state.keys = KeyCheck(database, settings)
    app.state.sessions = Sessions(settings.home)
    install_problem_handlers(app)
    app.include_router(tasks.router)
    app.include_router(studies.router)
    app.include_router(trials.router)
    for pages in (login.router, page_routes.router, web_files.router):
        app.include_router(pages)

    @app.get("/healthz", tags=["health"])
    def healthz() -> dict[str, str]:
        """Whether the server answers; needs no key."""
        return {"status": "ok"}

    # Not mounted: a mount at the root would match before a wrong method is found to be one.
    app.router.default = Dashboard(dashboard_storage)
    app.add_middleware(RequireKey, keys=app.state.keys, sessions=app.state.sessions)
    app.add_middleware(AllowedHosts, names=settings.host_names)
    return app
