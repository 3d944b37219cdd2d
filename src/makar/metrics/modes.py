"""Modes: of points drawn from known components, how many were found, and as often as they should be?

A point is "on" the data if it lies no farther from its nearest training point than 99 % of the held-out points do from
theirs, and it belongs to the component of that nearest point. So a component may have any shape: a Gaussian, a moon.

    on the data     share of generated points that are; 0.99 for fresh data
    modes hit       share of components with such a point                  (Metz et al. 2016; Srivastava et al. 2017)
    mode balance    1 - half the sum of the differences between the components' shares among the generated points that
                    are on the data and among the held-out points; 1 = each as often as it should be
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, centred, label, resamples, wilson
from makar.metrics._neighbours import nearest

QUANTILE = 0.99
_RESAMPLES = 100


def balance(made: Array, real: Array) -> float:
    """1 - total variation between two sets of counts; 0 where one is empty."""
    if not made.sum() or not real.sum():
        return 0.0
    return float(1.0 - np.abs(made / made.sum() - real / real.sum()).sum() / 2)


class Modes(Metric):
    """Three scores where the training points carry their component. Wilson's interval for shares (for `modes hit` the
    components are what is counted), a centred bootstrap over both sets for the balance.
    """

    modalities = ("points",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        train, held, made = reference.train, reference.held_out.x, generated.sample.x
        if train.labels is None or min(len(held), len(made)) < 10:
            return []
        count = int(train.labels.max()) + 1
        (far_made, mode_made), (far_held, mode_held) = (_nearest(x, train.x, train.labels) for x in (made, held))
        on = far_made <= np.quantile(far_held, QUANTILE)
        counts = np.bincount(mode_made[on], minlength=count).astype(np.float64)
        real = np.bincount(mode_held, minlength=count).astype(np.float64)
        hit = int((counts > 0).sum())
        value = balance(counts, real)
        again = [
            balance(
                np.bincount(mode_made[i][on[i]], minlength=count).astype(np.float64),
                np.bincount(mode_held[j], minlength=count).astype(np.float64),
            )
            for i, j in resamples(_RESAMPLES, len(made), len(held))
        ]
        low, high = centred(value, np.array(again))
        n, m = len(made), len(held)
        share = wilson(float(on.sum()), n)
        return [
            Score(label("on the data", "points", n, m), float(on.mean()), *share, n, True),
            Score(label("modes hit", "points", n, m), hit / count, *wilson(hit, count), count, True),
            Score(label("mode balance", "points", n, m), value, max(0.0, low), min(1.0, high), n, True),
        ]


def _nearest(x: Tensor, train: Tensor, labels: Tensor) -> tuple[Array, np.ndarray]:
    """Distance to the nearest training point, and its component."""
    far, place = nearest(x.double().flatten(1), train.double().flatten(1))
    return far[:, 0].numpy(), labels[place[:, 0]].to(torch.int64).numpy()
