"""Observation models: the distribution p(x | parameters) that a decoder's numbers stand for, one for each space.

Gaussian             Reals: a mean and a scale, bounded below, for every number
                     (without the bound, the likelihood of a point that is hit exactly is infinite).
Levelwise            Levels, few of them: a free probability for each level.
DiscretisedLogistic  Levels, many of them: a logistic distribution in the cells of the levels, of which the outer two
                     reach to infinity (Salimans et al. 2017, "PixelCNN++", eq. 2, with one component).
Tabular              Columns: Student's t with its own degrees of freedom for a numeric column, so that heavy tails
                     are within reach; a free probability for each level of a categorical one.

Given the parameters, the dimensions of an item are independent: log p(x) is a sum. Every model is normalised exactly.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.noise import Noise
from makar.core.spaces import Categorical, Columns, Levels, Reals, Space, Tokens

FEW = 32
"""Levels up to which each gets a probability of its own."""

_TINY = 2.0**-25  # half of the noise's finest step: keeps a uniform draw of 0 off the logarithm's pole


class Likelihood(ABC):
    """p(x | parameters) for items of a space."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Parameters an item."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Nats an item, (B,), of items `x` of the space under unbounded real parameters (B, width)."""

    @abstractmethod
    def draw(self, parameters: Tensor, noise: Noise) -> Tensor:
        """One item of the space for every row of the parameters (B, width)."""

    @abstractmethod
    def centre(self, parameters: Tensor) -> Tensor:
        """The item in the middle, without chance: mean of what is ordered (to the nearest level), else the mode."""


class Gaussian(Likelihood):
    """x ~ N(mean, scale^2) in every dimension of a `Reals` space; parameters are the means, then the raw scales."""

    def __init__(self, space: Reals, floor: float = 1e-2) -> None:
        self._space = space
        self._floor = floor

    @property
    def width(self) -> int:
        return 2 * self._space.dimensions

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Means and scales, (B, D) each; scale = floor + softplus(raw)."""
        mean, raw = parameters.chunk(2, 1)
        return mean, self._floor + F.softplus(raw)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        mean, scale = self.split(parameters)
        standard = (x.flatten(1) - mean) / scale
        return -(0.5 * standard.square() + scale.log() + 0.5 * math.log(2 * math.pi)).sum(1)

    def draw(self, parameters: Tensor, noise: Noise) -> Tensor:
        mean, scale = self.split(parameters)
        return (mean + scale * noise.normal(self._space.dimensions)).reshape(-1, *self._space.shape)

    def centre(self, parameters: Tensor) -> Tensor:
        return self.split(parameters)[0].reshape(-1, *self._space.shape)


class Levelwise(Likelihood):
    """A categorical distribution over the levels in every dimension; parameters are D times k logits."""

    def __init__(self, space: Levels) -> None:
        self._space = space

    @property
    def width(self) -> int:
        return self._space.dimensions * self._space.levels

    def _logits(self, parameters: Tensor) -> Tensor:
        return parameters.reshape(len(parameters), self._space.dimensions, self._space.levels)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        logits = self._logits(parameters)
        chosen = logits.gather(2, x.flatten(1).unsqueeze(2)).squeeze(2)
        return (chosen - logits.logsumexp(2)).sum(1)

    def draw(self, parameters: Tensor, noise: Noise) -> Tensor:
        return noise.choice(self._logits(parameters)).reshape(-1, *self._space.shape)

    def centre(self, parameters: Tensor) -> Tensor:
        levels = torch.arange(self._space.levels, dtype=parameters.dtype, device=parameters.device)
        mean = self._logits(parameters).softmax(2) @ levels
        return mean.round().long().reshape(-1, *self._space.shape)


class DiscretisedLogistic(Likelihood):
    """A logistic variable, rounded to the nearest level; parameters are means on [-1, 1], then raw scales.

    A level v between the outer ones holds what lies within half a step h of it,

        P(v) = s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)),     a, b = (v +- h - mean) / scale,

    with s the logistic function. The product, unlike the difference, loses no digits in the tails. The outermost levels
    take the rest: b = -inf for the lowest, a = +inf for the highest.
    """

    def __init__(self, space: Levels, floor: float = 1e-3) -> None:
        self._space = space
        self._floor = floor
        self._half = 1.0 / (space.levels - 1)

    @property
    def width(self) -> int:
        return 2 * self._space.dimensions

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Means and scales, (B, D) each, in units where the levels span [-1, 1]."""
        mean, raw = parameters.chunk(2, 1)
        return mean, self._floor + F.softplus(raw - 2.0)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        mean, scale = self.split(parameters)
        level = x.flatten(1)
        value = level * (2.0 * self._half) - 1.0
        above = (value + self._half - mean) / scale
        below = (value - self._half - mean) / scale
        lowest, highest = level == 0, level == self._space.levels - 1
        inner = torch.log(-torch.expm1(-2.0 * self._half / scale))
        nats = F.logsigmoid(above).masked_fill(highest, 0.0) + F.logsigmoid(-below).masked_fill(lowest, 0.0)
        return (nats + inner.masked_fill(lowest | highest, 0.0)).sum(1)

    def _nearest(self, value: Tensor) -> Tensor:
        top = self._space.levels - 1
        return ((value + 1.0) * (top / 2.0)).round().clamp(0, top).long().reshape(-1, *self._space.shape)

    def draw(self, parameters: Tensor, noise: Noise) -> Tensor:
        mean, scale = self.split(parameters)
        u = noise.uniform(self._space.dimensions) + _TINY
        return self._nearest(mean + scale * torch.logit(u))

    def centre(self, parameters: Tensor) -> Tensor:
        return self._nearest(self.split(parameters)[0])


class Tabular(Likelihood):
    """Student's t for numeric columns, free probabilities for categorical ones.

    Parameters are three for each numeric column (location, raw scale, raw degrees of freedom), then the logits of each
    categorical one. Degrees of freedom stay above 1, so that the mean exists.
    """

    def __init__(self, space: Columns, floor: float = 1e-2) -> None:
        self._floor = floor
        self._kinds = space.columns
        self._numeric = [i for i, c in enumerate(space.columns) if not isinstance(c, Categorical)]
        self._levels = {i: c.levels for i, c in enumerate(space.columns) if isinstance(c, Categorical)}
        self._order = [*self._numeric, *self._levels]

    @property
    def width(self) -> int:
        return 3 * len(self._numeric) + sum(self._levels.values())

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Locations, scales and degrees of freedom of the numeric columns (B, N), logits of the categorical ones."""
        n = len(self._numeric)
        location, scale, freedom, *logits = parameters.split([n, n, n, *self._levels.values()], 1)
        return location, self._floor + F.softplus(scale), 1.0 + F.softplus(freedom + 4.0), logits

    def _join(self, numeric: Tensor, codes: list[Tensor]) -> Tensor:
        """Columns in the space's order from the numeric ones (B, N) and the codes."""
        parts = dict(zip(self._order, [*numeric.unbind(1), *(c.to(numeric.dtype) for c in codes)], strict=True))
        return torch.stack([parts[i] for i in range(len(parts))], 1)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        location, scale, freedom, logits = self._split(parameters)
        standard = (x[:, self._numeric] - location) / scale
        half = 0.5 * (freedom + 1.0)
        nats = torch.lgamma(half) - torch.lgamma(0.5 * freedom) - 0.5 * torch.log(math.pi * freedom) - scale.log()
        nats = (nats - half * torch.log1p(standard.square() / freedom)).sum(1)
        for column, free in zip(self._levels, logits, strict=True):
            nats = nats + free.gather(1, x[:, column, None].long()).squeeze(1) - free.logsumexp(1)
        return nats

    def draw(self, parameters: Tensor, noise: Noise) -> Tensor:
        location, scale, freedom, logits = self._split(parameters)
        # Bailey 1994, "Polar generation of random variates with the t-distribution": exact, without rejection.
        u, v = noise.uniform(2, len(self._numeric)).unbind(1)
        radius = torch.sqrt(freedom * torch.expm1(-2.0 / freedom * torch.log(u + _TINY)))
        numeric = location + scale * radius * torch.cos(2.0 * math.pi * v)
        return self._join(numeric, [noise.choice(free) for free in logits])

    def centre(self, parameters: Tensor) -> Tensor:
        location, _, _, logits = self._split(parameters)
        return self._join(location, [free.argmax(1) for free in logits])


def likelihood(space: Space) -> Likelihood:
    """The observation model of a space. Raises TypeError for `Tokens`, whose symbols depend on one another."""
    match space:
        case Reals():
            return Gaussian(space)
        case Levels():
            return Levelwise(space) if space.levels <= FEW else DiscretisedLogistic(space)
        case Columns():
            return Tabular(space)
        case Tokens():
            raise TypeError("symbols of a sequence are not independent: a Tokens space has no observation model")
