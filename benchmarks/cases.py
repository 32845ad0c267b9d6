"""The optimizers compared, and the bytes per parameter that each must move in a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytorch_optimizer as other
import torch

from alphagrad.optim import AlphaGrad

LR = 1e-9  # parameters are shared by all cases, and must stay what they are
INSTALL = "install it with: pip install -e '.[bench]'"


@dataclass(frozen=True)
class Case:
    """One optimizer as it is compared.

    Args:
        name: how tables and the plot call it.
        make: builds it from parameters.
        bytes: what a step must move per float32 parameter: each tensor it reads, and each it
            writes, 4 bytes, if nothing stays in the caches between two passes over a tensor.
        slow: takes one operation per tensor or temporary copies of all; ``--quick`` leaves it out
            on GPT-2.
    """

    name: str
    make: Callable[[Sequence[torch.nn.Parameter]], torch.optim.Optimizer]
    bytes: int
    slow: bool = False


def case(name: str, kind: Any, size: int, slow: bool = False, **options: Any) -> Case:
    """A case whose optimizer takes ``lr`` and these options."""
    return Case(name, partial(kind, lr=LR, **options), size, slow)


def cases() -> list[Case]:
    """Every optimizer that is compared."""
    adam, adamw, sgd = torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD
    # AlphaGrad reads g once for the norm and once for the step: g, g, θ and θ back.
    plain, heavy = 16, 24
    return [
        case("AlphaGrad fused", AlphaGrad, plain, fused=True),
        case("AlphaGrad fused, momentum", AlphaGrad, heavy, fused=True, momentum=0.9),
        case("AlphaGrad foreach", AlphaGrad, plain, slow=True, foreach=True),
        case(
            "AlphaGrad foreach, momentum", AlphaGrad, heavy, slow=True, foreach=True, momentum=0.9
        ),
        case("AlphaGrad loop", AlphaGrad, plain, slow=True, foreach=False),
        case("AlphaGrad loop, momentum", AlphaGrad, heavy, slow=True, foreach=False, momentum=0.9),
        case("Adam fused", adam, 28, fused=True),  # g, and m, v, θ there and back
        case("Adam foreach", adam, 28, slow=True, foreach=True),
        case("AdamW fused", adamw, 28, fused=True),
        case("SGD fused", sgd, 12, fused=True),  # g, and θ there and back
        case("SGD fused, momentum", sgd, 20, fused=True, momentum=0.9),
        case("Lion", other.Lion, 20, slow=True),
        case("SignSGD, momentum", other.SignSGD, 20, slow=True),
        case("Adan", other.Adan, 44, slow=True),  # g, and three averages, the last g, θ
    ]


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of the tensors an optimizer keeps, per parameter and per group."""
    kept = [value for state in optimizer.state.values() for value in state.values()]
    kept += [v for g in optimizer.param_groups for key, v in g.items() if key != "params"]
    return sum(t.numel() * t.element_size() for t in kept if isinstance(t, torch.Tensor))
