"""What the plain statistical families share: a set of parameters for every class, cells as vectors, Gaussians.

A plain family is made conditional by fitting it once for every class. With class prior pi the item of no particular
class has the density  p(x) = sum_c pi_c p(x | c).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from makar.core.learner import Batch, Learner
from makar.core.model import Draws, HasLogProb, Model
from makar.core.noise import Noise, Replay
from makar.core.spaces import Classes, Space
from makar.nets.relax import Dequantised

_PIECE = 1 << 21  # numbers of items turned into vectors at once


class OnePass(Learner):
    """A closed-form fit: one look at the whole training set, then done."""

    def __init__(self, fit: Callable[[Batch], float]) -> None:
        self._fit = fit

    @torch.no_grad()
    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        loss = self._fit(batch)
        self.done = True
        return {"loss": loss}

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done = bool(state["done"])


class PerClass(Model, Draws, HasLogProb):
    """A model with one set of parameters for every class (one set in all where there are no classes)."""

    def __init__(self, space: Space, condition: Classes | None, config: Any) -> None:
        super().__init__(space, condition, config)
        self.groups = max(1, self.classes)
        self.register_buffer("prior", torch.full((self.groups,), -math.log(self.groups), dtype=torch.float64))
        self.prior: Tensor  # log pi

    @abstractmethod
    def learner(self) -> Learner:
        """What fits it; its `batch` is None."""

    def members(self, batch: Batch) -> list[Tensor]:
        """Row numbers of every class, and sets the class prior, one pseudo-item a class.

        A row without a label counts for every class; a class without rows is given all rows.
        """
        everything = torch.arange(len(batch.x), device=batch.x.device)
        if self.classes == 0:
            return [everything]
        labels = self.labels(batch.condition, len(batch.x))
        counts = torch.bincount(labels[labels >= 0], minlength=self.groups).double() + 1.0
        self.prior = (counts / counts.sum()).log()
        found = [everything[(labels == g) | (labels < 0)] for g in range(self.groups)]
        return [rows if len(rows) else everything for rows in found]

    def choose(self, noise: Noise, condition: Tensor | None) -> Tensor:
        """The class of every row, int64 (B,): the one asked for, or one drawn from the prior."""
        if self.classes == 0:
            return torch.zeros(noise.batch, dtype=torch.int64, device=self.prior.device)
        labels = self.labels(condition, noise.batch)
        drawn = noise.choice(self.prior.expand(noise.batch, self.groups))
        return torch.where(labels < 0, drawn, labels)

    def mix(self, nats: Tensor, condition: Tensor | None) -> Tensor:
        """log p(x | c) of every class, (B, G), to log p(x | condition), (B,)."""
        if self.classes == 0:
            return nats[:, 0]
        labels = self.labels(condition, len(nats))
        own = nats.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
        return torch.where(labels < 0, torch.logsumexp(nats + self.prior, 1), own)

    def asked(self, y: Tensor, condition: Tensor | None, nats: Callable[[Tensor, int], Tensor]) -> Tensor:
        """log p(y | condition), (B,), by `nats(rows, class)`, which is asked of a class for the rows that need it."""
        if self.classes == 0:
            return nats(y, 0)
        labels = self.labels(condition, len(y))
        found = torch.zeros((len(y), self.groups), dtype=torch.float64, device=y.device)
        for g in range(self.groups):
            rows = torch.nonzero((labels == g) | (labels < 0)).flatten()
            if len(rows):
                found[rows, g] = nats(y[rows], g).double()
        return self.mix(found, condition)


class Cells(nn.Module):
    """Items of a space as float64 vectors (B, D): levels and codes are cells of an interval of [-1, 1].

    Uniform noise within a cell of width w adds w^2 / 12 to the variance, so a Gaussian is fitted to cell centres, with
    that variance added, and no chance enters a fit.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.dequantised = Dequantised(space)
        self.dimensions = math.prod(self.dequantised.shape)
        self.volume = self.dequantised.volume
        self.exact = self.dequantised.exact

    @property
    def variance(self) -> Tensor:
        """Variance of the noise within a cell, float64 (D,); 0 for a real number."""
        levels = self.dequantised.levels.flatten().double()
        return torch.where(levels > 0, (2.0 / levels.clamp(min=1)) ** 2 / 12.0, 0.0)

    @property
    def even(self) -> bool:
        """Whether the noise within a cell has one variance in every dimension."""
        levels = self.dequantised.levels
        return bool((levels == levels.flatten()[0]).all())

    def centres(self, x: Tensor) -> Tensor:
        """Centres of the cells of items, float64 (B, D)."""
        out = torch.empty((len(x), self.dimensions), dtype=torch.float64, device=x.device)
        step = max(1, _PIECE // self.dimensions)  # in pieces: what is made on the way has the size of a piece
        for i in range(0, len(x), step):
            piece = x[i : i + step]
            middle = Replay(torch.full((len(piece), *self.dequantised.shape), 0.5, device=x.device))
            out[i : i + step] = self.vectors(piece, middle)
        return out

    def pieces(self, x: Tensor) -> Iterator[Tensor]:
        """The centres of items, some at a time."""
        for piece in x.split(max(1, _PIECE // self.dimensions)):
            yield self.centres(piece)

    def vectors(self, x: Tensor, noise: Noise) -> Tensor:
        """Points drawn in the cells of items, float64 (B, D)."""
        relaxed: Tensor = self.dequantised.relax(x, noise)
        return relaxed.flatten(1).double()

    def items(self, y: Tensor) -> Tensor:
        """The items in whose cells the vectors (B, D) lie."""
        snapped: Tensor = self.dequantised.snap(y.float().reshape(len(y), *self.dequantised.shape))
        return snapped


def gaussian_nats(x: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    """log N(x; m, L L^T) of x (B, D) for each of M means (M, D) and Cholesky factors (M, D, D); returns (B, M)."""
    columns = []
    for m, lower in zip(mean, factor, strict=True):
        white = torch.linalg.solve_triangular(lower, (x - m).T, upper=False)
        log_volume = lower.diagonal().log().sum() + 0.5 * x.shape[1] * math.log(2 * math.pi)
        columns.append(-0.5 * white.square().sum(0) - log_volume)
    return torch.stack(columns, 1)


def correlate(eps: Tensor, factor: Tensor, which: Tensor) -> Tensor:
    """L_w eps for every row of eps (B, D), with w = which (B,) among factors (M, D, Q); returns (B, D).

    All rows go through every factor that one of them chose, so that the arithmetic of a row does not depend on which
    rows chose what.
    """
    out = eps.new_zeros(len(eps), factor.shape[1])
    for m in which.unique().tolist():
        out = torch.where((which == m).unsqueeze(1), eps @ factor[m].T, out)
    return out
