"""Points in standard units: inverse and volume."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from makar.codecs.points import Config, Points
from makar.core.errors import MakarError
from makar.core.spaces import Reals


def points() -> list[np.ndarray]:
    x = np.random.default_rng(0).normal(size=(500, 3)) * [1.0, 1e-3, 1e4] + [0.0, 5.0, -1e4]
    return list(x.astype(np.float32))


def test_points_are_standardised_and_come_back() -> None:
    things = points()
    codec = Points(Config()).fit(things)
    z = codec.encode(things)
    assert codec.space == Reals((3,))
    assert codec.space.holds(z)
    assert torch.allclose(z.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(z.std(0, correction=0), torch.ones(3), atol=1e-5)
    back = np.stack(codec.decode(z))
    assert back.dtype == np.float32
    scale = np.abs(np.stack(things)).max(0)
    assert (np.abs(back - np.stack(things)) <= 3e-7 * scale).all()
    again = Points(Config()).restore(json.loads(json.dumps(codec.state())))
    assert torch.equal(again.encode(things), z)
    assert again.nats(things) == codec.nats(things)


def test_a_gaussian_keeps_its_likelihood() -> None:
    things = points()
    codec = Points(Config()).fit(things)
    x = np.stack(things).astype(np.float64)
    mean, std = x.mean(0), x.std(0)
    direct = (-0.5 * ((x - mean) / std) ** 2 - np.log(std) - 0.5 * math.log(2 * math.pi)).sum()
    z = codec.encode(things).double().numpy()
    coded = (-0.5 * z**2 - 0.5 * math.log(2 * math.pi)).sum() + codec.nats(things)
    assert coded == pytest.approx(direct, rel=1e-6)
    assert codec.units(things) == 1500


def test_odd_points_are_explained() -> None:
    with pytest.raises(MakarError, match="not been fitted"):
        Points(Config()).encode(points())
    with pytest.raises(MakarError, match="finite vectors"):
        Points(Config()).fit([np.array([1.0, math.nan])])
    codec = Points(Config()).fit([np.array([1.0, 2.0]), np.array([1.0, 4.0])])
    assert codec.encode([np.array([1.0, 5.0])])[0].tolist() == [0.0, 2.0]
    with pytest.raises(MakarError, match="2 coordinates were learnt, but these have 3"):
        codec.encode(points())
