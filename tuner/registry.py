"""Tasks: training functions that a study can name.

A study names its task; it can never hold an import string. A task becomes known by the
:func:`task` decorator in a script of yours, or by an entry point in the group ``alphagrad.tasks``
of an installed package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from optuna import TrialPruned
from pydantic import BaseModel

if TYPE_CHECKING:
    from alphagrad.tuner.trial import Trial

Result = float | Sequence[float]
"""Of one objective, or of several."""
TaskFunction = Callable[["Trial"], Result]
StackFunction = Callable[[Sequence["Trial"]], Iterator[tuple[int, Result | TrialPruned]]]
ENTRY_POINT_GROUP = "alphagrad.tasks"

_registry: dict[str, Task] = {}


class UnknownTaskError(LookupError):
    """A study names a task that nobody registered."""

    def __init__(self, name: str) -> None:
        known = ", ".join(task_names()) or "none"
        super().__init__(f"unknown task {name!r}; the registered tasks are: {known}")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A training function and the parameters it takes.

    Args:
        name: what a study calls it.
        function: the function, or ``"module:function"``, imported when the task first runs, so
            that a process which only checks parameters never imports torch.
        params: a pydantic model of the parameters with their defaults and bounds, or ``None`` to
            accept any.
        about: what it does, in a line.
        stack: trains several trials side by side in one process, and yields each one's place and
            value, or the :class:`TrialPruned` that ended it; or ``"module:function"``. ``None``
            where the task cannot.
        stack_params: the parameters in which such trials may differ.
        mutable_params: the parameters that it follows when it goes on from a checkpoint that was
            made with others, as members of a population do; ``None`` if it does not say.
    """

    name: str
    function: TaskFunction | str
    params: type[BaseModel] | None = None
    about: str = ""
    stack: StackFunction | str | None = None
    stack_params: frozenset[str] = frozenset()
    mutable_params: frozenset[str] | None = None

    def load(self) -> TaskFunction:
        """The training function, imported if need be."""
        loaded = _load(self.function)
        # A module may decorate its function as well: then it holds the Task around it.
        function: TaskFunction = loaded.load() if isinstance(loaded, Task) else loaded
        return function

    @property
    def module(self) -> str:
        """The module to import before trials of this task are forked."""
        if isinstance(self.function, str):
            return self.function.partition(":")[0]
        return self.function.__module__

    @property
    def param_names(self) -> list[str]:
        """The names of the parameters, as far as the task declares them."""
        return [] if self.params is None else sorted(self.params.model_fields)

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the parameters, the task's own before those it inherits."""
        if self.params is None:
            return {}
        schema = self.params.model_json_schema()
        fields = schema["properties"]
        own = {name: fields[name] for name in self.params.__annotations__ if name in fields}
        return schema | {"properties": own | fields}

    def unknown_params(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that the task would refuse, or take no notice of."""
        if self.params is None or self.params.model_config.get("extra") == "allow":
            return []
        if any(field.validation_alias is not None for field in self.params.model_fields.values()):
            return []  # known by other names too
        return sorted(name for name in names if self.base_name(name) not in self.param_names)

    def base_name(self, name: str) -> str:
        """The declared parameter that a name such as ``alpha[actor.*]`` is of.

        A model of parameters lists those that can be given by layer in a class variable
        ``per_layer``, and takes them in with a validator of its own.
        """
        base, bracket, glob = name.partition("[")
        by_layer = bracket and glob.endswith("]") and len(glob) > 1
        return base if by_layer and base in getattr(self.params, "per_layer", ()) else name

    def complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Check ``params`` and add the defaults.

        Raises:
            pydantic.ValidationError: a name the task does not know, or a value it does not allow.
        """
        if self.params is None:
            return dict(params)
        return self.params.model_validate(dict(params)).model_dump()

    def __call__(self, trial: Trial) -> Result:
        """Run the task, as if the decorated function were called."""
        return self.load()(trial)

    def run_stack(self, trials: Sequence[Trial]) -> Iterator[tuple[int, Result | TrialPruned]]:
        """Run the task for several trials side by side.

        Raises:
            TypeError: the task cannot.
        """
        if self.stack is None:
            raise TypeError(f"the task {self.name!r} cannot train several trials in one process")
        function: StackFunction = _load(self.stack)
        return function(trials)


def task(
    name: str,
    *,
    params: type[BaseModel] | None = None,
    about: str = "",
    stack: StackFunction | None = None,
    stack_params: Iterable[str] = (),
    mutable_params: Iterable[str] | None = None,
) -> Callable[[TaskFunction], Task]:
    """Register the decorated function as the task ``name``.

    Args:
        name: what a study calls it.
        params: a pydantic model of its parameters; ``None`` accepts any.
        about: what it does, in a line.
        stack: a function that trains several trials in one process, see :class:`Task`.
        stack_params: the parameters in which such trials may differ.
        mutable_params: the parameters that may change at a checkpoint, see :class:`Task`.

    Example:
        >>> from alphagrad.tuner import Trial, run_task, task
        >>> @task("parabola")
        ... def parabola(trial: Trial) -> float:
        ...     return (trial.params["x"] - 2.0) ** 2
        >>> run_task("parabola", {"x": 5.0}, seed=0)
        9.0
    """

    def register(function: TaskFunction) -> Task:
        return _register(
            Task(
                name=name,
                function=function,
                params=params,
                about=about,
                stack=stack,
                stack_params=frozenset(stack_params),
                mutable_params=None if mutable_params is None else frozenset(mutable_params),
            )
        )

    return register


def lazy_task(
    name: str,
    *,
    params: type[BaseModel] | None,
    function: str,
    about: str = "",
    stack: str | None = None,
    stack_params: Iterable[str] = (),
    mutable_params: Iterable[str] | None = None,
) -> Task:
    """Register ``function`` (``"module:function"``) without importing its module yet.

    Args:
        name: what a study calls it.
        params: a pydantic model of its parameters; ``None`` accepts any.
        function: the training function.
        about: what it does, in a line.
        stack: the function that trains several trials in one process, if there is one.
        stack_params: the parameters in which such trials may differ.
        mutable_params: the parameters that may change at a checkpoint, see :class:`Task`.
    """
    return _register(
        Task(
            name=name,
            function=function,
            params=params,
            about=about,
            stack=stack,
            stack_params=frozenset(stack_params),
            mutable_params=None if mutable_params is None else frozenset(mutable_params),
        )
    )


def get_task(name: str) -> Task:
    """The task called ``name``, from this process or from an installed package.

    Raises:
        UnknownTaskError: nobody registered it.
    """
    if name not in _registry:
        for entry_point in entry_points(group=ENTRY_POINT_GROUP, name=name):
            loaded = entry_point.load()
            if not isinstance(loaded, Task):
                raise TypeError(f"entry point {entry_point.value!r} is {loaded!r}, not a Task")
            _registry.setdefault(name, loaded)
    if name not in _registry:
        raise UnknownTaskError(name)
    return _registry[name]


def task_names() -> list[str]:
    """The names of all known tasks, in alphabetical order."""
    return sorted({*_registry, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def _load(function: Any) -> Any:
    if not isinstance(function, str):
        return function
    module, _, attribute = function.partition(":")
    return getattr(import_module(module), attribute)


def _register(registered: Task) -> Task:
    if not registered.name:
        raise ValueError("a task needs a name")
    # A script that is run again in a trial's process registers its tasks again.
    _registry[registered.name] = registered
    return registered
