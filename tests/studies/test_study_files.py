from importlib.resources import files
from pathlib import Path

import pytest

from alphagrad.studies import tasks
from alphagrad.tuner.registry import Task
from alphagrad.tuner.space import FloatDimension, dimensions
from alphagrad.tuner.spec import StudySpec
from alphagrad.tuner.spec_reading import load_toml, parse_spec

STUDY_FILES = sorted(
    str(path) for path in files("alphagrad.studies").iterdir() if path.name.endswith(".toml")
)


def load(path: str) -> StudySpec:
    return parse_spec(load_toml(Path(path)))


def test_every_ready_made_task_has_a_study_file() -> None:
    ready_made = {name for name, one in vars(tasks).items() if isinstance(one, Task)}
    assert {load(path).task for path in STUDY_FILES} == ready_made


@pytest.mark.parametrize("path", STUDY_FILES)
def test_a_study_file_fits_its_task_at_every_edge_of_its_space(path: str) -> None:
    spec = load(path)
    assert spec.name == Path(path).stem
    assert spec.direction == ("minimize" if spec.task == "chars" else "maximize")
    assert spec.engine == "optuna"
    assert 10 <= spec.n_trials <= 30


@pytest.mark.parametrize("path", STUDY_FILES)
def test_steepness_and_learning_rate_are_searched_jointly_and_by_ratio(path: str) -> None:
    space = dimensions(load(path).params)
    assert set(space) in ({"alpha", "learning_rate"}, {"k", "learning_rate"})
    assert all(isinstance(one, FloatDimension) and one.log for one in space.values())
