"""What trials ask of a machine, and what they get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alphagrad.tuner import StudySpec, leases, resources
from alphagrad.tuner.database import Database
from alphagrad.tuner.errors import SpecError
from alphagrad.tuner.models import StudyRow
from alphagrad.tuner.niceness import AUTOGROUP
from alphagrad.tuner.resources import Allotment, Resources, Room, gpu_names
from alphagrad.tuner.study_store import get_study
from tests.marks import on_sqlite


def room(cpu: int, gpus: int = 0, *used: Allotment) -> Room:
    return Room.of(cpu=cpu, gpus=[str(n) for n in range(gpus)], used=used)


def test_gpus_are_given_to_one_trial_each() -> None:
    first = room(4, 3).allot(Resources(gpu=2))
    second = room(4, 3, first).allot(Resources(cpu=2, gpu=1))
    assert (first, second) == (Allotment(1, ("0", "1")), Allotment(2, ("2",)))
    full = room(4, 3, first, second)
    assert (full.free_cpu, full.free_gpu) == (1, 0)
    assert full.fits(Resources())
    assert not full.fits(Resources(gpu=1))
    assert full.could_fit(Resources(gpu=3))
    assert not full.could_fit(Resources(cpu=5))


@pytest.mark.parametrize(
    ("requests", "free", "admitted"),
    [
        ([{}, {"cpu": 2}], room(2), [0, 1]),
        ([{"cpu": 3}, {}], room(4, 0, Allotment(2)), []),  # the second may not pass the first
        ([{"cpu": 2}, {}], room(4, 0, Allotment(2)), [0, 1]),
        ([{"gpu": 1}, {}], room(4, 1, Allotment(1, ("0",))), [1]),  # a CPU is kept for the first
        ([{"gpu": 1}, {"cpu": 3}], room(4, 1, Allotment(1, ("0",))), []),
        ([{"gpu": 1}, {"gpu": 1}], room(4, 2, Allotment(1, ("0",))), [0, 1]),
        ([{"gpu": 2}, {"gpu": 1}], room(4, 2, Allotment(1, ("0",))), []),
        ([*[{"gpu": 1}] * 9, {}], room(4, 1, Allotment(1, ("0",))), [9]),  # one can be next
        ([*[{"gpu": 1}] * 9, {"cpu": 3}], room(4, 1, Allotment(1, ("0",))), []),
        ([{"cpu": 9}, {}], room(2), [1]),  # who needs more than there is holds nobody up
    ],
)
def test_what_is_waited_for_is_kept_free(
    requests: list[dict[str, int]], free: Room, admitted: list[int]
) -> None:
    specs = [(n, {"name": f"s{n}", "resources": one}) for n, one in enumerate(requests)]
    assert free.admit(specs) == admitted
    large = {f"s{n}" for n, one in enumerate(requests) if not free.could_fit(Resources(**one))}
    assert free.too_large == large


def test_gpus_are_those_that_cuda_would_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-abc")
    assert gpu_names(None) == ["3", "GPU-abc"]
    assert gpu_names(1) == ["3"]
    for none in ("", "-1", "-1, 0"):  # CUDA reads no further than the first that is none
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert gpu_names(2) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,-1,0")
    assert gpu_names(None) == ["2"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpu_names(2) == ["0", "1"]


def test_only_gpus_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidia-nvswitch0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.setattr(resources, "DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_names(None) == ["0", "1", "2"]
    assert gpu_names(2) == ["0", "1"]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"cpu": 0}, "resources.cpu: Input should be greater than or equal to 1 (got 0)"),
        ({"gpu": 0.5}, "resources.gpu: Input should be a valid integer (got 0.5)"),
        ({"tpu": 1}, "resources.tpu: Extra inputs are not permitted (got 1)"),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    spec: Callable[..., StudySpec], resources: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as error:
        spec(resources=resources)
    assert message in str(error.value)


def test_a_claim_takes_what_fits(database: Database, submit: Callable[..., StudyRow]) -> None:
    submit(name="large", priority=2, resources={"cpu": 9})
    submit(name="gpu", priority=1, resources={"gpu": 1}, n_trials=2, parallelism=2)
    submit(name="small", n_trials=3, parallelism=3)

    def claim(free: Room) -> str | None:
        claimed = leases.claim(database, worker="w", lease_seconds=60, tasks=["digits"], room=free)
        return None if claimed is None else claimed.study.name

    assert claim(room(2, 1)) == "gpu"
    assert claim(room(3, 1, Allotment(1, ("0",)))) == "small"
    assert claim(room(2, 1, Allotment(1, ("0",)))) is None  # the last CPU is the next GPU trial's
    assert claim(room(1)) == "small"  # a worker without a GPU keeps nothing free for it
    assert get_study(database, "large").row.state == "QUEUED"


RUN = """
@task("shows")
def shows(trial: Trial) -> float:
    import torch

    trial.log(f"threads {torch.get_num_threads()} {os.environ['OMP_NUM_THREADS']}")
    trial.log(f"nice {os.getpriority(os.PRIO_PROCESS, 0)}")
    if os.path.exists("/proc/self/autogroup"):
        with open("/proc/self/autogroup") as group:  # "/autogroup-17 nice 7"
            trial.log(f"group {group.read().partition(' ')[2]}")
    trial.log(f"gpus {os.environ.get('CUDA_VISIBLE_DEVICES')}")
    start = time.time()
    time.sleep(0.4)
    with open(os.environ["ALPHAGRAD_HOME"] + f"/{trial.study}-{trial.number}", "w") as file:
        file.write(f"{start} {time.time()}")
    return 1.0

def main():
    os.environ["ALPHAGRAD_GPUS"] = "2"
    os.environ["ALPHAGRAD_NICE"] = "7"
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    studies = {
        "wide": {"resources": {"cpu": 2}, "n_trials": 2, "parallelism": 2},
        "gpus": {"resources": {"gpu": 1}, "n_trials": 2, "parallelism": 2},
    }
    settings = TunerSettings()
    database = Database(settings.url)
    migrate(database)
    huge = {"name": "huge", "task": "shows", "n_trials": 1, "resources": {"gpu": 3}}
    create_study(database, OptunaStorage(database), parse_spec(huge))
    ended = run_studies({name: {"task": "shows"} | study for name, study in studies.items()})
    return [ended, get_study(database, "huge").row.state]
"""


@on_sqlite
def test_trials_get_what_they_ask_for(
    run_script: Callable[..., Any], settings: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    ended, huge = run_script(RUN, seconds=90)
    assert huge == "QUEUED"
    assert "study huge waits for a larger worker" in capfd.readouterr().err
    assert {state for trials in ended.values() for state, *_ in trials} == {"COMPLETE"}
    spans = [
        tuple(map(float, (settings.home / f"wide-{number}").read_text().split()))
        for number in range(2)
    ]
    first, second = sorted(spans)
    assert second[0] > first[1]  # two slots are room for one of two CPUs at a time
    logs = {
        f"{name}-{number}": settings.log_path(name, number).read_text()
        for name in ("wide", "gpus")
        for number in range(2)
    }
    assert all("threads 2 2" in logs[f"wide-{number}"] for number in range(2))
    assert all("gpus None" in logs[f"wide-{number}"] for number in range(2))
    assert all("threads 1 1" in logs[f"gpus-{number}"] for number in range(2))
    seen = {logs[f"gpus-{number}"].partition("gpus ")[2].split()[0] for number in range(2)}
    assert seen <= {"0", "1"}
    assert all("nice 7\n" in log for log in logs.values())
    if AUTOGROUP.exists() and AUTOGROUP.read_text():  # it is there, and in use
        assert all("group nice 7\n" in log for log in logs.values())
