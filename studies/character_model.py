"""A small causal transformer over characters, in GPT-2's pre-norm arrangement without biases."""

import math

from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Causal self-attention, then a perceptron, each added to its normalised input's source.

    Args:
        width: size of the input and of the output; a multiple of `heads`.
        heads: attentions side by side, each of width/heads.
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.attention_in = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.hidden_norm = nn.LayerNorm(width, bias=False)
        self.hidden_in = nn.Linear(width, 4 * width, bias=False)
        self.hidden_out = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (batch, time, width) to the same shape; no time sees a later one."""
        batch, time, width = x.shape
        projected = self.attention_in(self.attention_norm(x))
        # (batch, time, 3·width) to three of (batch, heads, time, width/heads)
        query, key, value = projected.view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attention_out(seen.transpose(1, 2).reshape(batch, time, width))
        hidden = functional.gelu(self.hidden_in(self.hidden_norm(x)))
        added: Tensor = self.hidden_out(hidden)
        return x + added


class CharacterModel(nn.Module):
    """Logits of the next character at each place of a text.

    Weights are drawn from torch's global generator as GPT-2 does: deviation 0.02, divided by
    √(2·layers) where a block adds to its input.

    Args:
        vocabulary: count of different characters.
        context: the longest text.
        width: numbers that stand for one character; a multiple of `heads`.
        layers: blocks.
        heads: attentions in each block.

    Example:
        >>> import torch
        >>> model = CharacterModel(100, context=64, width=32, layers=2, heads=4)
        >>> model(torch.zeros(8, 64, dtype=torch.int64)).shape
        torch.Size([8, 64, 100])
    """

    def __init__(
        self, vocabulary: int, *, context: int, width: int, layers: int, heads: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = [f"block{number}" for number in range(1, layers + 1)]
        for name in self.blocks:
            self.add_module(name, Block(width, heads=heads))
        self.norm = nn.LayerNorm(width, bias=False)
        self.logits = nn.Linear(width, vocabulary, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                adds = name.endswith(("attention_out.weight", "hidden_out.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers) if adds else 0.02)

    def forward(self, characters: Tensor) -> Tensor:
        """Maps (batch, time) of int64 to logits (batch, time, vocabulary)."""
        x = self.embedding(characters) + self.position.weight[: characters.shape[1]]
        for name in self.blocks:
            x = self.get_submodule(name)(x)
        logits: Tensor = self.logits(self.norm(x))
        return logits
