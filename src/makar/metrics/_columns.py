"""How alike two columns are distributed, by SDMetrics' definitions (see `shapes`)."""

from __future__ import annotations

import numpy as np

from makar.metrics._intervals import Array
from makar.metrics._table import Codes, Table


def ks_complement(real: Array, made: Array) -> float:
    """1 - the largest gap between two empirical distribution functions; missing values left out."""
    a, b = np.sort(real[~np.isnan(real)]), np.sort(made[~np.isnan(made)])
    if not len(a) or not len(b):
        return float(len(a) == len(b))
    both = np.concatenate([a, b])
    gap = np.searchsorted(a, both, "right") / len(a) - np.searchsorted(b, both, "right") / len(b)
    return float(1.0 - np.abs(gap).max())


def tv_complement(real: Codes, made: Codes) -> float:
    """1 - half the sum of the differences between two sets of shares."""
    size = int(max(real.max(), made.max())) + 1
    p, q = np.bincount(real, minlength=size) / len(real), np.bincount(made, minlength=size) / len(made)
    return float(1.0 - np.abs(p - q).sum() / 2)


def column_shapes(real: Table, made: Table) -> float:
    """Mean over columns."""
    values = [ks_complement(v, made.numeric[k]) for k, v in real.numeric.items()]
    values += [tv_complement(v, made.categorical[k]) for k, v in real.categorical.items()]
    return float(np.mean(values))
