"""Principal components, and the digest by which what was fitted to a training set is named."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

_EXACT = 512  # dimensions up to which principal components come from the full eigendecomposition


def digest_of(train: Tensor) -> str:
    """Eight hexadecimal digits of the training items, which fix what is fitted to them.

    The items and not the fitted numbers are hashed, since those differ in their last bits between machines.
    """
    return hashlib.sha256(train.contiguous().numpy().tobytes()).hexdigest()[:8]


def principal(centred: Tensor, count: int) -> Tensor:
    """Orthonormal basis (d, count) of the leading principal components of centred (n, d)."""
    if centred.shape[1] <= _EXACT:
        vectors: Tensor = torch.linalg.eigh(centred.T @ centred).eigenvectors
        return vectors.flip(1)[:, :count]
    # Halko, Martinsson & Tropp 2011, algorithm 4.4: subspace iteration from a random start
    start = torch.randn(centred.shape[1], count + 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis: Tensor = torch.linalg.qr(start).Q
    for _ in range(6):
        basis = torch.linalg.qr(centred.T @ (centred @ basis)).Q
    small = centred @ basis
    turned: Tensor = basis @ torch.linalg.eigh(small.T @ small).eigenvectors
    return turned.flip(1)[:, :count]
