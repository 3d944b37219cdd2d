"""An exact, cheap rotation of large items to their principal coordinates, and a chain that bends only the first ones.

With V (D, k) orthonormal and V' its first k rows, and E the first k columns of the identity,

    Q = I - U M U^T,     U = V - E,     M = (I - V'^T)^-1

is orthogonal and Q E = V (a block reflector; Schreiber & Parlett 1988, "Block reflectors"). So all D coordinates cost
O(D k) and no matrix of D x D is ever made. V is the leading eigenvectors of the data's covariance, turned among
themselves so that V' is minus a positive semidefinite matrix (its polar factor), which keeps M well conditioned.
"""

from __future__ import annotations

import torch
from torch import Tensor

from makar.nets.coupling import Chain, Invertible
from makar.nets.wiener import principal

_ROWS = 2048  # items, evenly spaced, that the directions are found by
_LEAST = 1e-4  # least variance of a coordinate


class Principal(Invertible):
    """z = Q^T x, its first `rank` coordinates the principal ones, all divided by their standard deviations.

    Before `fit` it is the identity. The coordinates past the first share one standard deviation.
    """

    def __init__(self, size: int, rank: int) -> None:
        super().__init__()
        self.rank = rank
        self.register_buffer("reflector", torch.zeros(size, rank))  # U
        self.register_buffer("middle", torch.zeros(rank, rank))  # M
        self.register_buffer("turn", torch.eye(rank))  # from V's columns to the principal directions
        self.register_buffer("std", torch.ones(size))
        self.reflector: Tensor
        self.middle: Tensor
        self.turn: Tensor
        self.std: Tensor

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Learn directions and scales from centred items (n, D), of which evenly spaced ones do."""
        rows = torch.linspace(0, len(x) - 1, min(len(x), _ROWS), dtype=torch.float64).long()
        basis, variances, rest = principal(x[rows], self.rank)
        missing = basis.square().sum(1) < 0.5
        if bool(missing.any()):  # fewer items than directions: any others do, orthogonal to those found
            spare = torch.eye(x.shape[1], dtype=torch.float64)[: 2 * self.rank]
            found = basis[~missing]
            basis = torch.cat([found, _orthogonal(found, spare)])[: self.rank]
            variances[missing] = rest
        basis = torch.linalg.qr(basis.T)[0].T  # orthonormal to the last digit
        left, _, right = torch.linalg.svd(basis[:, : self.rank].T)
        polar = -(left @ right)  # V'^T = basis' first columns transposed; V' turned becomes minus semidefinite
        columns = basis.T @ polar.T
        u = columns - torch.eye(x.shape[1], self.rank, dtype=torch.float64)
        self.reflector.copy_(u)
        self.middle.copy_(torch.linalg.inv(torch.eye(self.rank, dtype=torch.float64) - columns[: self.rank].T))
        self.turn.copy_(polar)
        self.std.fill_(max(rest, _LEAST) ** 0.5)
        self.std[: self.rank] = variances.clamp(min=_LEAST).sqrt()

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        z = x - (x @ self.reflector) @ self.middle @ self.reflector.T
        z = torch.cat([z[:, : self.rank] @ self.turn, z[:, self.rank :]], 1)
        return z / self.std, -self.std.log().sum().expand(len(x))

    def inverse(self, z: Tensor, labels: Tensor) -> Tensor:
        x = z * self.std
        x = torch.cat([x[:, : self.rank] @ self.turn.T, x[:, self.rank :]], 1)
        return x - (x @ self.reflector) @ self.middle.T @ self.reflector.T

    def flops(self) -> float:
        """Floating-point operations for one item."""
        return 4.0 * self.reflector.numel()


def _orthogonal(found: Tensor, spare: Tensor) -> Tensor:
    """Orthonormal rows that span what `spare` adds to the orthonormal rows `found`."""
    left = spare - spare @ found.T @ found
    _, values, rows = torch.linalg.svd(left, full_matrices=False)
    added: Tensor = rows[values > 1e-6]
    return added


class Leading(Invertible):
    """A chain on the first `rank` coordinates; the others stay as they are."""

    def __init__(self, rank: int, chain: Chain) -> None:
        super().__init__()
        self.rank = rank
        self.chain = chain

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        z, volume = self.chain(x[:, : self.rank], labels)
        return torch.cat([z, x[:, self.rank :]], 1), volume

    def inverse(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([self.chain.inverse(z[:, : self.rank], labels), z[:, self.rank :]], 1)
