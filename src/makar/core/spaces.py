"""Spaces: what a tensor means.

A codec turns things into a tensor in a space, and a model is written for a space and never for a modality.
In every space the first axis of a tensor, B, counts items.

    Tokens(vocab, length)    int64 (B, T), T <= length, symbols 0..vocab-1; -1 marks what lies past an item's end;
                             `start`, where there is one, begins a document and depends on nothing before it
    Reals(shape)             float32 (B, *shape)
    Levels(shape, levels)    int64 (B, *shape), ordered values 0..levels-1: the pixels of a picture
    Columns(columns)         float32 (B, D): a numeric column in standard units, a categorical one as its code
    Classes(count)           int64 (B,): a label to condition on; -1 asks for no particular class
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from makar.core.errors import MakarError


def _integers_within(x: Tensor, low: int, high: int) -> bool:
    return x.dtype == torch.int64 and (x.numel() == 0 or (int(x.min()) >= low and int(x.max()) < high))


@dataclass(frozen=True)
class Tokens:
    """Sequences of at most `length` symbols from 0..vocab-1; -1 pads what lies past the end.

    Rows may be cut from a stream of documents; each of those begins with `start`.
    """

    vocab: int
    length: int
    start: int | None = None

    def holds(self, x: Tensor) -> bool:
        """Whether `x` is a batch of this space."""
        return x.ndim == 2 and x.shape[1] <= self.length and _integers_within(x, -1, self.vocab)

    @property
    def dimensions(self) -> int:
        return self.length


@dataclass(frozen=True)
class Reals:
    """Arrays of real numbers."""

    shape: tuple[int, ...]

    def holds(self, x: Tensor) -> bool:
        """Whether `x` is a batch of this space (and finite)."""
        return x.dtype == torch.float32 and tuple(x.shape[1:]) == self.shape and bool(torch.isfinite(x).all())

    @property
    def dimensions(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Levels:
    """Arrays of ordered integers 0..levels-1. A picture has shape (channels, height, width)."""

    shape: tuple[int, ...]
    levels: int

    def holds(self, x: Tensor) -> bool:
        """Whether `x` is a batch of this space."""
        return tuple(x.shape[1:]) == self.shape and _integers_within(x, 0, self.levels)

    @property
    def dimensions(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Numeric:
    """A column of real numbers in standard units."""

    name: str


@dataclass(frozen=True)
class Categorical:
    """A column of codes 0..levels-1."""

    name: str
    levels: int


@dataclass(frozen=True)
class Columns:
    """Rows of a table: numeric columns in standard units, categorical columns as codes held in float32."""

    columns: tuple[Numeric | Categorical, ...]

    def holds(self, x: Tensor) -> bool:
        """Whether `x` is a batch of this space."""
        if x.dtype != torch.float32 or x.ndim != 2 or x.shape[1] != len(self.columns):
            return False
        if not bool(torch.isfinite(x).all()):
            return False
        for values, column in zip(x.unbind(1), self.columns, strict=True):
            if isinstance(column, Categorical):
                codes = values.long()
                if not bool((codes == values).all()) or not _integers_within(codes, 0, column.levels):
                    return False
        return True

    @property
    def dimensions(self) -> int:
        return len(self.columns)


@dataclass(frozen=True)
class Classes:
    """A label that a model may be conditioned on; -1 in a batch asks for no particular class."""

    count: int

    def holds(self, x: Tensor) -> bool:
        """Whether `x` is a batch of labels."""
        return x.ndim == 1 and _integers_within(x, -1, self.count)


Space = Tokens | Reals | Levels | Columns
_KINDS = {kind.__name__: kind for kind in (Tokens, Reals, Levels, Columns, Classes)}


def to_json(space: Space | Classes | None) -> dict[str, Any] | None:
    """The space as plain data, for a bundle's `config.json`."""
    return None if space is None else {"space": type(space).__name__, **asdict(space)}


def from_json(data: dict[str, Any] | None) -> Any:
    """The inverse of `to_json`."""
    if data is None:
        return None
    fields = dict(data)
    kind = _KINDS.get(fields.pop("space", ""))
    if kind is None:
        raise MakarError(
            f"a space must be one of {', '.join(_KINDS)}, not {data.get('space')!r}; the file may be altered"
        )
    if kind is Columns:
        fields["columns"] = tuple(Categorical(**c) if "levels" in c else Numeric(**c) for c in fields["columns"])
    if "shape" in fields:
        fields["shape"] = tuple(fields["shape"])
    return kind(**fields)
