"""AlphaGradCallback in Stable-Baselines3, in training for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from stable_baselines3 import DQN, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.logger import Logger, configure

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import SaturationScheduler, SqrtDAlpha
from alphagrad.scheduler.callbacks_sb3 import SAVED_AS, AlphaGradCallback, find_optimizers
from tests.scheduler.checks import (
    assert_complete,
    assert_moved_within_bounds,
    feedback,
    read_trace,
)

POLICY = {"optimizer_class": AlphaGrad, "net_arch": [32, 32]}


def quiet(model: BaseAlgorithm) -> None:
    """Let it log to nowhere; its own logger would write files elsewhere."""
    model.set_logger(Logger(folder=None, output_formats=[]))


def make_ppo() -> PPO:
    model = PPO(
        "MlpPolicy",
        "CartPole-v1",
        n_steps=128,
        n_epochs=4,
        seed=3,
        device="cpu",
        policy_kwargs=dict(POLICY),
    )
    quiet(model)
    return model


def make_td3() -> TD3:
    model = TD3(
        "MlpPolicy",
        "Pendulum-v1",
        buffer_size=2000,
        learning_starts=100,
        batch_size=32,
        seed=3,
        device="cpu",
        policy_kwargs=dict(POLICY),
    )
    quiet(model)
    return model


def only(model: BaseAlgorithm) -> AlphaGrad:
    (optimizer,) = alpha_grads(model).values()
    return optimizer


def alpha_grads(model: BaseAlgorithm) -> dict[str, AlphaGrad]:
    return {name: o for name, o in find_optimizers(model) if isinstance(o, AlphaGrad)}


def scheduler_of(callback: AlphaGradCallback, name: str = "policy.optimizer") -> Any:
    assert callback.schedulers is not None
    return callback.schedulers.schedulers[name]


def go_on(model: Any, callback: BaseCallback, steps: int) -> list[torch.Tensor]:
    """Train on from a new start of the environment, with the random numbers of one seed."""
    model.set_env(model.get_env(), force_reset=True)
    model.set_random_seed(11)
    model.learn(steps, callback=callback, reset_num_timesteps=False)
    return [p.detach().clone() for p in model.policy.parameters()]


def test_ppo_moves_alpha_and_a_loaded_model_goes_on_identically(tmp_path: Path) -> None:
    model = make_ppo()
    model.set_logger(configure(str(tmp_path / "log"), ["csv"]))
    file = tmp_path / "alpha.csv"
    callback = AlphaGradCallback(feedback, trace=file, log_every=1)
    model.learn(128 * 4, callback=callback)
    optimizer = only(model)
    steps = 4 * 4 * 2  # rollouts, epochs, batches of 64
    assert scheduler_of(callback).last_step == steps
    assert_moved_within_bounds(optimizer)
    assert "mlp_extractor.policy_net.0.weight" in optimizer.layer_names()
    assert_complete(file, optimizer, steps=steps)
    logged = (tmp_path / "log" / "progress.csv").read_text().splitlines()
    assert "alpha/mean" in logged[0]
    assert "saturation/action_net.weight" in logged[0]
    assert "nan" not in "".join(logged)
    model.logger.close()

    model.save(tmp_path / "model")
    quiet(model)
    resumed = PPO.load(tmp_path / "model", env=model.get_env(), device="cpu")
    quiet(resumed)
    assert only(resumed).alphas() == optimizer.alphas()
    assert only(resumed).saturation() == optimizer.saturation()
    again = AlphaGradCallback(feedback, trace=tmp_path / "again.csv")
    one = go_on(model, callback, 256)
    other = go_on(resumed, again, 256)
    assert scheduler_of(callback).last_step == scheduler_of(again).last_step == steps * 3 // 2
    assert only(resumed).alphas() == optimizer.alphas()
    assert all(map(torch.equal, one, other))
    # The trace of the first model goes on in its file, that of the other in one of its own.
    assert_complete(file, optimizer, steps=steps * 3 // 2)
    rows = read_trace(tmp_path / "again.csv")["action_net.weight"]
    assert rows == {
        step: row for step, row in read_trace(file)["action_net.weight"].items() if step > steps
    }


def test_what_a_library_checkpoint_saves_in_mid_run_is_current(tmp_path: Path) -> None:
    model = make_ppo()
    callback = AlphaGradCallback(feedback)
    saving = CheckpointCallback(save_freq=150, save_path=str(tmp_path))
    model.learn(128 * 4, callback=[callback, saving])
    resumed = PPO.load(tmp_path / "rl_model_150_steps", env=model.get_env(), device="cpu")
    quiet(resumed)
    alphas = only(resumed).alphas()
    assert alphas != only(model).alphas()
    again = AlphaGradCallback(feedback, log_every=0)
    seen: dict[str, float] = {}

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            seen.update(only(self.model).alphas())
            return False  # before the first update

    resumed.learn(128, callback=[again, Look()], reset_num_timesteps=False)
    assert seen == alphas
    assert scheduler_of(again).last_step == 4 * 2  # one rollout was over at 150


def test_td3_has_two_optimizers(tmp_path: Path) -> None:
    model = make_td3()
    file = tmp_path / "alpha.csv"
    callback = AlphaGradCallback(feedback, trace=file, log_every=10)
    model.learn(220, callback=callback)
    optimizers = alpha_grads(model)
    assert list(optimizers) == ["actor.optimizer", "critic.optimizer"]
    steps = {name: scheduler_of(callback, name).last_step for name in optimizers}
    assert steps["critic.optimizer"] > steps["actor.optimizer"] > 30
    for name, optimizer in optimizers.items():
        assert_moved_within_bounds(optimizer)
        assert_complete(file, optimizer, steps=steps[name])
    assert "actor.mu.0.weight" in read_trace(file)

    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "replay")
    resumed = TD3.load(tmp_path / "model", env=model.get_env(), device="cpu")
    resumed.load_replay_buffer(tmp_path / "replay")
    quiet(resumed)
    loaded = alpha_grads(resumed)
    for name, optimizer in optimizers.items():
        assert loaded[name].alphas() == optimizer.alphas()
    again = AlphaGradCallback(feedback)
    one, other = go_on(model, callback, 40), go_on(resumed, again, 40)
    assert all(map(torch.equal, one, other))
    for name, optimizer in optimizers.items():
        assert loaded[name].alphas() == optimizer.alphas()
        assert scheduler_of(again, name).last_step == scheduler_of(callback, name).last_step
        assert scheduler_of(again, name).last_step > steps[name]


@pytest.mark.parametrize("algorithm", [SAC, DQN])
def test_other_algorithms_and_schedulers(algorithm: Any, tmp_path: Path) -> None:
    model = algorithm(
        "MlpPolicy",
        "Pendulum-v1" if algorithm is SAC else "CartPole-v1",
        learning_starts=50,
        seed=3,
        buffer_size=1000,
        device="cpu",
        policy_kwargs=dict(POLICY),
    )
    quiet(model)
    callback = AlphaGradCallback(lambda o: SqrtDAlpha(o, k=0.7))
    model.learn(100, callback=callback)
    for optimizer in alpha_grads(model).values():
        assert_moved_within_bounds(optimizer)
        assert optimizer.stepped
    # SAC's entropy coefficient has torch's Adam: it is let be.
    assert len(alpha_grads(model)) == (2 if algorithm is SAC else 1)


def test_schedulers_let_go_when_training_ends_or_breaks_off(tmp_path: Path) -> None:
    model = make_ppo()
    first = AlphaGradCallback()

    class Interrupt(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps > 300:
                raise KeyboardInterrupt
            return True

    with pytest.raises(KeyboardInterrupt):
        model.learn(1000, callback=[first, Interrupt()])
    taken = scheduler_of(first).last_step
    assert taken > 0
    second = AlphaGradCallback()
    model.learn(128, callback=second, reset_num_timesteps=False)
    assert scheduler_of(first).last_step == taken
    assert scheduler_of(second).last_step == taken + 8
    assert not scheduler_of(second).attached


def test_without_an_alphagrad_or_with_another_scheduler_it_says_so(tmp_path: Path) -> None:
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=64, device="cpu")
    with pytest.raises(TypeError, match="must have an AlphaGrad among them, got Adam"):
        model.learn(64, callback=AlphaGradCallback())
    model = make_ppo()
    model.learn(128, callback=AlphaGradCallback())
    assert SAVED_AS in vars(model)
    with pytest.raises(ValueError, match="Invalid scheduler state"):
        model.learn(128, callback=AlphaGradCallback(lambda o: SqrtDAlpha(o)))
    assert isinstance(SaturationScheduler(only(model)), SaturationScheduler)
