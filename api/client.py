"""A client of the REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import quote

import httpx


class ApiError(RuntimeError):
    """The server refused a request; the message says why, field by field where it can.

    Attributes:
        status: the HTTP status, or ``None`` if no server answered.
    """

    def __init__(self, message: str, *, status: int | None) -> None:
        self.status = status
        super().__init__(message)


class Client:
    """Studies on a server.

    Args:
        url: the server, e.g. ``http://127.0.0.1:8000``.
        key: the API key.

    Example::

        with Client("http://127.0.0.1:8000", key) as client:
            client.submit({"name": "bar", "task": "digits", "n_trials": 4, "params": {...}})
            print(client.study("bar")["state"])
    """

    def __init__(self, url: str, key: str) -> None:
        if not key.isascii():
            raise ApiError("the API key has characters that no key has", status=None)
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30.0
        )

    def __enter__(self) -> Self:
        """Close the connections at the end of the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connections."""
        self._http.close()

    def submit(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Submit a study; returns it as the server stored it, and ``warnings``."""
        return self._call("POST", "/v1/studies", json=dict(spec))

    def studies(self) -> Iterator[dict[str, Any]]:
        """All studies, oldest first."""
        return self._pages("/v1/studies")

    def study(self, name: str) -> dict[str, Any]:
        """One study."""
        return self._call("GET", f"/v1/studies/{quote(name, safe='')}")

    def trials(self, study: str) -> Iterator[dict[str, Any]]:
        """A study's trials by number."""
        return self._pages(f"/v1/studies/{quote(study, safe='')}/trials")

    def exploits(self, study: str) -> Iterator[dict[str, Any]]:
        """Who of a population took over from whom, oldest first."""
        return self._pages(f"/v1/studies/{quote(study, safe='')}/exploits")

    def metrics(
        self, study: str, number: int, *, names: Sequence[str] = (), max_steps: int = 2000
    ) -> dict[str, Any]:
        """What a trial recorded: ``{"metrics": {name: {"steps": […], "values": […]}}}``.

        Args:
            study: the study's name.
            number: the trial's number.
            names: the metrics wanted; all by default.
            max_steps: each metric is thinned to so many values, from 2 to 20,000.
        """
        path = f"/v1/studies/{quote(study, safe='')}/trials/{number}/metrics"
        return self._call("GET", path, params={"names": list(names), "max_steps": max_steps})

    def export(
        self,
        study: str,
        *,
        what: str = "trials",
        format: str = "csv",  # noqa: A002
    ) -> Iterator[bytes]:
        """A study's rows as a file, in pieces.

        Args:
            study: the study's name.
            what: ``trials``, ``reports``, ``metrics`` or ``alpha``.
            format: ``csv``, ``json`` or ``parquet``.
        """
        path = f"/v1/studies/{quote(study, safe='')}/export"
        with self._stream(path, {"what": what, "format": format}) as response:
            yield from response.iter_bytes()

    def delete(self, study: str) -> None:
        """Delete a study that has ended, with its checkpoints and logs."""
        self._checked(self._send("DELETE", f"/v1/studies/{quote(study, safe='')}"))

    def pause(self, study: str) -> dict[str, Any]:
        """Start no more trials of a study until it is resumed."""
        return self._call("POST", f"/v1/studies/{quote(study, safe='')}:pause")

    def resume(self, study: str) -> dict[str, Any]:
        """Let a paused study go on."""
        return self._call("POST", f"/v1/studies/{quote(study, safe='')}:resume")

    def stop(self, study: str) -> dict[str, Any]:
        """Start no more trials of a study."""
        return self._call("POST", f"/v1/studies/{quote(study, safe='')}:stop")

    def cancel(self, study: str) -> dict[str, Any]:
        """Start no more trials of a study and kill those that run."""
        return self._call("POST", f"/v1/studies/{quote(study, safe='')}:cancel")

    def edit(self, study: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Edit an open study, e.g. ``{"n_trials": 40}``."""
        return self._call("PATCH", f"/v1/studies/{quote(study, safe='')}", json=dict(changes))

    def enqueue(self, study: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Let the next trial of a study try these parameters."""
        path = f"/v1/studies/{quote(study, safe='')}/trials:enqueue"
        return self._call("POST", path, json={"params": dict(params)})

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            page = self._call("GET", path, params={"page_token": token} if token else {})
            yield from page["items"]
            token = page["next_page_token"]
            if token is None:
                return

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._checked(self._send(method, path, **options))
        try:
            answer: dict[str, Any] = response.json()
        except ValueError:
            message = f"{self._http.base_url} does not answer as AlphaGrad does"
            raise ApiError(message, status=response.status_code) from None
        return answer

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._reached():
            return self._http.request(method, path, **options)

    @contextmanager
    def _stream(self, path: str, params: Mapping[str, str]) -> Iterator[httpx.Response]:
        with self._reached(), self._http.stream("GET", path, params=dict(params)) as response:
            if not response.is_success:
                response.read()
            yield self._checked(response)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            message = f"no answer from {self._http.base_url}: {error}"
            raise ApiError(message, status=None) from error

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        try:
            detail = response.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = response.text or response.reason_phrase
        raise ApiError(str(detail), status=response.status_code)
