"""Probabilistic principal component analysis (Tipping & Bishop 1999).

A latent z ~ N(0, I_q) makes x = W z + m + s e with e ~ N(0, I_D), so that

    p(x) = N(x; m, C),   C = W W^T + s^2 I                                            (their eq. 5)

The likelihood is greatest at W = U_q (L_q - s^2 I)^(1/2) and s^2 the mean of the eigenvalues left out (eqs. 7, 8),
with U_q, L_q the leading eigenvectors and eigenvalues of the sample covariance. The posterior mean of the latent,
M^-1 W^T (x - m) with M = W^T W + s^2 I, is the code of an item (eq. 9).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.model import Encodes, LogProb, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Columns, Levels, Reals, Space
from makar.families._stat import Cells, OnePass, PerClass, correlate
from makar.families._stat_frame import DENSE, leading, some

_ROWS = 3000  # items of a class that say where its subspace lies, at most, in more than DENSE dimensions


@dataclass(frozen=True)
class Config:
    latent: int = 12  # q, at most D - 1
    floor: float = 1e-6  # least s^2


class PPCA(PerClass, Encodes):
    """A subspace with noise around it for every class; one more, of all items, codes what has no class."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Reals, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        self.cells = Cells(space)
        d = self.cells.dimensions
        self.latent = min(config.latent, d - 1)
        sets = self.classes + 1  # the last is of all items, so that label -1 indexes it
        self.register_buffer("mean", torch.zeros(sets, d, dtype=torch.float64))
        self.register_buffer("loadings", torch.zeros(sets, d, self.latent, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(sets, dtype=torch.float64))
        self.mean: Tensor  # (S, D)
        self.loadings: Tensor  # (S, D, q)
        self.variance: Tensor  # (S,)

    def learner(self) -> OnePass:
        return OnePass(self._fit)

    @classmethod
    def memory(cls, space: Space, condition: Classes | None, config: Config, items: int) -> int:
        sets = 1 + (condition.count if condition else 0)
        d = space.dimensions
        rows = items if d <= DENSE else min(items, _ROWS)
        return 8 * (sets * d * (config.latent + 1) + 3 * rows * d + 3 * min(d, rows) ** 2)

    def _fit(self, batch: Batch) -> float:
        groups = self.members(batch)
        for g, rows in enumerate(groups):
            self._fit_set(g, batch.x[rows])
        if self.classes:
            self._fit_set(-1, batch.x)
        nats = [self._nats(y, g).sum() for g, rows in enumerate(groups) for y in self.cells.pieces(batch.x[rows])]
        return -float(torch.stack(nats).sum()) / len(batch.x) - self.cells.volume

    def _fit_set(self, which: int, x: Tensor) -> None:
        """The subspace of items x of the space."""
        d, q = self.cells.dimensions, self.latent
        y = self.cells.centres(x if d <= DENSE else some(x, _ROWS))
        self.mean[which] = y.mean(0)
        centred = y - y.mean(0)
        noise = self.cells.variance
        if self.cells.even:
            vectors, values = leading(centred, q)
            values = values + noise[0]
            total = centred.square().sum() / len(y) + d * noise[0]
        else:
            values, vectors = torch.linalg.eigh(centred.T @ centred / len(y) + torch.diag(noise))
            total, values, vectors = values.sum(), values.flip(0)[:q], vectors.flip(1)[:, :q]
        variance = ((total - values.sum()) / max(1, d - len(values))).clamp(min=self.config.floor)
        self.loadings[which] = 0.0
        self.loadings[which, :, : len(values)] = vectors * (values - variance).clamp(min=0.0).sqrt()
        self.variance[which] = variance

    def _inner(self) -> Tensor:
        """M = W^T W + s^2 I of every set, (S, q, q)."""
        eye = torch.eye(self.latent, dtype=torch.float64, device=self.mean.device)
        return self.loadings.mT @ self.loadings + self.variance[:, None, None] * eye

    def _nats(self, y: Tensor, which: int) -> Tensor:
        """log N(y; m, W W^T + s^2 I), (B,), by way of the q x q matrix M (Woodbury's identity)."""
        d = y.shape[1]
        centred = y - self.mean[which]
        lower = torch.linalg.cholesky(self._inner()[which])
        explained = torch.linalg.solve_triangular(lower, self.loadings[which].T @ centred.T, upper=False)
        distance = (centred.square().sum(1) - explained.square().sum(0)) / self.variance[which]
        log_volume = (d - self.latent) * self.variance[which].log() + 2.0 * lower.diagonal().log().sum()
        nats: Tensor = -0.5 * (distance + log_volume + d * math.log(2 * math.pi))
        return nats

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        chosen = self.choose(noise, condition)
        signal = correlate(noise.normal(self.latent).double(), self.loadings, chosen)
        scatter = noise.normal(self.cells.dimensions).double() * self.variance[chosen].sqrt().unsqueeze(1)
        return self.cells.items(self.mean[chosen] + signal + scatter)

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        y = self.cells.vectors(x, noise)
        nats = self.asked(y, condition, self._nats) + self.cells.volume
        return LogProb(nats.float(), "exact" if self.cells.exact else "lower")

    def _sets(self, condition: Tensor | None, batch: int) -> Tensor:
        """Which set codes every row, int64 (B,)."""
        labels = self.labels(condition if self.classes else None, batch)
        return torch.where(labels < 0, self.classes, labels)

    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The posterior mean of the latent, float32 (B, q)."""
        which = self._sets(condition, len(x))
        projections = torch.linalg.solve(self._inner(), self.loadings.mT)  # (S, q, D)
        return correlate(self.cells.centres(x) - self.mean[which], projections, which).float()

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Items nearest to W z + m, for z (B, q)."""
        which = self._sets(condition, len(z))
        return self.cells.items(self.mean[which] + correlate(z.double(), self.loadings, which))

    def flops(self) -> float:
        """The sample covariance, or where that is smaller the Gram matrix of the items that are looked at."""
        return 2.0 * self.cells.dimensions * min(self.cells.dimensions, _ROWS)

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        plane = space.dimensions == 2  # the ring has a hole, which no ellipse has
        bars = {Reals: 0.08 if plane else 0.012, Levels: 0.05, Columns: 0.035}
        return Tiny(Config(latent=4), steps=1, bar=bars[type(space)])
