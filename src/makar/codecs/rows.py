"""Rows of a table: numbers and dates in normal scores, categories as codes, missing values kept, all of it invertible.

What each kind of column does is told in `_columns.py`. The noise that spreads a number over its cell is a function of
the row's content, so encoding is a function, and decoding gives the row with its original types: whole numbers whole,
decimals with as many places as the data has, dates in their format, None where a value was missing. The one limit is
float32: of a number with more than about seven significant digits the further ones may be lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from makar.codecs._columns import Column, Value, fitted, restored
from makar.codecs._content import uniforms
from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.spaces import Columns


@dataclass(frozen=True)
class Config:
    """A column of at most this many distinct numbers, each five times there on average, is one of categories."""

    categories: int = 10


class Rows(Codec):
    """Dicts from column name to str, int, float or None, to Columns."""

    Config: TypeAlias = Config
    config: Config
    things = "rows"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._columns: list[Column] = []

    @property
    def space(self) -> Columns:
        if not self._columns:
            raise MakarError("the codec 'rows' has not been fitted")
        return Columns(tuple(part for column in self._columns for part in column.parts))

    def fit(self, things: Sequence[Any]) -> Self:
        """Raises MakarError where rows disagree on their columns or nothing varies."""
        names = list(things[0]) if things else []
        values, u = self._by_column(things, names)
        self._columns = [fitted(name, v, u[:, i], self.config.categories) for i, (name, v) in enumerate(values.items())]
        if not self.space.columns:
            raise MakarError("every column of this table has one value only, so there is nothing to learn")
        return self

    def _by_column(self, things: Sequence[Any], names: Sequence[str]) -> tuple[dict[str, list[Value]], np.ndarray]:
        """Values by column, and noise (n, columns)."""
        if not names:
            raise MakarError("a table needs at least one row and one column")
        known = set(names)
        for row in things:
            if row.keys() != known:
                odd = sorted(known.symmetric_difference(row))
                raise MakarError(f"rows must have the columns {', '.join(names)}, but one differs in {', '.join(odd)}")
        u = np.array([uniforms(_content(row), len(names)) for row in things]).reshape(len(things), len(names))
        return {name: [row[name] for row in things] for name in names}, u

    def encode(self, things: Sequence[Any]) -> Tensor:
        """Float32 (B, D)."""
        values, u = self._by_column(things, self._names())
        parts = [column.encode(values[column.name], u[:, i]) for i, column in enumerate(self._columns)]
        return torch.from_numpy(np.concatenate(parts, 1))

    def decode(self, x: Tensor) -> list[Any]:
        """Rows with the columns and types of the data."""
        numbers = x.detach().cpu().double().numpy()
        values: dict[str, list[Value]] = {}
        start = 0
        for column in self._columns:
            width = len(column.parts)
            values[column.name] = column.decode(numbers[:, start : start + width])
            start += width
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]

    def nats(self, things: Sequence[Any]) -> float:
        values, u = self._by_column(things, self._names())
        return sum(column.nats(values[column.name], u[:, i]) for i, column in enumerate(self._columns))

    def units(self, things: Sequence[Any]) -> int:
        """Dimensions: cells of the table."""
        return len(things) * len(self._columns)

    def _names(self) -> list[str]:
        if not self._columns:
            raise MakarError("the codec 'rows' has not been fitted")
        return [column.name for column in self._columns]

    def state(self) -> dict[str, Any]:
        return {"columns": [{"name": column.name, **column.state()} for column in self._columns]}

    def restore(self, state: dict[str, Any]) -> Self:
        self._columns = [restored(column["name"], column) for column in state["columns"]]
        return self


def _content(row: dict[str, Value]) -> bytes:
    return json.dumps(row, sort_keys=True, ensure_ascii=False).encode("utf-8")
