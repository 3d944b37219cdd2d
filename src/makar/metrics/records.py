"""Distance to the closest record: is a generated row nearer to the training rows than a fresh row is?

The distance between two rows is the mean over columns of |difference| / range (at most 1) for numbers and of 0 or 1 for
categories (Gower 1971; the range is that of the training set; a missing value matches a missing value only).

    dcr ratio         median distance to the nearest training row, generated over held-out; 1 = like fresh rows
    duplicates        share of generated rows that equal a training row
    closer to train   share of generated rows nearer to the training rows than to as many held-out ones, ties counting
                      half; 0.5 = no preference. Its interval takes both sets as given: a few rows far out can decide
                      it for generated rows that resemble neither

This detects copies. It is no proof of privacy: sets that pass it have leaked to membership inference
("The DCR Delusion", ESORICS 2025).
"""

from __future__ import annotations

import math

import numpy as np

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, label, of_mean, resamples, wilson
from makar.metrics._table import Table, tables

NEARER = 0.8  # as in `copying`
_BLOCK = 128
_LIMIT = 1000  # rows measured of each set
_RESAMPLES = 100


def closest(rows: Table, others: Table, ranges: dict[str, float]) -> Array:
    """Gower distance (n,) of each row to the nearest of the others."""
    columns = len(rows.numeric) + len(rows.categorical)
    out = np.empty(rows.rows)
    for start in range(0, rows.rows, _BLOCK):
        part = slice(start, min(start + _BLOCK, rows.rows))
        total = np.zeros((part.stop - start, others.rows))
        for name, values in rows.numeric.items():
            a, b = values[part, None], others.numeric[name]
            unit = ranges[name]
            gap = np.minimum(np.abs(a - b) / unit, 1.0) if unit > 0 else (a != b).astype(np.float64)
            if np.isnan(a).any() or np.isnan(b).any():
                gap = np.where(np.isnan(a) | np.isnan(b), (np.isnan(a) != np.isnan(b)).astype(np.float64), gap)
            total += gap
        for name, codes in rows.categorical.items():
            total += codes[part, None] != others.categorical[name]
        out[part] = total.min(1) / columns
    return out


def ranges_of(train: Table) -> dict[str, float]:
    """Largest minus smallest value of every numeric column; 0 where nothing is present."""
    present = {k: v[~np.isnan(v)] for k, v in train.numeric.items()}
    return {k: float(v.max() - v.min()) if len(v) else 0.0 for k, v in present.items()}


class Records(Metric):
    """The three scores, on at most 1,000 rows of each set. Percentile bootstrap for the ratio, Wilson's and normal
    intervals for the shares. A caveat that begins with "COPYING" says that the check has fired.
    """

    modalities = ("rows",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        train, held, made = tables(reference.train.things, reference.held_out.things, generated.sample.things)
        chance = np.random.Generator(np.random.Philox(0))
        held, made = (t.at(chance.permutation(t.rows)[:_LIMIT]) for t in (held, made))
        ranges = ranges_of(train)
        to_train, fresh = closest(made, train, ranges), closest(held, train, ranges)
        as_many = train.at(chance.permutation(train.rows)[: held.rows])
        near, far = closest(made, as_many, ranges), closest(made, held, ranges)
        preference = np.where(near == far, 0.5, (near < far).astype(np.float64))

        ratio = _ratio(to_train, fresh)
        equal, known = to_train == 0, float((fresh == 0).mean())
        low, high = wilson(float(equal.sum()), len(equal))
        fired: tuple[str, ...] = ()
        if ratio.high < NEARER:
            fired = (f"COPYING: rows lie at {ratio.value:.2f} of a fresh row's distance from the training set",)
        elif low > 2 * known + 0.01:
            fired = (f"COPYING: at least {100 * low:.1f} % of the rows are training rows",)
        also = (f"held-out rows: {known:.3f}",)
        n, m = len(to_train), len(fresh)
        return [
            Score(ratio.name, ratio.value, ratio.low, ratio.high, n, None, fired + ratio.caveats),
            Score(label("duplicates", "gower", n, m), float(equal.mean()), low, high, n, False, fired + also),
            Score(
                label("closer to train", "gower", n, m), float(preference.mean()), *of_mean(preference), n, None, fired
            ),
        ]


def _ratio(made: Array, held: Array) -> Score:
    name = label("dcr ratio", "gower", len(made), len(held))
    below = float(np.median(held))
    if not below:
        caveat = "half of the held-out rows equal a training row: there is no ratio"
        return Score(name, math.nan, math.nan, math.nan, len(made), None, (caveat,))
    replicates = []
    for i, j in resamples(_RESAMPLES, len(made), len(held)):
        under = float(np.median(held[j]))
        if under:
            replicates.append(float(np.median(made[i])) / under)
    low, high = np.quantile(replicates, [0.025, 0.975])
    return Score(name, float(np.median(made)) / below, float(low), float(high), len(made), None)
