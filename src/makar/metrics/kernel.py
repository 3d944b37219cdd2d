"""Kernel distance: the unbiased squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018).

    k(x, y) = (x . y / d + 1)^3
    KD = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

Unlike a Frechet distance it has no bias from the number of items, so it may be negative for equal distributions; it is
not clipped. "KID" is this in Inception's features on 100 subsets of 1,000; here all items are used once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import around, label

_CHUNK = 1024


def _sums(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of k(x_i, y_j) over j, (n,), and over i, (m,)."""
    rows, columns = [], torch.zeros(len(y), dtype=torch.float64)
    for part in x.split(_CHUNK):
        k = (part @ y.T / x.shape[1] + 1.0) ** 3
        rows.append(k.sum(1))
        columns += k.sum(0)
    return torch.cat(rows), columns


def kernel_distance(x: Tensor, y: Tensor) -> tuple[float, float]:
    """The unbiased estimate for float64 (n, d) and (m, d), and its standard error by the jackknife over both sets."""
    n, m, d = len(x), len(y), x.shape[1]
    within_x = _sums(x, x)[0] - ((x * x).sum(1) / d + 1.0) ** 3
    within_y = _sums(y, y)[0] - ((y * y).sum(1) / d + 1.0) ** 3
    across_x, across_y = _sums(x, y)
    xx, yy, xy = within_x.sum(), within_y.sum(), across_x.sum()
    value = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2.0 * xy / (n * m)
    # what is left when one item of x, or of y, is taken out
    less_x = (xx - 2 * within_x) / ((n - 1) * (n - 2)) + yy / (m * (m - 1)) - 2 * (xy - across_x) / ((n - 1) * m)
    less_y = xx / (n * (n - 1)) + (yy - 2 * within_y) / ((m - 1) * (m - 2)) - 2 * (xy - across_y) / (n * (m - 1))
    variance = (n - 1) * less_x.var(correction=0) + (m - 1) * less_y.var(correction=0)
    return float(value), math.sqrt(float(variance))


class Kernel(Metric):
    """`kd[extractor]@n/m` against the held-out items; normal interval with the jackknife's standard error."""

    modalities = ("pictures", "points")

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        real, made = reference.held_out.features, generated.sample.features
        if real is None or made is None or min(len(real), len(made)) < 3:
            return []
        value, error = kernel_distance(made, real)
        low, high = around(value, error)
        return [Score(label("kd", reference.extractor, len(made), len(real)), value, low, high, len(made), False)]
