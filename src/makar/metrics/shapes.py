"""Column shapes and pair trends of a table, by SDMetrics' definitions.

    column shapes   mean over columns of 1 - D (a number: D is Kolmogorov and Smirnov's largest gap between the two
                    distribution functions) and of 1 - sum |p - q| / 2 (a category)
    pair trends     mean over pairs of columns of 1 - |r - s| / 2 for two numbers (Pearson's correlation, real and
                    generated) and of 1 - sum |p - q| / 2 over the cells of the contingency table for the others, a
                    number being cut into 10 bins of equal width over the real values

1 is perfect. Shapes do not see what a model that draws every column by itself gets wrong; trends do. Recent versions of
SDMetrics leave out pairs that hang together weakly in the real data (|r| <= 0.5, Cramer's V <= 0.3); here both means
are given, `all` and `strong`; of more than 300 pairs, 300 are measured. Missing numbers are left out of shapes and
correlations and are a bin of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._columns import column_shapes, tv_complement
from makar.metrics._intervals import Array, centred, label, resamples
from makar.metrics._table import Codes, Table, some

BINS = 10
MOST = 300  # pairs measured
_LIMIT = 4000  # rows of each set
_RESAMPLES = 30


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


def _codes(real: Table, made: Table) -> tuple[dict[str, Codes], dict[str, Codes]]:
    """Every column as codes, numbers in the real table's bins."""
    a = {k: binned(v, v) for k, v in real.numeric.items()} | dict(real.categorical)
    b = {k: binned(v, made.numeric[k]) for k, v in real.numeric.items()} | dict(made.categorical)
    return a, b


def pairs_of(columns: Sequence[str]) -> list[tuple[str, str]]:
    """All pairs of columns, or where there are more than 300 a fixed random choice."""
    pairs = list(combinations(columns, 2))
    if len(pairs) <= MOST:
        return pairs
    return [pairs[i] for i in np.sort(np.random.Generator(np.random.Philox(0)).permutation(len(pairs))[:MOST])]


def pair_trends(real: Table, made: Table) -> Array:
    """Similarity of every pair of columns, in the order of `pairs_of`."""
    a, b = _codes(real, made)
    values = []
    for k, j in pairs_of(list(a)):
        if k in real.numeric and j in real.numeric:
            r, s = (correlation(t.numeric[k], t.numeric[j]) for t in (real, made))
            values.append(1.0 - abs(r - s) / 2)
        else:
            width = int(max(a[j].max(), b[j].max())) + 1
            values.append(tv_complement(a[k] * width + a[j], b[k] * width + b[j]))
    return np.array(values)


def strong_pairs(real: Table) -> Array:
    """1 for every pair that hangs together strongly, in the order of `pairs_of`."""
    codes, _ = _codes(real, real)
    strong = [
        abs(correlation(real.numeric[k], real.numeric[j])) > 0.5
        if k in real.numeric and j in real.numeric
        else cramers_v(codes[k], codes[j]) > 0.3
        for k, j in pairs_of(list(codes))
    ]
    return np.array(strong, dtype=np.float64)


class Shapes(Metric):
    """`column shapes` and `pair trends` against the held-out rows; centred bootstrap over both sets of rows."""

    modalities = ("rows",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        _, real, made = some(_LIMIT, reference.train.things, reference.held_out.things, generated.sample.things)
        trends, strong = pair_trends(real, made), strong_pairs(real)
        values = {"column shapes": column_shapes(real, made)}
        means = {"pair trends": np.ones_like(strong), "pair trends (strong)": strong}
        means = {k: w for k, w in means.items() if w.sum() > 0}
        values |= {k: float((trends * w).sum() / w.sum()) for k, w in means.items()}
        replicates: dict[str, list[float]] = {k: [] for k in values}
        for i, j in resamples(_RESAMPLES, made.rows, real.rows):
            a, b = real.at(j), made.at(i)
            replicates["column shapes"].append(column_shapes(a, b))
            again = pair_trends(a, b) if means else trends
            for k, w in means.items():
                replicates[k].append(float((again * w).sum() / w.sum()))
        scores = []
        for k, value in values.items():
            low, high = centred(value, np.array(replicates[k]))
            name = label(k, "columns", made.rows, real.rows)
            scores.append(Score(name, value, low, min(1.0, high), made.rows, True))
        return scores
