"""A trial's answer to a question for histograms, with one optimizer, two, and none."""

from __future__ import annotations

import torch

from alphagrad.optim import AlphaGrad
from alphagrad.tuner.channel import NullChannel
from alphagrad.tuner.messages import FromTrial, HistogramAnswer, HistogramQuestion
from alphagrad.tuner.watch import Watcher


class Recorder(NullChannel):
    """A line whose other end is this list."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[HistogramAnswer] = []

    def send(self, message: FromTrial) -> None:
        if isinstance(message, HistogramAnswer):
            self.answers.append(message)


def optimizer(name: str) -> tuple[torch.Tensor, AlphaGrad]:
    weight = torch.zeros(1000, requires_grad=True)
    return weight, AlphaGrad([(name, weight)], alpha=1.0, tau=1.25 if name == "actor" else 2.5)


def step(weight: torch.Tensor, of: torch.optim.Optimizer) -> None:
    weight.grad = torch.ones_like(weight)
    of.step()


def test_each_optimizer_is_looked_at_before_its_own_step() -> None:
    line = Recorder()
    watcher = Watcher(line)
    critic, actor = optimizer("critic"), optimizer("actor")
    for _, one in (critic, actor):
        watcher.add(one, step=None)
    line.commands.append(HistogramQuestion(id=7, layers="*", bins=6))
    step(*critic)
    assert line.answers == []
    step(*critic)
    step(*actor)
    [answer] = line.answers
    assert (answer.id, answer.reason, answer.step) == (7, None, 2)
    assert {name: sum(counts) for name, counts in answer.counts.items()} == {
        "critic": 1000,
        "actor": 1000,
    }
    assert len(answer.edges) == 7
    assert answer.tau == {"critic": 2.5, "actor": 1.25}
    step(*critic)
    assert len(line.answers) == 1


def test_a_question_for_no_layer_is_refused() -> None:
    line = Recorder()
    watcher = Watcher(line)
    weight, one = optimizer("critic")
    watcher.add(one, step=None)
    line.commands.append(HistogramQuestion(id=1, layers="actor*", bins=6))
    step(weight, one)
    [answer] = line.answers
    assert answer.reason == "no layer matches 'actor*'; the layers are ['critic']"


def test_adam_has_none() -> None:
    line = Recorder()
    watcher = Watcher(line)
    weight = torch.zeros(3, requires_grad=True)
    adam = torch.optim.Adam([weight])
    watcher.add(adam, step=None)
    line.commands.append(HistogramQuestion(id=1, layers="*", bins=6))
    step(weight, adam)
    [answer] = line.answers
    assert answer.reason == "the trial's optimizer has no alpha"


def test_what_is_open_at_the_end_is_refused() -> None:
    line = Recorder()
    watcher = Watcher(line)
    critic, actor = optimizer("critic"), optimizer("actor")
    for _, one in (critic, actor):
        watcher.add(one, step=None)
    line.commands.append(HistogramQuestion(id=1, layers="*", bins=6))
    step(*critic)
    line.commands.append(HistogramQuestion(id=2, layers="*", bins=6))
    watcher.close()
    assert [(answer.id, answer.reason) for answer in line.answers] == [
        (1, "the trial has ended"),
        (2, "the trial has ended"),
    ]
