"""What the shell offers on Tab: fast, and nothing rather than an error."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from alphagrad.secret import read_secret

MOST_OFFERED = 200
SECONDS = 1.0


def study_names(ctx: Any, incomplete: str) -> list[str]:
    """The names of studies that begin so, newest first, from the server or the database."""
    options = ctx.params
    url = options.get("url") or os.environ.get("ALPHAGRAD_URL")
    try:
        found = _of_server(url, incomplete) if url else _of_database(options, incomplete)
    except Exception:  # noqa: BLE001  (a shell that waits for Tab has no use for an error)
        return []
    return [name for name in found if name.startswith(incomplete)]


def task_names(ctx: Any, incomplete: str) -> list[str]:
    """The names of installed tasks that begin so."""
    from importlib.metadata import entry_points

    names = {entry.name for entry in entry_points(group="alphagrad.tasks")}
    return sorted(name for name in names if name.startswith(incomplete))


def _of_server(url: str, incomplete: str) -> list[str]:
    import httpx

    key = read_secret("ALPHAGRAD_API_KEY") or ""
    answer = httpx.get(
        f"{url.rstrip('/')}/v1/studies",
        params={"name": f"{incomplete}*", "page_size": MOST_OFFERED},
        headers={"Authorization": f"Bearer {key}"},
        timeout=SECONDS,
    )
    return [study["name"] for study in answer.raise_for_status().json()["items"]]


def _of_database(options: dict[str, Any], incomplete: str) -> list[str]:
    """Read as it is, not through SQLAlchemy, whose import alone takes longer than a Tab may."""
    query = (
        "SELECT name FROM alphagrad_studies WHERE substr(name, 1, {0}) = {1} "
        f"ORDER BY id DESC LIMIT {MOST_OFFERED}"
    )
    url = options.get("database_url") or read_secret("ALPHAGRAD_DATABASE_URL")
    if url and not url.startswith("sqlite:///"):
        import psycopg

        scheme, _, rest = url.partition("://")
        with psycopg.connect(f"{scheme.partition('+')[0]}://{rest}", connect_timeout=1) as server:
            rows = server.execute(
                query.format("%s", "%s").encode(), (len(incomplete), incomplete)
            ).fetchall()
            return [name for (name,) in rows]
    home = Path(
        options.get("home") or os.environ.get("ALPHAGRAD_HOME") or Path.home() / ".alphagrad"
    )
    file = Path(url.removeprefix("sqlite:///")) if url else home / "alphagrad.db"
    address = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=SECONDS)) as database:
        rows = database.execute(query.format("?", "?"), (len(incomplete), incomplete)).fetchall()
        return [name for (name,) in rows]
