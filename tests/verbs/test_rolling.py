"""Likelihood of packed text by rolling windows: every symbol once, after its context, in one pass where it can be."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import makar
from makar.core.model import HasLogProb, LogProb, Model, ScoresSymbols
from makar.core.noise import Noise
from makar.data import Split
from makar.verbs.score import held_out, rolling_log_prob
from makar.verbs.train import fit
from makar.verbs.trained import Trained


class Whole(HasLogProb):
    """A model that says how likely a row is and not its symbols; counts what it was shown."""

    def __init__(self, model: Any) -> None:
        self.model, self.space, self.read = model, model.space, 0

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        self.read += x.numel()
        found: LogProb = self.model.log_prob(x, noise, condition)
        return found


class BySymbol(Whole, ScoresSymbols):
    """One that says both."""

    def symbol_nats(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        self.read += x.numel()
        found: Tensor = self.model.symbol_nats(x, condition)
        return found


@pytest.fixture(scope="module")
def bigram(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Any]:
    chance = random.Random(5)
    words = ["".join(chance.choice("abcdefgh") for _ in range(chance.randint(2, 7))) for _ in range(60)]
    lines = [" ".join(chance.choice(words) for _ in range(90)) for _ in range(60)]
    path = tmp_path_factory.mktemp("text") / "made.txt"
    path.write_text("\n".join(lines))
    data = makar.data(f"text:{path}", by="lines", licence="CC0-1.0")
    settings = {"order": 2}
    return fit("ngram", data, "2s", settings=settings, codec="symbols", codec_settings={"length": 64}), data


@pytest.mark.parametrize("kind", [Whole, BySymbol])
@pytest.mark.parametrize("symbols", [65, 96, 97, 640, 1000])
def test_every_symbol_is_scored_once_and_after_its_context(
    bigram: tuple[Trained, Any], kind: type[Whole], symbols: int
) -> None:
    """Of two symbols and no more a bigram knows: the sum over windows is that of the stream in one piece."""
    trained, data = bigram
    stream = trained.codec.encode(data.held_out.things).flatten()[:symbols]
    assert bool((stream >= 0).all())
    rows = torch.full((-(-symbols // 64), 64), -1, dtype=torch.int64)
    rows.view(-1)[:symbols] = stream
    model = kind(trained.model)
    found = rolling_log_prob(cast(Model, model), rows)
    expected = cast(ScoresSymbols, trained.model).symbol_nats(stream[None]).double().sum()
    assert float(found.nats.sum()) == pytest.approx(float(expected), rel=1e-5)
    # windows overlap by half: what says its symbols is shown twice as many at most, what does not three times as many
    assert model.read <= (2 if kind is BySymbol else 3) * symbols + 64


def test_units_are_those_of_what_was_read(bigram: tuple[Trained, Any]) -> None:
    """Bytes of the held-out text, and of the part that is read where seconds are given."""
    trained, data = bigram
    whole, part = held_out(trained, data), held_out(trained, data, seconds=1e-9)
    assert whole is not None
    assert part is not None
    lengths = [len(t.encode()) for t in data.held_out.things]
    assert whole.units == sum(lengths)
    assert 8 * min(lengths) <= part.units <= 8 * max(lengths)
    bits = [-float(h.log_prob.nats.sum()) / h.units for h in (whole, part)]
    assert bits[1] == pytest.approx(bits[0], rel=0.1)


def test_one_long_text_is_read_in_stretches_where_seconds_count(bigram: tuple[Trained, Any]) -> None:
    trained, data = bigram
    book = replace(data, held_out=Split(["".join(data.train.things) * 3], None))
    part = held_out(trained, book, seconds=1e-9)
    assert part is not None
    assert part.units == 8 * 4000


def test_items_of_one_length_are_not_taken_for_a_stream(tmp_path: Path) -> None:
    """Rows without padding that all end a document are documents: none has its context in the row before."""
    chance = random.Random(1)
    path = tmp_path / "codes.txt"
    path.write_text("\n".join("".join(chance.choice("abcd") for _ in range(12)) for _ in range(60)))
    data = makar.data(f"text:{path}", by="lines", licence="CC0-1.0")
    trained = fit("ngram", data, "2s", settings={"order": 3}, codec="symbols")
    x = trained.codec.encode(data.held_out.things)
    assert len(x) == len(data.held_out)
    assert isinstance(trained.model, HasLogProb)
    each = trained.model.log_prob(x, Noise.rows(0, range(len(x)))).nats
    assert torch.allclose(rolling_log_prob(trained.model, x).nats, each.double())
