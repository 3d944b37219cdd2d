"""Gaussian: one mean and one full covariance for every class, shrunk as Ledoit and Wolf do.

    p(x | c) = N(x; m_c, (1 - a) S_c + a (tr S_c / D) I)

where S_c is the sample covariance and a the share that minimises the expected squared Frobenius distance to the true
covariance (Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", section 3.2).
Levels and codes are cells of [-1, 1] filled with uniform noise: there the likelihood is a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.model import LogProb, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Columns, Levels, Reals, Space
from makar.families._stat import Cells, OnePass, PerClass, correlate, gaussian_nats


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
        d = self.cells.dimensions
        self.register_buffer("mean", torch.zeros(self.groups, d, dtype=torch.float64))
        self.register_buffer("factor", torch.eye(d, dtype=torch.float64).repeat(self.groups, 1, 1))
        self.mean: Tensor  # (G, D)
        self.factor: Tensor  # (G, D, D), lower triangular: covariance = L L^T

    def learner(self) -> OnePass:
        return OnePass(self._fit)

    def _fit(self, batch: Batch) -> float:
        centres = self.cells.centres(batch.x)
        loss = 0.0
        for g, rows in enumerate(self.members(batch)):
            own = centres[rows]
            share = ledoit_wolf(own) if self.config.shrinkage is None else self.config.shrinkage
            covariance = torch.cov(own.T, correction=0).reshape(own.shape[1], own.shape[1])
            covariance = (1 - share) * covariance + torch.diag(
                share * covariance.diagonal().mean() + self.cells.variance + self.config.floor
            )
            self.mean[g] = own.mean(0)
            self.factor[g] = torch.linalg.cholesky(covariance)
            nats = gaussian_nats(own, self.mean[g : g + 1], self.factor[g : g + 1])
            loss -= len(own) * (float(nats.mean()) + self.cells.volume)
        return loss / len(centres)

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        chosen = self.choose(noise, condition)
        eps = noise.normal(self.cells.dimensions).double()
        return self.cells.items(self.mean[chosen] + correlate(eps, self.factor, chosen))

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        nats = gaussian_nats(self.cells.vectors(x, noise), self.mean, self.factor) + self.cells.volume
        return LogProb(self.mix(nats, condition).float(), "exact" if self.cells.exact else "lower")

    def flops(self) -> float:
        """The sample covariance: D^2 multiply-adds."""
        return 2.0 * self.cells.dimensions**2

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        plane = space.dimensions == 2  # the ring has a hole, which no ellipse has
        bars = {Reals: 0.08 if plane else 0.012, Levels: 0.05, Columns: 0.035}
        return Tiny(Config(), steps=1, bar=bars[type(space)])


def ledoit_wolf(x: Tensor) -> float:
    """The share of the spherical target for the covariance of x (n, D), in [0, 1]: min(b^2, d^2) / d^2 of the paper."""
    n, d = x.shape
    centred = x - x.mean(0)
    covariance = centred.T @ centred / n
    distance = (covariance - covariance.diagonal().mean() * torch.eye(d, dtype=x.dtype, device=x.device)).square().sum()
    spread = (centred.square().sum(1).square().sum() / n - covariance.square().sum()) / n
    return float((spread / distance).clamp(0.0, 1.0)) if float(distance) > 0.0 else 0.0
