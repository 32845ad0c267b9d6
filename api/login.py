"""Login, a key in and a cookie for reading out, and logout; the page keeps the key for writing."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment
from markupsafe import Markup

from alphagrad.api.keys import KeyRing, hash_key
from alphagrad.api.sessions import Sessions
from alphagrad.api.wrong_keys import WrongKeys

router = APIRouter(include_in_schema=False)

_FOLDER = files("alphagrad.api") / "templates"
_PAGE = Environment(autoescape=True).from_string(
    _FOLDER.joinpath("login.html").read_text(encoding="utf-8")
)
_STYLE = _FOLDER.joinpath("login.css").read_text(encoding="utf-8")
_SCRIPT = _FOLDER.joinpath("login.js").read_text(encoding="utf-8")


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


# Whole in itself, since without a key nothing else of ours can be read; nothing but these two may
# stand in it.
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src {_source(_STYLE)}; "
    f"script-src {_source(_SCRIPT)}; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
}


@router.get("/login")
def login_page(next: str = "/") -> HTMLResponse:  # noqa: A002  (the field's word)
    """Ask for the key."""
    return _page(next, message="")


@router.post("/login")
def login(
    request: Request,
    key: Annotated[str, Form(max_length=500)],
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002
) -> Response:
    """Check the key and set the cookie."""
    keys: KeyRing = request.app.state.keys
    sessions: Sessions = request.app.state.sessions
    wrong_keys: WrongKeys = request.app.state.wrong_keys
    if (refusal := wrong_keys.refusal(request.scope)) is not None:
        wait = refusal.headers["Retry-After"]
        message = f"Too many wrong keys were tried from here. Try again in {wait} s."
        return _page(next, message=message, status=429, headers={"Retry-After": wait})
    if keys(key.strip()) is None:
        wrong_keys.note(request.scope, hash_key(key.strip()))
        return _page(next, message="This is not the key.", status=401)
    answer = RedirectResponse(_local(next), status_code=303)
    sessions.set_cookie(request, answer, sessions.issue(key.strip()))
    return answer


@router.post("/logout")
def logout(request: Request) -> Response:
    """Take the cookie away."""
    sessions: Sessions = request.app.state.sessions
    answer = RedirectResponse("/login", status_code=303)
    sessions.clear_cookie(request, answer)
    return answer


def _page(
    target: str, *, message: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    html = _PAGE.render(
        next=_local(target), message=message, style=Markup(_STYLE), script=Markup(_SCRIPT)
    )
    return HTMLResponse(html, status_code=status, headers={**_HEADERS, **(headers or {})})


def _local(target: str) -> str:
    """The path to go on to; one that could lead to another site becomes the first page."""
    if not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    return target
