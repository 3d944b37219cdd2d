"""Kernel density: every training item, blurred (Parzen 1962). A strong plain baseline that copies.

    p(x | c) = 1/n_c sum_i prod_d K_d(x_d, x_id)

with one Gaussian kernel N(x_d; x_id, h^2) for numbers and, for a categorical column of L codes, the kernel of Aitchison
& Aitken 1976: 1 - a where the codes agree, a / (L - 1) where they do not. Levels have the Gaussian's mass in their
cells, the outermost cells that of all beyond, which is exactly how items are drawn; so the likelihood is exact in every
space. Bandwidth h and share a of a class maximise the leave-one-out likelihood (Duin 1976) of its items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.model import LogProb, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Reals, Space
from makar.families._stat import Cells, OnePass, PerClass

_CHUNK = 1 << 22  # numbers held at once while kernels are summed
_PAIRS = 1 << 21  # pairs of a judge and an item whose distance is looked at
_JUDGES = 400  # items of a class, at most, whose leave-one-out likelihood chooses the bandwidth


@dataclass(frozen=True)
class Config:
    bandwidth: float | None = None  # h in units of the relaxed space, [-1, 1] for levels; None chooses it
    swap: float | None = None  # a, the chance that a code is exchanged for another; None chooses it


class Kernel(PerClass):
    """The training items of every class, one class after another, and how far each is blurred."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Reals, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        columns = space.columns if isinstance(space, Columns) else ()
        self.categorical = [j for j, c in enumerate(columns) if isinstance(c, Categorical)]
        self.numeric = [j for j, c in enumerate(columns) if not isinstance(c, Categorical)]
        self.codes = [c.levels for c in columns if isinstance(c, Categorical)]
        self.cells = Cells(space) if isinstance(space, Levels) else None
        middle = torch.zeros((1, space.dimensions))
        if isinstance(space, Levels):
            middle = torch.full((1, space.dimensions), space.levels // 2, dtype=self._kind)
        # Before training one wide item in the middle stands for every class.
        self.register_buffer("items", middle)
        self.register_buffer("starts", torch.zeros(self.groups, dtype=torch.int64))
        self.register_buffer("counts", torch.ones(self.groups, dtype=torch.int64))
        self.register_buffer("bandwidth", torch.ones(self.groups, dtype=torch.float64))
        self.register_buffer("swap", torch.full((self.groups,), 0.5, dtype=torch.float64))
        self.items: Tensor  # (N, D), float32 or, for levels, uint8 where they fit into a byte, else int64
        self.starts: Tensor  # (G,) where the items of a class begin
        self.counts: Tensor  # (G,)
        self.bandwidth: Tensor  # (G,) h
        self.swap: Tensor  # (G,) a

    @property
    def _kind(self) -> torch.dtype:
        if not isinstance(self.space, Levels):
            return torch.float32
        return torch.uint8 if self.space.levels <= 256 else torch.int64

    @classmethod
    def memory(cls, space: Space, condition: Classes | None, config: Config, items: int) -> int:
        return 24 * items * space.dimensions + 32 * _JUDGES * items

    def learner(self) -> OnePass:
        return OnePass(self._fit)

    def _fit(self, batch: Batch) -> float:
        flat = batch.x.flatten(1)
        members = self.members(batch)
        self.counts = torch.tensor([len(rows) for rows in members], device=flat.device)
        self.starts = self.counts.cumsum(0) - self.counts
        self.items = flat[torch.cat(members)].to(self._kind, copy=True)
        loss = 0.0
        for g, rows in enumerate(members):
            self.bandwidth[g], self.swap[g], nats = self._choose_blur(batch.x[rows])
            loss -= nats * len(rows) / len(flat)
        return loss

    def _choose_blur(self, x: Tensor) -> tuple[float, float, float]:
        """h, a and the mean leave-one-out log-likelihood of items x (n, ...), by turns over two grids."""
        y = x[:, self.numeric].double() if self.cells is None and self.codes else x.flatten(1).double()
        if self.cells is not None:
            y = self.cells.centres(x)
        most = max(_JUDGES // 8, min(_JUDGES, _PAIRS // len(x)))  # fewer where each is judged by more
        judges = torch.linspace(0, len(x) - 1, min(len(x), most), device=x.device).long()
        squares = _squares(y[judges], y)
        codes = x.flatten(1)[:, self.categorical].long()
        differs = codes[judges].unsqueeze(1) != codes
        others = torch.tensor(self.codes, dtype=torch.float64, device=x.device).sub(1).clamp(min=1).log()
        score = _LeaveOneOut(squares, y.shape[1], differs.sum(2), differs.double() @ others, len(self.codes), judges)
        scale = float(y.std(0, correction=0).square().mean().sqrt()) if y.shape[1] else 1.0
        widths = [max(scale, 1e-3) * 10 ** (e / 12 - 2) for e in range(28)]
        swaps = [0.5 * 10 ** (e / 4 - 3) for e in range(13)]
        width = self.config.bandwidth or widths[12]
        swap = self.config.swap or swaps[8]
        for _ in range(2 if self.codes else 1):
            if self.config.bandwidth is None and y.shape[1]:
                width = max(widths, key=lambda h, a=swap: score(h, a))  # type: ignore[misc]
            if self.config.swap is None and self.codes:
                swap = max(swaps, key=lambda a, h=width: score(h, a))  # type: ignore[misc]
        volume = 0.0 if self.cells is None else self.cells.volume
        return width, swap, score(width, swap) + volume

    def _table(self, group: int) -> Tensor:
        """log K(level, item's level) of two levels, float64 (L, L): the kernel's mass in the cell of the first."""
        assert isinstance(self.space, Levels)
        k = self.space.levels
        inner = 2.0 * torch.arange(1, k, dtype=torch.float64, device=self.bandwidth.device) / k - 1.0
        centre = (2.0 * torch.arange(k, dtype=torch.float64, device=inner.device) + 1.0) / k - 1.0
        z = (inner - centre.unsqueeze(1)) / self.bandwidth[group]  # (item's level, edge)
        ends = z.new_full((k, 1), torch.inf)
        low, high = torch.cat([-ends, z], 1), torch.cat([z, ends], 1)
        # In the upper half the mass is that of the mirrored cell, whose difference does not cancel.
        flip = low > 0
        low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
        mass = torch.special.ndtr(high) - torch.special.ndtr(low)
        table: Tensor = mass.clamp(min=1e-300).log().T
        return table

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        chosen = self.choose(noise, condition)
        place = (noise.uniform().double() * self.counts[chosen]).long()
        item = self.items[self.starts[chosen] + place]
        blur = self.bandwidth[chosen].unsqueeze(1)
        if self.cells is not None:
            centre = self.cells.centres(item.long().reshape(-1, *self._shape))
            return self.cells.items(centre + blur * noise.normal(item.shape[1]).double())
        if isinstance(self.space, Reals):
            return (item + blur * noise.normal(item.shape[1]).double()).float().reshape(-1, *self._shape)
        x = item.clone()
        x[:, self.numeric] = (item[:, self.numeric] + blur * noise.normal(len(self.numeric)).double()).float()
        for j, levels in zip(self.categorical, self.codes, strict=True):
            leaves = noise.uniform() < self.swap[chosen]
            other = 1 + (noise.uniform().double() * (levels - 1)).long() if levels > 1 else torch.zeros_like(chosen)
            x[:, j] = torch.where(leaves, (item[:, j].long() + other) % levels, item[:, j].long()).float()
        return x

    @property
    def _shape(self) -> tuple[int, ...]:
        assert isinstance(self.space, Levels | Reals)
        return self.space.shape

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        flat = x.flatten(1)
        labels = self.labels(condition, len(x)) if self.classes else torch.zeros_like(flat[:, 0], dtype=torch.int64)
        nats = torch.zeros((len(x), self.groups), dtype=torch.float64, device=x.device)
        for g in range(self.groups):  # of a class that was not asked for nothing is worked out
            asked = torch.nonzero((labels == g) | (labels < 0)).flatten()
            if len(asked):
                nats[asked, g] = self._nats(flat[asked], g)
        return LogProb(self.mix(nats, condition).float(), "exact")

    def _nats(self, x: Tensor, group: int) -> Tensor:
        """log p(x | class) of flat items, float64 (B,)."""
        start, count = int(self.starts[group]), int(self.counts[group])
        size = max(1, _CHUNK // max(1, len(x) * (x.shape[1] if self.cells or self.codes else 1)))
        parts = [
            self._kernel(x, self.items[i : min(i + size, start + count)], group).logsumexp(1)
            for i in range(start, start + count, size)
        ]
        return torch.stack(parts, 1).logsumexp(1) - math.log(count)

    def _kernel(self, x: Tensor, items: Tensor, group: int) -> Tensor:
        """log K(x, item) of every pair, (B, N)."""
        if isinstance(self.space, Levels):
            pair = x.unsqueeze(1) * self.space.levels + items.long()
            return self._table(group).flatten()[pair].sum(2)
        h = float(self.bandwidth[group])
        d = len(self.numeric) if self.codes else x.shape[1]
        a, b = (x[:, self.numeric], items[:, self.numeric]) if self.codes else (x, items)
        nats = -0.5 * _squares(a.double(), b.double()) / h**2 - d * math.log(h * math.sqrt(2 * math.pi))
        for j, levels in zip(self.categorical, self.codes, strict=True):
            swap = float(self.swap[group]) if levels > 1 else 0.0
            agree, differ = math.log1p(-swap), math.log(max(swap, 1e-300) / max(levels - 1, 1))
            nats = nats + torch.where(x[:, j].unsqueeze(1) == items[:, j], agree, differ)
        return nats

    def flops(self) -> float:
        """The distances from one item to those that judge the bandwidth, and two grids of 28 and 13 kernels on them."""
        return float(_JUDGES) * (3.0 * self.space.dimensions + 2 * 41 * 4.0)

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        bars = {Reals: 0.015, Levels: 0.015, Columns: 0.015}
        return Tiny(Config(), steps=1, bar=bars[type(space)])


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances of the rows of a (m, D) and b (n, D), float64 (m, n)."""
    return (a.square().sum(1, keepdim=True) + b.square().sum(1) - 2.0 * a @ b.T).clamp(min=0.0)


@dataclass(frozen=True)
class _LeaveOneOut:
    """The mean log-density of every judge under the other items, as a function of h and a."""

    squares: Tensor  # (m, n) squared distances of the numeric parts
    dimensions: int
    differing: Tensor  # (m, n) codes that differ
    spread: Tensor  # (m, n) sum of log(L - 1) over the columns that differ
    columns: int
    judges: Tensor  # (m,) row numbers of the judges among the items

    def __call__(self, h: float, a: float) -> float:
        nats = -0.5 * self.squares / h**2 - self.dimensions * math.log(h * math.sqrt(2 * math.pi))
        if self.columns:
            differing = self.differing.double()
            nats = nats + differing * math.log(a) + (self.columns - differing) * math.log1p(-a) - self.spread
        n = nats.shape[1]
        if n == 1:
            return float(nats.mean())
        nats = nats.scatter(1, self.judges.unsqueeze(1), -torch.inf)
        return float(nats.logsumexp(1).mean()) - math.log(n - 1)
