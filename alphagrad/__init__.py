"""AlphaGrad: a torch optimizer with one number to choose, and a service that chooses it.

Nothing heavy is imported here: ``alphagrad.optim`` brings torch, ``alphagrad.tuner`` brings Optuna.
"""

__version__ = "0.1.0"
