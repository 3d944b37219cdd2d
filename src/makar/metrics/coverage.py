"""Coverage of tables: are all values, the tails and all kinds of rows still there?

    value coverage   of every column's values (categories; for numbers the hundredth at either end, the twentieth, and
                     every tenth between) that n fresh rows would show five times or more, the share that occurs
    mode coverage    share of the held-out rows in those of up to 20 k-means cells of the training rows that hold at
                     least a quarter as many generated rows as they should; 1 = no kind of row is missing

Both are near 1 for fresh rows and for columns drawn independently alike, so they say what is missing and never how good
the rest is. A caveat that begins with "COLLAPSE" is raised if the upper end of mode coverage lies below a half, or if
the rows hold less than half as many distinct rows as as many real ones do.
"""

from __future__ import annotations

import numpy as np

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, centred, label, resamples, wilson
from makar.metrics._table import Codes, Table, design, joined, some

_LIMIT = 4000
_RESAMPLES = 100
_CELLS = 20
_SHOWN = 5
_LEAST = 20
KEPT = 0.25
GONE = 0.5
_EDGES = (0.01, 0.05, *(i / 10 for i in range(1, 10)), 0.95, 0.99)


class Coverage(Metric):
    """Both scores. Wilson's interval over the values, a centred bootstrap over both sets of rows for the modes."""

    modalities = ("rows",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        train, held, made = some(_LIMIT, reference.train.things, reference.held_out.things, generated.sample.things)
        if min(train.rows, held.rows, made.rows) < _LEAST:
            return []
        hit, there = _values(train, made)
        cells = _cells(train, held, made)
        value = kept(*cells)
        again = [kept(cells[0][i], cells[1][j]) for i, j in resamples(_RESAMPLES, held.rows, made.rows)]
        low, high = centred(value, np.array(again))
        low, high = max(0.0, low), min(1.0, high)
        caveats = _collapse(high, made, joined(train, held))
        values = wilson(hit, there)
        n, m = made.rows, held.rows
        name = label("value coverage", "columns", n, m)
        return [
            Score(name, hit / there if there else 1.0, values[0], values[1] if there else 1.0, n, True, caveats),
            Score(label("mode coverage", "columns", n, m, f"cells={_CELLS}"), value, low, high, n, True, caveats),
        ]


def kept(held: Codes, made: Codes) -> float:
    """Share of the held-out rows in cells with at least a quarter as many generated rows as they should have."""
    size = int(max(held.max(), made.max())) + 1
    q, p = (np.bincount(c, minlength=size) / len(c) for c in (held, made))
    return float(q[p >= KEPT * q].sum())


def _cells(train: Table, held: Table, made: Table) -> tuple[Codes, Codes]:
    """The k-means cell of every held-out and generated row, in standard units and scaled one-hot codes."""
    from sklearn.cluster import KMeans

    every, test, drawn = design(train, held, made)
    count = max(1, min(_CELLS, len(every) // 20, len(np.unique(every, axis=0))))
    means = KMeans(count, n_init=1, random_state=0).fit(every)
    return means.predict(test).astype(np.int64), means.predict(drawn).astype(np.int64)


def _values(train: Table, made: Table) -> tuple[int, int]:
    """How many of the values that should be seen are, and how many should be."""
    hit = there = 0
    for name in (*train.numeric, *train.categorical):
        real, drawn = _codes(train, made, name)
        size = int(max(real.max(), drawn.max())) + 1
        expected = np.bincount(real, minlength=size) * made.rows / train.rows >= _SHOWN
        there += int(expected.sum())
        hit += int((expected & (np.bincount(drawn, minlength=size) > 0)).sum())
    return hit, there


def _codes(train: Table, made: Table, name: str) -> tuple[Codes, Codes]:
    """A column as codes; a number by the quantiles of the training rows, what is missing a code of its own."""
    if name in train.categorical:
        return train.categorical[name], made.categorical[name]
    present = train.numeric[name][~np.isnan(train.numeric[name])]
    edges = np.unique(np.quantile(present, _EDGES)) if len(present) else np.zeros(0)

    def coded(values: Array) -> Codes:
        return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, "left")).astype(np.int64)

    return coded(train.numeric[name]), coded(made.numeric[name])


def _collapse(high: float, made: Table, real: Table) -> tuple[str, ...]:
    n = min(made.rows, real.rows)
    chosen = np.random.Generator(np.random.Philox(0)).permutation(real.rows)[:n]
    distinct, expected = made.at(np.arange(n)).distinct(), real.at(chosen).distinct()
    if distinct < GONE * expected:
        return (f"COLLAPSE: {n} rows hold {distinct} distinct ones; as many real rows hold {expected}",)
    if high < GONE:
        return (f"COLLAPSE: kinds of rows that make up {100 * (1 - high):.0f} % of the data or more are missing",)
    return ()
