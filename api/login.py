"""The login page: a key in, a cookie for reading out."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from alphagrad.api.auth import COOKIE, SESSION_SECONDS, Sessions
from alphagrad.api.keys import KeyCheck

router = APIRouter(include_in_schema=False)

_PAGE = Template(files("alphagrad.api").joinpath("login.html").read_text(encoding="utf-8"))
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Cache-Control": "no-store",
}


@router.get("/login")
def login_page(next: str = "/dashboard") -> HTMLResponse:  # noqa: A002  (the field's word)
    """Ask for the key."""
    return _page(next, message="")


@router.post("/login")
def login(
    request: Request,
    key: Annotated[str, Form(max_length=500)],
    next: Annotated[str, Form(max_length=2000)] = "/dashboard",  # noqa: A002
) -> Response:
    """Check the key and set the cookie."""
    keys: KeyCheck = request.app.state.keys
    sessions: Sessions = request.app.state.sessions
    if not keys(key.strip()):
        return _page(next, message="This is not the key.", status=401)
    answer = RedirectResponse(_local(next), status_code=303)
    answer.set_cookie(
        COOKIE,
        sessions.issue(key.strip()),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _page(target: str, *, message: str, status: int = 200) -> HTMLResponse:
    html = _PAGE.substitute(next=escape(_local(target)), message=escape(message))
    return HTMLResponse(html, status_code=status, headers=_HEADERS)


def _local(target: str) -> str:
    """The path to go on to; one that could lead to another site becomes the dashboard."""
    if not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/dashboard"
    return target
