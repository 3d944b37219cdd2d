"""How steady training is: pure functions of learning curves and of results over seeds.

diverged        a loss or result that is not finite, or a result no better than the untrained model's
spikes          steps whose loss exceeds the median of the 200 before it by more than 6 of their median absolute
                deviations
iqm             mean of the middle half of the seeds: one seed cannot move it far       (Agarwal et al. 2021)
tolerance       factor between the largest and the smallest learning rate that come within 10 % of the best
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from makar.metrics._intervals import Array

WINDOW = 200
DEVIATIONS = 6.0
WITHIN = 0.10


@dataclass(frozen=True)
class Seeds:
    """Results of one configuration over seeds; `worst` is in the direction of what is worse, never the best seed."""

    mean: float
    iqm: float
    worst: float
    std: float  # 0 for a single seed
    diverged: float  # share of the seeds
    collapsed: float  # share of the seeds
    n: int


@dataclass(frozen=True)
class Curve:
    """What one training run's curve says."""

    steps: int
    spikes: int
    recovery: float  # mean steps until the loss is back under the threshold; 0 without spikes
    gradient_p50: float
    gradient_p99: float


def iqm(values: Sequence[float]) -> float:
    """Interquartile mean: what is left when a quarter of the weight is cut off at either end."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    # item i covers [i, i + 1) of n; only what lies in [n/4, 3n/4) counts
    left = np.arange(n, dtype=np.float64)
    weight = np.clip(np.minimum(left + 1, 0.75 * n) - np.maximum(left, 0.25 * n), 0.0, None)
    counts = weight > 0
    return float((ordered[counts] * weight[counts]).sum() / weight.sum())


def diverged(result: float, losses: Sequence[float], untrained: float, higher_is_better: bool = False) -> bool:
    """Whether a run ended in a number that is not finite or in a result no better than before training.

    A single step's loss that was refused and not taken does not appear in `losses` and does not count.
    """
    if not math.isfinite(result) or not all(map(math.isfinite, losses)):
        return True
    return result <= untrained if higher_is_better else result >= untrained


def over_seeds(
    results: Sequence[float],
    has_diverged: Sequence[bool],
    recalls: Sequence[float] = (),
    higher_is_better: bool = False,
    least_recall: float = 0.2,
) -> Seeds:
    """Summary over seeds. A run has collapsed if its recall is below `least_recall`.

    Results that are not finite count as the worst: they make mean, IQM and worst infinite where they enter.
    """
    bad = -math.inf if higher_is_better else math.inf
    values = np.array([r if math.isfinite(r) else bad for r in results])
    finite = values[np.isfinite(values)]
    return Seeds(
        mean=float(values.mean()),
        iqm=iqm(values.tolist()),
        worst=float(values.min() if higher_is_better else values.max()),
        std=float(finite.std(ddof=1)) if len(finite) > 1 else 0.0,
        diverged=float(np.mean(has_diverged)),
        collapsed=float(np.mean([r < least_recall for r in recalls])) if recalls else 0.0,
        n=len(values),
    )


def thresholds(losses: Sequence[float]) -> Array:
    """For each step the loss above which it is a spike; infinite until a whole window has passed."""
    values = np.asarray(losses, dtype=np.float64)
    out = np.full(len(values), math.inf)
    if len(values) > WINDOW:
        past = np.lib.stride_tricks.sliding_window_view(values, WINDOW)[:-1]
        middle = np.median(past, axis=1)
        out[WINDOW:] = middle + DEVIATIONS * np.median(np.abs(past - middle[:, None]), axis=1)
    return out


def curve(losses: Sequence[float], gradients: Sequence[float] = ()) -> Curve:
    """Spikes, how long they last, and the norms of the gradients before clipping. Adjacent steps are one spike."""
    above = np.asarray(losses, dtype=np.float64) > thresholds(losses)
    starts = int((above & ~np.concatenate([[False], above[:-1]])).sum()) if len(above) else 0
    p50, p99 = (float(q) for q in np.quantile(gradients, [0.5, 0.99])) if len(gradients) else (math.nan, math.nan)
    return Curve(len(losses), starts, float(above.sum()) / starts if starts else 0.0, p50, p99)


def rate_tolerance(results: Mapping[float, float], higher_is_better: bool = False) -> tuple[float, float]:
    """From results by learning rate: the factor between the largest and the smallest rate of the unbroken run around
    the best whose results are within 10 % of it, and the share of all rates that are.

    A factor of 1 means that only the best rate will do.
    """
    rates = sorted(results)
    values = [results[r] for r in rates]
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return 1.0, 0.0
    best = max(known) if higher_is_better else min(known)
    margin = WITHIN * abs(best)
    good = [math.isfinite(v) and (v >= best - margin if higher_is_better else v <= best + margin) for v in values]
    low = high = values.index(best)
    while low > 0 and good[low - 1]:
        low -= 1
    while high < len(rates) - 1 and good[high + 1]:
        high += 1
    return rates[high] / rates[low], sum(good) / len(good)
