"""What is allowed in a study and seldom meant: warnings, shown where it is submitted."""

from __future__ import annotations

from alphagrad.tuner.pruners import (
    Hyperband,
    Median,
    Patient,
    Percentile,
    PrunerSpec,
    Saturation,
    SuccessiveHalving,
)
from alphagrad.tuner.samplers import CMAES, GP, NSGA2, QMC, TPE
from alphagrad.tuner.space import CategoricalDimension, Dimension, dimensions
from alphagrad.tuner.spec import StudySpec

GP_TRIALS = 60
TPE_TRIALS = 10_000


def spec_warnings(spec: StudySpec) -> list[str]:
    """Say what of a study does not fit together.

    Example:
        >>> spec = StudySpec.model_validate({
        ...     "name": "s",
        ...     "task": "dqn",
        ...     "n_trials": 5,
        ...     "params": {"alpha": {"type": "float", "low": 1, "high": 9}},
        ... })
        >>> spec_warnings(spec)
        ['tpe draws its first n_startup_trials=10 at random: here all 5']
    """
    space = dimensions(spec.params)
    return [
        *_start(spec),
        *_sampler(spec, space),
        *_constraints(spec),
        *_warm_start(spec),
        *_pruner(spec),
        *_remote(spec),
    ]


def _start(spec: StudySpec) -> list[str]:
    sampler = spec.sampler
    if not isinstance(sampler, TPE | GP | CMAES) or not dimensions(spec.params):
        return []
    if sampler.n_startup_trials < spec.n_trials or spec.warm_start:
        return []
    if spec.population is not None:
        return []  # where its members start is best left to chance
    first = f"n_startup_trials={sampler.n_startup_trials}"
    return [f"{sampler.type} draws its first {first} at random: here all {spec.n_trials}"]


def _sampler(spec: StudySpec, space: dict[str, Dimension]) -> list[str]:
    choices = [name for name, d in space.items() if isinstance(d, CategoricalDimension)]
    conditional = [name for name, d in space.items() if d.when]
    match spec.sampler:
        case GP() if spec.n_trials > GP_TRIALS:
            return [
                f"gp with {spec.n_trials} trials: each ask takes longer than the one before, "
                f"seconds beyond {GP_TRIALS}; tpe does not"
            ]
        case GP() | CMAES() | QMC() if conditional:
            names = ", ".join(conditional)
            return [f"{spec.sampler.type} draws parameters with a condition at random: {names}"]
        case CMAES() if len(space) - len(choices) < 2:
            return ["cmaes searches two numbers or more; here it draws at random"]
        case CMAES() if choices:
            return [f"{spec.sampler.type} draws choices at random: {', '.join(choices)}"]
        case NSGA2(population_size=size) if spec.n_trials <= size:
            return [f"nsga2 draws its first population_size={size} at random"]
        case TPE() if spec.n_trials > TPE_TRIALS:
            return [
                f"tpe reads all trials at each ask: with {spec.n_trials} that takes longer than "
                "many a trial; random or qmc do not"
            ]
    return []


def _constraints(spec: StudySpec) -> list[str]:
    if not spec.constraints or isinstance(spec.sampler, TPE | GP | NSGA2):
        return []
    return [f"{spec.sampler.type} draws without regard to constraints"]


def _warm_start(spec: StudySpec) -> list[str]:
    if not spec.warm_start:
        return []
    said = []
    if not isinstance(spec.sampler, TPE | GP):
        said.append(f"{spec.sampler.type} draws without regard to the trials of warm_start")
    if isinstance(spec.pruner, SuccessiveHalving | Hyperband):
        said.append(f"{spec.pruner.type} judges without regard to the trials of warm_start")
    return said


def _pruner(spec: StudySpec) -> list[str]:
    pruner: PrunerSpec | None = spec.pruner
    said = []
    if isinstance(pruner, Saturation):
        optimizer = spec.params.get("optimizer", "alphagrad")
        if isinstance(optimizer, str) and optimizer != "alphagrad":
            said.append(
                f"the saturation pruner stops nothing with optimizer={optimizer!r}, which has no "
                "alpha"
            )
        pruner = pruner.value_pruner
    if isinstance(pruner, Patient):
        pruner = pruner.wrapped_pruner
    if isinstance(pruner, Median | Percentile) and pruner.n_startup_trials >= spec.n_trials:
        first = f"n_startup_trials={pruner.n_startup_trials}"
        said.append(f"{pruner.type} prunes nothing in the first {first}: here all {spec.n_trials}")
    if isinstance(pruner, Hyperband) and (
        pruner.max_resource < pruner.min_resource * pruner.reduction_factor
    ):
        said.append(
            "hyperband has one bracket only, as successive_halving: max_resource is below "
            "min_resource·reduction_factor"
        )
    return said


def _remote(spec: StudySpec) -> list[str]:
    if spec.engine != "remote" or not isinstance(spec.pruner, Saturation):
        return []
    return ["the saturation pruner stops nothing unless the clients send traces of alpha"]
