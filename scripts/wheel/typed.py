"""A user's program, for the type checker alone: strict, it must find nothing here."""

from __future__ import annotations

from typing import assert_type

import torch

import alphagrad
from alphagrad.client import ApiError, AsyncClient, Client, remote_trials
from alphagrad.optim import AlphaGrad, Layer, find_layers, sqrt_d_alpha
from alphagrad.scheduler import (
    AlphaScheduler,
    Band,
    ChainedAlpha,
    CosineAlpha,
    CsvTrace,
    LambdaAlpha,
    SaturationScheduler,
    SequentialAlpha,
    alpha_metrics,
)
from alphagrad.tuner import Trial, TrialPruned, parse_spec, run_study, run_task, task

assert_type(alphagrad.__version__, str)

model = torch.nn.Linear(20, 1)
optimizer = AlphaGrad(model.named_parameters(), lr=1e-3, momentum=0.9, k=1.5, norm="group")
assert_type(optimizer.alphas(), dict[str, float])
assert_type(optimizer.saturation(), dict[str, float])
optimizer.set_alpha(20.0, "0.*", pin=True)
optimizer.set_alpha({"weight": 3.0})
assert_type(find_layers(optimizer.param_groups), list[Layer])
plain = AlphaGrad(model.parameters(), alpha=sqrt_d_alpha(20))
grouped = AlphaGrad([{"params": model.parameters(), "alpha": 3.0}], lr=torch.tensor(1e-3))

scheduler = SaturationScheduler(optimizer, Band(0.05, 0.25), tau=2.5).attach()
assert_type(scheduler, SaturationScheduler)
scheduler.load_state_dict(scheduler.state_dict())
curve = SequentialAlpha(
    plain,
    schedulers=[
        lambda opt: CosineAlpha(opt, end_factor=0.5, period=100),
        lambda opt: LambdaAlpha(opt, alpha_lambda=lambda step: 1.0 / (1 + step)),
    ],
    milestones=[100],
)
curve.step()
ChainedAlpha([CosineAlpha(plain), SaturationScheduler(plain, (0.1, 0.3))]).step()
assert_type(alpha_metrics(optimizer), dict[str, float])
CsvTrace("trace.csv")


class Halve(AlphaScheduler):
    """A scheduler of one's own."""

    def get_alpha(self) -> list[torch.Tensor]:
        """Half of each."""
        return [alpha / 2 for alpha in self.alpha_vectors()]


Halve(grouped).attach().detach()


@task("parabola")
def parabola(trial: Trial) -> float:
    """A task of one's own."""
    weights = torch.nn.Parameter(torch.zeros(10))
    stepping = AlphaGrad([("weights", weights)], lr=trial.params["lr"])
    trial.watch(stepping)
    for step in range(10):
        loss = ((weights - 1) ** 2).mean()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]  (torch's own type)
        stepping.step()
        trial.report(loss.item(), step)
        trial.record({"loss": loss.item()}, step)
        if trial.should_prune():
            raise TrialPruned
    trial.save_checkpoint({"weights": weights.detach()})
    return float(weights.mean())


assert_type(parabola.name, str)
print(run_task("parabola", {"lr": 0.1}, seed=1))
status = run_study(
    parse_spec({"name": "s", "task": "parabola", "n_trials": 2, "params": {"lr": 0.1}})
)
if status.best is not None:
    print(status.row.state, status.best.value, status.best.params)


def steer(name: str) -> float | None:
    """The client that waits."""
    with Client("http://127.0.0.1:8000", "key", timeout=10) as client:
        study = client.submit({"name": name, "task": "parabola", "n_trials": 2})
        for trial in study.trials(state="RUNNING"):
            command = trial.set_alpha(50.0, layers="q.*", pin=True)
            assert_type(command["id"], int)
            print(trial.number, trial.params, command["state"], trial.alpha())
        try:
            best = study.wait(progress=True, timeout=60).best
        except ApiError as error:
            print(error.status, error.kind, [problem["message"] for problem in error.errors])
            return None
        return best.value if best is not None else None


async def steer_async(name: str) -> str:
    """The client to be awaited."""
    async with AsyncClient() as client:
        study = await client.study(name)
        async for trial in study.trials():
            await trial.set_alpha(3.0)
        return (await study.stop()).name


def train_elsewhere(name: str) -> None:
    """Trials of a study of the engine ``remote``."""
    for trial in remote_trials("http://127.0.0.1:8000", "key", study=name):
        with trial:
            trial.tell(0.5)
