"""The best linear denoiser, known in closed form from the covariance of the data (Wiener 1949).

For y ~ N(0, C) and x = alpha y + sigma eps, with C = V diag(v) V^T + r (I - V V^T),

    E[y | x] = sum over directions of  alpha v / (alpha^2 v + sigma^2)  times the part of x along them,

where v = r off the span of V, and in a picture r depends on the frequency. A net that starts from here has only to
learn what is not Gaussian in the data: the snow of flat regions, the large shapes and the mean brightness are right
before the first step of training.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from makar.nets.unet import Seen

Gain = Callable[[Tensor], Tensor]
"""From variances (1, n) to what a direction of that variance is multiplied by, (B, n)."""

_ROWS = 2048  # items, evenly spaced, that the directions are found by
_LEAST = 1e-6  # least variance of a direction


def principal(y: Tensor, count: int) -> tuple[Tensor, Tensor, float]:
    """Leading directions (count, D), orthonormal rows, and variances (count,) of centred items y (n, D), both float64;
    and the mean variance of what is left.

    By the smaller of the two Gram matrices. Where there are fewer items than `count`, rows and variances of 0 follow.
    """
    n, size = y.shape
    total = float(y.square().sum()) / n
    gram = y @ y.T if n < size else y.T @ y  # in the items' own precision: the product is most of the work
    values, vectors = torch.linalg.eigh(gram.double() / n)
    top = values.clamp(min=0.0).flip(0)[:count]
    found = top > 1e-6 * max(total, 1e-12)
    kept = vectors.flip(1)[:, :count]
    rows = kept.T
    if n < size:
        rows = (y.T @ kept.to(y.dtype)).T.double() / (n * top.clamp(min=1e-30)).sqrt()[:, None]
    basis, variances = rows.new_zeros(count, size), rows.new_zeros(count)
    basis[: len(rows)] = torch.where(found[:, None], rows, 0.0)
    variances[: len(top)] = torch.where(found, top, 0.0)
    left = size - int(found.sum())
    rest = (total - float(variances.sum())) / left if left else 0.0
    return basis, variances, max(rest, 0.0)


def cosines(size: int) -> Tensor:
    """The orthonormal discrete cosine transform of `size` numbers, float64 (frequency, place)."""
    place, frequency = torch.arange(size, dtype=torch.float64), torch.arange(size, dtype=torch.float64)[:, None]
    table = (math.pi / size * (place + 0.5) * frequency).cos() * math.sqrt(2.0 / size)
    table[0] /= math.sqrt(2.0)
    return table


class Wiener(nn.Module):
    """Linear maps along the leading eigenvectors of the data's covariance, and in what is left along its frequencies.

    `rank` directions are known each by its variance. In a picture (C, H, W) all else is taken to be stationary: each
    frequency of each channel has a variance of its own, so that the snow of high frequencies is told from edges. In
    other items all else shares one variance. Until fitted, C = I.
    """

    def __init__(self, shape: tuple[int, ...], rank: int = 128) -> None:
        super().__init__()
        self._shape = shape
        size = math.prod(shape)
        self.register_buffer("basis", torch.eye(min(rank, size), size))
        self.register_buffer("variances", torch.ones(min(rank, size)))
        self.whole = rank >= size  # nothing is left
        picture = len(shape) == 3 and not self.whole
        self.register_buffer("rest", torch.ones(shape if picture else (1,)))
        self.register_buffer("rows", cosines(shape[1]).float() if picture else None, persistent=False)
        self.register_buffer("columns", cosines(shape[2]).float() if picture else None, persistent=False)
        self.basis: Tensor
        self.variances: Tensor
        self.rest: Tensor
        self.rows: Tensor | None
        self.columns: Tensor | None

    @torch.no_grad()
    def fit(self, y: Tensor) -> None:
        """Learn the covariance from centred items (n, *shape), of which evenly spaced ones do."""
        chosen = torch.linspace(0, len(y) - 1, min(len(y), _ROWS), dtype=torch.float64).long()
        y = y[chosen]
        basis, variances, rest = principal(y.flatten(1), len(self.basis))
        self.basis.copy_(basis)
        self.variances.copy_(variances.clamp(min=_LEAST))
        if self.rows is None:
            self.rest.fill_(max(rest, _LEAST))
            return
        left = y.flatten(1) - (y.flatten(1) @ self.basis.T) @ self.basis
        self.rest.copy_(self._frequencies(left.reshape(y.shape)).square().mean(0).clamp(min=_LEAST))

    def _frequencies(self, x: Tensor) -> Tensor:
        assert self.rows is not None
        assert self.columns is not None
        return self.rows @ x @ self.columns.T

    def forward(self, x: Tensor, gain: Gain) -> Tensor:
        """x (B, *shape), each direction of variance v multiplied by gain(v), which takes (1, n) to (B, n)."""
        flat = x.flatten(1)
        known = flat @ self.basis.T
        out = (known * gain(self.variances[None])) @ self.basis
        if not self.whole:
            out = out + self._other(flat - known @ self.basis, gain)
        return out.reshape(-1, *self._shape)

    def _other(self, left: Tensor, gain: Gain) -> Tensor:
        """The part off the known directions, (B, D)."""
        if self.rows is None or self.columns is None:
            return gain(self.rest[None]) * left
        factor = gain(self.rest.reshape(1, -1)).reshape(-1, *self._shape)
        moved = (self.rows.T @ (factor * self._frequencies(left.reshape(-1, *self._shape))) @ self.columns).flatten(1)
        return moved - (moved @ self.basis.T) @ self.basis

    @property
    def rank(self) -> int:
        """Directions whose variance is known."""
        return len(self.basis)

    def seen(self, x: Tensor, enter: Gain, leave: Gain) -> Seen:
        """The coordinates of x (B, *shape) in the known directions, multiplied by a function of the variance; and a way
        back from such coordinates to the shape of x, that multiplies by another."""
        scale = leave(self.variances[None])
        return Seen(
            (x.flatten(1) @ self.basis.T) * enter(self.variances[None]),
            lambda z: ((z * scale) @ self.basis).reshape(-1, *self._shape),
        )

    def flops(self) -> float:
        """Floating-point operations for one item, of the products with the known directions and the cosines."""
        cosine = 0 if self.rows is None else 4 * self.basis.shape[1] * (self._shape[1] + self._shape[2])
        return 4.0 * self.basis.numel() * (1 if self.whole else 2) + cosine
