"""Picture codecs: exact inverses, and a dequantised density that is a probability again."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch

from makar.codecs._content import uniforms
from makar.codecs.dequantised import Config as DequantisedConfig
from makar.codecs.dequantised import Dequantised
from makar.codecs.pixels import Config as PixelsConfig
from makar.codecs.pixels import Pixels
from makar.core.errors import MakarError
from makar.core.spaces import Levels, Reals

Pictures = list[np.ndarray]


def pictures(levels: int = 256, count: int = 7, shape: tuple[int, int, int] = (5, 4, 3)) -> Pictures:
    return list(np.random.default_rng(0).integers(0, levels, (count, *shape)).astype(np.uint8))


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_pixels_are_kept_exactly(levels: int) -> None:
    things = pictures(levels)
    codec = Pixels(PixelsConfig(levels=levels)).fit(things)
    x = codec.encode(things)
    assert codec.space == Levels((3, 5, 4), levels)
    assert codec.space.holds(x)
    assert int(x[2, 1, 3, 0]) == things[2][3, 0, 1]
    assert all((a == b).all() and a.dtype == np.uint8 for a, b in zip(codec.decode(x), things, strict=True))
    assert (codec.nats(things), codec.units(things)) == (0.0, 7 * 60)
    again = Pixels(PixelsConfig(levels=levels)).restore(json.loads(json.dumps(codec.state())))
    assert again.space == codec.space
    assert codec.encode([]).shape == (0, 3, 5, 4)


@pytest.mark.parametrize("logit", [0.0, 1e-6, 0.05])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_dequantised_pictures_are_kept_exactly(levels: int, logit: float) -> None:
    every = np.arange(65536).reshape(1, 256, 256) % levels
    things = [*np.moveaxis(every, 0, -1)[None].astype(np.uint8), np.full((256, 256, 1), levels - 1, np.uint8)]
    codec = Dequantised(DequantisedConfig(levels=levels, logit=logit)).fit(things)
    x = codec.encode(things)
    assert codec.space == Reals((1, 256, 256))
    assert codec.space.holds(x)
    assert torch.equal(x, codec.encode(things)), "encoding must be a function"
    assert torch.equal(x[1:], codec.encode(things[1:])), "and not depend on the batch"
    assert all((a == b).all() for a, b in zip(codec.decode(x), things, strict=True))
    again = Dequantised(codec.config).restore(json.loads(json.dumps(codec.state())))
    assert torch.equal(again.encode(things), x)


def test_noise_is_uniform_and_depends_on_the_content() -> None:
    u = uniforms(b"some picture", 20_000)
    assert 0.0 < u.min() < 1e-3
    assert 1.0 - 1e-3 < u.max() < 1.0
    assert abs(u.mean() - 0.5) < 4 * math.sqrt(1 / 12 / 20_000)
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 4 / math.sqrt(20_000)
    assert not (u == uniforms(b"some picturf", 20_000)).mean() > 0.01


@pytest.mark.parametrize("logit", [0.0, 0.05])
def test_the_change_of_volume_is_autograds(logit: float) -> None:
    levels, things = 17, pictures(17, 3, (2, 2, 1))
    codec = Dequantised(DequantisedConfig(levels=levels, logit=logit)).fit(things)
    noise = np.stack([uniforms(np.moveaxis(t, -1, 0).tobytes(), 4).reshape(1, 2, 2) for t in things])
    v = torch.tensor(np.stack(things).transpose(0, 3, 1, 2) + noise, requires_grad=True)
    s = logit + (1 - 2 * logit) * v / levels
    y = s.logit() if logit else 2 * s - 1
    assert torch.allclose(y.float(), codec.encode(things), atol=1e-6)
    (slope,) = torch.autograd.grad(y.sum(), v)
    assert codec.nats(things) == pytest.approx(float(slope.log().sum()), rel=1e-9)


@pytest.mark.parametrize("logit", [0.0, 0.05])
def test_the_uniform_density_gives_log2_levels_bits(logit: float) -> None:
    # y of a uniform v has density |dv/dy|: log p(y) + nats is -log levels in each dimension, whatever the transform
    levels, things = 6, pictures(6, 4)
    codec = Dequantised(DequantisedConfig(levels=levels, logit=logit)).fit(things)
    y = codec.encode(things).double()
    if logit:
        s = torch.sigmoid(y)
        log_p = (s * (1 - s)).log() - math.log(1 - 2 * logit)
    else:
        log_p = torch.full_like(y, math.log(0.5))
    bits = -(float(log_p.sum()) + codec.nats(things)) / codec.units(things) / math.log(2)
    assert bits == pytest.approx(math.log2(levels), abs=1e-6)


def test_wrong_pictures_are_explained() -> None:
    codecs: list[Pixels | Dequantised] = [Pixels(PixelsConfig(levels=17)), Dequantised(DequantisedConfig(levels=17))]
    for codec in codecs:
        with pytest.raises(MakarError, match="not been fitted"):
            codec.encode(pictures(17))
        codec.fit(pictures(17))
        with pytest.raises(MakarError, match="below 17 were expected"):
            codec.encode(pictures(256))
        with pytest.raises(MakarError, match=r"\(3, 5, 4\) were learnt"):
            codec.encode(pictures(17, shape=(4, 4, 3)))
        with pytest.raises(MakarError, match="one shape"):
            codec.fit([*pictures(17), *pictures(17, shape=(4, 4, 3))])
    with pytest.raises(MakarError, match="logit"):
        Dequantised(DequantisedConfig(logit=0.5))


def test_values_outside_all_cells_go_to_the_nearest() -> None:
    for logit, low in itertools.product([0.0, 0.05], [-50.0, 50.0]):
        codec = Dequantised(DequantisedConfig(levels=17, logit=logit)).fit(pictures(17))
        decoded = codec.decode(torch.full((1, 3, 5, 4), low))[0]
        assert (decoded == (0 if low < 0 else 16)).all()
