"""A specification read from a file or a mapping, and held against its task."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alphagrad.tuner.conditions import idle_conditions
from alphagrad.tuner.errors import FieldError, SpecError, field_errors
from alphagrad.tuner.population import Population
from alphagrad.tuner.registry import Task, UnknownTaskError, get_task
from alphagrad.tuner.space import dimensions, probe_points
from alphagrad.tuner.spec import StudySpec


def parse_spec(data: Mapping[str, Any]) -> StudySpec:
    """Check a specification against the schema and against its task.

    Raises:
        SpecError: lists every field that is wrong, with its value.
    """
    try:
        spec = StudySpec.model_validate(dict(data))
    except ValidationError as error:
        raise SpecError(field_errors(error.errors())) from None
    check_task(spec)
    return spec


def check_task(spec: StudySpec) -> None:
    """Check that the task exists and allows the whole space; a remote one is not known here.

    Conditions that never hold are named first. Only who submits a study needs to know of them.

    Raises:
        SpecError: lists every field that is wrong, with its value.
    """
    if idle := idle_conditions(spec.params):
        raise SpecError(idle)
    if spec.engine == "remote" or spec.task is None:
        return
    try:
        task = get_task(spec.task)
    except UnknownTaskError as error:
        raise SpecError([FieldError("task", spec.task, str(error))]) from None
    if unknown := task.unknown_params(spec.params):
        message = f"{spec.task} has no such parameter; it has: {', '.join(task.param_names)}"
        raise SpecError([FieldError(f"params.{name}", name, message) for name in unknown])
    if spec.stack > 1:
        _check_stack(spec, task)
    if spec.population is not None:
        _check_population(spec.population, task)
    errors: dict[str, FieldError] = {}
    for dimension, point in probe_points(spec.params):
        try:
            task.complete(point)
        except ValidationError as error:
            for found in field_errors(error.errors()):
                field = f"params.{found.field or dimension or ''}".rstrip(".")
                errors.setdefault(field, FieldError(field, found.value, found.message))
    if errors:
        raise SpecError(list(errors.values()))


def _check_stack(spec: StudySpec, task: Task) -> None:
    if task.stack is None:
        message = f"{task.name} cannot train several trials in one process; leave stack out"
        raise SpecError([FieldError("stack", spec.stack, message)])
    searched = dimensions(spec.params)
    if fixed := sorted(n for n in searched if task.base_name(n) not in task.stack_params):
        message = "must be the same in all trials of a stack; it cannot be searched with stack > 1"
        raise SpecError([FieldError(f"params.{name}", name, message) for name in fixed])


def _check_population(population: Population, task: Task) -> None:
    able = task.mutable_params
    if able is None:
        return
    if fixed := sorted(name for name in population.mutate if task.base_name(name) not in able):
        message = f"{task.name} cannot change it at a checkpoint; it can: {', '.join(sorted(able))}"
        raise SpecError([FieldError("population.mutate", name, message) for name in fixed])


def load_spec(path: Path) -> StudySpec:
    """Read and check a study file (TOML).

    Raises:
        SpecError: the file is not TOML, or a field is wrong.
        OSError: the file cannot be read.
    """
    return parse_spec(load_toml(path))


def load_toml(path: Path) -> dict[str, Any]:
    """Read a study file without checking what it says.

    Raises:
        SpecError: the file is not TOML.
        OSError: the file cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError([FieldError("", str(path), f"not a TOML file: {error}")]) from None
