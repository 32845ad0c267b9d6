from __future__ import annotations

import math
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import Band, SaturationScheduler
from alphagrad.scheduler.quantile_start import quantile_alpha
from alphagrad.tuner import NonRetryableError, Trial, UnknownTaskError, run_task
from alphagrad.tuner.channel import PipeChannel
from alphagrad.tuner.checkpoints import CheckpointStore
from alphagrad.tuner.messages import (
    Finished,
    KnobAnswer,
    KnobCommand,
    Layers,
    Metrics,
    Report,
    Sync,
    Synced,
    Trace,
    Verdict,
)
from alphagrad.tuner.outcomes import outcome
from alphagrad.tuner.seeds import derive_seed


@pytest.mark.parametrize("value", ["0.5", b"1", True, None, [1.0]])
def test_a_report_without_a_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        Trial(params={}).report(value, step=1)


@pytest.mark.parametrize("step", [1.0, "1", None, True])
def test_a_report_without_an_integer_step_is_refused(step: Any) -> None:
    with pytest.raises(TypeError, match=f"step must be an integer, got {step!r}"):
        Trial(params={}).report(0.5, step=step)


@pytest.mark.parametrize("step", [-1, 2**31])
def test_a_step_that_cannot_be_stored_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=rf"must be in \[0, 2147483648\), got {step}"):
        Trial(params={}).report(0.5, step=step)


@pytest.fixture
def line() -> Iterator[tuple[PipeChannel, Connection[Any, Any]]]:
    """A trial's channel, and the worker's end of it."""
    ours, theirs = Pipe()
    channel = PipeChannel(theirs)
    yield channel, ours
    channel.finish(Finished(state="COMPLETE"))  # else the channel ends this process
    ours.close()


def received(ours: Connection[Any, Any]) -> list[Any]:
    messages = []
    while ours.poll():
        messages.append(ours.recv())
    return messages


def test_numbers_of_numpy_and_torch_are_reported_as_python_ones(
    line: tuple[PipeChannel, Connection[Any, Any]],
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    trial.report(np.float32(0.5), step=np.int64(3))  # type: ignore[arg-type]
    trial.report(torch.tensor(0.25), step=4)  # type: ignore[arg-type]
    trial.report(math.inf, step=5)
    assert received(ours) == [Report(3, 0.5), Report(4, 0.25), Report(5, math.inf)]


def test_the_verdict_is_the_one_on_the_latest_report(
    line: tuple[PipeChannel, Connection[Any, Any]],
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    assert not trial.should_prune()  # nothing reported: nothing to wait for
    trial.report(1.0, step=1)
    trial.report(2.0, step=2)
    ours.send(Verdict(prune=False))
    ours.send(Verdict(prune=True))
    assert trial.should_prune()
    assert trial.should_prune()  # asked again, it is not waited for again


def test_a_step_reported_again_is_judged_again(
    line: tuple[PipeChannel, Connection[Any, Any]],
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    trial.report(1.0, step=1)
    ours.send(Verdict(prune=False))
    assert not trial.should_prune()
    trial.report(-1.0, step=1)
    ours.send(Verdict(prune=True))
    assert trial.should_prune()


def test_a_checkpoint_waits_until_all_before_it_is_written(
    line: tuple[PipeChannel, Connection[Any, Any]], tmp_path: Path, until: Callable[..., object]
) -> None:
    channel, ours = line
    store = CheckpointStore(tmp_path, fence=1)
    trial = Trial(params={}, channel=channel, checkpoints=store)
    trial.report(1.0, step=1)
    trial.record({"a": 2.0}, step=1)
    saving = threading.Thread(target=trial.save_checkpoint, args=({"step": 1},))
    saving.start()
    sent: list[Any] = []

    def asked() -> bool:
        sent.extend(received(ours))
        return Sync() in sent

    until(asked)
    assert [type(message) for message in sent] == [Report, Metrics, Sync]
    assert store.load() is None
    ours.send(Synced())
    saving.join()
    assert store.load() == {"step": 1}


def test_no_checkpoint_is_ahead_of_what_a_lost_worker_wrote(tmp_path: Path) -> None:
    ours, theirs = Pipe()
    company: list[PipeChannel] = []
    other, _ = Pipe()
    PipeChannel(other, company=company)  # another trial of the process, else it would end here
    store = CheckpointStore(tmp_path, fence=1)
    channel = PipeChannel(theirs, company=company)
    ours.close()
    Trial(params={}, channel=channel, checkpoints=store).save_checkpoint({"step": 1})
    assert store.load() is None
    for one in company:
        one.finish(Finished(state="COMPLETE"))


def optimizer(*names: str) -> AlphaGrad:
    parameters = [(name, torch.nn.Parameter(torch.zeros(5))) for name in names]
    return AlphaGrad(parameters, lr=1e-3, alpha=10.0)


def train(optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.linspace(-1, 1, 5)
        optimizer.step()


def traces(messages: list[Any]) -> tuple[list[int], list[list[float]]]:
    found = [message for message in messages if isinstance(message, Trace)]
    return (
        [step for trace in found for step in trace.steps],
        [row for trace in found for row in trace.alpha.tolist()],
    )


def test_a_knob_is_applied_before_a_step_and_seen_in_its_sample(
    line: tuple[PipeChannel, Connection[Any, Any]], until: Callable[..., object]
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    watched = optimizer("w", "b")
    trial.watch(watched)
    train(watched, 3)
    ours.send(KnobCommand(id=8, layers="w", alpha=50.0, pin=True))
    ours.send(KnobCommand(id=9, layers="nothing.*", alpha=1.0, pin=None))
    until(lambda: len(channel.commands) == 2)
    train(watched, 2)
    trial.close()
    messages = received(ours)
    assert messages[0] == Layers(["w", "b"])
    applied, rejected = [m for m in messages if isinstance(m, KnobAnswer)]
    assert applied == KnobAnswer(id=8, applied=True, step=4)
    assert (rejected.id, rejected.applied) == (9, False)
    assert rejected.reason == "no layer matches 'nothing.*'; the layers are ['w', 'b']"
    steps, alpha = traces(messages)
    assert steps == [1, 2, 3, 4, 5]
    assert alpha == [[10, 10]] * 3 + [[50, 10]] * 2
    assert watched.pinned() == {"w": True, "b": False}


def test_a_knob_that_comes_too_late_is_rejected(
    line: tuple[PipeChannel, Connection[Any, Any]], until: Callable[..., object]
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    trial.watch(optimizer("w"))
    ours.send(KnobCommand(id=1, layers="*", alpha=2.0, pin=None))
    until(lambda: channel.commands)
    trial.close()
    assert received(ours)[-1] == KnobAnswer(1, applied=False, step=0, reason="the trial has ended")


def test_an_alpha_beyond_float32_does_not_end_the_trial(
    line: tuple[PipeChannel, Connection[Any, Any]], until: Callable[..., object]
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    watched = optimizer("w", "b")
    trial.watch(watched)
    ours.send(KnobCommand(id=1, layers="w", alpha=1e300, pin=None))
    until(lambda: channel.commands)
    train(watched, 1)
    trial.close()
    [answer] = [m for m in received(ours) if isinstance(m, KnobAnswer)]
    assert not answer.applied
    assert "1e+300" in (answer.reason or "")
    assert watched.alphas() == {"w": 10.0, "b": 10.0}


def test_samples_thin_out_and_carry_the_tasks_own_steps(
    line: tuple[PipeChannel, Connection[Any, Any]],
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    watched = optimizer("w")
    taken = 0
    trial.watch(watched, step=lambda: 10 * taken)
    for taken in range(1, 1101):  # noqa: B007  (the step above reads it)
        train(watched, 1)
    trial.close()
    steps, _ = traces(received(ours))
    assert steps[:3] == [10, 20, 30]
    gaps = np.diff(steps)
    assert (np.diff(gaps) >= 0).all()
    assert set(gaps.tolist()) == {10, 20, 30, 40, 50}  # at most 0.5 % of the steps taken


def test_a_step_of_numpy_is_sent_as_pythons_and_half_a_step_is_refused(
    line: tuple[PipeChannel, Connection[Any, Any]],
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    watched = optimizer("w")
    step: Any = np.int64(7)
    trial.watch(watched, step=lambda: step)
    train(watched, 1)
    step = 3.5
    with pytest.raises(TypeError, match=r"watch: the step must be an integer, got 3\.5"):
        train(watched, 1)
    step = 8
    trial.close()
    steps, _ = traces(received(ours))
    assert [type(one) for one in steps] == [int]
    assert steps == [7]


def test_layers_that_are_added_while_it_trains_come_last(
    line: tuple[PipeChannel, Connection[Any, Any]],
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    actor, critic = optimizer("actor"), optimizer("critic")
    trial.watch(actor)
    trial.watch(critic)
    train(actor, 1)
    late = torch.zeros(5, requires_grad=True)
    actor.add_param_group({"params": [("late", late)], "alpha": 3.0})
    train(actor, 1)
    critic.set_alpha(5.0)
    train(actor, 1)
    trial.close()
    messages = received(ours)
    named = [m.names for m in messages if isinstance(m, Layers)]
    assert named == [["actor"], ["actor", "critic"], ["actor", "critic", "late"]]
    rows = [row for m in messages if isinstance(m, Trace) for row in m.alpha.tolist()]
    assert rows == [[10, 10], [10, 10, 3], [10, 5, 3]]


def test_a_sample_has_the_alpha_of_its_step_whoever_comes_first(
    line: tuple[PipeChannel, Connection[Any, Any]],
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    weight = torch.zeros(100, requires_grad=True)
    weight.grad = torch.linspace(-1, 1, 100)
    watched = AlphaGrad([("w", weight)], alpha=15.0)
    trial.watch(watched)
    SaturationScheduler(watched).attach()  # its start sets α before the first step
    watched.step()
    trial.close()
    _, [[alpha]] = traces(received(ours))
    (used,) = quantile_alpha(watched.param_groups[0], Band(0.05, 0.25).middle, tau=0.5).tolist()
    assert alpha == pytest.approx(used, rel=1e-6)
    assert alpha != pytest.approx(15.0, rel=0.1)


def test_two_optimizers_share_one_trace_and_need_different_names(
    line: tuple[PipeChannel, Connection[Any, Any]],
) -> None:
    channel, ours = line
    trial = Trial(params={}, channel=channel)
    actor, critic = optimizer("actor"), optimizer("critic")
    trial.watch(actor)
    train(actor, 1)
    trial.watch(critic)
    with pytest.raises(ValueError, match=r"\['actor'\] are watched already"):
        trial.watch(optimizer("actor"))
    train(critic, 1)
    train(actor, 1)
    trial.close()
    messages = received(ours)
    layers = [message.names for message in messages if isinstance(message, Layers)]
    assert layers == [["actor"], ["actor", "critic"]]
    assert traces(messages) == ([1, 2], [[10.0], [10.0, 10.0]])


def test_a_task_runs_without_a_study() -> None:
    seen = []
    params = {"epochs": 1, "batch_size": 512, "hidden_sizes": [4]}
    trial = Trial(params=params, seed=3)
    seen.append(run_task("digits", params, seed=3))
    seen.append(run_task("digits", {}, seed=99, trial=trial))
    assert seen[0] == seen[1]
    assert 0.0 <= seen[0] <= 1.0
    assert trial.load_checkpoint() is None


def test_a_task_that_is_run_alone_checks_its_parameters() -> None:
    with pytest.raises(ValidationError, match="epochs"):
        run_task("digits", {"epochs": 0}, seed=0)
    with pytest.raises(UnknownTaskError, match="nonsense"):
        run_task("nonsense", {}, seed=0)


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "new", fence=1)
    assert store.load() is None
    state = {"w": torch.arange(3.0), "n": 2**100, "names": ["a", None], "nested": {"x": 0.5}}
    store.save({"w": torch.zeros(1)})
    store.save(state)
    loaded = store.load()
    assert loaded is not None
    assert torch.equal(loaded.pop("w"), torch.arange(3.0))
    assert loaded == {name: value for name, value in state.items() if name != "w"}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["000001.pt"]


def test_an_attempt_reads_its_own_and_earlier_checkpoints(tmp_path: Path) -> None:
    first, second, tenth = (CheckpointStore(tmp_path, fence=fence) for fence in (1, 2, 10))
    first.save({"by": 1})
    assert tenth.load() == {"by": 1}
    second.save({"by": 2})
    assert tenth.load() == {"by": 2}
    tenth.save({"by": 10})
    # One that was taken for dead saves once more: its successors are not disturbed.
    first.save({"by": 1, "late": True})
    assert tenth.load() == {"by": 10}
    assert first.load() == {"by": 1, "late": True}


def test_a_checkpoint_takes_the_place_of_those_of_earlier_attempts(tmp_path: Path) -> None:
    for name in ("000001-5.point", "000001.exploit", "000002.tmp", "note.txt"):
        (tmp_path / name).touch()
    for fence in (1, 2, 3):
        CheckpointStore(tmp_path, fence=fence).save({"by": fence})
    CheckpointStore(tmp_path, fence=2).save({"by": 2})  # it was taken for dead
    names = sorted(path.name for path in tmp_path.iterdir())
    kept = ["000001-5.point", "000001.exploit", "000002.pt", "000003.pt", "note.txt"]
    assert names == kept
    CheckpointStore(tmp_path, fence=3).save({"by": 3})
    kept.remove("000002.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_an_attempt_always_finds_a_checkpoint_while_others_take_its_place(tmp_path: Path) -> None:
    def save() -> None:
        for fence in range(2, 200):
            CheckpointStore(tmp_path, fence=fence).save({"by": fence})

    CheckpointStore(tmp_path, fence=1).save({"by": 1})
    store, seen = CheckpointStore(tmp_path, fence=1000), [1]
    with ThreadPoolExecutor(1) as pool:
        saving = pool.submit(save)
        while not saving.done():
            state = store.load()
            assert state is not None
            seen.append(state["by"])
        saving.result()
    assert seen == sorted(seen)


class Trap:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("trapped",)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = CheckpointStore(tmp_path / "checkpoints", fence=1)
    with pytest.raises(NonRetryableError, match=r"state\['trap'\] is a .*Trap; it may hold"):
        store.save({"trap": Trap()})
    torch.save({"trap": Trap()}, tmp_path / "checkpoints" / "000001.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        store.load()
    assert not (tmp_path / "trapped").exists()


def test_what_could_not_be_loaded_again_is_refused_when_it_is_saved(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, fence=1)
    layer = torch.nn.Linear(2, 2)
    good = {"model": layer.state_dict(), "sizes": layer.weight.shape, "weight": layer.weight}
    store.save(good | {"best": [1.0, None, True, "a", (2, {3: b"4"})]})
    for name, bad in {"numpy.float64": np.float64(1.0), "numpy.ndarray": np.zeros(2)}.items():
        message = rf"state\['a'\]\[1\]\['b'\] is a {name}; it may hold .*float\(\)"
        with pytest.raises(NonRetryableError, match=message):
            store.save(good | {"a": [0, {"b": bad}]})
    with pytest.raises(NonRetryableError, match=r"a key of state\['a'\] is a numpy.int64"):
        store.save({"a": {np.int64(1): 2}})
    assert [path.name for path in tmp_path.iterdir()] == ["000001.pt"]
    again = store.load()
    assert again is not None
    assert again["best"] == [1.0, None, True, "a", (2, {3: b"4"})]


def test_a_save_that_was_cut_short_leaves_the_one_before(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, fence=1)
    store.save({"step": 1})
    (tmp_path / "000002.tmp").write_bytes(b"half")
    with pytest.raises(Exception, match="pickle"):
        store.save({"step": lambda: 2})
    assert CheckpointStore(tmp_path, fence=2).load() == {"step": 1}


def test_seeds_differ_by_study_purpose_and_trial_and_stay() -> None:
    seeds = {
        derive_seed(study, purpose, number)
        for study in (0, 1)
        for purpose in ("trial", "sampler")
        for number in range(100)
    }
    assert len(seeds) == 400
    assert all(0 <= seed < 2**32 for seed in seeds)
    # Written down: another value would change the results of every study that is run again.
    assert derive_seed(1, "trial", 0) == 3_326_765_731
    assert derive_seed(1, "sampler", 19) == 1_227_393_182


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.array(2.0), torch.tensor([3.0])])
def test_a_number_completes_a_trial(value: Any) -> None:
    assert outcome(value) == Finished(state="COMPLETE", value=float(value))


@pytest.mark.parametrize("value", [math.nan, -math.inf, None, True, "1.0", b"1", [1.0], object])
def test_anything_else_fails_it(value: Any) -> None:
    finished = outcome(value)
    assert (finished.state, finished.value) == ("FAIL", None)
    assert f"returned {value!r}" in (finished.error or "")
