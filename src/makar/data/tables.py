"""Columns of cells become rows of typed values, and what is dropped on the way is said.

A column keeps its values as int where all are whole numbers, as float where all are numbers, else as str; a missing
cell is None. What cannot be learnt is dropped with a note: columns without any value, running numbers, identifiers and
free text (more than half of at least 20 values distinct), unless `keep` names them. A column of one value is kept:
samples must have the columns of the data, and it is written back as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from makar.core.errors import MakarError, did_you_mean
from makar.data import paths
from makar.data.loaded import Loaded

Value = str | int | float | None

_INT = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:]+Z?)?")
_EXACT = 2**53  # beyond it float64 no longer tells whole numbers apart
_CLASSES = 1000
_MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Choice:
    """What the user says of columns: which is the class, which to drop, which to keep come what may."""

    label: str | None = None
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows, and where a column was the class, int64 labels and the classes' names."""

    rows: list[dict[str, Value]]
    labels: np.ndarray | None
    classes: tuple[str, ...]


def typed(cells: Sequence[str | None]) -> list[Value]:
    """Cells of one column as int, float or str, whichever all of them allow."""
    there = [cell for cell in cells if cell is not None]
    if all(_INT.fullmatch(cell) for cell in there):
        if all(len(cell) < 20 and abs(int(cell)) < _EXACT for cell in there):
            return [None if cell is None else int(cell) for cell in cells]
    elif all(_is_number(cell) for cell in there):
        return [None if cell is None else float(cell) for cell in cells]
    return list(cells)


def _is_number(cell: str) -> bool:
    if not _NUMBER.fullmatch(cell) or not any(c.isdigit() for c in cell.lower().partition("e")[0]):
        return False
    return math.isfinite(float(cell))


def table(where: str, columns: dict[str, list[Value]], choice: Choice, notes: list[str]) -> Table:
    """A table's columns, all of one length, as rows; what happened to them is added to `notes`.

    `where` names the table in errors. Raises MakarError where nothing can be learnt.
    """
    for name in [*choice.drop, *choice.keep, *([choice.label] if choice.label else [])]:
        if name not in columns:
            raise MakarError(f"{where} has no column '{name}'{did_you_mean(name, columns)}")
    columns = dict(columns)
    if not columns or not next(iter(columns.values())):
        raise MakarError(f"{where} has a header but no rows")
    labels: np.ndarray | None = None
    named: tuple[str, ...] = ()
    if choice.label:
        labels, named = classes(choice.label, columns.pop(choice.label), notes)
    for name in choice.drop:
        columns.pop(name, None)
        notes.append(f"the column '{name}' was dropped as asked")
    for name, values in list(columns.items()):
        reason = None if name in choice.keep else unlearnable(values)
        if reason:
            del columns[name]
            notes.append(f"the column '{name}' was dropped: {reason}")
    if not columns:
        raise MakarError(f"{where} has no column left to learn ({'; '.join(notes)}); name one with keep=")
    notes += _remarks(columns)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Table(rows, labels, named)


def of_file(path: Path, source: str, columns: dict[str, list[Value]], choice: Choice, notes: list[str]) -> Loaded:
    """The table that is in a file, with its past."""
    found = table(str(path), columns, choice, notes)
    return Loaded(
        name=f"{source}:{path.name}",
        modality="rows",
        source=paths.described(path),
        things=found.rows,
        labels=found.labels,
        classes=found.classes,
        folder=path.parent,
        notes=notes,
    )


def unlearnable(values: Sequence[Value]) -> str | None:
    """Why a column cannot be learnt, or None."""
    there = [value for value in values if value is not None]
    if not there:
        return "it has no value at all"
    distinct = len(set(there))
    if all(isinstance(value, int) for value in there):
        whole = [int(value) for value in there]
        if len(there) >= 20 and distinct == len(there) and max(whole) - min(whole) + 1 == distinct:
            return "its values are a running number"
        return None
    texts = [value for value in there if isinstance(value, str)]
    if not texts or all(_DATE.fullmatch(text) for text in texts):
        return None
    if len(there) >= 20 and 2 * distinct > len(there):
        return f"{distinct} of its {len(there)} values are distinct, as in identifiers or free text"
    return None


def _remarks(columns: dict[str, list[Value]]) -> list[str]:
    notes = []
    gaps = {name: values.count(None) for name, values in columns.items() if None in values}
    if gaps:
        notes.append("cells without a value: " + ", ".join(f"{n} in '{name}'" for name, n in gaps.items()))
    for name, values in columns.items():
        if len(set(values)) == 1:
            notes.append(f"the column '{name}' has one value, {values[0]!r}: it is kept and written back as it is")
    return notes


def classes(name: str, values: list[Value], notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column as labels int64 (n,), -1 where a cell is missing, and the classes' names in their order.

    Raises MakarError for a column with decimals or of more than a thousand values.
    """
    distinct = {value for value in values if value is not None}
    if any(isinstance(value, float) for value in distinct) or not 1 <= len(distinct) <= _CLASSES:
        raise MakarError(
            f"the column '{name}' cannot be the class: it has {len(distinct)} distinct values"
            f"{' with decimals' if any(isinstance(value, float) for value in distinct) else ''}; "
            f"a class is one of at most {_CLASSES} words or whole numbers"
        )
    ordered = sorted(distinct, key=lambda value: (isinstance(value, str), value))
    codes = {value: code for code, value in enumerate(ordered)}
    labels = np.array([-1 if value is None else codes[value] for value in values], np.int64)
    notes.append(f"the column '{name}' is the class")
    if (labels < 0).any():
        notes.append(f"{int((labels < 0).sum())} rows have no class")
    return labels, tuple(map(str, ordered))


def names(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Column names given as a tuple, or as one text with commas (the command line's way)."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def read_header(header: Sequence[str], path: Path, notes: list[str]) -> list[str]:
    """Column names, an empty one named by its place. Raises MakarError where two are the same."""
    if len(header) > _MOST_COLUMNS:
        raise MakarError(f"{path} has {len(header)} columns, more than {_MOST_COLUMNS}; look at the delimiter")
    found: list[str] = []
    for place, raw in enumerate(header, 1):
        name = raw.strip()
        if not name:
            name = f"column {place}"
            notes.append(f"the column in place {place} has no name and was named '{name}'")
        if name in found:
            first = found.index(name) + 1
            raise MakarError(f"{path} names two columns '{name}' (places {first} and {place}); rename one")
        found.append(name)
    if found and all(_is_number(name) for name in found):
        notes.append("the first line was taken as column names, though all of them are numbers")
    return found


def plain(value: Any) -> Value:
    """A value of a typed table (Arrow) as one of ours; dates in ISO form. Raises TypeError for nested ones."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return value if abs(value) < _EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return _other(value)


def _other(value: Any) -> Value:
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return str(value.replace(microsecond=0))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"values of type {type(value).__name__}")


def from_arrow(table: Any, notes: list[str]) -> dict[str, list[Value]]:
    """Columns of an Arrow table; nested and binary ones are dropped with a note."""
    columns: dict[str, list[Value]] = {}
    for name in table.column_names:
        if name in columns:
            raise MakarError(f"the table names two columns '{name}'; rename one")
        try:
            values = [plain(value) for value in table.column(name).to_pylist()]
        except TypeError as error:
            notes.append(f"the column '{name}' was dropped: it holds {error}")
            continue
        if len({type(value) for value in values if value is not None}) > 1:  # a whole number too large among small ones
            values = [None if value is None else str(value) for value in values]
        columns[name] = values
    return columns
