"""A study of engine ``remote`` and the calls of its clients, as any language makes them."""

from __future__ import annotations

from typing import Any

import httpx

from tests.waiting import until


class RemoteStudy:
    """Submits a study; keywords replace its fields."""

    def __init__(self, api: httpx.Client, name: str, **fields: Any) -> None:
        self.api, self.path = api, f"/v1/studies/{name}"
        x = {"type": "float", "low": 0.0, "high": 1.0}
        body = {"name": name, "engine": "remote", "n_trials": 2, "seed": 1, "params": {"x": x}}
        answer = api.post("/v1/studies", json=body | fields)
        assert answer.status_code == 202, answer.text
        self.warnings: list[str] = answer.json()["warnings"]

    def post(self, what: str, body: dict[str, Any]) -> httpx.Response:
        return self.api.post(f"{self.path}/{what}", json=body)

    def ask(self, client: str = "one") -> dict[str, Any]:
        answer = self.post("trials:ask", {"client": client})
        assert answer.status_code == 200, answer.text
        asked: dict[str, Any] = answer.json()
        return asked

    def trial(self, client: str = "one") -> dict[str, Any]:
        # There is none where it is others' turn.
        trial: dict[str, Any] = until(lambda: self.ask(client)["trial"], seconds=30)
        return trial

    def say(self, what: str, trial: dict[str, Any], **said: Any) -> dict[str, Any]:
        answer = self.post(f"trials/{trial['number']}:{what}", {"fence": trial["fence"], **said})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def refused(
        self, status: int, kind: str, what: str, trial: dict[str, Any], **said: Any
    ) -> dict[str, Any]:
        answer = self.post(f"trials/{trial['number']}:{what}", {"fence": trial["fence"], **said})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = answer.json()
        assert problem["type"] == f"urn:alphagrad:problem:{kind}"
        return problem

    def get(self, what: str = "") -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"{self.path}{what}").json()
        return found
