"""A mark in the noise that a denoiser starts from (after Yang et al. 2024, "Gaussian Shading"), found by walking back.

The first normal numbers n of each output are given the signs of a keyed pattern, z = |n| s. Over the key the signs are
fair coins that have nothing to do with |n|, so every output is drawn from N(0, I) as before: the model's distribution
is not touched. As one pattern would give all outputs under one key the same signs, there are `pool` patterns; which
one an output takes follows from the key and its own |n|, so that it is the same alone and in a tile.

Detection takes the picture back to noise along the probability-flow ODE

    dx/dt = alpha'(t) E[x | x_t] + sigma'(t) eps,     eps = (x_t - alpha E[x | x_t]) / sigma

and asks how well each pattern agrees with what it finds there, sum_i s_i w_i, where w_i is z_i rounded to quarters
within [-1, 1]. The chance of such agreement under random signs is exact (see `_spread`); the p-value is that of the
best pattern, times the patterns looked for. A conditional model is walked back without and with each of its classes,
and the p-value is multiplied by their number.

One output holds no more of a mark than its latents have numbers that the picture pins down. The 64 of an 8 x 8 digit
are too few to rely on (`benchmarks/picture_watermarks.py` has the rates), so this mark has to be asked for by name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import Denoises, Model
from makar.core.noise import Noise
from makar.core.sampler import Sampler
from makar.core.spaces import Levels
from makar.core.watermark import Detection, Watermark
from makar.nets.schedules import predicted_noise
from makar.watermarks._spread import Signs, agreement_tail, signs

_PARTS = 4  # of 1, to which latents are rounded
_CLASSES = 64  # more classes are not walked back one by one
_LEAST = 1e-6  # p-value that perfect agreement must be able to reach
_REACH = 64.0  # latents lie within, in standard units


@dataclass(frozen=True)
class Config:
    pool: int = 4096  # patterns of signs
    steps: int = 10  # of the walk back


class InitialNoise(Watermark):
    """Keyed signs in the initial noise of denoisers of pictures, drawn from by deterministic samplers."""

    Config = Config
    modality = "pictures"
    needs_model = True

    def obstacle(self, sampler: Sampler | None, shape: tuple[int, ...] | None) -> str | None:
        name = "the watermark 'initial_noise'"
        if self.model is None or self.codec is None:
            return f"{name} needs the model and its codec, and was given none; load the bundle"
        if not isinstance(self.model, Denoises) or sampler is None or not issubclass(sampler.takes, Denoises):
            return f"{type(self.model).__name__} does not begin with noise to take away step by step, as {name} needs"
        if not isinstance(self.codec.space, Levels) or self.codec.space.levels < 3:
            return f"{name} takes pictures of at least 3 levels, and this model's codec makes others"
        size = math.prod(self.model.latent_shape)
        if self._looks * 2.0**-size > _LEAST:
            return (
                f"{size} latent numbers are too few for {name}: even perfect agreement with one pattern could be chance"
            )
        if _draws(sampler, self.model) != 1:
            return (
                f"the sampler {type(sampler).__name__} draws noise on its way, which hides {name}; take one that does "
                f"not (ddim with eta 0, euler, heun, midpoint, dpm_solver)"
            )
        return None

    def noise(self, noise: Noise) -> Noise:
        """Chance whose first normal numbers carry the mark, where they have the shape of the model's latents."""
        model = self._denoiser()
        return _Marked(noise, tuple(model.latent_shape), self._marked)

    def detect(self, thing: Any) -> Detection:
        """Look for the mark in a picture uint8 (H, W, C) of 256 levels."""
        picture = np.asarray(thing)
        channels, height, width = self._space().shape
        if picture.dtype != np.uint8 or picture.shape != (height, width, channels):
            words = f"{picture.dtype} of shape {picture.shape}, where the model makes {(height, width, channels)}"
            return Detection("initial_noise", None, f"the picture is {words}, and cannot be walked back")
        p_value, words = self.judge(self.walked_back([picture])[0])
        return Detection("initial_noise", p_value, words)

    def walked_back(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """The weights w of pictures of 256 levels, whole float32 (pictures, conditions, latent numbers)."""
        model, space = self._denoiser(), self._space()
        assert self.codec is not None
        things = [np.rint(picture * ((space.levels - 1) / 255.0)).astype(np.uint8) for picture in pictures]
        conditions = torch.tensor(self._conditions)
        with torch.no_grad():
            latent = unfinished(model, self.codec.encode(things), space.levels)
            wide = latent.repeat_interleave(len(conditions), 0)
            asked = conditions.repeat(len(things)) if self._classes else None
            found = invert(model, wide, self.config.steps, asked)
        weights = (found.clamp(-1.0, 1.0) * _PARTS).round()
        return weights.reshape(len(things), len(conditions), -1)

    def judge(self, weights: Tensor) -> tuple[float, str]:
        """The p-value of one picture's weights (conditions, latent numbers), and the evidence in words."""
        agreement = (weights @ torch.from_numpy(self._patterns).T).long().amax(1)
        chances = [
            agreement_tail(row, most)
            for row, most in zip(weights.abs().long().numpy(), agreement.tolist(), strict=True)
        ]
        best = min(range(len(chances)), key=chances.__getitem__)
        words = (
            f"the initial noise agrees with a keyed pattern by {int(agreement[best])} of "
            f"{int(weights[best].abs().sum())} parts, the best of {self._looks:,} looks"
        )
        return min(1.0, self._looks * chances[best]), words

    @property
    def _classes(self) -> int:
        return self.model.classes if self.model is not None else 0

    @property
    def _conditions(self) -> list[int]:
        """The classes with which a picture is walked back; -1 is none."""
        return [-1, *range(self._classes)] if self._classes <= _CLASSES else [-1]

    @property
    def _looks(self) -> int:
        """Comparisons of one picture with one pattern."""
        return int(self.config.pool) * len(self._conditions)

    def _pattern(self, number: int) -> Signs:
        return signs(self.key, f"initial_noise {number}", math.prod(self._denoiser().latent_shape))

    @cached_property
    def _patterns(self) -> Signs:
        """(pool, latent numbers)."""
        return np.stack([self._pattern(number) for number in range(self.config.pool)])

    def _marked(self, n: Tensor) -> Tensor:
        """|n| with the signs of the pattern that each row's |n| and the key choose."""
        sizes = n.abs()
        rows = []
        for row in sizes.flatten(1).cpu().numpy():
            chosen = hashlib.sha256(b"initial_noise choice" + self.key + row.tobytes()).digest()
            rows.append(self._pattern(int.from_bytes(chosen[:8], "big") % self.config.pool))
        return sizes * torch.from_numpy(np.stack(rows)).reshape(n.shape).to(n.device)

    def _denoiser(self) -> Denoises:
        model: Any = self.model
        if not isinstance(model, Denoises):
            raise MakarError("the watermark 'initial_noise' works with a denoiser only; give the bundle of one")
        return model

    def _space(self) -> Levels:
        if self.codec is None or not isinstance(self.codec.space, Levels):
            raise MakarError("the watermark 'initial_noise' takes pictures of levels; give the codec of such a model")
        return self.codec.space


class _Marked(Noise):
    """Chance as it was but for the first normal numbers of the given shape."""

    def __init__(self, inner: Noise, shape: tuple[int, ...], mark: Callable[[Tensor], Tensor]) -> None:
        self._inner = inner
        self._shape = shape
        self._mark = mark
        self._done = False

    @property
    def batch(self) -> int:
        return self._inner.batch

    def uniform(self, *shape: int) -> Tensor:
        return self._inner.uniform(*shape)

    def normal(self, *shape: int) -> Tensor:
        drawn = self._inner.normal(*shape)
        if self._done or shape != self._shape:
            return drawn
        self._done = True
        return self._mark(drawn)


class _Counted(Noise):
    """One row of chance that counts how often it is asked."""

    def __init__(self) -> None:
        self._inner = Noise.rows(0, [0])
        self.count = 0

    @property
    def batch(self) -> int:
        return 1

    def uniform(self, *shape: int) -> Tensor:
        self.count += 1
        return self._inner.uniform(*shape)

    def normal(self, *shape: int) -> Tensor:
        self.count += 1
        return self._inner.normal(*shape)


def _draws(sampler: Sampler, model: Model) -> int:
    """How often the sampler asks for chance on its way from noise to data, found by letting it go there once."""
    counted = _Counted()
    with torch.no_grad():
        for _ in sampler.partials(model, counted):
            continue
    return counted.count


def unfinished(model: Denoises, x: Tensor, levels: int) -> Tensor:
    """The latents (B, *latent_shape) in the middle of the cells that the model's `finish` takes to the levels x.

    `finish` works on every number by itself and does not fall, so the edges of a cell are found by bisection; the
    outermost cells are taken to be as wide as their neighbours. Raises MakarError where a model's `finish` does not.
    """

    def edge(level: Tensor) -> Tensor:
        """The latent above which `finish` gives at least `level`."""
        low, high = torch.full(x.shape, -_REACH), torch.full(x.shape, _REACH)
        for _ in range(32):
            middle = 0.5 * (low + high)
            reached = model.finish(middle, Noise.rows(0, range(len(x)))) >= level
            low, high = torch.where(reached, low, middle), torch.where(reached, middle, high)
        return high

    inner = x.clamp(1, levels - 2)
    low, high = edge(inner), edge(inner + 1)
    latent = 0.5 * (low + high) + (x - inner) * (high - low)
    if not torch.equal(model.finish(latent, Noise.rows(0, range(len(x)))), x):
        raise MakarError(f"what {type(model).__name__} does at the end of drawing cannot be undone number by number")
    return latent


def invert(model: Denoises, x: Tensor, steps: int, condition: Tensor | None) -> Tensor:
    """Clean latents (B, *latent_shape) taken to the schedule's start, in units of its standard deviation.

    Heun's rule; the first step, where sigma is 0 and the slope is not defined, takes the slope at its end.
    """
    path = model.schedule

    def slope(x: Tensor, t: Tensor) -> Tensor:
        mean = model.denoise(x, t.to(x.dtype).expand(len(x)), condition).mean
        d_alpha, d_sigma = path.slope(t)
        found: Tensor = d_alpha * mean + d_sigma * predicted_noise(path, x, mean, t)
        return found

    for s, t in pairwise(path.grid(steps).flip(0)):
        if float(path.sigma(s)) == 0.0:
            x = (x + (t - s) * slope(x, t)).float()
            continue
        first = slope(x, s)
        guess = (x + (t - s) * first).float()
        x = (x + (t - s) * 0.5 * (first + slope(guess, t))).float()
    return x / path.prior_std
