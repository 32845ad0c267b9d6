"""Ask, heartbeat, report and tell over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import Wait


class Remote:
    """A study of engine ``remote``, and a client's calls."""

    def __init__(self, api: httpx.Client, name: str, **fields: Any) -> None:
        self.api, self.path = api, f"/v1/studies/{name}"
        x = {"type": "float", "low": 0.0, "high": 1.0}
        body = {"name": name, "engine": "remote", "n_trials": 2, "seed": 1, "params": {"x": x}}
        answer = api.post("/v1/studies", json=body | fields)
        assert answer.status_code == 202, answer.text
        self.warnings = answer.json()["warnings"]

    def post(self, what: str, body: dict[str, Any]) -> httpx.Response:
        return self.api.post(f"{self.path}/{what}", json=body)

    def ask(self, client: str = "one") -> dict[str, Any]:
        answer = self.post("trials:ask", {"client": client})
        assert answer.status_code == 200, answer.text
        asked: dict[str, Any] = answer.json()
        return asked

    def trial(self, client: str = "one") -> dict[str, Any]:
        trial: dict[str, Any] = self.ask(client)["trial"]
        assert trial is not None
        return trial

    def say(self, what: str, trial: dict[str, Any], **said: Any) -> dict[str, Any]:
        answer = self.post(f"trials/{trial['number']}:{what}", {"fence": trial["fence"], **said})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def refused(self, status: int, what: str, trial: dict[str, Any], **said: Any) -> dict[str, Any]:
        answer = self.post(f"trials/{trial['number']}:{what}", {"fence": trial["fence"], **said})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = answer.json()
        return problem

    def get(self, what: str = "") -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"{self.path}{what}").json()
        return found


@pytest.fixture
def lost() -> str:
    return "urn:alphagrad:problem:stale-fence"


def test_a_study_is_run_by_its_clients(api: httpx.Client, name: str, wait_for: Wait) -> None:
    remote = Remote(
        api,
        name,
        n_trials=3,
        parallelism=2,
        params={"x": {"type": "float", "low": 0.0, "high": 1.0}, "epochs": 5},
    )
    one, two = remote.trial("one"), remote.trial("two")
    assert one["number"] != two["number"]
    assert one["params"]["epochs"] == 5
    third = remote.ask("three")
    assert third["trial"] is None
    assert third["study_state"] == "RUNNING"
    assert third["retry_after"] > 0
    remote.say("report", one, reports=[{"step": 0, "value": 0.5}, {"step": 1, "value": None}])
    ended = remote.say("tell", one, state="COMPLETE", value=one["params"]["x"])
    assert (ended["state"], ended["value"]) == ("COMPLETE", one["params"]["x"])
    assert remote.say("tell", one, state="COMPLETE", value=one["params"]["x"]) == ended
    remote.say("tell", two, state="FAIL", error="out of memory")
    remote.say("tell", remote.trial("three"), state="COMPLETE", value=1)
    study = wait_for(lambda: (s := remote.get())["state"] == "COMPLETED" and s)
    assert study["trials"] == {"COMPLETE": 2, "FAIL": 1}
    assert remote.ask()["study_state"] == "COMPLETED"
    assert remote.get("/trials/1")["error"] == "out of memory"
