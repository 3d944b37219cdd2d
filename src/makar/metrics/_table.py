"""Rows of a table as columns of numbers or codes, read from the things themselves and so the same for every codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makar.metrics._intervals import Array

Codes = NDArray[np.int64]


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
            {n: np.array([np.nan if row[n] is None else row[n] for row in rows], dtype=np.float64) for n in numeric},
            {
                n: np.array([code.setdefault(row[n], len(code)) for row in rows], dtype=np.int64)
                for n, code in codes.items()
            },
            len(rows),
        )
        for rows in sets
    ]


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
