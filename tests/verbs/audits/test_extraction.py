"""Extraction: what an overfitted model gives back, and what a fresh one does not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from makar.core.model import PredictsNext
from makar.data import Dataset, load
from makar.verbs.audits.extraction import continuation, discoverable, extraction
from makar.verbs.train import fit
from makar.verbs.trained import Trained

from .texts import manual


@pytest.mark.parametrize(
    ("p", "draws", "chance", "is_so"),
    [(0.5, 1, 0.5, True), (0.49, 1, 0.5, False), (0.01, 69, 0.5, True), (0.01, 68, 0.5, False), (1.0, 1, 0.9, True)],
)
def test_discoverable_is_the_chance_that_one_of_n_draws_yields_it(
    p: float, draws: int, chance: float, is_so: bool
) -> None:
    assert bool(discoverable(torch.tensor([math.log(p)], dtype=torch.float64), draws, chance)) is is_so
    assert not bool(discoverable(torch.tensor([-math.inf], dtype=torch.float64), draws, chance))


def test_feeding_the_truth_is_decoding_greedily(tmp_path: Path) -> None:
    data = manual(tmp_path, 20_000)
    trained = fit("ngram", data, "1s", settings={"order": 12}, codec="symbols")
    model = trained.model
    assert isinstance(model, PredictsNext)
    rows = trained.codec.encode(data.train.things)[:12]
    said, nats = continuation(model, rows, 20, 10)
    for row, agrees in zip(rows, said.tolist(), strict=True):
        shown = row[None, :20]
        for _ in range(10):
            shown = torch.cat([shown, model.next(shown, None)[0].argmax(1, keepdim=True)], 1)
        assert bool((shown[0] == row[:30]).all()) is agrees
    assert 0 < said.sum() < 12
    assert float(nats[said].mean()) > float(nats[~said].mean())


def _ngram(data: Dataset, order: int) -> Trained:
    return fit("ngram", data, "2s", settings={"order": order}, codec="symbols")


def test_a_memoriser_of_text_is_caught_and_a_forgetful_one_is_not(tmp_path: Path) -> None:
    data = manual(tmp_path, 40_000)
    remembers = extraction(_ngram(data, 16), data, prefix=30, length=30)
    assert remembers.finding == "alarm"
    member, fresh = remembers.figures[0], remembers.figures[1]
    assert member.low > 0.2 > fresh.high
    assert "members" in member.name
    assert "held-out" in fresh.name
    shares = [f.value for f in remembers.figures[2::2]]
    assert shares == sorted(shares)  # more draws, more is found
    forgets = extraction(_ngram(data, 3), data, prefix=30, length=30)
    assert forgets.finding == "none", forgets.why


def test_a_copier_of_pictures_is_caught_and_a_gaussian_is_not() -> None:
    data = load("digits")
    copies = extraction(fit("kernel", data, "1s", settings={"bandwidth": 0.02}), data)
    assert copies.finding == "alarm"
    assert copies.figure("near copies[members]").low > 0.3  # the index holds as many of them as there are held out
    assert copies.figure("near copies[held-out]").high < 0.05
    assert extraction(fit("gaussian", data, "1s"), data).finding == "none"


def test_short_rows_give_no_verdict(tmp_path: Path) -> None:
    data = manual(tmp_path, 4000, size=100)
    found = extraction(fit("ngram", data, "1s", codec="symbols"), data, prefix=300, length=300)
    assert found.finding == "not measurable"
    assert "shorter" in found.why
