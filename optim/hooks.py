"""Hooks on an optimizer's step, by their order."""

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle


def register_first_step_post_hook(
    optimizer: Optimizer, hook: Callable[[Optimizer, Any, Any], None]
) -> RemovableHandle:
    """Call a hook after each step, before all that are registered: before schedulers move α on.

    Args:
        optimizer: whose steps.
        hook: takes the optimizer, and the step's positional and named arguments.

    Example:
        >>> import torch
        >>> optimizer, called = torch.optim.SGD([torch.zeros(1)]), []
        >>> handle = optimizer.register_step_post_hook(lambda *args: called.append("then"))
        >>> handle = register_first_step_post_hook(optimizer, lambda *args: called.append("first"))
        >>> optimizer.step()
        >>> called
        ['first', 'then']
    """
    handle = optimizer.register_step_post_hook(hook)
    hooks: Any = handle.hooks_dict_ref()
    hooks.move_to_end(handle.id, last=False)
    return handle
