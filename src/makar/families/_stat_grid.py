"""Numeric columns as cells of a quantile grid, with an exact density: what a table model knows of a real number.

Column d is cut at F - 1 increasing edges e. Inner cells are uniform, the two outer ones exponential:

    p(x | cell j) = 1 / (e_j+1 - e_j)        p(x | first) = exp((x - e_1) / s) / s        likewise above.

`fine` consecutive cells make a bin; within a bin, cells have the smoothed shares of the training data, so a bin's
distribution is the interpolated empirical one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from makar.core.noise import Noise

_GAP = 1e-3  # least width of a cell, in the standard units of a numeric column: an atom becomes a spike this narrow


class Grid(nn.Module):
    """D numeric columns, each cut into `bins` bins of `fine` cells. Before `fit`, the quantiles of N(0, 1)."""

    def __init__(self, columns: int, bins: int, fine: int = 1) -> None:
        super().__init__()
        cells = bins * fine
        if cells < 2:
            raise ValueError(f"a grid needs at least 2 cells, not {bins} x {fine}")
        self.bins, self.fine, self.cells = bins, fine, cells
        ranks = torch.arange(1, cells, dtype=torch.float64) / cells
        edges = torch.special.ndtri(ranks).expand(columns, -1).contiguous()
        self.register_buffer("edges", edges)
        self.register_buffer("tails", torch.full((columns, 2), 0.4, dtype=torch.float64))
        self.register_buffer("shares", torch.full((columns, bins, fine), 1.0 / fine, dtype=torch.float64).log())
        self.edges: Tensor  # (D, F - 1)
        self.tails: Tensor  # (D, 2): scale of the exponential below the first and above the last edge
        self.shares: Tensor  # (D, bins, fine): log share of a cell within its bin

    def fit(self, x: Tensor) -> None:
        """Place the edges at quantiles of x (n, D) and count the cells, one pseudo-item a cell."""
        x = x.double().T.contiguous()
        ranks = torch.arange(1, self.cells, dtype=torch.float64, device=x.device) / self.cells
        steps = _GAP * torch.arange(self.cells - 1, dtype=torch.float64, device=x.device)
        self.edges = (_quantiles(x, ranks) - steps).cummax(1).values + steps
        low, high = self.edges[:, :1], self.edges[:, -1:]
        self.tails = torch.cat([_mean_excess(low - x), _mean_excess(x - high)], 1)
        cell = self.cell(x.T)
        counts = torch.stack([torch.bincount(c, minlength=self.cells) for c in cell.T])
        counts = counts.reshape(-1, self.bins, self.fine).double() + 1.0
        self.shares = (counts / counts.sum(2, keepdim=True)).log()

    def cell(self, x: Tensor) -> Tensor:
        """The cell of every number of x (B, D), int64 (B, D)."""
        return torch.searchsorted(self.edges, x.double().T.contiguous(), right=True).T

    def bin(self, x: Tensor) -> Tensor:
        """The bin of every number of x (B, D), int64 (B, D)."""
        return self.cell(x) // self.fine

    def nats(self, x: Tensor) -> Tensor:
        """log p(x | its bin), float64 (B, D)."""
        x = x.detach()  # a piecewise density has no useful gradient: what steps at the edges does not show in it
        cell = self.cell(x).T
        y = x.double().T
        low, high = self.edges[:, :1], self.edges[:, -1:]
        right = self.edges.gather(1, cell.clamp(max=self.cells - 2))
        left = self.edges.gather(1, (cell - 1).clamp(min=0))
        inner = -(right - left).clamp(min=_GAP / 2).log()
        below = (y - low) / self.tails[:, :1] - self.tails[:, :1].log()
        above = (high - y) / self.tails[:, 1:] - self.tails[:, 1:].log()
        density = torch.where(cell == 0, below, torch.where(cell == self.cells - 1, above, inner))
        return (density + self.shares.flatten(1).gather(1, cell)).T

    def draw(self, bins: Tensor, noise: Noise, columns: slice = slice(None)) -> Tensor:
        """A number in every bin of int64 (B, D'), float64 (B, D'), of all columns or some."""
        edges, tails, shares = self.edges[columns], self.tails[columns], self.shares[columns]
        shares = shares[torch.arange(bins.shape[1], device=bins.device), bins]
        cell = (bins * self.fine + noise.choice(shares)).T
        u = noise.uniform(bins.shape[1]).double().T
        right = edges.gather(1, cell.clamp(max=self.cells - 2))
        left = edges.gather(1, (cell - 1).clamp(min=0))
        tail = torch.log1p(-u)  # minus a standard exponential
        below = edges[:, :1] + tails[:, :1] * tail
        above = edges[:, -1:] - tails[:, 1:] * tail
        inner = left + u * (right - left)
        return torch.where(cell == 0, below, torch.where(cell == self.cells - 1, above, inner)).T


def _quantiles(x: Tensor, ranks: Tensor) -> Tensor:
    """Quantiles of the rows of x (D, n), linearly interpolated, (D, Q); torch's own refuses 2^24 numbers."""
    ordered = x.sort(1).values
    place = ranks * (x.shape[1] - 1)
    below = place.floor().long()
    above = (below + 1).clamp(max=x.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], place - below)


def _mean_excess(excess: Tensor) -> Tensor:
    """Mean of the positive entries of every row, (D, 1): the maximum-likelihood scale of an exponential tail."""
    beyond = excess > 0
    return ((excess * beyond).sum(1) / beyond.sum(1).clamp(min=1)).clamp(min=_GAP).unsqueeze(1)
