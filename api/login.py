"""Login, a key in and a cookie for reading out, and logout."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from alphagrad.api.keys import KeyRing, hash_key
from alphagrad.api.sessions import Sessions, clear_cookie, set_cookie
from alphagrad.api.wrong_keys import WrongKeys

router = APIRouter(include_in_schema=False)

_PAGE = Template(files("alphagrad.api").joinpath("login.html").read_text(encoding="utf-8"))
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
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
    set_cookie(request, answer, sessions.issue(key.strip()))
    return answer


@router.post("/logout")
def logout(request: Request) -> Response:
    """Take the cookie away."""
    answer = RedirectResponse("/login", status_code=303)
    clear_cookie(request, answer)
    return answer


def _page(
    target: str, *, message: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    html = _PAGE.substitute(next=escape(_local(target)), message=escape(message))
    return HTMLResponse(html, status_code=status, headers={**_HEADERS, **(headers or {})})


def _local(target: str) -> str:
    """The path to go on to; one that could lead to another site becomes the dashboard."""
    if not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/dashboard"
    return target
