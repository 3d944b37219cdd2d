"""Rows of a table: numbers and dates in normal scores, categories as codes, missing values kept, all of it invertible.

What each kind of column does is told in `_columns.py`. The noise that spreads a number over its cell is a function of
the row's content, so encoding is a function, and decoding gives the row with its original types: whole numbers whole,
decimals with as many places as the data has, dates in their form, None where a value was missing. The one limit is
float32: of a number with more than about seven significant digits the further ones may be lost.

What a model draws lies within the least and the largest value of training, unless `bounds` lets go.

Where a model is conditioned on the class (`label`), its column is no part of the space, since it is given. The things
are whole rows all the same: `labelled` puts it back in its place, and their likelihood is

    log p(row) = log p(class) + log p(the other columns | class)

with the shares of training for p(class).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from makar.codecs._columns import Column, Value, fitted, restored
from makar.codecs._content import uniforms
from makar.core.codec import Codec
from makar.core.errors import MakarError, did_you_mean
from makar.core.spaces import Columns


@dataclass(frozen=True)
class Config:
    """A column of at most this many distinct numbers, each five times there on average, is one of categories.

    `label` is the column that a model is conditioned on; "" where it is not. `bounds` is what numbers and dates that
    are made keep to: the range of training, or its sign alone, or nothing.
    """

    categories: int = 10
    label: str = ""
    bounds: Literal["range", "sign", "none"] = "range"


class Rows(Codec):
    """Dicts from column name to str, int, float or None, to Columns."""

    Config: TypeAlias = Config
    config: Config
    things = "rows"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._columns: list[Column] = []
        self._label: Label | None = None

    @property
    def space(self) -> Columns:
        if not self._columns:
            raise MakarError("the codec 'rows' has not been fitted")
        return Columns(tuple(part for column in self._columns for part in column.parts))

    def fit(self, things: Sequence[Any]) -> Self:
        """Raises MakarError where rows disagree on their columns or nothing varies."""
        names = list(things[0]) if things else []
        if self.config.label:
            if self.config.label not in names:
                raise MakarError(
                    f"rows have no column '{self.config.label}' to be the class{did_you_mean(self.config.label, names)}"
                )
            self._label = Label.fitted(self.config.label, things)
            names.remove(self.config.label)
        values = self._by_column(things, names)
        self._columns = [fitted(name, v, self.config.categories, self.config.bounds) for name, v in values.items()]
        if not self.space.columns:
            but = f" but the class '{self.config.label}'" if self.config.label else ""
            raise MakarError(f"every column of this table{but} has one value only, so there is nothing to learn")
        return self

    def _by_column(self, things: Sequence[Any], names: Sequence[str]) -> dict[str, list[Value]]:
        """Values by column; the class may stand beside them."""
        if not names:
            raise MakarError("a table needs at least one row and one column")
        known, whole = set(names), {*names, *([self.config.label] if self.config.label else [])}
        for row in things:
            if row.keys() != known and row.keys() != whole:
                odd = sorted(whole.symmetric_difference(row))
                raise MakarError(f"rows must have the columns {', '.join(names)}, but one differs in {', '.join(odd)}")
        return {name: [row[name] for row in things] for name in names}

    def _noise(self, things: Sequence[Any]) -> np.ndarray:
        """Uniform noise (n, columns), a function of each row without its class."""
        count, label = len(self._columns), self.config.label
        plain = ({k: v for k, v in row.items() if k != label} for row in things) if label else things
        return np.array([uniforms(_content(row), count) for row in plain]).reshape(len(things), count)

    def encode(self, things: Sequence[Any]) -> Tensor:
        """Float32 (B, D)."""
        values, u = self._by_column(things, self._names()), self._noise(things)
        parts = [column.encode(values[column.name], u[:, i]) for i, column in enumerate(self._columns)]
        return torch.from_numpy(np.concatenate(parts, 1))

    def decode(self, x: Tensor) -> list[Any]:
        """Rows with the columns and types of the data, without the class where that is given."""
        values = self._decoded(x)
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]

    def labelled(self, x: Tensor, classes: Sequence[str | None]) -> list[Any]:
        """The same with the class of each row in its place; None is a missing cell."""
        values = self._decoded(x)
        if self._label is not None:
            order = list(values.items())
            order.insert(self._label.place, (self._label.name, self._label.values(classes)))
            values = dict(order)
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]

    def _decoded(self, x: Tensor) -> dict[str, list[Value]]:
        numbers = x.detach().cpu().double().numpy()
        values: dict[str, list[Value]] = {}
        start = 0
        for column in self._columns:
            width = len(column.parts)
            values[column.name] = column.decode(numbers[:, start : start + width])
            start += width
        return values

    def nats(self, things: Sequence[Any]) -> float:
        values, u = self._by_column(things, self._names()), self._noise(things)
        label = self._label.nats(things) if self._label is not None else 0.0
        return label + sum(column.nats(values[column.name], u[:, i]) for i, column in enumerate(self._columns))

    def units(self, things: Sequence[Any]) -> int:
        """Dimensions: cells of the table."""
        return len(things) * (len(self._columns) + (self._label is not None))

    def _names(self) -> list[str]:
        if not self._columns:
            raise MakarError("the codec 'rows' has not been fitted")
        return [column.name for column in self._columns]

    def state(self) -> dict[str, Any]:
        label = {} if self._label is None else {"label": asdict(self._label)}
        return label | {"columns": [{"name": column.name, **column.state()} for column in self._columns]}

    def restore(self, state: dict[str, Any]) -> Self:
        self._label = Label(**state["label"]) if "label" in state else None
        self._columns = [restored(column["name"], column) for column in state["columns"]]
        return self


@dataclass(frozen=True)
class Label:
    """The class's column: its place among the others, how its values are spelt, and how often each class was there."""

    name: str
    place: int
    form: str  # "int", "float" or "text"
    counts: dict[str, int]

    @staticmethod
    def fitted(name: str, things: Sequence[Any]) -> Label:
        """From the rows of training."""
        found = Counter(row[name] for row in things if row[name] is not None)
        kinds = {type(value) for value in found}
        form = "int" if kinds == {int} else "float" if kinds == {float} else "text"
        counts = {_spelt(value): count for value, count in found.items()}
        return Label(name, list(things[0]).index(name), form, counts)

    def values(self, classes: Sequence[str | None]) -> list[Value]:
        """The cells of rows of these classes, as the data have them."""
        kind: Callable[[str], Value] = {"int": int, "float": float, "text": str}[self.form]
        return [None if name is None else kind(name) for name in classes]

    def nats(self, things: Sequence[Any]) -> float:
        """Log-probability of the classes of these rows, in all; one never seen is charged as in `_columns.py`."""
        total = sum(self.counts.values())
        escape = 1.0 / (total + 2)
        found = Counter(_spelt(row[self.name]) for row in things if row.get(self.name) is not None)
        shares = {name: (1 - escape) * self.counts[name] / total if name in self.counts else escape for name in found}
        return sum(count * math.log(shares[name]) for name, count in found.items())


def _spelt(value: Value) -> str:
    """The name of a class by its cell, as `data/tables.py` has it: 1.0 is the class "1"."""
    return str(int(value)) if isinstance(value, float) else str(value)


def _content(row: dict[str, Value]) -> bytes:
    return json.dumps(row, sort_keys=True, ensure_ascii=False).encode("utf-8")
