"""The tasks over REST: enough for a client to build and check a study by itself."""

import httpx

from alphagrad.studies.ppo_params import PPOParams
from alphagrad.tuner import task_names


def test_the_tasks_are_listed_with_their_parameters(api: httpx.Client) -> None:
    page = api.get("/v1/tasks").json()
    assert [task["name"] for task in page["items"]] == task_names()
    assert page["next_page_token"] is None
    by_name = {task["name"]: task for task in page["items"]}
    assert by_name["ppo"]["stackable"]
    assert not by_name["digits"]["stackable"]
    for task in page["items"]:
        for name, field in task["params"]["properties"].items():
            assert field["description"], (task["name"], name)
            assert "default" in field, (task["name"], name)


def test_a_task_has_the_schema_that_checks_its_parameters(api: httpx.Client) -> None:
    params = api.get("/v1/tasks/ppo").json()["params"]
    assert params["properties"].keys() == PPOParams.model_fields.keys()
    gamma = params["properties"]["gamma"]
    assert (gamma["minimum"], gamma["maximum"], gamma["default"]) == (0, 1, 0.99)
    assert next(iter(params["properties"])) == "env_id"  # its own come first


def test_a_task_that_is_not_there_is_named(api: httpx.Client) -> None:
    answer = api.get("/v1/tasks/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "unknown task 'nothing'; the registered tasks are: chars, " in answer.json()["detail"]
