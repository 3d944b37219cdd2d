"""Copies among generated rows, sought through noise and changed cells, against what chance and the data's own
repetition bring about.

**Distances.** A number counts by its rank among the training rows (so that a long tail does not hide the rest), a
category as 0 or 1, a missing value equals a missing value only. `whole` is the sum over columns, `but one` leaves out
the column that differs most: a copy with one cell changed stays 0 away.

**Near.** Let t be the training row nearest to a row x, and s(t) the distance from t to its own nearest other training
row. x is *near* if d(x, t) <= s(t) / 3 (as in Yoon et al. 2023), and *leans* if d(x, t) < s(t) (Alaa et al. 2022 call
what does not lean authentic). Each t gives its own yardstick: where rows lie dense or repeat by nature, to be near is
to be nearer still, and a training row that stands twice (s = 0) cannot be copied. Of the rows with one nearest t a
single one counts, so that rows which are all alike are one witness and not a thousand.

**Fresh rows.** What share of honest rows are near or lean is measured on a split by chance of training and held-out
rows taken together, as many on each side as in the comparison: a split by content, which parts no equal rows, would say
that equal rows never come about.

**Alarm.** Rows of a poor model meet other training rows than fresh rows do, lonelier ones above all; so the fresh rows'
shares are taken by quarters of s(t) and weighed as the generated rows fall into these. The alarm is raised if the
generated rows' share that is near exceeds 1.2 times that and 0.02, or their share that does not lean is less than
0.65 of it less 0.02, either by more than 3.29 standard errors of the difference and with at least 20 training rows met
on both sides. Rates of false alarms and of copies found: `benchmarks/results/row_copies.json`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makar.metrics._intervals import Array
from makar.metrics._table import Codes, Table

Small = NDArray[np.float32]

NEAR = 1 / 3 + 1e-6  # one cell of three is a third, however it is rounded
FACTOR, CROWDED, MARGIN = 1.2, 0.65, 0.02
CERTAIN = 3.29  # standard errors: one-sided 0.05 %, were the margin nothing
_LEAST = 20
_CELLS = 1 << 18  # distances formed at a time: what stays in a processor's cache
KINDS = ("whole", "but one")


@dataclass(frozen=True)
class Ranked:
    """A table ready for distances: numbers as ranks in [0, 1], missing as -1; categories as codes."""

    numbers: Sequence[Small]
    codes: Sequence[Codes]
    rows: int

    def at(self, rows: Codes) -> Ranked:
        """These rows."""
        return Ranked([n[rows] for n in self.numbers], [c[rows] for c in self.codes], len(rows))


def ranked(train: Table, *others: Table) -> list[Ranked]:
    """Every table by the first one's ranks; between two training values linear, so that only equals tie."""
    out = []
    for table in (train, *others):
        numbers = []
        for name, values in train.numeric.items():
            present, counts = np.unique(values[~np.isnan(values)], return_counts=True)
            place = (np.cumsum(counts) - counts / 2) / max(1, counts.sum())
            column = table.numeric[name]
            rank = np.interp(column, present, place) if len(present) else np.zeros(len(column))
            numbers.append(np.where(np.isnan(column), -1.0, rank).astype(np.float32))
        out.append(Ranked(numbers, list(table.categorical.values()), table.rows))
    return out


def nearest(rows: Ranked, others: Ranked, own: Codes | None = None) -> tuple[Array, Codes]:
    """Distance (2, n) to the nearest of the others by both kinds, and its place. `own` are places to pass over."""
    found, places = np.empty((2, rows.rows)), np.empty((2, rows.rows), dtype=np.int64)
    block = max(1, _CELLS // others.rows)
    for start in range(0, rows.rows, block):
        part = slice(start, min(start + block, rows.rows))
        total = np.zeros((part.stop - start, others.rows), dtype=np.float32)
        most = np.zeros_like(total)
        for a, b in zip(rows.numbers, others.numbers, strict=True):
            left, right = a[part, None], b[None]
            gap = np.where((left < 0) != (right < 0), np.float32(1), np.abs(left - right))
            total += gap
            np.maximum(most, gap, out=most)
        for c, d in zip(rows.codes, others.codes, strict=True):
            gap = (c[part, None] != d[None]).astype(np.float32)
            total += gap
            np.maximum(most, gap, out=most)
        for k, distance in enumerate((total, np.maximum(total - most, 0))):
            if own is not None:
                distance[np.arange(part.stop - start), own[part]] = np.inf
            places[k, part] = distance.argmin(1)
            found[k, part] = distance.min(1)
    return found, places


@dataclass(frozen=True)
class Witnesses:
    """For one kind of distance, of one row for each training row t met: s(t) and d(x, t)."""

    spacing: Array
    distance: Array

    @property
    def near(self) -> Array:
        """1 where the row is near."""
        return ((self.distance <= NEAR * self.spacing) & (self.spacing > 0)).astype(np.float64)

    @property
    def free(self) -> Array:
        """1 where the row does not lean."""
        return (self.distance >= self.spacing).astype(np.float64)


def witnesses(rows: Ranked, train: Ranked) -> list[Witnesses]:
    """What the rows say of both kinds of distance."""
    found, places = nearest(rows, train)
    met_by_any = np.unique(places)
    spacings = nearest(train.at(met_by_any), train, met_by_any)[0]
    out = []
    for k in range(len(KINDS)):
        met, first = np.unique(places[k], return_index=True)
        out.append(Witnesses(spacings[k][np.searchsorted(met_by_any, met)], found[k][first]))
    return out


def together(rounds: Sequence[Sequence[Witnesses]]) -> list[Witnesses]:
    """The witnesses of several sets of rows, for both kinds of distance."""
    return [
        Witnesses(np.concatenate([w.spacing for w in each]), np.concatenate([w.distance for w in each]))
        for each in zip(*rounds, strict=True)
    ]


def layers(fresh: Witnesses, *others: Witnesses) -> list[Codes]:
    """The fresh rows' quarter of spacings that each row's falls in, of both sets."""
    edges = np.unique(np.quantile(fresh.spacing, [0.25, 0.5, 0.75]))
    return [np.searchsorted(edges, w.spacing, "left").astype(np.int64) for w in (fresh, *others)]


def alarm(made: Sequence[Witnesses], fresh: Sequence[Witnesses]) -> str | None:
    """Why the check fires, or None."""
    for kind, a, b in zip(KINDS, made, fresh, strict=True):
        if min(len(a.near), len(b.near)) < _LEAST:
            continue
        theirs, mine = layers(b, a)
        where = "" if kind == "whole" else " but for one cell"
        share, usual, error = compared(a.near, mine, b.near, theirs, FACTOR)
        if share - FACTOR * usual > MARGIN + CERTAIN * error:
            return (
                f"{100 * share:.0f} % of the rows are nearer to one training row{where} than a third of the "
                f"way to the next, of fresh rows {100 * usual:.0f} %"
            )
        share, usual, error = compared(a.free, mine, b.free, theirs, CROWDED)
        if CROWDED * usual - share > MARGIN + CERTAIN * error:
            return (
                f"{100 * (1 - share):.0f} % of the rows lie closer to a training row{where} than that one's own "
                f"nearest neighbour, of fresh rows {100 * (1 - usual):.0f} %"
            )
    return None


def compared(made: Array, mine: Codes, fresh: Array, theirs: Codes, factor: float) -> tuple[float, float, float]:
    """The generated rows' share, what it would be if in each layer it were the fresh rows', and the standard error of
    the former less `factor` times the latter. Layers that fresh rows do not reach are left out.

    To every share two answers of each kind are added for its variance, which so is never 0 (Agresti & Coull 1998).
    """
    share = usual = variance = 0.0
    known = np.isin(mine, theirs)
    for layer in np.unique(mine[known]):
        weight = float((mine[known] == layer).mean())
        a, b = made[mine == layer], fresh[theirs == layer]
        share += weight * float(a.mean())
        usual += weight * float(b.mean())
        variance += weight**2 * (_variance(a) + factor**2 * _variance(b))
    return share, usual, math.sqrt(variance)


def _variance(answers: Array) -> float:
    share = (float(answers.sum()) + 2) / (len(answers) + 4)
    return share * (1 - share) / (len(answers) + 4)
