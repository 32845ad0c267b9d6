"""The knob: reading and changing α, per layer, while training runs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from alphagrad.optim.layers import Layer, find_layers, match_layers
from alphagrad.optim.options import KNOBS
from alphagrad.optim.packed import SKIP_REASONS, group_device, is_packed, knob_vector, pack_group


class Knob:
    """What an optimizer can be asked and told about its layers, by name.

    A layer is one tensor, or one group when ``norm="group"``. Dicts are keyed by layer name, in the
    order of groups and tensors. A method that gives Python numbers waits for the device once per
    group; a method that writes never waits. Not safe to call from another thread during a step.

    Attributes:
        param_groups: the groups that hold the packed vectors.
    """

    param_groups: list[dict[str, Any]]

    def layer_names(self) -> list[str]:
        """Give the names of the layers."""
        return [layer.name for layer in find_layers(self.param_groups)]

    def alphas(self) -> dict[str, float]:
        """Give α per layer."""
        return self._values("alpha")

    def betas(self) -> dict[str, float]:
        """Give β per layer."""
        return self._values("beta")

    def mixes(self) -> dict[str, float]:
        """Give λ per layer."""
        return self._values("mix")

    def saturation(self) -> dict[str, float]:
        """Give per layer the fraction of non-zero gradient entries with |α·g̃| > τ, in [0, 1].

        Measured in the last step; NaN where that step skipped the layer or its gradient's norm was
        below ε, and before the first step.
        """
        return self._by_name([group["saturation"].tolist() for group in self.param_groups])

    def pinned(self) -> dict[str, bool]:
        """Give per layer whether schedulers leave its α alone."""
        return self._by_name([group["pinned"].tolist() for group in self.param_groups])

    def skipped(self) -> dict[str, dict[str, int]]:
        """Give per layer how many gradients were ``zero``, ``non_finite`` and ``missing``."""
        columns = [group["skipped"].t().tolist() for group in self.param_groups]
        named: dict[str, list[int]] = self._by_name(columns)
        return {
            name: dict(zip(SKIP_REASONS, counts, strict=True)) for name, counts in named.items()
        }

    def packed(self) -> tuple[Tensor, Tensor]:
        """Give α and saturation of all layers without waiting for the device.

        Returns:
            Two new float32 vectors of shape (layers,), in the order of :meth:`layer_names`, on the
            device of the first group.

        Example:
            >>> from alphagrad.optim import AlphaGrad
            >>> optimizer = AlphaGrad([torch.zeros(4), torch.zeros(9)], alpha=2.0)
            >>> optimizer.packed()
            (tensor([2., 2.]), tensor([nan, nan]))
        """
        return self.packed_alpha(), self.packed_saturation()

    def packed_alpha(self) -> Tensor:
        """Give α of all layers; see :meth:`packed`."""
        return self._packed("alpha")

    def packed_saturation(self) -> Tensor:
        """Give the saturation of all layers; see :meth:`packed`."""
        return self._packed("saturation")

    def _packed(self, name: str) -> Tensor:
        device = group_device(self.param_groups[0])
        values = []
        for group in self.param_groups:
            if not is_packed(group, group_device(group)):
                pack_group(group)
            # A group with one norm is one layer: its entries are equal.
            n = len(group["params"])
            n = min(n, 1) if group["norm"] == "group" else n
            value = group[name]
            if not isinstance(value, Tensor):
                value = torch.full((n,), value, dtype=torch.float32, device=device)
            elif len(value) != n:
                value = value[:n]
            if value.device != device:  # a copy to the host is read at once
                value = value.to(device, non_blocking=device.type != "cpu")
            values.append(value)
        return values[0].clone() if len(values) == 1 else torch.cat(values)

    def set_alpha(
        self, value: float | Mapping[str, float], layers: str = "*", *, pin: bool | None = None
    ) -> list[str]:
        """Change α from the next step on.

        A group whose α is a float keeps a float when all its layers get one value.

        Args:
            value: the new α, or one α per layer name; a layer the mapping does not name is left as
                it is.
            layers: glob of the layers to change, by :func:`fnmatch.fnmatchcase` (default: all).
            pin: True pins the changed layers, so that schedulers leave them alone; False releases
                them; None changes nothing in this (default: None).

        Returns:
            The names of the changed layers.

        Raises:
            ValueError: a value is not a number, finite and > 0; no layer matches ``layers``; or the
                mapping names a layer that is not among those. Nothing is changed then.

        Example:
            >>> from alphagrad.optim import AlphaGrad
            >>> optimizer = AlphaGrad(torch.nn.Linear(3, 2).named_parameters(), alpha=10.0)
            >>> optimizer.set_alpha({"bias": 5}, pin=True)
            ['bias']
            >>> optimizer.alphas(), optimizer.pinned()
            ({'weight': 10.0, 'bias': 5.0}, {'weight': False, 'bias': True})
        """
        return self._set("alpha", value, layers, pin)

    def set_beta(
        self, value: float | Mapping[str, float], layers: str = "*", *, pin: bool | None = None
    ) -> list[str]:
        """Change β from the next step on: :meth:`set_alpha` for β."""
        return self._set("beta", value, layers, pin)

    def set_mix(
        self, value: float | Mapping[str, float], layers: str = "*", *, pin: bool | None = None
    ) -> list[str]:
        """Change λ, in [0, 1], from the next step on: :meth:`set_alpha` for λ."""
        return self._set("mix", value, layers, pin)

    @torch.no_grad()
    def pin(self, layers: str = "*", *, pin: bool = True) -> list[str]:
        """Tell schedulers to leave these layers' α alone, or to take them up again.

        Args:
            layers: glob of the layers (default: all).
            pin: False releases instead (default: True).

        Returns:
            The names of the layers that match, changed or not.

        Raises:
            ValueError: no layer matches ``layers``.
        """
        chosen = match_layers(find_layers(self.param_groups), layers)
        self._pin(chosen, pin)
        return [layer.name for layer in chosen]

    def release(self, layers: str = "*") -> list[str]:
        """Let schedulers change these layers again: :meth:`pin` with ``pin=False``."""
        return self.pin(layers, pin=False)

    @torch.no_grad()
    def _set(
        self, knob: str, value: float | Mapping[str, float], layers: str, pin: bool | None
    ) -> list[str]:
        check = KNOBS[knob]
        chosen = match_layers(find_layers(self.param_groups), layers)
        if isinstance(value, Mapping):
            values = {name: check(v, f"{knob} for {name!r}") for name, v in value.items()}
            known = [layer.name for layer in chosen]
            for name in values:
                if name not in known:
                    raise ValueError(f"Unknown layer {name!r}, known layers: {', '.join(known)}")
            chosen = [layer for layer in chosen if layer.name in values]
        else:
            values = dict.fromkeys((layer.name for layer in chosen), check(value, knob))
        for g, group in enumerate(self.param_groups):
            mine = [layer for layer in chosen if layer.group == g]
            size = sum(layer.index.stop - layer.index.start for layer in mine)
            if not mine:
                continue
            same = len({values[layer.name] for layer in mine}) == 1
            if same and size == len(group["params"]) and not isinstance(group[knob], Tensor):
                group[knob] = values[mine[0].name]
                continue
            vector = knob_vector(group, knob)
            for layer in mine:
                # fill_ takes the number along with the kernel; an indexed assignment may copy it.
                vector[layer.index].fill_(values[layer.name])
        if pin is not None:
            self._pin(chosen, pin)
        return [layer.name for layer in chosen]

    def _pin(self, layers: list[Layer], pin: bool) -> None:
        for layer in layers:
            group = self.param_groups[layer.group]
            pack_group(group)
            group["pinned"][layer.index].fill_(pin)

    def _values(self, knob: str) -> dict[str, float]:
        columns = []
        for group in self.param_groups:
            pack_group(group)
            value, n = group[knob], len(group["params"])
            columns.append(value.tolist() if isinstance(value, Tensor) else [value] * n)
        return self._by_name(columns)

    def _by_name(self, columns: list[list[Any]]) -> dict[str, Any]:
        return {la.name: columns[la.group][la.index.start] for la in find_layers(self.param_groups)}
