"""The server as both clients see it: its requests, and what to do with its answers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, TypeVar, Unpack

import httpx

from alphagrad.api.client_errors import ApiError, away, may_pass, not_json, refusal
from alphagrad.api.client_patience import Patience, retry_after
from alphagrad.api.client_steps import Item, Items, Open, Read, Send, Sleep, Steps

T = TypeVar("T")

HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""What trying again does not mend: the URL or the key is wrong."""
LARGEST_PAGE = 500
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def address(url: str, key: str) -> dict[str, Any]:
    """A server and the key for it, as httpx takes them.

    Raises:
        ApiError: it is no URL, or the key has characters that no key has.
    """
    if not (key.isascii() and key.isprintable()):
        raise ApiError("the API key has characters that no key has", status=None)
    try:
        server = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ApiError(f"{url!r} is no URL: {error}", status=None) from error
    return {
        "base_url": server,
        "headers": {"Authorization": f"Bearer {key}"},
        # A proxy of the environment does not lead to this machine itself.
        "trust_env": server.host not in LOOPBACK,
    }


class Options(TypedDict, total=False):
    """What a request may have: those of ``params`` that are ``None`` are left out."""

    params: Mapping[str, Any]
    json: Any
    headers: Mapping[str, str]
    timeout: httpx.Timeout


class Server:
    """Makes the requests of one server and judges its answers; others send them.

    A request is tried again when the connection breaks and when the server says 429 or 503. Every
    POST and PATCH carries an ``Idempotency-Key``: the server does it once however often it comes.

    Args:
        http: builds the requests.
        patience: for so many seconds a request is tried again.
    """

    def __init__(self, http: httpx.Client | httpx.AsyncClient, *, patience: float) -> None:
        self._http = http
        self.patience = patience
        self.url = str(http.base_url).rstrip("/")

    def request(self, verb: str, path: str, **options: Unpack[Options]) -> httpx.Request:
        """A request of a path from the server's root, not sent yet.

        Raises:
            ApiError: what is to be sent is no JSON.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4())} if verb in ("POST", "PATCH") else {}
        headers |= options.get("headers", {})
        params = options.get("params", {})
        try:
            return self._http.build_request(
                verb,
                path,
                params={name: value for name, value in params.items() if value is not None},
                json=options.get("json"),
                headers=headers,
                timeout=options.get("timeout", self._http.timeout),
            )
        except (TypeError, ValueError) as error:
            raise not_json(options.get("json")) or error from error

    def call(self, verb: str, path: str, **options: Unpack[Options]) -> Steps[Any]:
        """Send a request, again if need be; gives the JSON of its answer.

        Raises:
            ApiError: the server refused it.
            ServerAwayError: nobody answered in time.
        """
        response = yield from self.send(self.request(verb, path, **options))
        try:
            return response.json() if response.content else None
        except ValueError:
            message = f"{self.url} does not answer as AlphaGrad does"
            raise ApiError(message, status=response.status_code) from None

    def send(
        self, request: httpx.Request, *, step: type[Send | Open] = Send
    ) -> Steps[httpx.Response]:
        """Send a request, again if need be; gives its answer, which is a success.

        Args:
            request: what to send.
            step: ``Open`` leaves the answer to be read.

        Raises:
            ApiError: the server refused it.
            ServerAwayError: nobody answered in time.
        """
        patience = Patience(self.patience)
        broken = False
        while True:
            asked = None
            try:
                response: httpx.Response = yield step(request)
            except httpx.TransportError as error:
                failure: ApiError = away(self.url, error)
                if isinstance(error, HOPELESS):
                    raise failure from error
                broken = True
            else:
                # What a broken connection asked to delete may be gone already.
                gone = broken and request.method == "DELETE" and response.status_code == 404
                if response.is_success or gone:
                    return response
                failure, asked = refusal(self.url, response), retry_after(response)
                # A server that died, or another try of this request, holds the key for a while.
                held = failure.kind == "idempotency-in-progress"
                if not (held or may_pass(failure)):
                    raise failure
            pause = patience.pause(asked=asked)
            if pause is None:
                raise failure
            yield Sleep(pause)

    def listed(
        self, path: str, of: Callable[[Any], T], *, limit: int | None = None, **params: Any
    ) -> Items[T]:
        """The things of a list, page by page as they are asked for.

        Args:
            path: of the list.
            of: makes what is handed out of a thing's JSON.
            limit: at most so many.
            params: more of the query.
        """
        left = limit
        token: str | None = None
        while left is None or left > 0:
            size = LARGEST_PAGE if left is None else min(LARGEST_PAGE, left)
            page = yield from self.call(
                "GET", path, params={**params, "page_size": size, "page_token": token}
            )
            for one in page["items"]:
                yield Item(of(one))
            token = page["next_page_token"]
            if token is None:
                return
            left = None if left is None else left - len(page["items"])

    def download(self, path: str, *, params: Mapping[str, Any]) -> Items[bytes]:
        """A file in pieces; it is begun again only while nothing of it has come.

        Raises:
            ApiError: the server refused it.
            ServerAwayError: nobody answered in time, or the connection broke half-way.
        """
        request = self.request("GET", path, params=params)
        yield from self.send(request, step=Open)
        try:
            while (piece := (yield Read())) is not None:
                yield Item(piece)
        except httpx.TransportError as error:
            raise away(self.url, error) from error
