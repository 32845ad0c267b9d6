"""A classifier of handwritten digits in Lightning with AlphaGrad; α is moved by the callback.

    pip install '.[integrations]'
    python examples/lightning_digits.py --epochs 10

The digits come with scikit-learn; nothing is downloaded.
"""

import argparse

import lightning.pytorch as pl
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.callbacks_lightning import AlphaGradCallback


class Digits(pl.LightningModule):
    """A multilayer perceptron on 8 × 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Give the loss of a batch."""
        images, labels = batch
        return cross_entropy(self.net(images), labels)

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Log the accuracy of a batch."""
        images, labels = batch
        self.log("accuracy", (self.net(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> AlphaGrad:
        """Give the optimizer; named parameters give the layers of the trace their names."""
        return AlphaGrad(self.named_parameters(), lr=3e-3)


def main() -> None:
    """Train and validate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    epochs = parser.parse_args().epochs

    pl.seed_everything(1, verbose=False)
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    training, validation = random_split(
        TensorDataset(images, torch.tensor(digits.target)), [0.8, 0.2]
    )
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        enable_progress_bar=False,
        logger=pl.loggers.CSVLogger("."),  # α and saturation are logged beside the rest
        callbacks=[AlphaGradCallback(trace="alpha.csv", trace_every=10, log_every=10)],
        log_every_n_steps=10,
    )
    trainer.fit(
        Digits(),
        DataLoader(training, batch_size=32, shuffle=True),
        DataLoader(validation, batch_size=360),
    )
    print(f"accuracy {trainer.callback_metrics['accuracy']:.3f}")


if __name__ == "__main__":
    main()
