"""Coupling flows: RealNVP (Dinh et al. 2017) and neural spline flows (Durkan et al. 2019).

A chain f of invertible layers carries a datum y to a simple base, here a normal whose mean and scale depend on the
class, and the change of variables gives the exact density

    log p(y) = log N(f(y); m_c, s_c^2) + log |det df/dy|

Drawing is f^-1 of a draw of the base. Discrete cells are filled with uniform noise, so for levels and categories the
number is a lower bound (Theis et al. 2016). At temperature T the base's scale is s_c T (Kingma & Dhariwal 2018, Glow,
section 6): cleaner and less varied than the model itself, whose likelihood is always that of T = 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from makar.core.learner import Batch, Descent, Learner, Optimiser
from makar.core.model import Draws, Encodes, HasLogProb, LogProb, Model, Tiny
from makar.core.noise import Noise, Replay
from makar.core.spaces import Classes, Columns, Levels, Reals, Space
from makar.nets.coupling import AffineCoupling, Chain, Invertible, Mixing, SplineCoupling
from makar.nets.mlp import ClassEmbedding, linear_flops
from makar.nets.principal import Leading, Principal
from makar.nets.relax import Dequantised
from makar.nets.standardise import Standardise

_MANY = 256  # numbers of a picture above which mixings of all of them, D^3 operations a step, are left out


@dataclass(frozen=True)
class Config:
    coupling: Literal["affine", "spline"] | None = None  # None: affine for pictures, else spline
    layers: int = 8
    rank: int = 128  # principal coordinates that are bent, of pictures of more than 256 numbers; the rest are normal
    width: int = 192
    depth: int = 2  # hidden layers of a conditioner
    dropout: float | None = None  # within conditioners; None: 0.2 for pictures, of which there are few, else 0
    temperature: float = 1.0  # of drawing only; below 1 it flatters pictures and distorts distributions
    draws: int = 4  # fillings of an item's cells that the likelihood is averaged over; 1 where nothing is filled
    drop: float = 0.1  # share of training rows whose class is withheld
    optimiser: Optimiser | None = None  # None: rate 1e-3, and of large pictures batches of 32


class Base(nn.Module):
    """A normal with a mean and scale for every class, and for none; at the beginning standard."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.table = ClassEmbedding(classes, 2 * size)
        nn.init.zeros_(self.table.table.weight)

    def forward(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of scales, each (B, D)."""
        mean, log_scale = self.table(labels).chunk(2, 1)
        return mean, log_scale


class Flow(Model, Draws, HasLogProb, Encodes):
    """Linear mixings and couplings in turn, over standardised, dequantised items."""

    Config = Config
    spaces = (Reals, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Any) -> None:
        super().__init__(space, condition, config)
        self.cells = Dequantised(space)
        self.units = Standardise(self.cells.shape, each=True)
        self.size = space.dimensions
        self.base = Base(self.size, self.classes)
        self.principal: Principal | None = None
        if len(self.cells.shape) == 3 and self.size > _MANY:
            rank = min(config.rank, self.size)
            self.principal = Principal(self.size, rank)
            self.chain = Chain([self.principal, Leading(rank, Chain(self._layers(rank)))])
        else:
            self.chain = Chain(self._layers(self.size))

    def _layers(self, size: int) -> Iterator[Invertible]:
        picture = isinstance(self.space, Levels)
        coupling = self.config.coupling or ("affine" if picture else "spline")
        dropout = self.config.dropout if self.config.dropout is not None else 0.2 if picture else 0.0
        kind = AffineCoupling if coupling == "affine" else SplineCoupling
        for _ in range(self.config.layers):
            yield Mixing(size)
            yield kind(size, self.classes, self.config.width, self.config.depth, dropout)

    def learner(self) -> Learner:
        usual = Optimiser(rate=1e-3) if self.principal is None else Optimiser(rate=1e-3, batch=32, average=0.99)
        return Descent(self, self.loss, self.config.optimiser or usual, self._look)

    def _middle(self, x: Tensor) -> Tensor:
        """Items at the middle of their cells."""
        return self.cells.relax(x, Replay(torch.full((len(x), *self.cells.shape), 0.5, device=x.device)))

    def _look(self, x: Tensor) -> None:
        y = self._middle(x)
        self.units.fit(y, least=0.05)  # a pixel that never varies still fills its cell
        if self.principal is not None:
            self.principal.fit(self.units(y).flatten(1))

    def density(self, y: Tensor, labels: Tensor) -> Tensor:
        """log p(y) in nats, (B,), of relaxed items (B, *shape)."""
        z, volume = self.chain(self.units(y).flatten(1), labels)
        mean, log_scale = self.base(labels)
        away = (z - mean) * (-log_scale).exp()
        base = -(0.5 * away.square() + log_scale + 0.5 * math.log(2 * math.pi)).sum(1)
        nats: Tensor = base + volume + self.units.volume
        return nats

    def loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Negative log-likelihood in nats an item, (B,)."""
        labels = self.labels(batch.condition, len(batch.x))
        if self.classes:
            labels = labels.masked_fill(noise.uniform() < self.config.drop, -1)
        return -self.density(self.cells.relax(batch.x, noise), labels) - self.cells.volume

    @torch.no_grad()
    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        labels = self.labels(condition, noise.batch)
        mean, log_scale = self.base(labels)
        z = mean + self.config.temperature * log_scale.exp() * noise.normal(self.size)
        return self.decode(z, condition)

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        """Exact on Reals. Else the mean in p of `draws` fillings of the cells, a lower bound (Burda et al. 2015)."""
        labels = self.labels(condition, len(x))
        if self.cells.exact:
            return LogProb(self.density(x, labels), kind="exact")
        k = max(1, self.config.draws)
        each = torch.stack([self.density(self.cells.relax(x, noise), labels) for _ in range(k)])
        return LogProb(each.logsumexp(0) - math.log(k) + self.cells.volume, kind="lower")

    @torch.no_grad()
    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Base variables (B, D) of items, discrete ones taken at the middle of their cells."""
        z: Tensor = self.chain(self.units(self._middle(x)).flatten(1), self.labels(condition, len(x)))[0]
        return z

    @torch.no_grad()
    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Items from base variables (B, D)."""
        y = self.chain.inverse(z, self.labels(condition, len(z))).reshape(len(z), *self.cells.shape)
        return self.cells.snap(self.units.inverse(y))

    def flops(self) -> float:
        size = self.size if self.principal is None else self.principal.rank
        turned = 0.0 if self.principal is None else self.principal.flops()
        mixings: float = self.config.layers * (2.0 * size**2)
        return 3.0 * (linear_flops(self.chain) + mixings) + turned

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        optimiser = Optimiser(rate=4e-3, average=0.99)
        config = Config(coupling="spline", layers=4, width=48, dropout=0.0, optimiser=optimiser)
        return Tiny(config, steps=200, bar=0.04)
