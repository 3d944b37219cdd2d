"""Columns become rows of typed values, and what is dropped on the way is said.

A column keeps its values as int where all are whole numbers, as float where all are numbers, else as str; a missing
cell is None (`data/cells.py` tells how the cells of a text file are read). What cannot be learnt is dropped with a
note: columns without any value, running numbers, identifiers and free text (more than half of at least 20 values
distinct), unless `keep` names them. A column of one value is kept: samples must have the columns of the data, and it
is written back as it is. The class stays a column in its place; beside it stands the label of every row.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from makar.core import dates
from makar.core.errors import MakarError, did_you_mean
from makar.data import paths
from makar.data.cells import Value, is_number
from makar.data.loaded import Loaded

_CLASSES = 1000
_MOST_COLUMNS = 10_000
_LARGEST = 1e37  # numbers from here on cannot be reckoned with in float32
_EXACT = 2**53  # beyond it float64 no longer tells whole numbers apart


@dataclass(frozen=True)
class Choice:
    """What the user says of columns: which is the class, which to drop, which to keep come what may."""

    label: str | None = None
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows, and where a column is the class, its name, int64 labels and the classes' names."""

    rows: list[dict[str, Value]]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    label: str = ""  # the class's column


def table(where: str, columns: dict[str, list[Value]], choice: Choice, notes: list[str]) -> Table:
    """A table's columns, all of one length, as rows; what happened to them is added to `notes`.

    `where` names the table in errors. Raises MakarError where nothing can be learnt.
    """
    for name in [*choice.drop, *choice.keep, *([choice.label] if choice.label else [])]:
        if name not in columns:
            raise MakarError(f"{where} has no column '{name}'{did_you_mean(name, columns)}")
    if choice.label in choice.drop:
        raise MakarError(f"the column '{choice.label}' of {where} is to be the class and to be dropped; choose one")
    columns = dict(columns)
    if not columns or not next(iter(columns.values())):
        raise MakarError(f"{where} has a header but no rows")
    labels: np.ndarray | None = None
    named: tuple[str, ...] = ()
    if choice.label:
        labels, named = classes(choice.label, columns[choice.label], notes)
    for name in choice.drop:
        columns.pop(name, None)
        notes.append(f"the column '{name}' was dropped as asked")
    for name, values in list(columns.items()):
        reason = None if name in choice.keep or name == choice.label else unlearnable(values)
        if reason:
            del columns[name]
            notes.append(f"the column '{name}' was dropped: {reason}")
    if not set(columns) - {choice.label}:
        raise MakarError(
            f"{where} has no column left to learn ({'; '.join(notes)}); name one with --keep COLUMN (keep=)"
        )
    _small_enough(where, columns)
    notes += _remarks(columns)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Table(rows, labels, named, choice.label or "")


def _small_enough(where: str, columns: dict[str, list[Value]]) -> None:
    """Raise MakarError for a number that no model can reckon with."""
    for name, values in columns.items():
        for place, value in enumerate(values, 1):
            if isinstance(value, float) and abs(value) >= _LARGEST:
                raise MakarError(
                    f"the column '{name}' of {where} holds {value!r} in row {place}, and numbers must lie within "
                    f"{_LARGEST:g}; name it with --missing {value!r} (missing=) or leave the column out with "
                    f"--drop (drop=)"
                )


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
        label=found.label,
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
    if len(there) < 20 or 2 * distinct <= len(there) or not texts or dates.form_of(list(dict.fromkeys(texts))):
        return None
    if sum(map(dates.looks_like_a_date, texts)) > len(there) // 2:
        return f"its values look like dates, such as '{texts[0]}', but not all in one form that is known"
    return f"{distinct} of its {len(there)} values are distinct, as in identifiers or free text"


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
    counts = Counter(value for value in values if value is not None)
    decimals = any(isinstance(value, float) and not value.is_integer() for value in counts)
    if decimals or not 1 <= len(counts) <= _CLASSES:
        raise MakarError(
            f"the column '{name}' cannot be the class: it has {len(counts)} distinct values"
            f"{' with decimals' if decimals else ''}; a class is one of at most {_CLASSES} words or whole numbers"
        )
    ordered = sorted(counts, key=lambda value: (isinstance(value, str), value))
    codes = {value: code for code, value in enumerate(ordered)}
    labels = np.array([-1 if value is None else codes[value] for value in values], np.int64)
    notes.append(f"the column '{name}' is the class")
    alone = [class_name(value) for value in ordered if counts[value] == 1]
    if alone:
        notes.append(
            f"{len(alone)} of the {len(ordered)} classes have one row only, too few to learn from: "
            + ", ".join(f"'{one}'" for one in alone[:5])
            + (", …" if len(alone) > 5 else "")
        )
    return labels, tuple(map(class_name, ordered))


def class_name(value: Value) -> str:
    """The name of a class by the value in its column: 1.0 is the class "1"."""
    return str(int(value)) if isinstance(value, float) else str(value)


def names(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Names given as a tuple, or as one text with commas, which a name in double quotes may hold (the command line)."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for line in csv.reader([value], skipinitialspace=True) for part in line if part.strip())


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
    if found and all(map(is_number, found)):
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
        given = table.column(name).to_pylist()
        try:
            values = [plain(value) for value in given]
        except TypeError as error:
            notes.append(f"the column '{name}' was dropped: it holds {error}")
            continue
        notes += _lost(name, given)
        if len({type(value) for value in values if value is not None}) > 1:  # a whole number too large among small ones
            values = [None if value is None else str(value) for value in values]
        columns[name] = values
    return columns


def _lost(name: str, given: Sequence[Any]) -> list[str]:
    """What `plain` takes from the values of a column, in words."""
    moments = [value for value in given if isinstance(value, datetime)]
    endless = sum(isinstance(value, float) and math.isinf(value) for value in given)
    notes = []
    if endless:
        notes.append(f"{endless} values of '{name}' are infinite and were read as missing")
    if any(moment.tzinfo is not None for moment in moments):
        notes.append(f"the times of '{name}' have a zone, {moments[0].tzinfo}; they were written in UTC")
    if any(moment.microsecond for moment in moments):
        notes.append(f"the fractions of a second in '{name}' were left out")
    return notes
