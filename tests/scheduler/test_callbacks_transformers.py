"""AlphaGradCallback in Hugging Face Transformers, in training for real; nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.optimizer import AcceleratedOptimizer
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SqrtDAlpha
from alphagrad.scheduler.callbacks_transformers import AlphaGradCallback
from tests.scheduler.checks import (
    assert_complete,
    assert_moved_within_bounds,
    feedback,
    read_trace,
)

STEPS = 8
# The softmax does not see a key's bias: its gradient is 0 but for what rounding makes.
STILL = (".key.bias",)
Example = dict[str, Any]


class Tokens(torch.utils.data.Dataset[Example]):
    """Random tokens, whose label is whether the first is in the upper half."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.tokens = torch.randint(0, 100, (64, 12), generator=generator)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Example:
        tokens = self.tokens[index]
        return {"input_ids": tokens, "labels": int(tokens[0] >= 50)}


def make(folder: Path, *callbacks: TrainerCallback, **options: Any) -> Trainer:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
    )
    model = BertForSequenceClassification(config)
    defaults: dict[str, Any] = {
        "max_steps": STEPS,
        "save_steps": STEPS // 2,
        "logging_steps": 2,
    }
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=8,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        seed=1,
        **(defaults | options),
    )
    return Trainer(
        model=model,
        args=arguments,
        train_dataset=Tokens(),
        callbacks=list(callbacks),
        optimizers=(AlphaGrad(model.named_parameters(), lr=1e-3), None),
    )


def optimizer_of(trainer: Trainer) -> AlphaGrad:
    assert isinstance(trainer.optimizer, AcceleratedOptimizer)
    optimizer = trainer.optimizer.optimizer
    assert isinstance(optimizer, AlphaGrad)
    return optimizer


def scheduler_of(callback: AlphaGradCallback) -> Any:
    assert callback.schedulers is not None
    return callback.schedulers.schedulers["optimizer"]


def test_alpha_moves_and_a_checkpoint_goes_on_identically(tmp_path: Path) -> None:
    file = tmp_path / "alpha.csv"
    whole = AlphaGradCallback(feedback, trace=file)
    first = make(tmp_path / "run", whole)
    first.train()
    assert scheduler_of(whole).last_step == STEPS
    assert not scheduler_of(whole).attached
    assert_moved_within_bounds(optimizer_of(first), still=STILL)
    assert_complete(file, optimizer_of(first), steps=STEPS, still=STILL)
    logs = [entry for entry in first.state.log_history if "loss" in entry]
    assert len(logs) == STEPS // 2
    for entry in logs:
        assert 0 < entry["alpha_min"] <= entry["alpha_mean"] <= entry["alpha_max"]
        assert 0 <= entry["saturation_min"] <= entry["saturation_max"] <= 1

    resumed = AlphaGradCallback(feedback, trace=tmp_path / "again.csv")
    second = make(tmp_path / "elsewhere", resumed)
    second.train(resume_from_checkpoint=str(tmp_path / "run" / f"checkpoint-{STEPS // 2}"))
    assert scheduler_of(resumed).last_step == STEPS
    assert optimizer_of(second).alphas() == optimizer_of(first).alphas()
    assert first.model is not None
    assert second.model is not None
    assert all(map(torch.equal, first.model.parameters(), second.model.parameters()))
    for layer, rows in read_trace(tmp_path / "again.csv").items():
        expected = {n: row for n, row in read_trace(file)[layer].items() if n > STEPS // 2}
        assert repr(rows) == repr(expected)  # a NaN does not equal itself


def test_accumulated_batches_are_one_step(tmp_path: Path) -> None:
    callback = AlphaGradCallback()
    trainer = make(tmp_path, callback, gradient_accumulation_steps=2, max_steps=3)
    trainer.train()
    assert scheduler_of(callback).last_step == 3
    assert_moved_within_bounds(optimizer_of(trainer), still=STILL)


def test_a_checkpoint_from_before_the_callback_starts_it(tmp_path: Path) -> None:
    make(tmp_path, max_steps=2, save_steps=2).train()
    callback = AlphaGradCallback(feedback)
    trainer = make(tmp_path, callback, max_steps=4, save_steps=2)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert scheduler_of(callback).last_step == 2
    saved = json.loads((tmp_path / "checkpoint-4" / "trainer_state.json").read_text())
    assert saved["stateful_callbacks"]["AlphaGradCallback"]["attributes"]["states"]


def test_a_second_train_goes_on(tmp_path: Path) -> None:
    callback = AlphaGradCallback(feedback)
    trainer = make(tmp_path, callback, max_steps=2)
    trainer.train()
    trainer.train()
    assert scheduler_of(callback).last_step == 4


def test_a_second_train_of_a_new_optimizer_starts_anew(tmp_path: Path) -> None:
    callback = AlphaGradCallback()
    first, second = (make(tmp_path, callback, max_steps=2, save_strategy="no") for _ in range(2))
    first.train()
    second.train()
    assert scheduler_of(callback).last_step == 2
    assert_moved_within_bounds(optimizer_of(second), still=STILL)


def test_it_says_what_it_cannot_do(tmp_path: Path) -> None:
    trainer = make(tmp_path, AlphaGradCallback(feedback), max_steps=2, save_steps=2)
    trainer.train()
    checkpoint = str(tmp_path / "checkpoint-2")
    other = make(tmp_path, AlphaGradCallback(lambda o: SqrtDAlpha(o)), max_steps=4)
    with pytest.raises(ValueError, match="Invalid scheduler state"):
        other.train(resume_from_checkpoint=checkpoint)
    other = make(tmp_path, AlphaGradCallback(), restore_callback_states_from_checkpoint=True)
    with pytest.raises(ValueError, match="leave restore_callback_states_from_checkpoint off"):
        other.train(resume_from_checkpoint=checkpoint)
    other = make(tmp_path, AlphaGradCallback())
    other.optimizer = torch.optim.SGD(other.model.parameters())  # type: ignore[union-attr]
    with pytest.raises(TypeError, match="must have an AlphaGrad among them, got SGD"):
        other.train()
