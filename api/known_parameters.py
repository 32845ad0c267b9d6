"""No query parameter is ignored: one that a route does not know is refused."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant

from alphagrad.tuner.errors import FieldError, SpecError


async def only_known_parameters(request: Request) -> None:
    """Refuse a request to the API whose query says more than its route takes.

    A filter with a misspelt name would else give all there is, as if nothing had been asked.

    Raises:
        SpecError: it names the parameter, and those that there are.
    """
    if not (request.query_params and request.url.path.startswith("/v1/")):
        return
    known = sorted(set(_names(request.scope["route"].dependant)))
    there_are = f"there are {', '.join(known)}" if known else "there are none here"
    unknown = [
        FieldError(name, value, f"no such query parameter; {there_are}")
        for name, value in request.query_params.items()
        if name not in known
    ]
    if unknown:
        raise SpecError(unknown)


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for below in dependant.dependencies:
        yield from _names(below)
