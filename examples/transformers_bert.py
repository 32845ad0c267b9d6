"""A small BERT in Transformers' Trainer with AlphaGrad; α is moved by the callback.

    pip install '.[integrations]'
    python examples/transformers_bert.py --steps 500

It learns whether a line of numbers begins with a large one. The model is made from a
configuration; nothing is downloaded.
"""

import argparse

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from alphagrad.optim import AlphaGrad
from alphagrad.scheduler.callbacks_transformers import AlphaGradCallback


def main() -> None:
    """Train, and say what was logged last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args().steps

    torch.manual_seed(0)
    tokens = torch.randint(0, 100, (512, 12))
    examples = [{"input_ids": row, "labels": int(row[0] >= 50)} for row in tokens]
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=100,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=16,
        )
    )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir="run",
            max_steps=steps,
            max_grad_norm=0.0,
            logging_steps=max(1, steps // 10),
            save_strategy="no",
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=examples,
        optimizers=(AlphaGrad(model.named_parameters(), lr=1e-3), None),
        callbacks=[AlphaGradCallback(trace="alpha.csv", trace_every=10)],
    )
    trainer.train()
    last = [line for line in trainer.state.log_history if "alpha_mean" in line][-1]
    print(f"loss {last['loss']:.3f}, mean α {last['alpha_mean']:.1f}")


if __name__ == "__main__":
    main()
