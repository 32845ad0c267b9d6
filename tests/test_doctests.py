"""Every example in a docstring does what it says."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import alphagrad
from alphagrad.tuner.registry import _registry

SKIPPED = {
    "alphagrad.__main__",  # runs the command
    "alphagrad.tuner.preload",  # imports the tasks into a forkserver
    "alphagrad.tuner.migrations.env",  # runs the migrations
}
MODULES = sorted(
    {module.name for module in pkgutil.walk_packages(alphagrad.__path__, "alphagrad.")} - SKIPPED
)


def test_the_modules_are_found() -> None:
    assert len(MODULES) > 40
    for folder in ("api", "optim", "scheduler", "studies", "tuner"):
        assert any(name.startswith(f"alphagrad.{folder}.") for name in MODULES), folder


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "DATABASE_URL", "SLOTS", "API_KEY", "HOST"):
        monkeypatch.delenv(f"ALPHAGRAD_{variable}", raising=False)
    monkeypatch.setattr("alphagrad.tuner.registry._registry", dict(_registry))
    results = doctest.testmod(import_module(name), raise_on_error=False)
    assert results.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for name in MODULES for test in finder.find(import_module(name))]
    assert sum(len(test.examples) for test in tests) > 20
