"""Monotone maps that give numbers the distribution they have in the data, whatever made them.

    x = w(y),    log p(x) = log p(w^-1(x)) + log dy/dx,

with w continuous, strictly increasing and piecewise linear: it takes the quantiles of what a model makes to those of
the data, and goes on with slope 1 beyond them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_GAP = 1e-4  # least distance of two knots, in standard units
_KNOTS = 64


class Warp(nn.Module):
    """One map for each of D numbers; the identity before `fit`."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        start = torch.linspace(-3, 3, _KNOTS, dtype=torch.float64).repeat(columns, 1)
        self.register_buffer("made", start)
        self.register_buffer("real", start.clone())
        self.made: Tensor  # (D, m) knots in y
        self.real: Tensor  # (D, m) knots in x

    def reset(self) -> None:
        """The identity again."""
        self.real = self.made.clone()

    def fit(self, column: int, made: Tensor, real: Tensor) -> None:
        """The map of one column from numbers y (n,) that a model made and numbers x (n',) as they are."""
        ranks = torch.linspace(0, 1, _KNOTS + 2, dtype=torch.float64, device=made.device)[1:-1]
        steps = _GAP * torch.arange(_KNOTS, dtype=torch.float64, device=made.device)
        for knots, v in ((self.made, made), (self.real, real)):
            found = torch.quantile(v.double()[:: -(-len(v) // 100_000)], ranks)
            knots[column] = (found - steps).cummax(0).values + steps  # ties are parted

    def forward(self, y: Tensor, columns: slice = slice(None)) -> Tensor:
        """x = w(y) of float64 (B, D'), of all columns or some."""
        return _through(y, self.made[columns], self.real[columns])[0]

    def inverse(self, x: Tensor, columns: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """y (B, D') and log dy/dx (B, D') of float64 x (B, D')."""
        return _through(x, self.real[columns], self.made[columns])


def _through(v: Tensor, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The piecewise linear map that takes knots (D, m) to knots (D, m), of v (B, D), and the log of its slope."""
    v = v.T.contiguous()
    piece = torch.searchsorted(source, v, right=True) - 1
    inner = piece.clamp(0, source.shape[1] - 2)
    left, right = source.gather(1, inner), source.gather(1, inner + 1)
    low, high = target.gather(1, inner), target.gather(1, inner + 1)
    slope = (high - low) / (right - left)
    beyond = v >= source[:, -1:]
    outside = (piece < 0) | beyond
    anchor, base = torch.where(beyond, right, left), torch.where(beyond, high, low)
    slope = torch.where(outside, torch.ones_like(slope), slope)
    return (base + (v - anchor) * slope).T, slope.log().T
