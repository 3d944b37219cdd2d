"""Documents as characters of an alphabet learnt from the data: for sentences of a grammar, names, sequences.

Symbols 0..n-1 are the n characters of the training documents in the order of their code points; n stands for any other
character, and comes back as U+FFFD; n + 1 is a marker. So that likelihoods stay those of the text, a character that n
stands for costs log(1,112,064 - n) nats more: which of all others it is, each held equally likely (`nats`).

Which of two forms the rows take is decided by the training documents and kept:

    apart    every document fits in a row: a row is one document, the marker ends it, -1 pads it. Documents are
             independent, and their lengths are part of what is learnt. Rows hold up to min(length, twice the longest
             training document with its marker).
    packed   some document does not fit: the marker begins each, they are laid end to end and cut into rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from makar.codecs._documents import only_document, pack, until, utf8_bytes
from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.spaces import Tokens

_CHARACTERS = 0x110000 - 0x800  # code points without surrogates
_OTHER = 0xFFFD


@dataclass(frozen=True)
class Config:
    length: int = 256  # symbols a row, at most


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.int64)


class Symbols(Codec):
    """Documents (str) over a small alphabet to rows and back."""

    Config: TypeAlias = Config
    config: Config
    things = "text"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._alphabet = np.empty(0, dtype=np.int64)
        self._apart = False
        self._length = config.length

    @property
    def _marker(self) -> int:
        return len(self._alphabet) + 1

    @property
    def space(self) -> Tokens:
        return Tokens(self._marker + 1, self._length, self._marker)

    def fit(self, things: Sequence[str]) -> Self:
        self._alphabet = np.unique(_code_points("".join(things)))
        longest = max(map(len, things), default=0) + 1
        self._apart = longest <= self.config.length
        self._length = min(self.config.length, 2 * longest) if self._apart else self.config.length
        return self

    def encode(self, things: Sequence[str]) -> Tensor:
        """Raises MakarError where rows are apart and a document is longer than a row."""
        documents = [self._indices(d) for d in things]
        if not self._apart:
            return pack(documents, self._marker, self._length)
        longest = max(map(len, documents), default=0) + 1
        if longest > self._length:
            raise MakarError(
                f"codec symbols: a document has {longest - 1} characters, but rows learnt from the training documents "
                f"hold {self._length - 1}; use the codec bytes or bpe, or a smaller length, which packs them"
            )
        rows = np.full((len(documents), longest), -1, dtype=np.int64)
        for row, document in zip(rows, documents, strict=True):
            row[: len(document)] = document
            row[len(document)] = self._marker
        return torch.from_numpy(rows)

    def _indices(self, text: str) -> np.ndarray:
        points = _code_points(text)
        return np.where(self._known(points), np.searchsorted(self._alphabet, points), len(self._alphabet))

    def _known(self, points: np.ndarray) -> np.ndarray:
        return np.isin(points, self._alphabet)

    def decode(self, x: Tensor) -> list[str]:
        cut = until if self._apart else only_document
        rows = (cut(row, self._marker) for row in x.cpu().numpy())
        points = np.append(self._alphabet, _OTHER).astype("<u4")
        return [points[row].tobytes().decode("utf-32-le") for row in rows]

    def nats(self, things: Sequence[str]) -> float:
        others = sum(int((~self._known(_code_points(d))).sum()) for d in things)
        return -others * math.log(_CHARACTERS - len(self._alphabet))

    def units(self, things: Sequence[str]) -> int:
        return utf8_bytes(things)

    def state(self) -> dict[str, Any]:
        return {"alphabet": self._alphabet.tolist(), "apart": self._apart, "length": self._length}

    def restore(self, state: dict[str, Any]) -> Self:
        self._alphabet = np.array(state["alphabet"], dtype=np.int64)
        self._apart = bool(state["apart"])
        self._length = int(state["length"])
        return self

    def prompt(self) -> list[int]:
        return [] if self._apart else [self._marker]
