"""Scores belong to the data: floor, ceiling and features do not depend on the model that is scored."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import makar
from makar.data import Dataset
from makar.verbs.score import anchors, held_out, score, yardstick
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
