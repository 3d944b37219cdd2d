"""Scores belong to the data: floor, ceiling and features do not depend on the model that is scored."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import makar
from makar.data import Dataset, Split
from makar.verbs.score import anchors, balanced_labels, held_out, score, yardstick
from makar.verbs.train import fit


def _table(path: Path, shift: float) -> Dataset:
    chance = np.random.default_rng(3)
    x = chance.normal(shift, 1.0, 160)
    rows = [f"{a:.3f},{a + b:.3f},{'ab'[int(b > 0)]}" for a, b in zip(x, chance.normal(0, 0.3, 160), strict=True)]
    path.write_text("x,y,k\n" + "\n".join(rows) + "\n")
    return makar.data(f"csv:{path}", licence="CC0-1.0")


def test_the_ceiling_is_the_data_s_whichever_model_is_scored(tmp_path: Path) -> None:
    """A model of a shifted table looks bad beside the ceiling of the table it is scored on."""
    first, second = _table(tmp_path / "v1.csv", 0.0), _table(tmp_path / "v2.csv", 50.0)
    stick = yardstick(second)
    ceiling = {s.name: s.value for s in anchors(second, 100, stick=stick)["ceiling"]}
    found = [
        {s.name: s.value for s in score(fit("gaussian", d, "1s"), second, 100, stick=stick)} for d in (first, second)
    ]
    name = next(n for n in ceiling if n.startswith("fd["))
    assert found[1][name] < ceiling[name] < found[0][name]


def test_units_and_volume_are_those_of_held_out_things_in_the_model_s_own_codec(tmp_path: Path) -> None:
    """Bits a column of a shifted and scaled table move by the logarithm of the scale: the codec's volume counts."""
    data = _table(tmp_path / "v.csv", 0.0)
    trained = fit("gaussian", data, "1s")
    said = held_out(trained, data)
    assert said is not None
    assert said.units == len(data.held_out) * 3
    assert said.volume == pytest.approx(trained.codec.nats(data.held_out.things))
    assert len(said.log_prob.nats) == len(data.held_out)
    assert math.isfinite(float(said.log_prob.nats.sum()))


def test_things_read_by_the_yardstick_have_the_features_of_its_own_rows() -> None:
    data = makar.data("digits")
    stick = yardstick(data)
    again = stick.sample(data.held_out.things)
    known = stick.reference.held_out.features
    assert known is not None
    assert again.features is not None
    assert torch.equal(again.features, known)


def test_a_limit_in_seconds_reads_a_random_part_with_its_own_units_and_classes() -> None:
    """Of 500 held-out digits the first 8 of the seed's order are read; each is asked for as the class that it is."""
    data = makar.data("digits")
    trained = fit("gaussian", data, "1s")
    whole, part = held_out(trained, data), held_out(trained, data, seconds=1e-9)
    assert whole is not None
    assert part is not None
    assert (len(whole.log_prob.nats), whole.units) == (500, 500 * 64)
    assert (len(part.log_prob.nats), part.units) == (8, 8 * 64)
    spread = float(whole.log_prob.nats.std())
    assert abs(float(part.log_prob.nats.mean() - whole.log_prob.nats.mean())) < 3 * spread / 8**0.5
    assert data.held_out.labels is not None
    wrong = replace(data, held_out=Split(data.held_out.things, np.roll(data.held_out.labels, 1)))
    mixed = held_out(trained, wrong, seconds=1e-9)
    assert mixed is not None
    assert float(mixed.log_prob.nats.mean()) < float(part.log_prob.nats.mean()) - 5 * spread / 8**0.5
    other = held_out(trained, data, seed=1, seconds=1e-9)
    assert other is not None
    assert not torch.equal(other.log_prob.nats, part.log_prob.nats)
    again = held_out(trained, data, seconds=60.0)
    assert again is not None
    assert (len(again.log_prob.nats), again.units) == (500, 500 * 64)


@pytest.mark.parametrize(
    ("labels", "n", "expected"),
    [
        ([0, 1, 2, 0, 1, 2], 9, [0, 0, 0, 1, 1, 1, 2, 2, 2]),
        ([0, 0, 0, 0, 1, 2, 2, 2], 8, [0, 0, 0, 0, 1, 2, 2, 2]),  # more than twice as often: as in the data
        ([1, 1, 0, 0, 0], 4, [0, 0, 1, 1]),
    ],
)
def test_classes_that_are_scored(labels: list[int], n: int, expected: list[int]) -> None:
    found = balanced_labels(torch.tensor(labels), n, max(labels) + 1)
    assert found is not None
    assert found.tolist() == expected


def test_the_class_of_rows_is_scored_as_in_the_data() -> None:
    found = balanced_labels(torch.tensor([1, 1, 0, 0, 0]), 5, 2, "rows")
    assert found is not None
    assert found.tolist() == [0, 0, 0, 1, 1]
