"""Distance to the closest record: is a generated row nearer to the training rows than a fresh row is?

The distance between two rows is the mean over columns of |difference| / range (at most 1) for numbers and of 0 or 1 for
categories (Gower 1971; the range is that of the training set; a missing value matches a missing value only).

    dcr ratio         median distance to the nearest training row, generated over fresh; 1 = like fresh rows
    duplicates        share of generated rows that equal a training row
    closer to train   share of generated rows nearer to the training rows than to as many held-out ones, ties counting
                      half; 0.5 = no preference. Its interval takes both sets as given: a few rows far out can decide
                      it for generated rows that resemble neither
    row copies        share of generated rows far nearer to one training row than that one's neighbours, see `_copies`

What fresh rows score is measured on a split by chance of training and held-out rows taken together: where rows repeat
by nature, the data's own split may have parted equal rows, or kept them together, and would not say how often a fresh
row equals a training row.

This detects copies. It is no proof of privacy: sets that pass it have leaked to membership inference
("The DCR Delusion", ESORICS 2025).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._copies import Witnesses, alarm, ranked, together, witnesses
from makar.metrics._intervals import Array, label, of_mean, resamples, wilson
from makar.metrics._table import Table, joined, tables

_CELLS = 1 << 17
_LIMIT = 1000  # rows measured of each set
_RESAMPLES = 100
_ROUNDS = 5  # splits by chance of small data, so that there are enough fresh rows


def closest(rows: Table, others: Table, ranges: dict[str, float]) -> Array:
    """Gower distance (n,) of each row to the nearest of the others."""
    columns = len(rows.numeric) + len(rows.categorical)
    out = np.empty(rows.rows)
    block = max(1, _CELLS // others.rows)
    for start in range(0, rows.rows, block):
        part = slice(start, min(start + block, rows.rows))
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
    """The four scores, on at most 1,000 rows of each set. Percentile bootstrap for the ratio, Wilson's and normal
    intervals for the shares. A caveat that begins with "COPYING" says that the check has fired.
    """

    modalities = ("rows",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        train, held, made = tables(reference.train.things, reference.held_out.things, generated.sample.things)
        chance = np.random.Generator(np.random.Philox(0))
        order, pool = chance.permutation(made.rows), joined(train, held)
        size = min(_LIMIT, held.rows, made.rows)
        rounds = min(_ROUNDS, made.rows // size, max(1, _LIMIT // size))
        fresh, earlier = by_chance(pool, size, train.rows, chance)
        ranges = ranges_of(train)
        distance = closest(fresh, earlier, ranges)
        mine = [witnesses(*reversed(ranked(train, made.at(order[r * size : (r + 1) * size])))) for r in range(rounds)]
        theirs = [witnesses(*reversed(ranked(earlier, fresh)))]
        theirs += [
            witnesses(*reversed(ranked(*reversed(by_chance(pool, size, train.rows, chance)))))
            for _ in range(rounds - 1)
        ]
        why = alarm(together(mine), together(theirs))
        fired = () if why is None else (f"COPYING: {why}",)

        held, made = held.at(chance.permutation(held.rows)[:_LIMIT]), made.at(order[:_LIMIT])
        to_train = closest(made, train, ranges)
        near = closest(made, train.at(chance.permutation(train.rows)[: held.rows]), ranges)
        far = closest(made, held, ranges)
        preference = np.where(near == far, 0.5, (near < far).astype(np.float64))
        ratio = _ratio(to_train, distance)
        n, m = made.rows, held.rows
        return [
            Score(ratio.name, ratio.value, ratio.low, ratio.high, n, None, fired + ratio.caveats),
            _share(label("duplicates", "gower", n, m), to_train == 0, distance == 0, fired),
            Score(
                label("closer to train", "gower", n, m), float(preference.mean()), *of_mean(preference), n, None, fired
            ),
            _copied(together(mine), together(theirs), label("row copies", "ranks", rounds * size, size), fired),
        ]


def by_chance(pool: Table, fresh: int, train: int, chance: np.random.Generator) -> tuple[Table, Table]:
    """So many fresh rows, and so many others that they may be compared with as with training rows."""
    order = chance.permutation(pool.rows)
    return pool.at(order[:fresh]), pool.at(order[fresh : fresh + train])


def _share(name: str, made: Array, fresh: Array, fired: tuple[str, ...]) -> Score:
    """Share of generated rows for which something holds, that of fresh rows beside."""
    low, high = wilson(float(made.sum()), len(made))
    return Score(name, float(made.mean()), low, high, len(made), False, (*fired, f"fresh rows: {fresh.mean():.3f}"))


def _copied(made: Sequence[Witnesses], fresh: Sequence[Witnesses], name: str, fired: tuple[str, ...]) -> Score:
    """The kind of distance by which most generated rows are copies, beyond what fresh rows are."""
    kind = max(range(len(made)), key=lambda k: float(made[k].near.mean() - fresh[k].near.mean()))
    return _share(name, made[kind].near, fresh[kind].near, fired)


def _ratio(made: Array, held: Array) -> Score:
    name = label("dcr ratio", "gower", len(made), len(held))
    below = float(np.median(held))
    if not below:
        caveat = "half of the fresh rows equal a training row: there is no ratio"
        return Score(name, math.nan, math.nan, math.nan, len(made), None, (caveat,))
    replicates = []
    for i, j in resamples(_RESAMPLES, len(made), len(held)):
        under = float(np.median(held[j]))
        if under:
            replicates.append(float(np.median(made[i])) / under)
    low, high = np.quantile(replicates, [0.025, 0.975])
    return Score(name, float(np.median(made)) / below, float(low), float(high), len(made), None)
