"""Gaussian: one mean and one full covariance for every class, shrunk as Ledoit and Wolf do.

    p(x | c) = N(x; m_c, (1 - a) S_c + a (tr S_c / D) I)

where S_c is the sample covariance and a the share that minimises the expected squared Frobenius distance to the true
covariance (Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", section 3.2).
Levels and codes are cells of [-1, 1] filled with uniform noise: there the likelihood is a lower bound.

Where D x D matrices are out of reach (see `_stat_frame.py`) S_c is kept whole in the q leading directions of all items,
and by its mean variance in the others. With fewer than q items nothing is lost: S_c has no other directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.model import LogProb, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Columns, Levels, Reals, Space
from makar.families._stat import Cells, OnePass, PerClass, correlate, gaussian_nats
from makar.families._stat_frame import DENSE, DIRECTIONS, Frame


@dataclass(frozen=True)
class Config:
    shrinkage: float | None = None  # share of the spherical target; None estimates it
    floor: float = 1e-6  # least variance in any direction


class Gaussian(PerClass):
    """A Gaussian for every class."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Reals, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        self.cells = Cells(space)
        self.frame = Frame(self.cells)
        d, q = self.cells.dimensions, self.frame.rank
        self.register_buffer("mean", torch.zeros(self.groups, d, dtype=torch.float64))
        self.register_buffer("factor", torch.eye(q, dtype=torch.float64).repeat(self.groups, 1, 1))
        self.register_buffer("variance", torch.ones(self.groups, dtype=torch.float64))
        self.mean: Tensor  # (G, D)
        self.factor: Tensor  # (G, q, q), lower triangular: covariance of the coordinates = L L^T
        self.variance: Tensor  # (G,) of the other directions, where there are such

    @classmethod
    def memory(cls, space: Space, condition: Classes | None, config: Any, items: int) -> int:
        d, groups = space.dimensions, max(1, condition.count if condition else 1)
        q = d if d <= DENSE or isinstance(space, Columns) else min(DIRECTIONS, items)
        return 8 * (groups * (d + 2 * q * q) + 3 * q * d + 2 * min(items, 4 * DIRECTIONS) * d)

    def learner(self) -> OnePass:
        return OnePass(self._fit)

    def _fit(self, batch: Batch) -> float:
        self.frame.fit(batch.x)
        q = self.frame.rank
        members = self.members(batch)
        self.factor = self.factor.new_zeros((self.groups, q, q))
        loss = 0.0
        for g, rows in enumerate(members):
            mean = torch.stack([y.sum(0) for y in self.cells.pieces(batch.x[rows])]).sum(0) / len(rows)
            t, rest = self.frame.beside(batch.x[rows], mean)
            self.mean[g] = mean
            self._fit_class(g, t, rest)
            nats = self._coordinate_nats(t, rest, g)
            loss -= float(nats.sum()) + len(rows) * self.cells.volume
        return loss / len(batch.x)

    def _fit_class(self, group: int, t: Tensor, rest: Tensor) -> None:
        """Covariance from centred coordinates t (n, q) and squared lengths of what lies beside them (n,)."""
        d, q = self.cells.dimensions, t.shape[1]
        share = ledoit_wolf(t, rest, d) if self.config.shrinkage is None else self.config.shrinkage
        covariance = t.T @ t / len(t)
        sphere = share * (covariance.diagonal().sum() + rest.mean()) / d + self.config.floor
        noise = self.cells.variance
        self.factor[group] = torch.linalg.cholesky((1 - share) * covariance + torch.diag(sphere + noise[:q]))
        if d > q:
            self.variance[group] = (1 - share) * rest.mean() / (d - q) + sphere + noise[0]

    def _coordinate_nats(self, t: Tensor, rest: Tensor, group: int) -> Tensor:
        """log p(y | class) from centred coordinates (B, q) and the squared lengths of the rest, (B,)."""
        own = slice(group, group + 1)
        nats: Tensor = gaussian_nats(t, t.new_zeros((1, t.shape[1])), self.factor[own])[:, 0]
        return nats + self.frame.nats(rest, self.variance[group])

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        chosen = self.choose(noise, condition)
        eps = noise.normal(self.cells.dimensions).double()
        # Coordinates of white noise are white and tell nothing of its rest, so one set of numbers serves both.
        t = correlate(self.frame.coordinates(eps), self.factor, chosen)
        return self.cells.items(self.mean[chosen] + self.frame.leave(t, eps, self.variance[chosen].sqrt()))

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        y = self.cells.vectors(x, noise)
        nats = self.asked(y, condition, lambda y, g: self._coordinate_nats(*self.frame.rest(y, self.mean[g]), g))
        return LogProb((nats + self.cells.volume).float(), "exact" if self.cells.exact else "lower")

    def flops(self) -> float:
        """The sample covariance: a multiply-add for every pair of coordinates; in a frame also the coordinates."""
        d = self.cells.dimensions
        q = d if self.frame.whole else DIRECTIONS
        return 2.0 * q * q + (0.0 if self.frame.whole else 2.0 * q * d)

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        plane = space.dimensions == 2  # the ring has a hole, which no ellipse has
        bars = {Reals: 0.08 if plane else 0.012, Levels: 0.05, Columns: 0.035}
        return Tiny(Config(), steps=1, bar=bars[type(space)])


def ledoit_wolf(x: Tensor, rest: Tensor | None = None, dimensions: int | None = None) -> float:
    """The share of the spherical target for the covariance of x (n, q), in [0, 1]: min(b^2, d^2) / d^2 of the paper.

    `rest` (n,) are squared lengths of what each item has in the other of D = `dimensions` dimensions, where the
    covariance is taken for spherical.
    """
    n, q = x.shape
    d = dimensions or q
    centred = x - x.mean(0)
    lengths = centred.square().sum(1)
    gram = centred.T @ centred if q <= n else centred @ centred.T  # the same sum of squares
    squares, trace = (gram / n).square().sum(), lengths.mean()
    if rest is not None and d > q:
        lengths = lengths + rest
        squares, trace = squares + rest.mean().square() / (d - q), trace + rest.mean()
    distance = squares - trace.square() / d
    spread = (lengths.square().mean() - squares) / n
    return float((spread / distance).clamp(0.0, 1.0)) if float(distance) > 1e-14 * float(squares) else 0.0
