"""AlphaGradCallback in Lightning, in training for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SqrtDAlpha
from alphagrad.scheduler.callbacks_lightning import AlphaGradCallback
from tests.scheduler.checks import (
    assert_complete,
    assert_moved_within_bounds,
    feedback,
    read_trace,
)

pytestmark = [  # Lightning's own
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]
BATCHES = 8


class Module(LightningModule):
    """A small regression."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 16))

    def training_step(self, batch: list[Tensor], number: int) -> Tensor:
        inputs, targets = batch
        return mse_loss(self.net(inputs), targets)

    def configure_optimizers(self) -> Any:
        return AlphaGrad(self.named_parameters(), lr=1e-2)


class Two(Module):
    """Two optimizers, stepped by hand; their layers have the same names."""

    automatic_optimization = False

    def training_step(self, batch: list[Tensor], number: int) -> None:  # type: ignore[override]
        optimizers: Any = self.optimizers()
        for optimizer in optimizers if number % 2 else optimizers[:1]:
            loss = super().training_step(batch, number)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def configure_optimizers(self) -> Any:
        return [AlphaGrad(self.net[i].named_parameters(), lr=1e-2) for i in (0, 2)]


def data() -> DataLoader[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(BATCHES * 16, 16, generator=generator)
    return DataLoader(TensorDataset(inputs, inputs.sin().flip(1)), batch_size=16)


def trainer(folder: Path, *callbacks: Any, epochs: int, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        callbacks=list(callbacks),
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        **({"logger": False, "enable_checkpointing": False} | options),
    )


def every_epoch(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1)


def module(kind: type[Module] = Module) -> Module:
    torch.manual_seed(0)
    return kind()


def optimizer_of(trainer: Trainer, number: int = 0) -> AlphaGrad:
    optimizer = trainer.optimizers[number]
    assert isinstance(optimizer, AlphaGrad)
    return optimizer


def scheduler_of(callback: AlphaGradCallback, name: str = "0") -> Any:
    assert callback.schedulers is not None
    return callback.schedulers.schedulers[name]


def test_alpha_moves_and_a_checkpoint_goes_on_identically(tmp_path: Path) -> None:
    file = tmp_path / "alpha.csv"
    whole, model = AlphaGradCallback(feedback, trace=file, log_every=4), module()
    first = trainer(
        tmp_path,
        whole,
        every_epoch(tmp_path / "saved"),
        epochs=4,
        logger=CSVLogger(tmp_path),
        enable_checkpointing=True,
        log_every_n_steps=4,
    )
    first.fit(model, data())
    assert scheduler_of(whole).last_step == 4 * BATCHES
    assert_moved_within_bounds(optimizer_of(first))
    assert_complete(file, optimizer_of(first), steps=4 * BATCHES)
    (logged,) = tmp_path.glob("lightning_logs/*/metrics.csv")
    lines = logged.read_text().splitlines()
    assert "alpha/net.0.weight" in lines[0]
    assert len(lines) == 1 + 4 * BATCHES // 4

    resumed, other = AlphaGradCallback(feedback, trace=tmp_path / "again.csv"), module()
    saving = every_epoch(tmp_path / "other")
    second = trainer(tmp_path, resumed, saving, epochs=4, enable_checkpointing=True)
    second.fit(other, data(), ckpt_path=tmp_path / "saved" / "epoch=1.ckpt")
    assert scheduler_of(resumed).last_step == 4 * BATCHES
    assert optimizer_of(second).alphas() == optimizer_of(first).alphas()
    assert all(map(torch.equal, model.parameters(), other.parameters()))
    # Its trace begins with the α of the checkpoint, at the step after it.
    for layer, rows in read_trace(tmp_path / "again.csv").items():
        expected = {n: row for n, row in read_trace(file)[layer].items() if n > 2 * BATCHES}
        assert rows == expected


def test_the_quantile_start_takes_the_gradients_from_inside_the_step(tmp_path: Path) -> None:
    callback = AlphaGradCallback(trace=tmp_path / "alpha.csv")
    trained = trainer(tmp_path, callback, epochs=2)
    trained.fit(module(), data())
    assert_moved_within_bounds(optimizer_of(trained))
    trace = read_trace(tmp_path / "alpha.csv")
    # From the first step on the large layers are in the band.
    for layer in ("net.0.weight", "net.2.weight"):
        assert 0.05 <= trace[layer][1][1] <= 0.25
        assert trace[layer][1][0] != 1.5 * 384**0.5


def test_accumulated_batches_are_one_step_and_bfloat16_works(tmp_path: Path) -> None:
    callback = AlphaGradCallback(feedback)
    trained = trainer(
        tmp_path, callback, epochs=2, accumulate_grad_batches=4, precision="bf16-mixed"
    )
    trained.fit(module(), data())
    assert scheduler_of(callback).last_step == 2 * BATCHES // 4
    assert_moved_within_bounds(optimizer_of(trained))


def test_two_optimizers_stepped_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "alpha.csv"
    callback = AlphaGradCallback(feedback, trace=file)
    trained = trainer(tmp_path, callback, epochs=2)
    trained.fit(module(Two), data())
    for number, steps in enumerate((2 * BATCHES, BATCHES)):
        assert scheduler_of(callback, str(number)).last_step == steps
        assert_moved_within_bounds(optimizer_of(trained, number))
        assert_complete(file, optimizer_of(trained, number), steps=steps, prefix=f"{number}/")
    trained.save_checkpoint(tmp_path / "two.ckpt")
    again = AlphaGradCallback(feedback, trace=file)
    longer = trainer(tmp_path, again, epochs=3)
    longer.fit(module(Two), data(), ckpt_path=tmp_path / "two.ckpt")
    for number, steps in enumerate((3 * BATCHES, 3 * BATCHES // 2)):
        assert_complete(file, optimizer_of(longer, number), steps=steps, prefix=f"{number}/")


def test_another_fit_starts_anew(tmp_path: Path) -> None:
    callback = AlphaGradCallback(feedback)
    for _ in range(2):
        trained = trainer(tmp_path, callback, epochs=1)
        trained.fit(module(), data())
        assert scheduler_of(callback).last_step == BATCHES
        assert not scheduler_of(callback).attached
    trained.save_checkpoint(tmp_path / "one.ckpt")
    later = trainer(tmp_path, AlphaGradCallback(lambda o: SqrtDAlpha(o)), epochs=2)
    with pytest.raises(ValueError, match="Invalid scheduler state"):
        later.fit(module(), data(), ckpt_path=tmp_path / "one.ckpt")


def test_without_an_alphagrad_it_says_so(tmp_path: Path) -> None:
    class Other(Module):
        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters())

    with pytest.raises(TypeError, match="must have an AlphaGrad among them, got SGD"):
        trainer(tmp_path, AlphaGradCallback(), epochs=1).fit(module(Other), data())
