"""Exact Euclidean neighbours in blocks, so that memory stays linear in the number of items."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_BLOCK = 512
_DIRECT = 256  # dimensions up to which differences are formed one by one


def distances(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Blocks (rows, m) of the Euclidean distances from float64 (n, d) to (m, d).

    Up to 256 dimensions they are sums of squared differences, so equal items are exactly 0 apart. Above, for speed,
    |a|^2 + |b|^2 - 2 a.b is used, which is exact for integers (pixels) and else good to about 1e-7 of the lengths.
    """
    mode = "donot_use_mm_for_euclid_dist" if a.shape[1] <= _DIRECT else "use_mm_for_euclid_dist"
    for part in a.split(_BLOCK):
        yield torch.cdist(part, b, compute_mode=mode)


def nearest(a: Tensor, b: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Distances (n, k) from each of `a` to its k nearest in `b`, ascending, and their places in `b`."""
    found = [torch.topk(block, min(k, len(b)), dim=1, largest=False) for block in distances(a, b)]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def radii(a: Tensor, k: int) -> Tensor:
    """Distance (n,) from each of `a` to its k-th nearest other item: the (k + 1)-th smallest, itself included."""
    return nearest(a, a, k + 1)[0][:, -1]
