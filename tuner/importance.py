"""How much each searched parameter matters for the value, by Optuna's evaluators."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import func, select

from alphagrad.tuner.database import Database
from alphagrad.tuner.models import TrialRow
from alphagrad.tuner.points import Point, Points, check_objective, read_points
from alphagrad.tuner.space import Dimension, dimensions
from alphagrad.tuner.study_store import by_name
from alphagrad.tuner.warm_start import distribution, stored

if TYPE_CHECKING:
    # It brings in scikit-learn and pandas, 160 MB and two seconds that no command needs. A server
    # has them from its start, by the dashboard.
    from optuna.importance import BaseImportanceEvaluator

Evaluator = Literal["ped-anova", "fanova"]
MOST_TRIALS = {"ped-anova": 2000, "fanova": 500}
"""So many completed trials are looked at, at most: 0.1 s, and 2 s on a busy machine."""
FEWEST_TRIALS = 4
MOST_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What an evaluator says of a study.

    Attributes:
        evaluator: its name.
        objective: the place of the objective.
        importances: by parameter, largest first, their sum is 1; empty with too few trials.
        left_out: parameters of which the evaluator says nothing: no trial has them, or with
            ``fanova`` not every trial.
        n_trials: how many trials are complete.
        used_trials: how many of them were looked at.
    """

    evaluator: Evaluator
    objective: int
    importances: dict[str, float]
    left_out: list[str]
    n_trials: int
    used_trials: int


class Importances:
    """Reckons importances, and keeps each until another trial of its study has ended.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[Any, ...], Importance] = OrderedDict()
        # One at a time: it is work for the processor, and who asks second finds it done.
        self._lock = threading.Lock()

    def of(
        self, study: str, *, evaluator: Evaluator = "ped-anova", objective: int = 0
    ) -> Importance:
        """The importance of each parameter of a study.

        Args:
            study: its name.
            evaluator: ``ped-anova`` is fast and asks what makes the best tenth; ``fanova`` fits a
                forest and asks what moves the value anywhere.
            objective: the place of the objective, from 0.

        Raises:
            StudyNotFoundError: no study has this name.
            SpecError: the study has no such objective.
        """
        with self._lock:
            key = (*self._progress(study), evaluator, objective)
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
            points = read_points(self._database, study, most=MOST_TRIALS[evaluator])
            check_objective(points.spec, objective)
            found = _evaluate(points, evaluator, objective)
            self._kept[key] = found
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return found

    def _progress(self, study: str) -> tuple[int, float, int]:
        with self._database.read() as session:
            row = by_name(session, study)
            complete = (TrialRow.study_id == row.id, TrialRow.state == "COMPLETE")
            count = session.scalar(select(func.count()).select_from(TrialRow).where(*complete))
            return row.id, row.created_at, count or 0  # SQLite gives an id again


def _evaluate(points: Points, evaluator: Evaluator, objective: int) -> Importance:
    from optuna.importance import get_param_importances

    searched = dimensions(points.spec.params)
    places = {name: distribution(dimension) for name, dimension in searched.items()}
    trials = [_frozen(point, searched, places, objective) for point in points.points]
    names = list(searched)
    if evaluator == "fanova":  # it takes the trials that have all parameters
        names = [name for name in names if all(name in trial.params for trial in trials)]
    else:
        names = [name for name in names if any(name in trial.params for trial in trials)]
    importances: dict[str, float] = {}
    if len(trials) >= FEWEST_TRIALS and len({trial.value for trial in trials}) > 1 and names:
        study = _study(points.spec.objectives[objective], trials)
        judge = _judge(evaluator, study)
        found = get_param_importances(study, evaluator=judge, params=names)
        importances = {
            name: float(share) for name, share in sorted(found.items(), key=lambda kv: -kv[1])
        }
    return Importance(
        evaluator=evaluator,
        objective=objective,
        importances=importances,
        left_out=[name for name in searched if name not in names],
        n_trials=points.n_trials,
        used_trials=len(trials),
    )


def _frozen(
    point: Point,
    searched: dict[str, Dimension],
    places: dict[str, BaseDistribution],
    objective: int,
) -> FrozenTrial:
    drawn = [name for name in searched if name in point.params]
    return create_trial(
        state=TrialState.COMPLETE,
        value=point.values[objective],
        params={name: stored(searched[name], point.params[name]) for name in drawn},
        distributions={name: places[name] for name in drawn},
    )


def _study(direction: str, trials: list[FrozenTrial]) -> optuna.Study:
    storage = InMemoryStorage()
    study_id = storage.create_new_study([StudyDirection[direction.upper()]], "points")
    for trial in trials:
        storage.create_new_trial(study_id, trial)
    return optuna.load_study(study_name="points", storage=storage)


def _judge(evaluator: Evaluator, study: optuna.Study) -> BaseImportanceEvaluator:
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    if evaluator == "fanova":
        return FanovaImportanceEvaluator(seed=0)
    values = [trial.value or 0.0 for trial in study.get_trials(deepcopy=False)]
    worst = max(values) if study.direction == StudyDirection.MINIMIZE else min(values)
    # The best tenth, or fewer where all others are equally bad: it compares the best with all.
    better = sum(value != worst for value in values)
    return PedAnovaImportanceEvaluator(target_quantile=min(0.1, (better - 0.5) / len(values)))
