"""Multilayer perceptrons in numpy: forward, and backward into the gradients of torch parameters.

For networks this small torch's dispatch costs more than the arithmetic. Only the network is
computed here: the real torch optimizer steps the parameters.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from alphagrad.studies import activations
from alphagrad.studies.flat_parameters import Array, FlatParameters

Shapes = dict[str, tuple[int, ...]]


def mlp_shapes(name: str, sizes: Sequence[int]) -> Shapes:
    """Gives the shapes of a perceptron's parameters by name, laid out as in `torch.nn.Linear`.

    Args:
        name: the network's name, put before each parameter's.
        sizes: numbers of inputs, of units in each hidden layer, and of outputs.

    Example:
        >>> list(mlp_shapes("actor", (17, 64, 6)))
        ['actor.hidden1.weight', 'actor.hidden1.bias', 'actor.output.weight', 'actor.output.bias']
    """
    shapes: Shapes = {}
    last = len(sizes) - 1
    for number, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        layer = f"{name}.output" if number == last else f"{name}.hidden{number}"
        shapes |= {f"{layer}.weight": (fan_out, fan_in), f"{layer}.bias": (fan_out,)}
    return shapes


class MLP:
    """A perceptron for each agent, with tanh or ReLU after each hidden layer.

    Args:
        flat: where its parameters are, named as `mlp_shapes` says.
        name: the network's name.
        activation: what follows each hidden layer.
        agent: the only agent to compute; None means all.

    Example:
        >>> flat = FlatParameters(mlp_shapes("q", (4, 8, 2)), agents=3)
        >>> q = MLP(flat, "q", activation="relu")
        >>> values = q.forward(np.ones((3, 32, 4), np.float32))
        >>> values.shape, q.backward(np.ones_like(values))
        ((3, 32, 2), None)
        >>> flat.grad("q.output.bias").tolist()
        [[32.0, 32.0], [32.0, 32.0], [32.0, 32.0]]
    """

    def __init__(
        self,
        flat: FlatParameters,
        name: str,
        *,
        activation: Literal["tanh", "relu"],
        agent: int | None = None,
    ) -> None:
        agents = slice(None) if agent is None else slice(agent, agent + 1)
        weights = [n for n in flat.shapes if n.startswith(f"{name}.") and n.endswith(".weight")]
        biases = [n.removesuffix("weight") + "bias" for n in weights]
        self._weights = [flat.array(n)[agents] for n in weights]
        self._transposed = [weight.swapaxes(1, 2) for weight in self._weights]
        # A row, to be added to each input's outputs.
        self._biases = [flat.array(n)[agents, None] for n in biases]
        self._weight_grads = [flat.grad(n)[agents] for n in weights]
        self._bias_grads = [flat.grad(n)[agents] for n in biases]
        self._activation = activations.activation(activation)
        self._last = len(weights) - 1
        self._inputs: list[Array] = []
        if len(self._biases[0]) == 1:
            self._one = [(w[0], b[0, 0]) for w, b in zip(self._weights, self._biases, strict=True)]

    def __call__(self, x: Array) -> Array:
        """Gives the outputs without keeping what `backward` needs; otherwise as `forward`."""
        if x.shape[:-1] == (1, 1):
            return self.one(x[0, 0])[None, None]
        return self._compute(x, inputs=[])

    def one(self, x: Array) -> Array:
        """Gives the only agent's outputs for one input, in half the time of a batch of one.

        Args:
            x: shape (inputs,).

        Returns:
            Shape (outputs,).
        """
        for weight, bias in self._one[:-1]:
            x = weight.dot(x)
            self._activation.apply(x, bias)
        weight, bias = self._one[-1]
        x = weight.dot(x)
        x += bias
        return x

    def forward(self, x: Array) -> Array:
        """Gives the outputs, and keeps each layer's input for `backward`.

        Args:
            x: shape (agents, batch, inputs), or (batch, inputs) for all agents alike.

        Returns:
            Shape (agents, batch, outputs).
        """
        self._inputs = [x]
        return self._compute(x, inputs=self._inputs)

    def _compute(self, x: Array, *, inputs: list[Array]) -> Array:
        """Gives the outputs, and adds the input of each layer but the first to `inputs`."""
        for layer, (weight, bias) in enumerate(zip(self._transposed, self._biases, strict=True)):
            x = np.matmul(x, weight)
            if layer == self._last:
                x += bias
            else:
                self._activation.apply(x, bias)
                inputs.append(x)
        return x

    def backward(
        self, grad: Array, *, to_parameters: bool = True, to_input: bool = False
    ) -> Array | None:
        """Carries a loss's gradient back from the outputs of the latest `forward`.

        Args:
            grad: the gradient with respect to the outputs, (agents, batch, outputs); it is kept.
            to_parameters: write the gradients of the parameters over what was there.
            to_input: return the gradient with respect to the input.

        Returns:
            Shape (agents, batch, inputs), or None.
        """
        for layer in range(self._last, -1, -1):
            x = self._inputs[layer]
            if to_parameters:
                np.matmul(grad.swapaxes(1, 2), x, out=self._weight_grads[layer])
                np.add.reduce(grad, axis=1, out=self._bias_grads[layer])
            if layer == 0 and not to_input:
                return None
            weight = self._weights[layer]
            # A single output: a gemm over one product each is five times as slow as multiplying.
            grad = grad * weight if grad.shape[2] == 1 else np.matmul(grad, weight)
            if layer:
                self._activation.slope(grad, x)
        return grad
