"""Optuna's quasi-Monte Carlo sampler, without reading all trials at each ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import QMCSampler as OptunaQMCSampler
from optuna.samplers import RandomSampler
from optuna.trial import FixedTrial, FrozenTrial

from alphagrad.tuner.space import Parameter, dimensions


class QMCSampler(OptunaQMCSampler):
    """A scrambled Sobol sequence over the parameters without a condition.

    Optuna's own finds the space in the first of all trials; here it is known. As there, the first
    trial is drawn at random, and each further one takes the sequence's next point. Parameters with
    a condition are drawn at random in each trial.

    Args:
        params: the study's parameters.
        seed: the seed of the sequence, the same for all trials of the study.
        trial_seed: decides what is drawn at random; another one for each trial.
    """

    def __init__(self, params: Mapping[str, Parameter], *, seed: int, trial_seed: int) -> None:
        super().__init__(scramble=True, seed=seed)
        self._at_random = RandomSampler(seed=trial_seed)
        self._space: dict[str, BaseDistribution] = {}
        for name, dimension in dimensions(dict(params)).items():
            if not dimension.when:
                trial = FixedTrial({name: dimension.probes()[0]})
                dimension.suggest(trial, name)
                self._space |= trial.distributions

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that the sequence draws."""
        return self._space if trial.number else {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random draw, for the first trial and for parameters with a condition."""
        sampler = self._at_random if trial.number else self._independent_sampler
        return sampler.sample_independent(study, trial, param_name, param_distribution)
