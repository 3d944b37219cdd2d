"""Codecs: how things become a tensor in a space, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from torch import Tensor

from makar.core.spaces import Space


class Codec(ABC):
    """Turns things (pictures, documents, rows) into a tensor in `space`, and back.

    A subclass is final and sets `Config`, a frozen dataclass. `fit` learns what it must from the training things only.
    What it learnt is in `state()`, plain JSON data, from which `restore` makes it anew.
    """

    Config: ClassVar[type[Any]]
    things: ClassVar[str]
    """The modality it is for: "pictures", "text", "rows" or "points"."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    @abstractmethod
    def space(self) -> Space:
        """Where encoded things live; known once fitted."""

    @abstractmethod
    def fit(self, things: Sequence[Any]) -> Self:
        """Learn from training things; returns itself."""

    @abstractmethod
    def encode(self, things: Sequence[Any]) -> Tensor:
        """A batch in `space`. Documents are packed, so their batch may have other than len(things) rows."""

    @abstractmethod
    def decode(self, x: Tensor) -> list[Any]:
        """Things from a batch, one for each row."""

    @abstractmethod
    def nats(self, things: Sequence[Any]) -> float:
        """Nats to ADD to the total log-likelihood of `encode(things)` for that of the things themselves.

        The codec's own change of volume: 0 where encoding is one to one between discrete things.
        """

    @abstractmethod
    def units(self, things: Sequence[Any]) -> int:
        """How many raw units (bytes, dimensions) the things have: what bits per unit are divided by."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What was learnt, as plain JSON data."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> Self:
        """Take up a state; returns itself."""

    def prompt(self, text: str = "") -> list[int]:
        """Symbols that every item drawn in a Tokens space begins with, where its document is to begin with `text`.

        Raises MakarError for a text with characters that no training document has.
        """
        return []

    def never(self) -> list[int]:
        """Symbols of a Tokens space that stand for nothing one could write, so that they are never drawn."""
        return []

    def words(self) -> str:
        """How things lie in its rows, in a clause; "" where one thing is one row of one size."""
        return ""
