"""95 % intervals, and the part of a score's name that says how many items were compared."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NORMAL = 1.959963984540054  # 97.5 % point of the standard normal


def label(metric: str, extractor: str, generated: int, reference: int, estimator: str = "") -> str:
    """A full name such as `recall[probe-digits-1a2b3c4d;k=5]@1000/500`."""
    inside = f"{extractor};{estimator}" if estimator else extractor
    return f"{metric}[{inside}]@{generated}/{reference}"


def wilson(successes: float, n: int, z: float = NORMAL) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927): inside [0, 1] and right near its ends."""
    if n == 0:
        return 0.0, 1.0
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # at the ends the formula is exact only up to rounding
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def around(value: float, error: float) -> tuple[float, float]:
    """Normal interval from a standard error."""
    return value - NORMAL * error, value + NORMAL * error


def of_mean(values: Array) -> tuple[float, float]:
    """Normal interval of a mean."""
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return around(float(values.mean()), error)


def centred(value: float, replicates: Array) -> tuple[float, float]:
    """Bootstrap interval, the replicates moved so that their mean is the value.

    A resample holds fewer distinct items than the sample, so a distance between resamples is biased upwards; only the
    replicates' spread is used, not their place.
    """
    moved = np.quantile(replicates, [0.025, 0.975]) - replicates.mean() + value
    return float(min(moved[0], value)), float(max(moved[1], value))


def resamples(count: int, *sizes: int) -> Iterator[list[NDArray[np.int64]]]:
    """`count` times the rows of a bootstrap resample of each of several sets. The same rows on every call."""
    chance = np.random.Generator(np.random.Philox(0))
    for _ in range(count):
        yield [chance.integers(0, n, n) for n in sizes]
