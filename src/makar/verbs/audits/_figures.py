"""Shares, areas under curves and true-positive rates, with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from makar.core.score import Score
from makar.metrics._intervals import Array, around, wilson


def share(name: str, hits: int, n: int, caveats: tuple[str, ...] = ()) -> Score:
    """hits / n with Wilson's interval; less is better."""
    low, high = wilson(hits, n)
    return Score(name, hits / n, low, high, n, False, caveats)


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """The exact interval of a share (Clopper & Pearson 1934): no p outside makes `hits` as unlikely as 2.5 %."""
    low = 0.0 if hits == 0 else _solve(lambda p: 1.0 - _below(hits - 1, n, p) - 0.025)
    high = 1.0 if hits == n else _solve(lambda p: 0.025 - _below(hits, n, p))
    return low, high


def _below(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p), 0 < p < 1."""
    i = np.arange(k + 1, dtype=np.float64)
    choose = math.lgamma(n + 1) - np.array([math.lgamma(j + 1) + math.lgamma(n - j + 1) for j in i])
    return float(np.exp(choose + i * math.log(p) + (n - i) * math.log1p(-p)).sum())


def _solve(increasing: Callable[[float], float]) -> float:
    """The root of an increasing function on (0, 1), by bisection."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if increasing(middle) > 0 else (middle, high)
    return (low + high) / 2


def auc(name: str, members: Array, others: Array, caveats: tuple[str, ...] = ()) -> Score:
    """P(member > other) + P(equal) / 2, with the interval of DeLong et al. 1988; 0.5 is chance.

    Where every member lies above every other the variance is 0, and Wilson's interval for the smaller set stands in.
    """
    above = _placement(members, others)
    value = float(above.mean())
    error = math.sqrt(above.var(ddof=1) / len(members) + (1.0 - _placement(others, members)).var(ddof=1) / len(others))
    least = min(len(members), len(others))
    low, high = around(value, error) if error > 0 else wilson(value * least, least)
    return Score(name, value, max(0.0, low), min(1.0, high), len(members) + len(others), None, caveats)


def _placement(a: Array, b: Array) -> Array:
    """For each of a the share of b below it, equal ones counting half."""
    ordered = np.sort(b)
    return (np.searchsorted(ordered, a, "left") + np.searchsorted(ordered, a, "right")) / (2.0 * len(b))


def resolvable(others: int, rate: float) -> bool:
    """Whether so many non-members can tell a false-positive rate: 3 are expected above the threshold."""
    return others >= 3.0 / rate


def true_positives(name: str, members: Array, others: Array, rate: float) -> Score:
    """Share of members above the least threshold that at most this share of the others exceeds.

    The interval is Clopper and Pearson's, given the threshold.
    """
    allowed = math.floor(rate * len(others) + 1e-9)
    threshold = np.sort(others)[len(others) - 1 - allowed]
    hits = int((members > threshold).sum())
    low, high = clopper_pearson(hits, len(members))
    return Score(name, hits / len(members), low, high, len(members), False)
