"""Independent dimensions: every pixel, column or symbol by its own frequencies, the trivial ceiling.

    p(x | c) = prod_d p_d(x_d | c)        p_d(k | c) = (n_dkc + a) / (n_dc + a K)

with a the pseudo-count of a symmetric Dirichlet prior, so that before training it is the uniform distribution. A
number is a cell of a quantile grid, uniform within the cell and exponential in the tails. Symbols share one table
whatever their place (a unigram model); an item's length is drawn from the lengths seen and, as everywhere on Tokens,
not scored. What another family must beat to have learnt any dependence at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.model import LogProb, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Reals, Space, Tokens
from makar.families._stat import OnePass, PerClass
from makar.families._stat_grid import Grid


@dataclass(frozen=True)
class Config:
    smoothing: float = 1.0  # pseudo-count of every value
    bins: int = 32  # cells of a real number


class Independent(PerClass):
    """Frequencies of every dimension, for every class."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Levels, Columns, Tokens, Reals)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        sizes = _sizes(space, config.bins)
        self.numeric = [d for d, size in enumerate(sizes) if size == 0]
        self.grid = Grid(len(self.numeric), config.bins) if self.numeric else None
        cells = torch.tensor([size or config.bins for size in sizes])
        self.register_buffer("sizes", cells, persistent=False)
        self.sizes: Tensor  # (D,)
        self.register_buffer("counts", torch.zeros(self.groups, len(sizes), int(cells.max()), dtype=torch.float64))
        self.counts: Tensor  # (G, D, K)
        lengths = space.length + 1 if isinstance(space, Tokens) else 0
        self.register_buffer("lengths", torch.zeros(self.groups, lengths, dtype=torch.float64))
        self.lengths: Tensor  # (G, length + 1)

    @property
    def table(self) -> Tensor:
        """log p_d(k | c), float64 (G, D, K), -inf where k is beyond a dimension's values."""
        a = self.config.smoothing
        real = torch.arange(self.counts.shape[2], device=self.counts.device) < self.sizes.unsqueeze(1)
        total = self.counts.sum(2, keepdim=True) + a * self.sizes.unsqueeze(1)
        return ((self.counts + a).log() - total.log()).masked_fill(~real, -torch.inf)

    def learner(self) -> OnePass:
        return OnePass(self._count)

    def _count(self, batch: Batch) -> float:
        if self.grid is not None:
            self.grid.fit(batch.x.flatten(1)[:, self.numeric])
        codes = self._codes(batch.x)
        k = self.counts.shape[2]
        for g, rows in enumerate(self.members(batch)):
            own = codes[rows]
            slots = own + k * torch.arange(own.shape[1], device=own.device)
            if isinstance(self.space, Tokens):
                slots = own[own >= 0]
                ends = (own >= 0).sum(1)
                self.lengths[g] = torch.bincount(ends, minlength=self.lengths.shape[1]).double()
            counted = torch.bincount(slots.flatten(), minlength=self.counts[g].numel())
            self.counts[g] = counted.reshape(self.counts[g].shape).double()
        return -float(self._nats(batch.x, batch.condition).mean())

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        chosen = self.choose(noise, condition)
        logits = self.table[chosen]
        if isinstance(self.space, Tokens):
            return self._draw_symbols(logits, chosen, noise)
        codes = noise.choice(logits)
        if isinstance(self.space, Levels):
            return codes.reshape(-1, *self.space.shape)
        x = codes.float()
        if self.grid is not None:
            x[:, self.numeric] = self.grid.draw(codes[:, self.numeric], noise)
        return x.reshape(-1, *self.space.shape) if isinstance(self.space, Reals) else x

    def _draw_symbols(self, logits: Tensor, chosen: Tensor, noise: Noise) -> Tensor:
        lengths = self.lengths[chosen]
        unseen = lengths.sum(1) == 0
        lengths[:, -1] += unseen.double()  # before training, items are whole
        end = noise.choice(lengths.log())
        symbols = noise.choice(logits.expand(-1, lengths.shape[1] - 1, -1))
        place = torch.arange(symbols.shape[1], device=symbols.device)
        return symbols.masked_fill(place >= end.unsqueeze(1), -1)

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        return LogProb(self._nats(x, condition).float(), "exact")

    def _nats(self, x: Tensor, condition: Tensor | None) -> Tensor:
        codes = self._codes(x)
        past = codes < 0
        dimension = torch.arange(codes.shape[1], device=x.device)
        if isinstance(self.space, Tokens):
            dimension = torch.zeros_like(dimension)
        per_class = [table[dimension, codes.clamp(min=0)].masked_fill(past, 0.0).sum(1) for table in self.table]
        nats = torch.stack(per_class, 1)
        if self.grid is not None:
            nats = nats + self.grid.nats(x.flatten(1)[:, self.numeric]).sum(1, keepdim=True)
        return self.mix(nats, condition)

    def _codes(self, x: Tensor) -> Tensor:
        """The value or cell of every dimension, int64 (B, D)."""
        flat = x.flatten(1)
        if self.grid is None:
            return flat.long()
        codes = flat.long()
        codes[:, self.numeric] = self.grid.bin(flat[:, self.numeric])
        return codes

    def flops(self) -> float:
        """One addition for every dimension."""
        return float(self.space.dimensions)

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        # On Tokens no bar could say more: a chain of even frequencies has nothing that frequencies can learn.
        bars: dict[type, float] = {Reals: 0.03, Levels: 0.12, Columns: 0.02, Tokens: 1.6}
        return Tiny(Config(bins=20), steps=1, bar=bars[type(space)])


def _sizes(space: Space, bins: int) -> list[int]:
    """How many values every dimension has; 0 for a real number."""
    if isinstance(space, Tokens):
        return [space.vocab]
    if isinstance(space, Columns):
        return [c.levels if isinstance(c, Categorical) else 0 for c in space.columns]
    return [space.levels if isinstance(space, Levels) else 0] * space.dimensions
