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

_PIECE = 1 << 21  # numbers looked at together


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
        shape = (self.groups, len(sizes), int(cells.max()) + 1)
        self.register_buffer("totals", torch.zeros(shape, dtype=torch.int32))
        self.totals: Tensor  # (G, D, K + 1): items below each value, so that a draw is a search and no table is made
        lengths = space.length + 1 if isinstance(space, Tokens) else 0
        self.register_buffer("lengths", torch.zeros(self.groups, lengths, dtype=torch.float64))
        self.lengths: Tensor  # (G, length + 1)

    @classmethod
    def memory(cls, space: Space, condition: Classes | None, config: Config, items: int) -> int:
        sizes = _sizes(space, config.bins)
        values = max(size or config.bins for size in sizes) + 1
        groups = max(1, condition.count if condition else 1)
        return len(sizes) * values * (4 * groups + 24) + 40 * min(items * len(sizes), _PIECE)

    @property
    def counts(self) -> Tensor:
        """Occurrences of every value, float64 (G, D, K)."""
        return self.totals.diff(dim=2).double()

    @property
    def table(self) -> Tensor:
        """log p_d(k | c), float64 (G, D, K), -inf where k is beyond a dimension's values."""
        a, counts = self.config.smoothing, self.counts
        real = torch.arange(counts.shape[2], device=counts.device) < self.sizes.unsqueeze(1)
        total = counts.sum(2, keepdim=True) + a * self.sizes.unsqueeze(1)
        return ((counts + a).log() - total.log()).masked_fill(~real, -torch.inf)

    def learner(self) -> OnePass:
        return OnePass(self._count)

    def _count(self, batch: Batch) -> float:
        if self.grid is not None:
            self.grid.fit(batch.x.flatten(1)[:, self.numeric])
        k = self.totals.shape[2] - 1
        for g, rows in enumerate(self.members(batch)):
            counted = torch.zeros(self.totals.shape[1] * k, dtype=torch.int64, device=self.totals.device)
            ends = torch.zeros(self.lengths.shape[1], dtype=torch.int64, device=self.totals.device)
            for part in rows.split(self._piece):
                own = self._codes(batch.x[part])
                slots = own + k * torch.arange(own.shape[1], device=own.device)
                if isinstance(self.space, Tokens):
                    slots = own[own >= 0]
                    ends += torch.bincount((own >= 0).sum(1), minlength=len(ends))
                counted += torch.bincount(slots.flatten(), minlength=len(counted))
            self.lengths[g] = ends.double()
            self.totals[g, :, 1:] = counted.reshape(-1, k).cumsum(1).int()
        return -float(self._nats(batch.x, batch.condition).mean())

    @property
    def _piece(self) -> int:
        """Items looked at together."""
        return max(1, _PIECE // self.space.dimensions)

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        chosen = self.choose(noise, condition)
        if isinstance(self.space, Tokens):
            return self._draw_symbols(self.table[chosen], chosen, noise)
        codes = self._search(chosen, noise.uniform(len(self.sizes)).double())
        if isinstance(self.space, Levels):
            return codes.reshape(-1, *self.space.shape)
        x = codes.float()
        if self.grid is not None:
            x[:, self.numeric] = self.grid.draw(codes[:, self.numeric], noise).float()
        return x.reshape(-1, *self.space.shape) if isinstance(self.space, Reals) else x

    def _search(self, chosen: Tensor, u: Tensor) -> Tensor:
        """Values whose smoothed share of what lies below passes u, int64 (B, D): inversion, by halving."""
        a, (_, d, ends) = self.config.smoothing, self.totals.shape
        totals = self.totals.flatten()
        first = (chosen.unsqueeze(1) * d + torch.arange(d, device=chosen.device)) * ends  # where a row's values begin
        target = u * (totals[first + ends - 1].double() + a * self.sizes)
        low = torch.zeros_like(first)
        high = (self.sizes - 1).expand_as(first)
        for _ in range((ends - 1).bit_length()):
            middle = (low + high) // 2
            beyond = totals[first + middle + 1].double() + a * (middle + 1).double() <= target
            low, high = torch.where(beyond & (low < high), middle + 1, low), torch.where(beyond, high, middle)
        return low.minimum(self.sizes - 1)

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
        return self.asked(x, condition, self._own_nats)

    def _own_nats(self, x: Tensor, group: int) -> Tensor:
        """log p(x | class), float64 (B,)."""
        totals, a = self.totals[group], self.config.smoothing
        whole = (totals[:, -1].double() + a * self.sizes).log()
        found = []
        for part in x.split(self._piece):
            codes = self._codes(part)
            d = torch.arange(codes.shape[1], device=x.device)
            d = torch.zeros_like(d) if isinstance(self.space, Tokens) else d
            seen = codes.clamp(min=0)
            nats = ((totals[d, seen + 1] - totals[d, seen]).double() + a).log() - whole[d]
            nats = nats.masked_fill(codes < 0, 0.0).sum(1)
            if self.grid is not None:
                nats = nats + self.grid.nats(part.flatten(1)[:, self.numeric]).sum(1)
            found.append(nats)
        return torch.cat(found)

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
