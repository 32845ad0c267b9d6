"""What a trial needs of its machine, what a worker has, and what of it is free."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

DEVICES = Path("/dev")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Resources(BaseModel):
    """What each trial of a study takes, in the words of Ray Tune's ``with_resources``.

    Example:
        >>> Resources(cpu=2, gpu=1)
        Resources(cpu=2, gpu=1)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cpu: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Slots of the worker, and threads for numpy and torch."""
    gpu: Annotated[int, Field(ge=0, le=1000)] = 0
    """GPUs of its own; with none it sees all that the worker sees."""


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a running process has been given: a number of CPUs, and GPUs by their names."""

    cpu: int = 1
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """What a worker has, and what of it is free.

    Attributes:
        cpu: CPUs in all.
        gpus: GPUs in all, by the names that ``CUDA_VISIBLE_DEVICES`` takes.
        free_cpu: CPUs that nobody has or waits for; below 0 if others wait for more.
        free_gpu: GPUs that nobody has or waits for; likewise.
        used_gpus: GPUs that somebody has.
        too_large: names of studies whose trials need more than there is in all.

    Example:
        >>> room = Room.of(cpu=4, gpus=["0", "1"], used=[Allotment(cpu=1, gpus=("0",))])
        >>> room.allot(Resources(cpu=2, gpu=1))
        Allotment(cpu=2, gpus=('1',))
        >>> room.fits(Resources(gpu=2)), room.could_fit(Resources(gpu=2))
        (False, True)
    """

    cpu: int
    gpus: tuple[str, ...]
    free_cpu: int
    free_gpu: int
    used_gpus: frozenset[str]
    too_large: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, *, cpu: int, gpus: Sequence[str], used: Iterable[Allotment]) -> Self:
        """The room that is left beside what is used."""
        used = list(used)
        taken = frozenset(name for one in used for name in one.gpus)
        free = cpu - sum(one.cpu for one in used)
        return cls(cpu, tuple(gpus), free, len(gpus) - len(taken), taken)

    def fits(self, request: Resources) -> bool:
        """Whether a trial can start now."""
        return request.cpu <= self.free_cpu and request.gpu <= max(self.free_gpu, 0)

    def could_fit(self, request: Resources) -> bool:
        """Whether a trial could start if nothing else ran."""
        return request.cpu <= self.cpu and request.gpu <= len(self.gpus)

    def allot(self, request: Resources) -> Allotment:
        """Choose what a trial gets."""
        free = [name for name in self.gpus if name not in self.used_gpus]
        return Allotment(request.cpu, tuple(free[: request.gpu]))

    def admit(self, specs: Iterable[tuple[int, Mapping[str, Any]]]) -> list[int]:
        """Those of some studies of which a trial can start now.

        What a study waits for is kept free for it: those behind it get the rest. So a trial that
        needs much is not passed by small ones for ever. Nothing is kept for more trials than could
        run at once: of ten that wait for the one GPU, nine need no CPU yet.

        Args:
            specs: row ids and specifications, in the order in which studies come.
        """
        free_cpu, free_gpu, admitted = self.free_cpu, self.free_gpu, []
        kept_cpu = kept_gpu = 0
        for study_id, spec in specs:
            request = Resources.model_validate(spec.get("resources") or {})
            if not self.could_fit(request):
                self.too_large.add(spec["name"])
            elif request.cpu <= free_cpu and request.gpu <= max(free_gpu, 0):
                admitted.append(study_id)
            elif kept_cpu + request.cpu <= self.cpu and kept_gpu + request.gpu <= len(self.gpus):
                free_cpu, free_gpu = free_cpu - request.cpu, free_gpu - request.gpu
                kept_cpu, kept_gpu = kept_cpu + request.cpu, kept_gpu + request.gpu
        return admitted


def gpu_names(count: int | None) -> list[str]:
    """The names of this machine's GPUs, found without CUDA.

    Args:
        count: use so many; ``None`` is all that ``CUDA_VISIBLE_DEVICES`` names, or else all that
            have a device file ``/dev/nvidia<N>``.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        listed = [name.strip() for name in visible.split(",") if name.strip()]
        names = list(takewhile(lambda name: not name.startswith("-"), listed))  # as CUDA reads it
    elif count is not None:
        names = [str(number) for number in range(count)]
    else:
        # Not nvidia-nvswitch0 and the like, which are no GPUs.
        files = [path for path in DEVICES.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
        names = [str(number) for number in range(len(files))]
    return names[:count]


def use(allotment: Allotment) -> None:
    """Keep this process, and what it starts, to what it was given.

    CUDA reads its variable when it is first used, so this comes in time though torch is imported.
    """
    if allotment.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(allotment.gpus)
    if allotment.cpu > 1:
        for variable in THREAD_VARIABLES:
            os.environ[variable] = str(allotment.cpu)
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(allotment.cpu)
