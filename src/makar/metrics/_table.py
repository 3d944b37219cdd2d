"""Rows of a table as columns of numbers or codes, read from the things themselves and so the same for every codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makar.metrics._intervals import Array

Codes = NDArray[np.int64]

LARGEST = 1e150


@dataclass(frozen=True)
class Table:
    """Columns by name. A missing number is NaN; a missing category is a category of its own."""

    numeric: Mapping[str, Array]
    categorical: Mapping[str, Codes]
    rows: int

    def at(self, rows: Codes) -> Table:
        """The table of these rows."""
        return Table(
            {k: v[rows] for k, v in self.numeric.items()}, {k: v[rows] for k, v in self.categorical.items()}, len(rows)
        )

    def distinct(self) -> int:
        """How many different rows there are; two missing values are equal."""
        columns = [np.unique(v, return_inverse=True)[1] for v in (*self.numeric.values(), *self.categorical.values())]
        return len(np.unique(np.stack(columns, 1), axis=0))

    def without(self, column: str) -> Table:
        """The table without one of its columns."""
        return Table(
            {k: v for k, v in self.numeric.items() if k != column},
            {k: v for k, v in self.categorical.items() if k != column},
            self.rows,
        )


def tables(*sets: Sequence[Mapping[str, Any]]) -> list[Table]:
    """One table for each set of rows, with common columns and codes.

    A column is numeric if every value present in the first set is a number; the first set should be the training set.
    """
    names = list(sets[0][0])
    numeric = [n for n in names if all(row[n] is None or type(row[n]) in (int, float) for row in sets[0])]
    codes: dict[str, dict[Any, int]] = {n: {} for n in names if n not in numeric}
    return [
        Table(
            {n: _numbers([row[n] for row in rows]) for n in numeric},
            {
                n: np.array([code.setdefault(row[n], len(code)) for row in rows], dtype=np.int64)
                for n, code in codes.items()
            },
            len(rows),
        )
        for rows in sets
    ]


def _numbers(values: Sequence[Any]) -> Array:
    """Missing as NaN, and sizes above 1e150 as 1e150, so that squares and ranges stay finite."""
    there = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return np.clip(there, -LARGEST, LARGEST)


def joined(one: Table, other: Table) -> Table:
    """The rows of both, which must have been made by one call of `tables`."""
    numeric = {k: np.concatenate([v, other.numeric[k]]) for k, v in one.numeric.items()}
    categorical = {k: np.concatenate([v, other.categorical[k]]) for k, v in one.categorical.items()}
    return Table(numeric, categorical, one.rows + other.rows)


def some(limit: int, *sets: Sequence[Mapping[str, Any]]) -> list[Table]:
    """As `tables`, of at most `limit` rows of each set, the same at every call; the order is by chance."""
    chance = np.random.Generator(np.random.Philox(0))
    return tables(*([rows[i] for i in chance.permutation(len(rows))[:limit]] for rows in sets))


_SINGLE = 1e30
LEVELS = 254
"""Categories that `ordinal` tells apart: one less than what scikit-learn's boosted trees can hold."""


def ordinal(train: Table, *others: Table) -> tuple[list[Array], NDArray[np.bool_]]:
    """Matrices (rows, columns) for trees, and which columns hold categories.

    Numbers are left as they are, NaN included, up to 1e30 (trees sum them as float32). Categories are numbered from the
    commonest of the first table's down; those from the 254th on, and those that it lacks, are one category.
    """
    both = (train, *others)
    parts: list[list[Array]] = [[] for _ in both]
    for name, values in train.numeric.items():
        empty = bool(np.isnan(values).all())  # trees take no column without a value
        for part, table in zip(parts, both, strict=True):
            column = table.numeric[name]
            part.append(np.where(np.isnan(column), 0.0, 1.0) if empty else np.clip(column, -_SINGLE, _SINGLE))
    for name, codes in train.categorical.items():
        found, counts = np.unique(codes, return_counts=True)
        place = np.full(max(int(t.categorical[name].max(initial=0)) for t in both) + 1, float(LEVELS))
        commonest = found[np.argsort(-counts, kind="stable")][:LEVELS]
        place[commonest] = np.arange(len(commonest))
        for part, table in zip(parts, both, strict=True):
            part.append(place[table.categorical[name]])
    kinds = np.repeat([False, True], [len(train.numeric), len(train.categorical)])
    return [np.stack(part, 1) for part in parts], kinds


def design(train: Table, *others: Table) -> list[Array]:
    """Matrices (rows, d) for learners: numbers in standard units with a flag for what is missing, one-hot codes.

    Means, units and categories are the first table's; a category that it lacks is all zeros.
    """
    out: list[list[Array]] = [[] for _ in (train, *others)]
    for name, values in train.numeric.items():
        present = values[~np.isnan(values)]
        mean, unit = (present.mean(), present.std() or 1.0) if len(present) else (0.0, 1.0)
        for parts, table in zip(out, (train, *others), strict=True):
            column = table.numeric[name]
            parts.append(np.nan_to_num((column - mean) / unit)[:, None])
            if len(present) < len(values):
                parts.append(np.isnan(column)[:, None].astype(np.float64))
    for name, codes in train.categorical.items():
        known = np.unique(codes)
        for parts, table in zip(out, (train, *others), strict=True):
            parts.append((table.categorical[name][:, None] == known).astype(np.float64))
    return [np.concatenate(parts, 1) for parts in out]
