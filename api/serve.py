"""The service: API and worker, until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn

from alphagrad.api.announcement import Announcement
from alphagrad.api.app import create_app
from alphagrad.api.keys import ensure_key, has_key
from alphagrad.api.server import Server
from alphagrad.api.settings import ApiSettings
from alphagrad.api.worker_process import WorkerProcess
from alphagrad.tuner.database import Database
from alphagrad.tuner.migrate import migrate

logger = logging.getLogger(__name__)

GRACEFUL_SECONDS = 5
HOME_CHECK_SECONDS = 2.0
DASHBOARD_SECONDS = 30.0
"""After so long the dashboard is made, if nobody asked for it yet: its imports take as long as all
others together, and neither the start nor the dashboard's first reader should wait for them."""
KEEP_ALIVE_SECONDS = 75
"""Longer than clients and proxies keep a connection that is not used (httpx 5 s, nginx 60 s): one
that the server closes first may be closed under a request on its way."""


class ServeError(RuntimeError):
    """The service cannot start as asked."""


def serve(settings: ApiSettings, *, with_worker: bool = True) -> None:
    """Run the service until SIGINT or SIGTERM.

    Writes ``serve.json`` (process id and URL) into its home while it runs.

    Args:
        settings: where to listen and where state is kept.
        with_worker: also run trials here.

    Raises:
        ServeError: the address is not loopback and there is no key yet, or it is taken.
    """
    if not settings.is_loopback and not _has_key(settings):
        raise ServeError(
            f"host {settings.host!r} can be reached from other machines: make a key first, with "
            "'alphagrad keys make NAME --role admin' or in ALPHAGRAD_API_KEY (or listen on "
            "127.0.0.1)"
        )
    listener = _listen(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{listener.getsockname()[1]}"
    database = Database(settings.url)
    migrate(database)
    key = ensure_key(database, settings)
    database.dispose()
    if key is not None:
        print(f"API key, shown this once: {key}", flush=True)  # noqa: T201
    app = create_app(settings)
    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws="none",
            **proxy_options(settings),
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
    )
    worker = WorkerProcess(settings) if with_worker else None
    # uvicorn raises the signal that stopped it once more when it is done; by default that would
    # end the process before the worker is stopped. One that comes before uvicorn listens to
    # signals stops it too.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    announcement = Announcement(settings.home, url)
    announcement.write()
    stopped = threading.Event()
    watched = (settings.home, server, announcement, stopped)
    watcher = threading.Thread(target=_watch_home, args=watched)
    watcher.start()
    dashboard = threading.Timer(DASHBOARD_SECONDS, app.state.dashboard.make)
    dashboard.start()
    try:
        if worker is not None:
            worker.start()
        logger.info("listening on %s", url)
        server.run(sockets=[listener])
    finally:
        dashboard.cancel()
        stopped.set()
        watcher.join()
        if worker is not None:
            worker.stop()
        announcement.remove()


def proxy_options(settings: ApiSettings) -> dict[str, Any]:
    """Options for uvicorn: whose word it takes for a client's address; by default nobody's."""
    proxies = settings.trusted_proxies
    return {"proxy_headers": bool(proxies), "forwarded_allow_ips": proxies}


def _has_key(settings: ApiSettings) -> bool:
    """Whether a key was made before this start; the one made below would come too late."""
    if settings.api_key is not None:
        return True
    database = Database(settings.url)
    file = Path(database.url.database or "")
    if database.is_sqlite and not file.exists():
        return False
    try:
        migrate(database)
        return has_key(database)
    finally:
        database.dispose()


def _listen(settings: ApiSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without, each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise ServeError(f"cannot listen on {where}: {error.strerror}; try --port 0") from error
    return listener


def _watch_home(
    home: Path, server: uvicorn.Server, announcement: Announcement, stopped: threading.Event
) -> None:
    while not stopped.wait(HOME_CHECK_SECONDS):
        if not home.is_dir():
            # Without its database and logs the service could only pretend to work.
            logger.error("the folder %s is gone; the service stops", home)
            server.should_exit = True
            return
        announcement.keep()
