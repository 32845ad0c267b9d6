"""A small GPT on the characters of Python's help topics, in plain torch, with AlphaGrad.

    python examples/chars.py --steps 1000

The text comes with Python; nothing is downloaded. α is never chosen: SaturationScheduler sets it
before the first step and holds every layer where 5 to 25 % of its gradient saturate. What it did
is in alpha.csv: `alphagrad plot alpha.csv` draws it.
"""

import argparse
from pydoc_data.topics import topics

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler import AlphaTraceWriter, SaturationScheduler, alpha_summary

CONTEXT, WIDTH, HEADS, BLOCKS = 32, 64, 4, 2


class Block(nn.Module):
    """Causal attention, then a perceptron, each beside a residual path."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, time, WIDTH) to the same shape."""
        q, k, v = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for part in self.qkv(self.norm_1(x)).chunk(3, dim=-1)
        )
        heads = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(heads.transpose(1, 2).flatten(-2))
        return x + self.mlp(self.norm_2(x))


class GPT(nn.Module):
    """Logits of the next character at each place."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (batch, time) of characters to (batch, time, vocabulary) of logits."""
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1]))
        logits: Tensor = self.head(self.norm(self.blocks(x)))
        return logits


def main() -> None:
    """Train, and write a little."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    options = parser.parse_args()

    torch.manual_seed(0)
    text = "\n\n".join(topics[name] for name in sorted(topics))
    letters = sorted(set(text))
    index = {letter: place for place, letter in enumerate(letters)}
    data = torch.tensor([index[letter] for letter in text])
    split = len(data) * 9 // 10
    training = data[:split].unfold(0, CONTEXT + 1, 1)  # a window starts at each character
    validation = data[split:].unfold(0, CONTEXT + 1, CONTEXT)[:256]

    model = GPT(len(letters))
    optimizer = AlphaGrad(model.named_parameters(), lr=options.learning_rate)
    SaturationScheduler(optimizer).attach()
    AlphaTraceWriter(optimizer, "alpha.csv", every=10).attach()

    for step in range(1, options.steps + 1):
        windows = training[torch.randint(len(training), (32,))]
        loss = cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % max(1, options.steps // 10) == 0:
            with torch.no_grad():
                logits = model(validation[:, :-1]).flatten(0, 1)
                nats = cross_entropy(logits, validation[:, 1:].flatten()).item()
            mean = alpha_summary([optimizer])["saturation_mean"]
            print(f"step {step}: {nats:.3f} nats per character, saturation {mean:.2f}")

    written = data[:1].unsqueeze(0)
    with torch.no_grad():
        for _ in range(100):
            chances = model(written[:, -CONTEXT:])[:, -1].softmax(-1)
            written = torch.cat([written, chances.multinomial(1)], dim=1)
    print("".join(letters[place] for place in written[0]))


if __name__ == "__main__":
    main()
