"""Copies among generated rows, sought through noise and changed cells, against what chance and the data's own
repetition bring about.

**Distances.** A number counts by its rank among the training rows (so that a long tail does not hide the rest), a
category as 0 or 1, a missing value equals a missing value only. `whole` is the sum over columns, `but one` leaves out
the column that differs most: a copy with one cell changed stays 0 away.

**Near.** Let t be the training row nearest to a row x, and s(t) the distance from t to its own nearest other training
row. x is *near* if d(x, t) < s(t) / 3 (as in Yoon et al. 2023), and *leans* if d(x, t) < s(t) (Alaa et al. 2022 call
what does not lean authentic). Each t gives its own yardstick: where rows lie dense or repeat by nature, to be near is
to be nearer still, and a training row that stands twice (s = 0) cannot be copied. Of the rows with one nearest t a single
one counts, so that rows which are all alike are one witness and not a thousand.

**Fresh rows.** What share of honest rows are near or lean is measured on a split by chance of training and held-out
rows taken together, as many on each side as in the comparison: a split by content, which parts no equal rows, would say
that equal rows never come about.

**Alarm.** It is raised if more of the generated rows are near than 1.3 times the fresh rows' share and 0.02, or if
more than twice the generated rows' share that does not lean, and 0.02, of the fresh rows do not, each by more than 3.29
standard errors of the difference and with at least 20 training rows met on both sides. Rates of false alarms and of
copies found: `benchmarks/results/row_copies.json`.
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

NEAR = 1 / 3
FACTOR, MARGIN = 1.3, 0.02
CERTAIN = 3.29  # standard errors: one-sided 0.05 %, were the margin nothing
_LEAST = 20
_BLOCK = 64
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
    for start in range(0, rows.rows, _BLOCK):
        part = slice(start, min(start + _BLOCK, rows.rows))
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
    """For one kind of distance: 1 where a row is near to, and where it leans on, a training row; one row for each."""

    near: Array
    leans: Array


def witnesses(rows: Ranked, train: Ranked) -> list[Witnesses]:
    """What the rows say of both kinds of distance."""
    found, places = nearest(rows, train)
    out = []
    for k in range(len(KINDS)):
        met, first = np.unique(places[k], return_index=True)
        spacing = nearest(train.at(met), train, met)[0][k]
        distance = found[k][first]
        out.append(Witnesses((distance < NEAR * spacing).astype(np.float64), (distance < spacing).astype(np.float64)))
    return out


def together(rounds: Sequence[Sequence[Witnesses]]) -> list[Witnesses]:
    """The witnesses of several sets of rows, for both kinds of distance."""
    return [
        Witnesses(np.concatenate([w.near for w in each]), np.concatenate([w.leans for w in each]))
        for each in zip(*rounds, strict=True)
    ]


def alarm(made: Sequence[Witnesses], fresh: Sequence[Witnesses]) -> str | None:
    """Why the check fires, or None."""
    for kind, a, b in zip(KINDS, made, fresh, strict=True):
        if min(len(a.near), len(b.near)) < _LEAST:
            continue
        where = "" if kind == "whole" else " but for one cell"
        if _exceeds(a.near, b.near):
            return (
                f"{100 * a.near.mean():.0f} % of the rows are nearer to one training row{where} than a third of the "
                f"way to the next, of fresh rows {100 * b.near.mean():.0f} %"
            )
        if _exceeds(1 - b.leans, 1 - a.leans, 2.0):
            return (
                f"{100 * a.leans.mean():.0f} % of the rows lie closer to a training row{where} than that one's own "
                f"nearest neighbour, of fresh rows {100 * b.leans.mean():.0f} %"
            )
    return None


def _exceeds(one: Array, other: Array, factor: float = FACTOR) -> bool:
    """Whether a share is more than `factor` times another, by more than the margin and chance."""
    error = math.sqrt(_variance(one) + factor**2 * _variance(other))
    return bool(one.mean() - factor * other.mean() > MARGIN + CERTAIN * error)


def _variance(answers: Array) -> float:
    """Of a mean of 0s and 1s, never 0: two answers of each kind are added (Agresti & Coull 1998)."""
    share = (float(answers.sum()) + 2) / (len(answers) + 4)
    return share * (1 - share) / (len(answers) + 4)
