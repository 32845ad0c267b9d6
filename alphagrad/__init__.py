"""AlphaGrad: a torch optimizer with one number to choose, and a service that chooses it.

Nothing heavy is imported here: ``alphagrad.optim`` brings torch, ``alphagrad.tuner`` brings Optuna.
"""

from typing import TYPE_CHECKING

__version__: str

if not TYPE_CHECKING:  # for a type checker, a __getattr__ would mean that any name is here

    def __getattr__(name: str) -> str:
        """Look the version up when it is asked for: pyproject.toml alone says it."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("alphagrad")
