"""PPO of Stable-Baselines3 on CartPole with AlphaGrad; α is moved by the callback.

    pip install '.[integrations]'
    python examples/sb3_ppo.py --steps 50000

What the callback did is in alpha.csv: `alphagrad plot alpha.csv` draws it.
"""

import argparse

from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.callbacks_sb3 import AlphaGradCallback


def main() -> None:
    """Train, evaluate, go on from the saved model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=50_000)
    steps = parser.parse_args().steps

    # The optimizer is chosen by the policy's keyword arguments; α needs none of its own.
    policy = {"optimizer_class": AlphaGrad, "optimizer_kwargs": {"eps": 1e-5}}
    model = PPO(
        "MlpPolicy",
        "CartPole-v1",
        n_steps=256,
        max_grad_norm=float("inf"),  # clipped gradients may be below ε
        policy_kwargs=policy,
        seed=1,
        device="cpu",
    )
    model.learn(steps, callback=AlphaGradCallback(trace="alpha.csv", trace_every=10))
    mean, deviation = evaluate_policy(model, model.get_env(), n_eval_episodes=10)
    print(f"return {mean:.0f} ± {deviation:.0f} after {model.num_timesteps} steps")

    # α and the scheduler's state are in the saved model.
    model.save("cartpole")
    again = PPO.load("cartpole", env=model.get_env(), device="cpu")
    same = again.policy.optimizer.alphas() == model.policy.optimizer.alphas()
    print(f"the same α after loading: {same}")


if __name__ == "__main__":
    main()
