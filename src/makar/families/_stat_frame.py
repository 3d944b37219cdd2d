"""A few directions in many dimensions: what a Gaussian family needs where D x D matrices are out of reach.

An orthonormal basis U (D, q), shared by all classes, splits an item about a centre m into coordinates and a rest,

    y = m + U t + e,   t = U^T (y - m),   e = (I - U U^T)(y - m),

and a model that makes the rest spherical, e ~ N(0, s^2 (I - U U^T)), has the exact, normalised density

    log p(y) = log p(t) - |e|^2 / (2 s^2) - (D - q) log(s sqrt(2 pi)):

any density of q numbers becomes one of D, in O(D q) memory. U holds the leading principal directions of the items
(Tipping & Bishop 1999 take the same rest for theirs), found by the smaller of the two Gram matrices.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from makar.families._stat import Cells

DENSE = 1024
"""Dimensions up to which the coordinates are the items' own and there is no rest."""

_ROWS = 2048  # items, at most, that directions are sought among: their Gram matrix is decomposed
DIRECTIONS = 512
"""Most directions of a frame."""


class Frame(nn.Module):
    """Coordinates for the items of a space: their own numbers where there are few, else those in a basis U."""

    def __init__(self, cells: Cells) -> None:
        super().__init__()
        self._cells = cells
        self.whole = cells.dimensions <= DENSE or not cells.even
        self.register_buffer("basis", torch.zeros(0 if self.whole else cells.dimensions, 0, dtype=torch.float64))
        self.basis: Tensor  # (D, q)

    @property
    def dimensions(self) -> int:
        """D, numbers in an item."""
        return self._cells.dimensions

    @property
    def rank(self) -> int:
        """q, how many coordinates there are."""
        return self.dimensions if self.whole else self.basis.shape[1]

    def fit(self, x: Tensor, most: int = DIRECTIONS) -> None:
        """Take the basis from items x of the space: at most `most` directions, as many as they span."""
        if self.whole:
            return
        y = self._cells.centres(some(x, _ROWS))
        self.basis = leading(y - y.mean(0), min(most, self.dimensions - 1))[0]

    def coordinates(self, y: Tensor) -> Tensor:
        """U^T y of vectors (B, D), float64 (B, q)."""
        return y if self.whole else y @ self.basis

    def rest(self, y: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates t about a centre (D,), and |e|^2, (B,), of vectors y (B, D)."""
        if self.whole:
            return y - centre, y.new_zeros(len(y))
        t = y @ self.basis - centre @ self.basis
        # |y - m|^2 without a copy of y for every centre
        whole = y.square().sum(1) - 2.0 * (y @ centre) + centre.square().sum()
        return t, (whole - t.square().sum(1)).clamp(min=0.0)

    def nats(self, rest: Tensor, variance: Tensor) -> Tensor:
        """log N(e; 0, s^2) of squared lengths |e|^2, (B,), in the D - q dimensions beside the frame."""
        if self.whole:
            return torch.zeros_like(rest)
        beside = self.dimensions - self.rank
        nats: Tensor = -0.5 * (rest / variance + beside * (2.0 * math.pi * variance).log())
        return nats

    def leave(self, t: Tensor, eps: Tensor, deviation: Tensor) -> Tensor:
        """U t + s (I - U U^T) eps: vectors (B, D) from coordinates (B, q), standard normals (B, D) and s (B,)."""
        if self.whole:
            return t
        s = deviation.unsqueeze(1)
        return s * eps + (t - s * (eps @ self.basis)) @ self.basis.T

    def beside(self, x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (n, q) of items about a centre, and |e|^2 (n,), a few items at a time."""
        parts = [self.rest(y, centre) for y in self._cells.pieces(x)]
        return torch.cat([t for t, _ in parts]), torch.cat([e for _, e in parts])


def some(x: Tensor, most: int) -> Tensor:
    """All rows of x, or `most` of them, spread evenly."""
    return x if len(x) <= most else x[torch.linspace(0, len(x) - 1, most, dtype=torch.float64).long()]


def leading(centred: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Leading eigenvectors (D, r) and eigenvalues (r,), descending, of C^T C / n for centred C (n, D); r <= most.

    By the smaller Gram matrix: where n < D, C C^T has the same eigenvalues, and C^T v / |C^T v| the eigenvectors.
    Directions in which the items do not vary are left out.
    """
    n, d = centred.shape
    small = n < d
    gram = centred @ centred.T if small else centred.T @ centred
    values, vectors = torch.linalg.eigh(gram / n)
    values, vectors = values.flip(0)[:most], vectors.flip(1)[:, :most]
    kept = values > 1e-10 * values[:1].clamp(min=1e-300)
    values, vectors = values[kept], vectors[:, kept]
    if small:
        # eigenvectors of small eigenvalues lose digits on the way back: QR makes them orthonormal again
        vectors = torch.linalg.qr(centred.T @ vectors / (values * n).sqrt())[0]
    return vectors, values
