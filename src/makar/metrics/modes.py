"""Modes: of points drawn from known components, how many were found, and as often as they should be?

A point is "on" the data if it lies no farther from its nearest training point than 99 % of the held-out points do from
theirs, and it belongs to the component of that nearest point. So a component may have any shape: a Gaussian, a moon.
Where the training points do not say of which component they are, HDBSCAN (Campello et al. 2013) reads it from where
they lie; if it finds fewer than two components, or leaves out more than 5 % of the points, there are no scores.

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
_READ = 2000  # points that components are read from
_STRAY = 0.05  # of them may belong to none


def balance(made: Array, real: Array) -> float:
    """1 - total variation between two sets of counts; 0 where one is empty."""
    if not made.sum() or not real.sum():
        return 0.0
    return float(1.0 - np.abs(made / made.sum() - real / real.sum()).sum() / 2)


class Modes(Metric):
    """Three scores where the training points carry their component or lie in components apart.

    Wilson's interval for shares (for `modes hit` the components are what is counted), a centred bootstrap over both
    sets for the balance.
    """

    modalities = ("points",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        train, held, made = reference.train, reference.held_out.x, generated.sample.x
        if min(len(held), len(made)) < 10:
            return []
        known = (train.x, train.labels, ()) if train.labels is not None else _apart(train.x)
        if known is None:
            return []
        points, labels, said = known
        count = int(labels.max()) + 1
        (far_made, mode_made), (far_held, mode_held) = (_nearest(x, points, labels) for x in (made, held))
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
            Score(label("on the data", "points", n, m), float(on.mean()), *share, n, True, said),
            Score(label("modes hit", "points", n, m), hit / count, *wilson(hit, count), count, True, said),
            Score(label("mode balance", "points", n, m), value, max(0.0, low), min(1.0, high), n, True, said),
        ]


def _apart(x: Tensor) -> tuple[Tensor, Tensor, tuple[str, ...]] | None:
    """At most 2,000 of the points (n, ...) with their components int64, read from the data; None where they are one."""
    from sklearn.cluster import HDBSCAN

    some = x[torch.arange(min(len(x), _READ)) * len(x) // min(len(x), _READ)]
    least = max(10, len(some) // 100)
    if len(some) < 4 * least:
        return None
    found = torch.from_numpy(HDBSCAN(min_cluster_size=least, copy=True).fit(some.double().flatten(1).numpy()).labels_)
    inside = found >= 0
    count = int(found.max()) + 1
    if count < 2 or float(inside.double().mean()) < 1 - _STRAY:
        return None
    return some[inside], found[inside].long(), (f"{count} components, read from the data",)


def _nearest(x: Tensor, train: Tensor, labels: Tensor) -> tuple[Array, np.ndarray]:
    """Distance to the nearest training point, and its component."""
    far, place = nearest(x.double().flatten(1), train.double().flatten(1))
    return far[:, 0].numpy(), labels[place[:, 0]].to(torch.int64).numpy()
