"""A space as sequences of symbols, so that one next-symbol model serves text, pictures and tables.

Tokens    the symbols as they are.
Levels    raster order: row by row, from left to right, the channels of a pixel one after another (PixelRNN,
          van den Oord et al. 2016a, section 2).
Columns   column by column, each with a stretch of the vocabulary to itself: a categorical code as it is, a number
          as the bin that it falls into. Within its bin a number has a density with no parameters left to learn, so
          log p(row) = sum over columns of log P(symbol | symbols before it) + log p(number | bin), exactly.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import torch
from torch import Tensor, nn

from makar.core.noise import Noise
from makar.core.spaces import Categorical, Columns, Levels, Numeric, Reals, Space, Tokens

_TAIL_HALVINGS = 4  # the outermost bins hold 2^-4 of an inner bin's share, so that few items lie in the open tails
_LEAST_WIDTH = 1e-3  # of a bin, in standard units, where the data have no second value to tell it


def quantile_levels(count: int) -> list[float]:
    """The count - 1 increasing shares in (0, 1) at which numbers are cut: even inside, halving towards both ends."""
    halvings = min(_TAIL_HALVINGS, (count - 2) // 4)
    inner = count - 1 - 2 * halvings
    step = 1.0 / (inner + 1)
    tail = [step / 2**i for i in range(halvings, 0, -1)]
    return [*tail, *(step * j for j in range(1, inner + 1)), *(1.0 - t for t in reversed(tail))]


class Bins(nn.Module):
    """Numeric columns cut into at most `count` bins each; every bin carries a normalised density.

    Inner bins are uniform. The outer two reach to infinity, exponentially: density exp(-d / scale) / scale at distance
    d beyond the last edge. Edges lie halfway between neighbouring values of the training data, at its quantiles; a
    value that is many items' own (a zero, a rounded number) gets the cell around it alone.
    """

    def __init__(self, columns: int, count: int) -> None:
        super().__init__()
        if count < 4:
            raise ValueError(f"a numeric column needs at least 4 bins, not {count}")
        normal = NormalDist()
        start = torch.tensor([normal.inv_cdf(p) for p in quantile_levels(count)], dtype=torch.float64)
        self.count = count
        # Past a column's last edge the table holds +inf.
        self.register_buffer("edges", start.repeat(columns, 1))
        self.register_buffer("scales", torch.full((columns, 2), 0.4, dtype=torch.float64))
        self.edges: Tensor
        self.scales: Tensor

    def learn(self, x: Tensor) -> None:
        """Choose edges and tails by training numbers float32 (N, columns)."""
        for i, values in enumerate(x.double().unbind(1)):
            edges = _edges(values.sort().values, self.count)
            self.edges[i] = math.inf
            self.edges[i, : len(edges)] = edges
            below, above = values[values < edges[0]], values[values >= edges[-1]]
            first, last = edges[1] - edges[0], edges[-1] - edges[-2]
            self.scales[i, 0] = (edges[0] - below).mean() if len(below) else first
            self.scales[i, 1] = (above - edges[-1]).mean() if len(above) else last
        self.scales.clamp_(min=_LEAST_WIDTH)

    def used(self) -> Tensor:
        """Which bins there are, bool (columns, count)."""
        return torch.cat([torch.ones_like(self.edges[:, :1], dtype=torch.bool), self.edges.isfinite()], 1)

    def find(self, x: Tensor) -> Tensor:
        """The bin of every number, int64 (B, columns)."""
        return torch.searchsorted(self.edges, x.double().t().contiguous(), right=True).t()

    def _bounds(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper edge of bins (B, columns), infinite for the tails."""
        beyond = torch.full_like(self.edges[:, :1], math.inf)
        padded = torch.cat([-beyond, self.edges, beyond], 1).t()
        return padded.gather(0, codes), padded.gather(0, codes + 1)

    def log_density(self, x: Tensor, codes: Tensor) -> Tensor:
        """log p(x | bin) in nats, float64 (B, columns), for numbers that lie in their bins."""
        low, high = self._bounds(codes)
        inner = -(high - low).log()
        left = -(high - x.double()) / self.scales[:, 0] - self.scales[:, 0].log()
        right = -(x.double() - low) / self.scales[:, 1] - self.scales[:, 1].log()
        return torch.where(low.isinf(), left, torch.where(high.isinf(), right, inner))

    def draw(self, codes: Tensor, uniform: Tensor) -> Tensor:
        """Numbers float32 (B, columns) drawn in their bins, by inversion of uniform (B, columns) on [0, 1)."""
        low, high = self._bounds(codes)
        u = uniform.double()
        away = -torch.log1p(-u)
        left, right = high - self.scales[:, 0] * away, low + self.scales[:, 1] * away
        return torch.where(low.isinf(), left, torch.where(high.isinf(), right, low + u * (high - low))).float()


def _edges(ordered: Tensor, count: int) -> Tensor:
    """At least 2 and at most count - 1 increasing edges, halfway between neighbouring distinct values, by quantiles.

    A quantile puts an edge above its value, and a value that several quantiles hit gets one below as well.
    """
    distinct, place, _ = torch.unique_consecutive(ordered, return_inverse=True, return_counts=True)
    inner = (distinct[1:] + distinct[:-1]) / 2
    if len(distinct) == 1:
        half = torch.full((1,), _LEAST_WIDTH, dtype=torch.float64, device=ordered.device)
        return torch.cat([distinct - half, distinct + half])
    first = distinct[:1] - (inner[:1] - distinct[:1])
    last = distinct[-1:] + (distinct[-1:] - inner[-1:])
    candidates = torch.cat([first, inner, last])  # candidates[i] and candidates[i + 1] enclose distinct[i]
    levels = torch.tensor(quantile_levels(count), dtype=torch.float64, device=ordered.device)
    hit = place[(levels * len(ordered)).ceil().long().clamp(1, len(ordered)) - 1]
    values, hits = hit.unique(return_counts=True)
    chosen = torch.cat([values + 1, values[hits > 1]])
    edges = candidates[chosen.unique()]
    if len(edges) == 1:  # so few items that one quantile stands for all
        edges = torch.cat([first, edges, last]).unique()
    return edges


class Serial(nn.Module):
    """Items of a space as int64 symbols (B, length), -1 past an item's end, and back."""

    def __init__(self, space: Space, bins: int) -> None:
        super().__init__()
        if isinstance(space, Reals):
            raise TypeError("real numbers are not symbols")
        self.space = space
        self.length = space.dimensions
        self.bins: Bins | None = None
        self.sizes: list[int] = []
        if isinstance(space, Columns):
            numeric = sum(isinstance(c, Numeric) for c in space.columns)
            self.bins = Bins(numeric, bins) if numeric else None
            self.sizes = [c.levels if isinstance(c, Categorical) else bins for c in space.columns]
            starts = torch.tensor(self.sizes).cumsum(0) - torch.tensor(self.sizes)
            self.vocab = sum(self.sizes)
        else:
            starts = torch.zeros(self.length, dtype=torch.int64)
            self.vocab = space.vocab if isinstance(space, Tokens) else space.levels
        order = torch.arange(self.length)
        if isinstance(space, Levels) and len(space.shape) == 3:
            order = order.reshape(space.shape).permute(1, 2, 0).flatten()
        columns = space.columns if isinstance(space, Columns) else ()
        numbers = torch.tensor([i for i, c in enumerate(columns) if isinstance(c, Numeric)], dtype=torch.int64)
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("numbers", numbers, persistent=False)
        self.starts: Tensor
        self.order: Tensor
        self.numbers: Tensor

    def learn(self, x: Tensor) -> None:
        """Choose the bins of numeric columns by training items."""
        if self.bins is not None:
            self.bins.learn(x[:, self.numbers])

    def encode(self, x: Tensor) -> Tensor:
        """Items of the space to symbols (B, T)."""
        if isinstance(self.space, Tokens):
            return x
        if isinstance(self.space, Levels):
            return x.flatten(1)[:, self.order]
        codes = x.long()
        if self.bins is not None:
            codes[:, self.numbers] = self.bins.find(x[:, self.numbers])
        return codes + self.starts

    def decode(self, symbols: Tensor, noise: Noise) -> Tensor:
        """Symbols (B, length) to items of the space; numbers are drawn in their bins."""
        if isinstance(self.space, Tokens):
            return symbols
        if isinstance(self.space, Levels):
            flat = torch.empty_like(symbols)
            flat[:, self.order] = symbols
            return flat.reshape(-1, *self.space.shape)
        codes = symbols - self.starts
        x = codes.float()
        if self.bins is not None:
            x[:, self.numbers] = self.bins.draw(codes[:, self.numbers], noise.uniform(len(self.numbers)))
        return x

    def volume(self, x: Tensor, symbols: Tensor) -> Tensor | None:
        """log p(item | symbols) in nats, one share for each symbol (B, T); None where symbols say all there is."""
        if self.bins is None:
            return None
        share = torch.zeros(symbols.shape, dtype=torch.float64, device=x.device)
        codes = (symbols - self.starts)[:, self.numbers]
        share[:, self.numbers] = self.bins.log_density(x[:, self.numbers], codes)
        return share

    def allowed(self) -> Tensor | None:
        """Which symbols can stand at each place, bool (length, vocab); None where all can stand everywhere."""
        if not isinstance(self.space, Columns):
            return None
        size = torch.tensor(self.sizes, device=self.starts.device)
        symbol = torch.arange(self.vocab, device=self.starts.device)
        allowed = (symbol >= self.starts[:, None]) & (symbol < (self.starts + size)[:, None])
        if self.bins is not None:
            used = self.bins.used()
            for row, column in enumerate(self.numbers.tolist()):
                start = int(self.starts[column])
                allowed[column, start : start + self.bins.count] &= used[row]
        return allowed

    def neighbours(self) -> Tensor:
        """Places that bear directly on each place, int64 (length, N), all before it; -1 where there is none.

        For a picture, the pixels of the two rows above and of its own row, within two columns, of its channel, and the
        channels of the pixel that come before; for other sequences, the last three places.
        """
        place = torch.arange(self.length)
        if not (isinstance(self.space, Levels) and len(self.space.shape) == 3):
            back = torch.arange(1, min(4, self.length + 1)) if not isinstance(self.space, Columns) else torch.ones(1)
            return (place[:, None] - back.long()).clamp(min=-1)
        channels, _, width = self.space.shape
        row, column, channel = place // (width * channels), place // channels % width, place % channels
        steps = [(dr, dc) for dr in (-2, -1, 0) for dc in (-2, -1, 0, 1, 2) if (dr, dc) < (0, 0)]
        found = []
        for dr, dc in steps:
            r, c = row + dr, column + dc
            inside = (r >= 0) & (c >= 0) & (c < width)
            found.append(torch.where(inside, (r * width + c) * channels + channel, -1))
        for dk in range(1, channels):
            found.append(torch.where(channel >= dk, place - dk, -1))
        return torch.stack(found, 1)

    def coordinates(self) -> Tensor:
        """Indices of each place, int64 (length, axes), to which embeddings are given: row, column and channel of a
        picture, the column of a table, none for text, whose positions are relative."""
        place = torch.arange(self.length)
        if isinstance(self.space, Tokens):
            return place[:, None][:, :0]
        if isinstance(self.space, Levels) and len(self.space.shape) == 3:
            channels, _, width = self.space.shape
            axes = [place // (width * channels), place // channels % width]
            return torch.stack(axes + ([place % channels] if channels > 1 else []), 1)
        return place[:, None]
