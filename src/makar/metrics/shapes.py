"""Column shapes and pair trends of a table, by SDMetrics' definitions.

    column shapes   mean over columns of 1 - D (a number: D is Kolmogorov and Smirnov's largest gap between the two
                    distribution functions) and of 1 - sum |p - q| / 2 (a category)
    pair trends     mean over pairs of columns of 1 - |r - s| / 2 for two numbers (Pearson's correlation, real and
                    generated) and of 1 - sum |p - q| / 2 over the cells of the contingency table for the others, a
                    number being cut into 10 bins of equal width over the real values

1 is perfect. Shapes do not see what a model that draws every column by itself gets wrong; trends do. Recent versions of
SDMetrics leave out pairs that hang together weakly in the real data (|r| <= 0.5, Cramer's V <= 0.3); here both means
are given, `all` and `strong`. Missing numbers are left out of shapes and correlations and are a bin of their own.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, centred, label, resamples
from makar.metrics._table import Codes, Table, tables

BINS = 10
_RESAMPLES = 30


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


def correlation(a: Array, b: Array) -> float:
    """Pearson's, over rows where both are present; 0 where one of them is constant."""
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def binned(real: Array, values: Array) -> Codes:
    """Codes of the 10 equal bins over the real values; one more for what is missing."""
    present = real[~np.isnan(real)]
    edges = np.histogram_bin_edges(present, bins=BINS)
    edges[0], edges[-1] = -np.inf, np.inf
    return np.digitize(values, edges).astype(np.int64)


def cramers_v(a: Codes, b: Codes) -> float:
    """Association of two codes in [0, 1]; 0 where one of them is constant."""
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a, b), 1.0)
    table = table[table.any(1)][:, table.any(0)]
    if min(table.shape) < 2:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / table.sum() / (min(table.shape) - 1)))


def column_shapes(real: Table, made: Table) -> float:
    """Mean over columns."""
    values = [ks_complement(v, made.numeric[k]) for k, v in real.numeric.items()]
    values += [tv_complement(v, made.categorical[k]) for k, v in real.categorical.items()]
    return float(np.mean(values))


def _codes(real: Table, made: Table) -> tuple[dict[str, Codes], dict[str, Codes]]:
    """Every column as codes, numbers in the real table's bins."""
    a = {k: binned(v, v) for k, v in real.numeric.items()} | dict(real.categorical)
    b = {k: binned(v, made.numeric[k]) for k, v in real.numeric.items()} | dict(made.categorical)
    return a, b


def pair_trends(real: Table, made: Table) -> tuple[Array, Array]:
    """Similarity of every pair of columns, and 1 where the pair hangs together strongly in the real table."""
    a, b = _codes(real, made)
    values, strong = [], []
    for k, j in combinations(a, 2):
        if k in real.numeric and j in real.numeric:
            r = correlation(real.numeric[k], real.numeric[j])
            values.append(1.0 - abs(r - correlation(made.numeric[k], made.numeric[j])) / 2)
            strong.append(abs(r) > 0.5)
        else:
            width = int(max(a[j].max(), b[j].max())) + 1
            values.append(tv_complement(a[k] * width + a[j], b[k] * width + b[j]))
            strong.append(cramers_v(a[k], a[j]) > 0.3)
    return np.array(values), np.array(strong, dtype=np.float64)


class Shapes(Metric):
    """`column shapes` and `pair trends` against the held-out rows; centred bootstrap over both sets of rows."""

    modalities = ("rows",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        _, real, made = tables(reference.train.things, reference.held_out.things, generated.sample.things)
        trends, strong = pair_trends(real, made)
        values = {"column shapes": column_shapes(real, made)}
        means = {"pair trends": np.ones_like(strong), "pair trends (strong)": strong}
        means = {k: w for k, w in means.items() if w.sum() > 0}
        values |= {k: float((trends * w).sum() / w.sum()) for k, w in means.items()}
        replicates: dict[str, list[float]] = {k: [] for k in values}
        for i, j in resamples(_RESAMPLES, made.rows, real.rows):
            a, b = real.at(j), made.at(i)
            replicates["column shapes"].append(column_shapes(a, b))
            again = pair_trends(a, b)[0] if means else trends
            for k, w in means.items():
                replicates[k].append(float((again * w).sum() / w.sum()))
        scores = []
        for k, value in values.items():
            low, high = centred(value, np.array(replicates[k]))
            name = label(k, "columns", made.rows, real.rows)
            scores.append(Score(name, value, low, min(1.0, high), made.rows, True))
        return scores
