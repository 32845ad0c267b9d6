"""All paths and methods there are, for tests that try each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from starlette.routing import BaseRoute

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OPEN = ("/healthz", "/readyz", "/login")
DASHBOARD = (
    "/dashboard",
    "/dashboard/studies/1",
    "/api/studies",
    "/api/studies/1",
    "/static/bundle.js",
    "/static/x",
    "/artifacts/1/1",
    "/csv/1",
    "/favicon.ico",
)


def paths_of(routes: Iterable[BaseRoute], value: str = "1") -> Iterator[str]:
    """Every route's path, with a value for its parameters."""
    for route in routes:
        # FastAPI keeps an included router as one route.
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from paths_of(included.routes, value)
        else:
            yield re.sub(r"\{[^}]+\}", lambda _: value, getattr(route, "path", "") or "/")
