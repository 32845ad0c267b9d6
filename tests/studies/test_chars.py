import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from alphagrad.studies.character_model import CharacterModel
from alphagrad.studies.chars import load_split, next_character_loss, read_text, validate
from alphagrad.studies.chars_params import CharsParams
from alphagrad.tuner import TrialPruned
from tests.studies.interrupted import Line, assert_resumes_exactly, run

SMALL = {
    "total_steps": 11,
    "batch_size": 2,
    "context": 64,
    "width": 8,
    "layers": 1,
    "heads": 2,
    "eval_interval": 4,
}


@pytest.fixture(scope="module")
def split() -> tuple[Tensor, Tensor, str]:
    return load_split()


def small_model(**options: Any) -> CharacterModel:
    torch.manual_seed(0)
    shape = {"context": 16, "width": 12, "layers": 2, "heads": 3} | options
    return CharacterModel(20, **shape)


def nats_by_counts(training: str, validation: str, *, size: int) -> float:
    """Cross-entropy of a model of counted runs of `size` characters, each count raised by 0.1."""
    letters = len(set(training + validation))
    runs = Counter(training[i : i + size] for i in range(len(training) - size + 1))
    starts = Counter(training[i : i + size - 1] for i in range(len(training) - size + 1))
    scored = [validation[i : i + size] for i in range(len(validation) - size + 1)]
    chances = ((runs[run] + 0.1) / (starts[run[:-1]] + 0.1 * letters) for run in scored)
    return -sum(map(math.log, chances)) / len(scored)


def test_it_learns_more_than_pairs_tell(split: tuple[Tensor, Tensor, str]) -> None:
    training, validation, vocabulary = split
    known, new = ("".join(vocabulary[i] for i in part.tolist()) for part in (training, validation))
    single, pairs = nats_by_counts(known, new, size=1), nats_by_counts(known, new, size=2)
    assert single == pytest.approx(3.2, abs=0.15)
    assert pairs == pytest.approx(2.4, abs=0.15)
    line = Line()
    small = {"total_steps": 400, "context": 32, "width": 32, "layers": 1, "eval_interval": 200}
    value = run("chars", small, line)
    assert value == line.reports[400] < line.reports[200]
    assert value < pairs


@pytest.mark.parametrize(
    "params", [{"k": 1.0}, {"alpha_rule": "saturation"}, {"optimizer": "adam"}]
)
def test_a_resumed_trial_goes_on_exactly(params: dict[str, Any], tmp_path: Path) -> None:
    assert_resumes_exactly("chars", SMALL | params, stop_at=8, folder=tmp_path)


def test_the_seed_decides_and_the_end_is_reported() -> None:
    lines = [Line(), Line(), Line()]
    values = [
        run("chars", SMALL, line, seed=seed) for line, seed in zip(lines, (1, 1, 2), strict=True)
    ]
    assert values[0] == values[1] != values[2]
    assert list(lines[0].reports) == [4, 8, 11]
    assert set(lines[0].metrics) == {("losses/training", step) for step in (4, 8, 11)}
    assert lines[0].metrics == lines[1].metrics


def test_a_pruned_trial_stops_there() -> None:
    line = Line(prune_at=8)
    with pytest.raises(TrialPruned, match="step 8"):
        run("chars", SMALL, line)
    assert list(line.reports) == [4, 8]


def test_no_paragraph_is_on_both_sides(split: tuple[Tensor, Tensor, str]) -> None:
    training, validation, vocabulary = split
    text = read_text()
    paragraphs = [p for p in text.split("\n\n") if p]
    assert len(set(paragraphs)) == len(paragraphs)
    assert len(training) + len(validation) == len(text) > 300_000
    assert len(validation) == pytest.approx(len(text) / 10, abs=1)
    joined = torch.cat([training, validation]).tolist()
    assert "".join(vocabulary[i] for i in joined) == text


def test_no_character_sees_a_later_one() -> None:
    model = small_model()
    one = torch.arange(16).unsqueeze(0)
    other = one.clone()
    other[0, 10] = 19
    difference = (model(one) - model(other)).abs().amax(2)[0]
    assert not difference[:10].any()
    assert difference[10:].all()


def test_a_new_model_knows_nothing() -> None:
    # Every character as likely as any other: the loss is the logarithm of their number.
    windows = torch.randint(20, (32, 17), generator=torch.Generator().manual_seed(0))
    assert next_character_loss(small_model(), windows).item() == pytest.approx(
        math.log(20), abs=0.02
    )


def test_validation_weighs_every_window_alike() -> None:
    model = small_model()
    windows = torch.randint(20, (150, 17), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = next_character_loss(model, windows).item()
    assert validate(model, windows) == pytest.approx(expected, rel=1e-5)


def test_layers_have_names_to_read() -> None:
    names = [name for name, _ in small_model(layers=1).named_parameters()]
    assert names == [
        "embedding.weight",
        "position.weight",
        "block1.attention_norm.weight",
        "block1.attention_in.weight",
        "block1.attention_out.weight",
        "block1.hidden_norm.weight",
        "block1.hidden_in.weight",
        "block1.hidden_out.weight",
        "norm.weight",
        "logits.weight",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", 0),
        ("context", 1),
        ("context", 1025),
        ("eval_interval", 0),
        ("heads", 3),
        ("layers", 0),
        ("total_steps", 0),
        ("width", 30),
    ],
)
def test_a_bad_value_is_named(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        CharsParams.model_validate({field: value})
