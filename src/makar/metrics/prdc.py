"""Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

Around every item lies a ball that reaches its k-th nearest neighbour in its own set (itself not counted).

    precision   share of generated items inside some real item's ball
    recall      share of real items inside some generated item's ball
    density     mean number of real balls that hold a generated item, over k; may exceed 1
    coverage    share of real balls that hold some generated item

"Inside" is `<=`, as in torch-fidelity; the package `prdc` has `<`. They differ only where distances tie: with `<` a
collapsed model, whose balls have radius 0, would not even find its own copies. Fidelity and coverage come in pairs: a
model that makes a single perfect item has precision 1 and recall 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, label, of_mean, wilson
from makar.metrics._neighbours import distances, radii

K = 5


@dataclass(frozen=True)
class Manifolds:
    """What every item says; the four scores are means of these."""

    precise: Array  # (n,) of generated items: 1 inside some real ball
    dense: Array  # (n,) of generated items: how many real balls hold it, over k
    recalled: Array  # (m,) of real items: 1 inside some generated ball
    covered: Array  # (m,) of real items: 1 if its ball holds a generated item


def manifolds(real: Tensor, made: Tensor, k: int) -> Manifolds:
    """Balls of k nearest neighbours of float64 (m, d) and (n, d), held against each other's items."""
    around_real, around_made = radii(real, k), radii(made, k)
    precise, dense, recalled = [], [], torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    start = 0
    for block in distances(made, real):
        stop = start + len(block)
        inside = block <= around_real
        precise.append(inside.any(1))
        dense.append(inside.sum(1).double() / k)
        covered |= inside.any(0)
        recalled |= (block <= around_made[start:stop, None]).any(0)
        start = stop
    each = (torch.cat(precise), torch.cat(dense), recalled, covered)
    return Manifolds(*(e.double().numpy() for e in each))


class Prdc(Metric):
    """The four scores with k = 5 against the held-out items.

    Intervals are over the items whose mean is taken, the other set's balls being given: Wilson's for shares, normal
    for density.
    """

    modalities = ("pictures", "points")

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        real, made = reference.held_out.features, generated.sample.features
        if real is None or made is None or min(len(real), len(made)) <= K:
            return []
        found = manifolds(real, made, K)
        scores = []
        for metric, values in (
            ("precision", found.precise),
            ("recall", found.recalled),
            ("density", found.dense),
            ("coverage", found.covered),
        ):
            low, high = of_mean(values) if metric == "density" else wilson(float(values.sum()), len(values))
            name = label(metric, reference.extractor, len(made), len(real), f"k={K}")
            scores.append(Score(name, float(np.mean(values)), low, high, len(values), True))
        return scores
