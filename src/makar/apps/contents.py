"""What a dataset holds, in a line a column: how large its pictures are, how long its texts, what its columns are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from makar.core import dates
from makar.data import Dataset

_LISTED = 4  # categories of a column that are named
_COLUMNS = 40  # columns that are told of


def contents(data: Dataset) -> list[str]:
    """Lines for a person who looks at data for the first time. Points have none: their number says all."""
    things = [*data.train.things, *data.held_out.things]
    if data.modality == "pictures":
        high, wide, channels = things[0].shape
        return [f"pictures     {wide} x {high} pixels, {'grey' if channels == 1 else 'colour'}"]
    if data.modality == "text":
        lengths = sorted(map(len, things))
        whole, typical = sum(lengths), int(median(lengths))
        return [f"text         {whole:,} characters; an item has {typical:,} (median), at most {lengths[-1]:,}"]
    if data.modality == "rows":
        names = list(things[0])
        shown = [f"column       {name}: {_column([row[name] for row in things])}" for name in names[:_COLUMNS]]
        more = len(names) - _COLUMNS
        return [*shown, f"column       and {more} more"] if more > 0 else shown
    return []


def _column(values: Sequence[Any]) -> str:
    there = [value for value in values if value is not None]
    missing = len(values) - len(there)
    return _kind(there) + (f"; {missing:,} missing" if missing else "")


def _kind(values: Sequence[Any]) -> str:
    if not values:
        return "no value"
    if not any(isinstance(value, str) for value in values):
        return f"numbers, {min(values):g} to {max(values):g}"
    words = list(dict.fromkeys(map(str, values)))
    form = dates.form_of(words)
    if form is not None:
        first, *_, last = sorted([*words, *words], key=lambda word: dates.count(word, form) or 0)
        return f"dates, {first} to {last}"
    named = ", ".join(sorted(words)[:_LISTED]) + (", …" if len(words) > _LISTED else "")
    return f"{len(words):,} {'category' if len(words) == 1 else 'categories'}: {named}"
