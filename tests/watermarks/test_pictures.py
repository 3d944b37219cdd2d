"""Marks in pictures: found by their key after what happens to pictures, and by no other key."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import binom, kstest, norm
from torch import Tensor

from makar.codecs.pixels import Pixels
from makar.core import registry
from makar.core.errors import MakarError
from makar.core.model import Denoises, Posterior, Schedule
from makar.core.noise import Noise
from makar.core.spaces import Levels, Reals
from makar.families.diffusion import Diffusion
from makar.families.flow_matching import FlowMatching
from makar.families.gaussian import Gaussian
from makar.nets.schedules import StraightPath
from makar.samplers.ddim import DDIM
from makar.samplers.euler import Euler
from makar.samplers.heun import Heun
from makar.samplers.midpoint import Midpoint
from makar.samplers.stochastic import Stochastic
from makar.verbs.sample import draw_rows
from makar.watermarks._spread import agreement_tail, signs, strongest, tail
from makar.watermarks.dct import DCT, LEAST, SEEN
from makar.watermarks.dct import Config as DCTConfig
from makar.watermarks.initial_noise import Config as NoiseConfig
from makar.watermarks.initial_noise import InitialNoise, invert, unfinished

Picture = NDArray[np.uint8]


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


@cache
def photographs() -> list[Picture]:
    from sklearn.datasets import load_sample_images

    return [np.asarray(picture) for picture in load_sample_images().images]


def piece(number: int, side: int, rng: np.random.Generator) -> Picture:
    """A square from one of two photographs."""
    whole = photographs()[number % 2]
    top, left = (int(rng.integers(length - side)) for length in whole.shape[:2])
    return np.ascontiguousarray(whole[top : top + side, left : left + side])


def jpeg(picture: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(picture: Picture, height: int, width: int) -> Picture:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def halved_and_back(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return resized(resized(picture, height // 2, width // 2), height, width)


def cropped(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return picture[height // 14 : height - height // 33, width // 25 : width - width // 16]


def noisy(picture: Picture) -> Picture:
    noise = np.random.default_rng(5).normal(0.0, 10.0, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def duller(picture: Picture) -> Picture:
    return np.clip((picture.astype(float) - 128.0) * 0.8 + 148.0, 0, 255).astype(np.uint8)


def screenshot(picture: Picture) -> Picture:
    """A part of it at three quarters of its size, compressed again."""
    height, width = picture.shape[:2]
    return jpeg(resized(picture, height * 3 // 4, width * 3 // 4)[5:, 9:], 70)


ATTACKS: dict[str, Callable[[Picture], Picture]] = {
    "none": lambda p: p,
    "JPEG at quality 50": lambda p: jpeg(p, 50),
    "half and back": halved_and_back,
    "crop of 10 %": cropped,
    "noise of 10 levels": noisy,
    "brighter and duller": duller,
    "half": lambda p: resized(p, p.shape[0] // 2, p.shape[1] // 2),
    "screenshot": screenshot,
}


# ---- signs and their tails


def test_signs_depend_on_key_purpose_and_nothing_else() -> None:
    first = signs(key(1), "a", 64, 64)
    assert set(np.unique(first)) == {-1.0, 1.0}
    assert np.array_equal(first, signs(key(1), "a", 64, 64))
    for other in (signs(key(2), "a", 64, 64), signs(key(1), "b", 64, 64)):
        assert abs(float((first * other).mean())) < 5 / 64
    assert abs(float(first.mean())) < 5 / 64


@given(st.lists(st.integers(0, 4), min_size=1, max_size=10))
def test_the_tail_of_agreement_is_exact_and_below_the_bound(weights: list[int]) -> None:
    """By enumeration of all signs."""
    w = np.array(weights)
    grid = np.array(np.meshgrid(*[[-1, 1]] * len(w))).reshape(len(w), -1)
    sums = w @ grid
    size = float(np.sqrt((w**2).sum()))
    for value in np.unique(sums):
        share = float((sums >= value).mean())
        assert agreement_tail(w, int(value)) == pytest.approx(share, rel=1e-12)
        if size:
            assert share <= tail(value / size) + 1e-12


def test_the_tail_of_equal_weights_is_the_binomial() -> None:
    ones = np.ones(200, np.int64)
    for agree in (100, 130, 170, 200):
        assert agreement_tail(ones, 2 * agree - 200) == pytest.approx(binom.sf(agree - 1, 200, 0.5), rel=1e-9)
    many = np.ones(5000, np.int64)
    assert agreement_tail(many, 400) == pytest.approx(norm.sf(400 / np.sqrt(5000)) / (4 * norm.sf(2**0.5)), rel=1e-9)
    assert agreement_tail(np.zeros(5, np.int64), 0) == 1.0


def test_the_best_of_several_looks_is_paid_for() -> None:
    p, best = strongest([(3.0, 0.5), (6.0, 0.25), (1.0, 0.25)])
    assert best == 1
    assert p == pytest.approx(4 * tail(6.0))
    assert strongest([(0.0, 0.5), (-1.0, 0.5)])[0] == 1.0


# ---- the frequency domain


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_marked_picture_is_found_after(attack: str) -> None:
    rng = np.random.default_rng(1)
    for number in range(4):
        mark = DCT(DCTConfig(), key(number))
        p = mark.detect(ATTACKS[attack](mark.stamp(piece(number, 256, rng)))).p_value
        assert p is not None
        assert p < 1e-6


def test_the_key_alone_finds_it() -> None:
    marked = DCT(DCTConfig(), key(1)).stamp(piece(0, 128, np.random.default_rng(0)))
    other = DCT(DCTConfig(), key(2)).detect(marked).p_value
    assert other is not None
    assert other > 0.05
    assert DCT(DCTConfig(), key(1)).detect(marked).p_value < 1e-12  # type: ignore[operator]


def test_two_keys_share_a_picture() -> None:
    first, second = DCT(DCTConfig(), key(1)), DCT(DCTConfig(), key(2))
    both = second.stamp(first.stamp(piece(1, 192, np.random.default_rng(3))))
    for mark in (first, second):
        assert mark.detect(both).p_value < 1e-9  # type: ignore[operator]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_number_of_channels(channels: int) -> None:
    rng = np.random.default_rng(2)
    colour = piece(0, 96, rng)
    picture = np.concatenate([colour, np.full((96, 96, 1), 200, np.uint8)], 2)[..., -channels:].copy()
    mark = DCT(DCTConfig(), key(3))
    marked = mark.stamp(picture)
    assert marked.dtype == np.uint8
    assert marked.shape == picture.shape
    if channels in (2, 4):
        assert np.array_equal(marked[..., -1], picture[..., -1])  # alpha
    assert mark.detect(marked).p_value < 1e-6  # type: ignore[operator]


@given(st.integers(LEAST, 130), st.integers(LEAST, 130), st.integers(0, 2**32 - 1))
def test_a_stamp_changes_little_and_is_a_function(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(height), np.arange(width))[..., None] * rng.uniform(0, 1, 3)
    picture = np.clip(ramp + rng.normal(0, rng.uniform(0, 30), (height, width, 3)), 0, 255).astype(np.uint8)
    before = picture.copy()
    mark = DCT(DCTConfig(), key(seed))
    marked = mark.stamp(picture)
    assert np.array_equal(picture, before)
    assert np.array_equal(marked, mark.stamp(picture))
    error = float(np.mean((marked.astype(float) - picture) ** 2))
    # rounding to whole levels adds up to 1/12 to the error that the strength allows
    assert error <= 255.0**2 / 10.0 ** (DCTConfig().psnr / 10.0) + 1 / 12 + 0.02


def test_p_values_of_other_keys_are_valid() -> None:
    """For one photograph, one flat, one striped and one marked picture: P(p <= a) <= a over 80 keys."""
    rng = np.random.default_rng(4)
    stripes = np.broadcast_to((np.arange(64) // 4 % 2 * 255).astype(np.uint8)[None, :, None], (64, 64, 3)).copy()
    photograph = piece(0, 64, rng)
    pictures = [photograph, np.full((64, 64, 3), 128, np.uint8), stripes, DCT(DCTConfig(), key(9)).stamp(photograph)]
    settings = DCTConfig(scales=(0.75,))
    for picture in pictures:
        values = np.array([DCT(settings, key(100 + k)).detect(picture).p_value for k in range(80)], float)
        for level in (0.01, 0.1, 0.5):
            assert (values <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 80)


def test_what_is_too_small_is_refused() -> None:
    mark = DCT(DCTConfig(), key(1))
    assert mark.obstacle(None, (8, 8, 1)) is not None
    assert "8 x 8" in str(mark.obstacle(None, (8, 8, 1)))
    assert mark.obstacle(None, (LEAST, LEAST, 3)) is None
    assert mark.obstacle(None, None) is None
    with pytest.raises(MakarError, match="too small"):
        mark.stamp(np.zeros((LEAST - 1, 200, 3), np.uint8))
    found = mark.detect(np.zeros((SEEN - 1, 200, 3), np.uint8))
    assert found.p_value is None
    assert "too small" in found.evidence


@pytest.mark.parametrize(
    "thing", [np.zeros((64, 64, 3)), np.zeros((64, 64), np.uint8), np.zeros((64, 64, 5), np.uint8), "text"]
)
def test_what_is_no_picture_is_refused(thing: object) -> None:
    mark = DCT(DCTConfig(), key(1))
    with pytest.raises(MakarError, match="pictures uint8"):
        mark.stamp(thing)
    with pytest.raises(MakarError, match="pictures uint8"):
        mark.detect(thing)


def test_a_large_picture_is_looked_at_in_part() -> None:
    wide = np.tile(piece(0, 256, np.random.default_rng(1)), (5, 6, 1))
    mark = DCT(DCTConfig(scales=()), key(1))
    found = mark.detect(mark.stamp(wide))
    assert found.p_value is not None
    assert found.p_value < 1e-12
    assert "offset (0, 0)" in found.evidence


# ---- the initial noise


class Steps(Denoises):
    """Data N(m, c^2) a number, whose denoiser is known, cut into levels: what comes back from it is known."""

    default_sampler = "heun"
    shape = (1, 16, 16)
    mean, spread, levels = 0.3, 0.5, 64

    @property
    def schedule(self) -> Schedule:
        return StraightPath()

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.shape

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Posterior:
        t = t.reshape(-1, 1, 1, 1)
        variance = ((1 - t) * self.spread).square() + t.square()
        gain = (1 - t) * self.spread**2 / variance
        return Posterior(self.mean + gain * (x - (1 - t) * self.mean))

    def finish(self, x: Tensor, noise: Noise) -> Tensor:
        return ((x + 2.0) * (self.levels / 4.0)).floor().clamp(0, self.levels - 1).long()


def known(levels: int = 64) -> tuple[FlowMatching, Pixels]:
    """A flow-matching model whose denoiser is that of `Steps`, and the codec of its pictures."""
    things = [np.zeros((16, 16, 1), np.uint8)]
    codec = Pixels(Pixels.Config(levels)).fit(things)
    model = FlowMatching(codec.space, None, FlowMatching.Config(net="mlp", width=8, depth=1))
    exact = Steps()
    model.denoise = exact.denoise  # type: ignore[method-assign]
    return model.eval(), codec


def shown(item: Tensor, codec: Pixels) -> Picture:
    """An item of the codec's space as a picture of 256 levels."""
    levels = codec.space.levels
    (picture,) = codec.decode(item[None])
    return np.asarray(np.rint(picture * (255.0 / (levels - 1))), np.uint8)


def test_over_the_key_the_noise_is_normal_and_its_sizes_stay() -> None:
    model, codec = known()
    plain = Noise.rows(1, range(2)).normal(1, 16, 16)
    drawn = torch.stack(
        [
            InitialNoise(NoiseConfig(), key(k), model, codec).noise(Noise.rows(1, range(2))).normal(1, 16, 16)
            for k in range(150)
        ]
    )
    assert torch.equal(drawn.abs(), plain.abs().expand_as(drawn))
    sign = drawn.sign().flatten(1).double()  # (keys, numbers)
    assert float(sign.mean(0).abs().max()) < 5.5 / np.sqrt(150)  # every number's sign is a fair coin over the keys
    together = sign.T @ sign / 150
    together.fill_diagonal_(0.0)
    assert float(together[:256, :256].abs().max()) < 5.5 / np.sqrt(150)  # and so is each pair's product
    fresh = [
        InitialNoise(NoiseConfig(), key(k), model, codec).noise(Noise.rows(k, [0])).normal(1, 16, 16) for k in range(40)
    ]
    assert kstest(torch.cat(fresh).flatten().numpy(), "norm").pvalue > 0.01


def test_only_the_first_numbers_of_that_shape_are_marked() -> None:
    model, codec = known()
    mark = InitialNoise(NoiseConfig(), key(1), model, codec)
    marked, plain = mark.noise(Noise.rows(1, [5])), Noise.rows(1, [5])
    assert marked.batch == 1
    assert torch.equal(marked.uniform(3), plain.uniform(3))
    assert torch.equal(marked.normal(7), plain.normal(7))
    assert not torch.equal(marked.normal(1, 16, 16), plain.normal(1, 16, 16))
    assert torch.equal(marked.normal(1, 16, 16), plain.normal(1, 16, 16))


def test_the_same_alone_and_in_a_tile_and_varied() -> None:
    model, codec = known()
    mark = InitialNoise(NoiseConfig(pool=64), key(1), model, codec)
    whole = mark.noise(Noise.rows(1, range(32))).normal(1, 16, 16)
    for row in (0, 13, 31):
        assert torch.equal(mark.noise(Noise.rows(1, [row])).normal(1, 16, 16)[0], whole[row])
    patterns = torch.unique(whole.sign().flatten(1), dim=0)
    assert 15 <= len(patterns) <= 32  # of 64, drawn 32 times: 25.3 expected
    x = draw_rows(model, 1, range(40), sampler=Heun(Heun.Config()), mark=mark)
    assert torch.equal(draw_rows(model, 1, [3, 37], sampler=Heun(Heun.Config()), mark=mark), x[[3, 37]])


def test_the_walk_back_undoes_the_walk() -> None:
    exact = Steps()
    z = Noise.rows(0, range(3)).normal(1, 16, 16)
    data = exact.mean + exact.spread * z  # the ODE carries quantile to quantile
    back = invert(exact, data, 50, None)
    assert float((back - z).abs().max()) < 0.05


@pytest.mark.parametrize("family", [Diffusion, FlowMatching])
def test_the_last_step_is_undone_into_the_middle_of_the_cell(family: type[Diffusion] | type[FlowMatching]) -> None:
    model = family(Levels((1, 4, 4), 17), None, family.Config(net="mlp", width=8, depth=1))
    model.units.fit(torch.randn(64, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.4 - 0.2)
    x = torch.arange(16).reshape(1, 1, 4, 4) + 1
    for item in (x, x - 1):
        latent = unfinished(model, item, 17)
        level = model.units.inverse(latent)
        middle = 2.0 * (item + 0.5) / 17 - 1.0 if family is FlowMatching else item / 8.0 - 1.0
        assert float((level - middle).abs().max()) < 1e-5


def test_marked_draws_are_found_and_others_are_not() -> None:
    model, codec = known()
    mark = InitialNoise(NoiseConfig(pool=256), key(1), model, codec)
    other = InitialNoise(NoiseConfig(pool=256), key(2), model, codec)
    for sampler in (Euler(Euler.Config()), Heun(Heun.Config()), Midpoint(Midpoint.Config()), DDIM(DDIM.Config())):
        assert mark.obstacle(sampler, (16, 16, 1)) is None
        marked = draw_rows(model, 1, range(4), sampler=sampler, mark=mark)
        plain = draw_rows(model, 1, range(4), sampler=sampler)
        for with_it, without in zip(marked, plain, strict=True):
            assert mark.detect(shown(with_it, codec)).p_value < 1e-12  # type: ignore[operator]
            assert mark.detect(shown(without, codec)).p_value > 1e-3  # type: ignore[operator]
            assert other.detect(shown(with_it, codec)).p_value > 1e-3  # type: ignore[operator]


def test_p_values_of_the_initial_noise_are_valid() -> None:
    model, codec = known()
    picture = shown(draw_rows(model, 1, [0], sampler=Heun(Heun.Config()))[0], codec)
    settings = NoiseConfig(pool=16, steps=4)
    values = np.array([InitialNoise(settings, key(k), model, codec).detect(picture).p_value for k in range(100)], float)
    for level in (0.01, 0.1, 0.5):
        assert (values <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 100)
    assert (values < 1.0).mean() > 0.3  # and says something


def test_what_stands_in_the_way_is_said() -> None:
    model, codec = known()
    heun = Heun(Heun.Config())

    def asked(model: object, sampler: object = heun, codec: object = codec) -> str:
        return str(InitialNoise(NoiseConfig(), key(1), model, codec).obstacle(sampler, (16, 16, 1)))  # type: ignore[arg-type]

    assert asked(model) == "None"
    assert "needs the model" in asked(None)
    assert "Gaussian does not begin" in asked(Gaussian(Reals((2,)), None, Gaussian.Config()), None)
    assert "draws noise on its way" in asked(model, Stochastic(Stochastic.Config()))
    assert "draws noise on its way" in asked(model, DDIM(DDIM.Config(eta=0.5)))
    small = FlowMatching(Levels((1, 4, 4), 17), None, FlowMatching.Config(net="mlp", width=8, depth=1))
    assert "16 latent numbers are too few" in asked(small)
    binary = Pixels(Pixels.Config(2)).fit([np.zeros((16, 16, 1), np.uint8)])
    assert "at least 3 levels" in asked(model, heun, binary)
    with pytest.raises(MakarError, match="denoiser"):
        InitialNoise(NoiseConfig(), key(1)).noise(Noise.rows(0, [0]))
    found = InitialNoise(NoiseConfig(), key(1), model, codec).detect(np.zeros((9, 9, 3), np.uint8))
    assert found.p_value is None


def test_the_registry_knows_them_and_which_come_unasked() -> None:
    assert registry.load("watermarks", "dct") is DCT
    assert registry.load("watermarks", "initial_noise") is InitialNoise
    assert (DCT.automatic, InitialNoise.automatic) == (1, 0)
