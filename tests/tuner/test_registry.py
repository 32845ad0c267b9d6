import subprocess
import sys

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alphagrad.tuner import Task, Trial, UnknownTaskError, get_task, lazy_task, task, task_names
from alphagrad.tuner.registry import _registry


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")
    x: float
    y: float = 2.0


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alphagrad.tuner.registry._registry", dict(_registry))


def test_the_decorator_registers_a_task_that_can_still_be_called() -> None:
    @task("sum-of-two", params=Params)
    def add(trial: Trial) -> float:
        return trial.params["x"] + trial.params["y"]  # type: ignore[no-any-return]

    assert isinstance(add, Task)
    assert get_task("sum-of-two") is add
    assert "sum-of-two" in task_names()
    assert add(Trial(params={"x": 1.0, "y": 3.0})) == 4.0
    assert add.module == __name__


def test_a_task_that_is_registered_again_is_replaced() -> None:
    task("again")(lambda trial: 1.0)
    task("again")(lambda trial: 2.0)
    assert get_task("again")(Trial(params={})) == 2.0


def test_a_task_needs_a_name() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        task("")(lambda trial: 0.0)


def test_complete_adds_defaults_and_refuses_the_unknown() -> None:
    add = lazy_task("lazy", params=Params, function="nowhere:f")
    assert add.complete({"x": 1}) == {"x": 1.0, "y": 2.0}
    with pytest.raises(ValidationError, match="Extra inputs"):
        add.complete({"x": 1, "z": 1})
    assert add.unknown_params(["x", "z", "a"]) == ["a", "z"]
    assert add.param_names == ["x", "y"]


class Lenient(BaseModel):
    x: float = 1.0


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Renamed(BaseModel):
    x: float = Field(default=1.0, alias="y")


def test_what_a_model_would_leave_out_is_unknown_and_what_it_keeps_is_not() -> None:
    unknown = {
        model: lazy_task("lazy", params=model, function="nowhere:f").unknown_params(["x", "y"])
        for model in (Lenient, Open, Renamed)
    }
    assert unknown == {Lenient: ["y"], Open: [], Renamed: []}


def test_a_task_without_a_model_takes_anything() -> None:
    free = lazy_task("free", params=None, function="nowhere:f")
    given = {"anything": [1, 2]}
    assert free.complete(given) == given
    assert free.unknown_params(given) == []


def test_a_lazy_task_imports_its_module_when_it_is_loaded() -> None:
    lazy = lazy_task("lazy", params=None, function="json:dumps")
    assert lazy.module == "json"
    assert lazy.load()([1]) == "[1]"  # type: ignore[arg-type, comparison-overlap]
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        lazy_task("lost", params=None, function="nowhere:f").load()


def test_an_unknown_task_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownTaskError, match=r"'nonsense'; the registered tasks are: .*digits"):
        get_task("nonsense")


def test_installed_tasks_are_found_and_checked_without_importing_torch() -> None:
    code = """if True:
        import sys
        from alphagrad.tuner import get_task, parse_spec, task_names
        assert {"digits", "dqn", "ppo"} <= set(task_names()), task_names()
        assert get_task("digits").complete({})["epochs"] >= 1
        parse_spec({"name": "a", "task": "dqn", "n_trials": 1, "params": {"alpha": 3.0}})
        heavy = sorted({"torch", "gymnasium", "ray"} & set(sys.modules))
        assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
