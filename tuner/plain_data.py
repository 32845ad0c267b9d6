"""What a checkpoint may hold: what torch reads back without running code of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alphagrad.tuner.errors import NonRetryableError

_LEAVES = (bool, int, float, complex, str, bytes, type(None))


def check_readable(state: Mapping[str, Any], file: Path) -> None:
    """Check that a state that was just saved can be loaded with ``weights_only=True``.

    Args:
        state: what was saved.
        file: where.

    Raises:
        NonRetryableError: something in it cannot; the message says where and what it is.
    """
    import torch

    odd = list(_odd(state, "", leaves={*_LEAVES, torch.Tensor}))
    if not odd or not torch.serialization.get_unsafe_globals_in_checkpoint(file):
        return
    place, value = next(
        (one for one in odd if type(one[1]).__module__.partition(".")[0] != "torch"), odd[0]
    )
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise NonRetryableError(
        f"the checkpoint could not be loaded again: {place} is a {kind}; it may hold tensors, "
        "numbers, strings, and dicts and lists of them (float() of a numpy number, torch.as_tensor "
        "of an array)"
    )


def _odd(value: Any, place: str, *, leaves: set[type]) -> Iterator[tuple[str, Any]]:
    """What is of none of the types, with its place."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if type(key) not in leaves:
                yield f"a key of state{place}", key
            yield from _odd(inner, f"{place}[{key!r}]", leaves=leaves)
    elif type(value) in (list, tuple, set):
        for number, inner in enumerate(value):
            yield from _odd(inner, f"{place}[{number}]", leaves=leaves)
    elif type(value) not in leaves:
        yield f"state{place}", value
