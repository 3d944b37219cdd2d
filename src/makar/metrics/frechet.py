"""Frechet distance between the Gaussians fitted to two sets of features.

    FD = |m1 - m2|^2 + Tr(S1) + Tr(S2) - 2 Tr (S1 S2)^(1/2)                        (Dowson & Landau 1982; Heusel 2017)

With S1 = L L^T, S1 S2 has the eigenvalues of the symmetric L^T S2 L, so that Tr (S1 S2)^(1/2) is the sum of their
square roots: no matrix root of a product that is not symmetric. Covariances divide by n - 1; all is float64.

"FID" is this distance in one certain network after one certain resize with 50,000 samples; whatever else is measured is
called `fd[extractor]@n_generated/n_reference`. It is biased upwards by about 1/n, so read it beside the floor (real
against held-out real at the same n). It does not see copies: read it beside the copying scores.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import centred, label, resamples

RESAMPLES = 50


class Moments:
    """Mean and covariance of a stream of float64 (n, d), in one pass (Chan, Golub & LeVeque 1983)."""

    def __init__(self, dimensions: int) -> None:
        self.count = 0
        self.mean = torch.zeros(dimensions, dtype=torch.float64)
        self._scatter = torch.zeros(dimensions, dimensions, dtype=torch.float64)

    def update(self, x: Tensor) -> Moments:
        """Take in a batch (n, d); returns itself."""
        x = x.double()
        if len(x) == 0:
            return self
        total = self.count + len(x)
        mean = x.mean(0)
        gap = mean - self.mean
        centred_x = x - mean
        self._scatter += centred_x.T @ centred_x + torch.outer(gap, gap) * (self.count * len(x) / total)
        self.mean = self.mean + gap * (len(x) / total)
        self.count = total
        return self

    @property
    def covariance(self) -> Tensor:
        """(d, d), divided by n - 1."""
        return self._scatter / max(1, self.count - 1)


def frechet(a: Moments, b: Moments) -> float:
    """Squared Frechet distance between N(m1, S1) and N(m2, S2)."""
    s1, s2 = a.covariance, b.covariance
    root, fault = torch.linalg.cholesky_ex(s1)
    if int(fault):  # singular, as when there are fewer items than dimensions: the symmetric root serves as well
        values, vectors = torch.linalg.eigh(s1)
        root = vectors * values.clamp(min=0.0).sqrt()
    overlap = torch.linalg.eigvalsh(root.T @ s2 @ root).clamp(min=0.0).sqrt().sum()
    return float((a.mean - b.mean).square().sum() + s1.trace() + s2.trace() - 2.0 * overlap)


def frechet_of(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance between two sets of features, (n, d) and (m, d)."""
    return frechet(Moments(a.shape[1]).update(a), Moments(b.shape[1]).update(b))


class Frechet(Metric):
    """`fd[extractor]@n/m` against the held-out items; interval by a centred bootstrap over both sets."""

    modalities = ("pictures", "rows", "points")

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        real, made = reference.held_out.features, generated.sample.features
        if real is None or made is None:
            return []
        value = frechet_of(made, real)
        replicates = [
            frechet_of(made[torch.from_numpy(i)], real[torch.from_numpy(j)])
            for i, j in resamples(RESAMPLES, len(made), len(real))
        ]
        low, high = centred(value, np.array(replicates))
        n, d = min(len(made), len(real)), made.shape[1]
        caveats = (f"{n} items for {d} dimensions: the covariances are poor and the distance is too large",)
        name = label("fd", reference.extractor, len(made), len(real))
        return [Score(name, value, max(0.0, low), high, len(made), False, caveats if n < 2 * d else ())]
