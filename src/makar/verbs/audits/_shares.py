"""Shares of groups and tables of counts: how far apart, how strongly tied, with 95 % intervals and p-values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from makar.core.score import Score
from makar.metrics._intervals import NORMAL, Array, centred, wilson

Counts = NDArray[np.float64] | NDArray[np.int64]
SIMULATED = 1999
_RESAMPLES = 200


def chance(seed: int) -> np.random.Generator:
    """A stream of random numbers that depends on the seed alone."""
    return np.random.Generator(np.random.Philox(seed))


def variation(a: Counts, b: Counts) -> Array:
    """Total variation distance, half the sum of absolute differences, of counts or shares along the last axis."""
    a, b = (x / np.maximum(x.sum(-1, keepdims=True), 1e-300) for x in (a, b))
    found: Array = np.abs(a - b).sum(-1) / 2
    return found


def variation_score(name: str, made: Array, wanted: Array, sampled: bool) -> Score:
    """The total variation distance of counts from wanted counts or shares, with a centred parametric bootstrap.

    `sampled`: the wanted ones are counts of a sample, whose chance is bootstrapped too.
    """
    dice = chance(0)
    again = dice.multinomial(int(made.sum()), made / made.sum(), _RESAMPLES)
    other = dice.multinomial(int(wanted.sum()), wanted / wanted.sum(), _RESAMPLES) if sampled else wanted
    value = float(variation(made, wanted))
    low, high = centred(value, variation(again, other))
    return Score(name, value, max(0.0, low), min(1.0, high), int(made.sum()), False)


def same_shares(made: Array, wanted: Array, sampled: bool) -> float:
    """p-value of Pearson's chi-square test, its null distribution simulated, so that small counts are no trouble.

    Against stated shares the counts are multinomial; against a sample's counts both are, with the pooled shares.
    """
    dice = chance(1)
    n, m = int(made.sum()), int(wanted.sum())
    shares = (made + wanted) / (n + m) if sampled else wanted / wanted.sum()
    ours = dice.multinomial(n, shares, SIMULATED)
    theirs = dice.multinomial(m, shares, SIMULATED) if sampled else wanted
    beyond = int((_chi_square(ours, theirs, sampled) >= _chi_square(made, wanted, sampled) - 1e-9).sum())
    return (1 + beyond) / (SIMULATED + 1)


def _chi_square(made: Counts, wanted: Counts, sampled: bool) -> Array:
    n, m = made.sum(-1, keepdims=True), wanted.sum(-1, keepdims=True)
    shares = (made + wanted) / (n + m) if sampled else wanted / m
    total = ((made - n * shares) ** 2 / np.maximum(n * shares, 1e-12)).sum(-1)
    if sampled:
        total = total + ((wanted - m * shares) ** 2 / np.maximum(m * shares, 1e-12)).sum(-1)
    return np.asarray(total)


def ratio_of_shares(name: str, k: int, n: int, wanted: float, m: int | None) -> Score:
    """(k / n) / wanted: Wilson's interval, or where `wanted` is a share of m items, Katz's et al. 1978.

    The logarithm of a ratio of two shares has the variance 1/k - 1/n + 1/l - 1/m; half an item stands in for none.
    """
    value = k / n / wanted
    if m is None:
        low, high = (end / wanted for end in wilson(k, n))
        return Score(name, value, low, high, n, None)
    a, b = max(k, 0.5), max(wanted * m, 0.5)
    error = math.sqrt(max(0.0, 1 / a - 1 / n + 1 / b - 1 / m))
    centre = math.log(a / n / wanted)
    low, high = math.exp(centre - NORMAL * error), math.exp(centre + NORMAL * error)
    return Score(name, value, min(low, value), max(high, value), n, None)


# Tables of two columns


def table(a: np.ndarray, b: np.ndarray, rows: int, columns: int) -> Array:
    """Counts (rows, columns) of pairs of codes."""
    return np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns).astype(np.float64)


def cramers_v(counts: Array) -> Array:
    """Cramér's V of tables (..., r, c), corrected for its bias (Bergsma 2013); 0 for unrelated, 1 for tied columns.

    Empty rows and columns do not count.
    """
    n = counts.sum((-2, -1))
    rows, columns = ((counts.sum(axis) > 0).sum(-1).astype(np.float64) for axis in (-1, -2))
    phi = _phi_square(counts)
    slack = np.maximum(n - 1, 1)
    phi = np.maximum(0.0, phi - (rows - 1) * (columns - 1) / slack)
    least = np.minimum(rows - (rows - 1) ** 2 / slack, columns - (columns - 1) ** 2 / slack) - 1
    found: Array = np.where(least > 1e-9, np.sqrt(np.minimum(1.0, phi / np.maximum(least, 1e-9))), 0.0)
    return found


def _phi_square(counts: Array) -> Array:
    """Chi-square over n: sum p^2 / (p_r p_c) - 1."""
    p = counts / counts.sum((-2, -1), keepdims=True)
    product = p.sum(-1, keepdims=True) * p.sum(-2, keepdims=True)
    found: Array = (p**2 / np.where(product > 0, product, 1.0)).sum((-2, -1)) - 1
    return found


def mutual_information(counts: Array) -> Array:
    """Mutual information of tables (..., r, c) in nats, less its first-order bias (r - 1)(c - 1) / 2n (Miller 1955)."""
    n = counts.sum((-2, -1), keepdims=True)
    p = counts / n
    product = p.sum(-1, keepdims=True) * p.sum(-2, keepdims=True)
    raw = np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0) / np.where(product > 0, product, 1.0)), 0.0).sum((-2, -1))
    rows, columns = ((counts.sum(axis) > 0).sum(-1) for axis in (-1, -2))
    found: Array = np.maximum(0.0, raw - (rows - 1) * (columns - 1) / (2 * n[..., 0, 0]))
    return found


def resampled(counts: Array, seed: int) -> Array:
    """Bootstrap replicates (R, r, c) of a table."""
    n = int(counts.sum())
    drawn = chance(seed).multinomial(n, (counts / n).ravel(), _RESAMPLES)
    return drawn.reshape(_RESAMPLES, *counts.shape).astype(np.float64)
