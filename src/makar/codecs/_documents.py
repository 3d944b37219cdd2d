"""Documents as rows of symbols, in one of two forms, which the training documents decide.

    apart    documents are short: a row is one document, the marker ends it, -1 pads it. Documents are independent, and
             where they end is part of what is learnt. A row holds the longest training document, or, where a few are
             far longer than the rest, all but one in 200 of them; a longer one goes on in further rows.
    packed   documents are long: the marker begins each, they are laid end to end and cut into rows of one length.

So that nothing is lost and nothing is broken: rows joined up are the documents, and where a row begins or ends amid a
character the piece of that character is not shown.
"""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.spaces import Tokens

_LOOKED_AT = 4000  # documents by whose lengths the form is chosen
_WITHIN = 0.995  # share of the documents that rows must hold whole where they are apart
_FAR = 1.5  # times that share's length: if the longest is no longer, rows hold it too

Form = Literal["auto", "apart", "packed"]


def utf8_bytes(documents: Sequence[str]) -> int:
    """How many bytes the documents have: the unit that bits are counted by."""
    return sum(len(d.encode("utf-8")) for d in documents)


def pack(documents: Sequence[np.ndarray], marker: int, length: int) -> Tensor:
    """Marker + symbols of every document, laid end to end and cut into rows: int64 (rows, length), -1 past the end."""
    begin = np.array([marker], dtype=np.int64)
    stream = np.concatenate([part for d in documents for part in (begin, d)] or [begin[:0]]).astype(np.int64)
    rows = np.full((-(-len(stream) // length), length), -1, dtype=np.int64)
    rows.reshape(-1)[: len(stream)] = stream
    return torch.from_numpy(rows)


def apart(documents: Sequence[np.ndarray], marker: int, length: int) -> Tensor:
    """A row a document, symbols + marker: int64 (rows, T), T <= length, -1 past the end.

    A document of more than length - 1 symbols goes on in further rows, so that there are more rows than documents.
    """
    end = np.array([marker], dtype=np.int64)
    pieces = []
    for document in documents:
        whole = np.concatenate([document, end]).astype(np.int64)
        pieces += [whole[i : i + length] for i in range(0, len(whole), length)]
    rows = np.full((len(pieces), max(map(len, pieces), default=0)), -1, dtype=np.int64)
    for row, piece in zip(rows, pieces, strict=True):
        row[: len(piece)] = piece
    return torch.from_numpy(rows)


def only_document(row: np.ndarray, marker: int) -> np.ndarray:
    """The symbols of a row that belong to the document that it begins with, without padding and marker."""
    symbols = row[row >= 0]
    if len(symbols) and symbols[0] == marker:
        symbols = symbols[1:]
    return until(symbols, marker)


def until(row: np.ndarray, marker: int) -> np.ndarray:
    """The symbols before the first marker or padding."""
    ends = np.flatnonzero((row == marker) | (row < 0))
    return row[: ends[0]] if len(ends) else row


def readable(data: bytes) -> str:
    """UTF-8 as text; what is none of it is U+FFFD, but for a character that the beginning or the end cuts in two: what
    is here of it is left out."""
    cut = next((i for i, byte in enumerate(data[:3]) if byte & 0xC0 != 0x80), min(3, len(data)))
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data[cut:])


@dataclass(frozen=True)
class _Form:
    """How the rows lie, as was learnt from the training documents."""

    apart: bool
    length: int
    characters: str | None = None  # all that the training documents have; None in what older versions saved


class Documents(Codec, ABC):
    """A codec of documents (str), but for what a symbol is. Its Config has `length` and `rows` (a `Form`)."""

    things = "text"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        if config.length < 2:
            raise MakarError(f"length is {config.length}; a row has at least 2 symbols, one of them a marker")
        self._form = _Form(False, config.length)

    @property
    @abstractmethod
    def marker(self) -> int:
        """The symbol that begins documents that are packed and ends those that are apart; the last of all."""

    @abstractmethod
    def symbols(self, documents: Sequence[str]) -> list[np.ndarray]:
        """Each document's symbols, without a marker."""

    @abstractmethod
    def text(self, symbols: np.ndarray) -> str:
        """The text of symbols without a marker."""

    @abstractmethod
    def learn(self, documents: Sequence[str]) -> None:
        """Learn what the symbols are from the training documents."""

    @abstractmethod
    def learnt(self) -> dict[str, Any]:
        """What the symbols are, as plain JSON data."""

    @abstractmethod
    def recall(self, state: dict[str, Any]) -> None:
        """Take up what `learnt` gave."""

    @property
    def space(self) -> Tokens:
        return Tokens(self.marker + 1, self._form.length, self.marker)

    def fit(self, things: Sequence[str]) -> Self:
        self.learn(things)
        count = min(len(things), _LOOKED_AT)
        some = self.symbols([things[i * len(things) // count] for i in range(count)])
        lengths = np.array([len(d) + 1 for d in some] or [1])
        most, longest = int(np.quantile(lengths, _WITHIN, method="higher")), int(lengths.max())
        limit, wanted = self.config.length, self.config.rows
        is_apart = most <= limit if wanted == "auto" else wanted == "apart"
        length = max(2, min(limit, longest if longest <= _FAR * most else most)) if is_apart else limit
        self._form = _Form(is_apart, length, "".join(sorted(set().union(*things))))
        return self

    def encode(self, things: Sequence[str]) -> Tensor:
        lay = apart if self._form.apart else pack
        return lay(self.symbols(things), self.marker, self._form.length)

    def decode(self, x: Tensor) -> list[str]:
        cut = until if self._form.apart else only_document
        return [self.text(cut(row, self.marker)) for row in x.cpu().numpy()]

    def nats(self, things: Sequence[str]) -> float:
        return 0.0

    def units(self, things: Sequence[str]) -> int:
        return utf8_bytes(things)

    def state(self) -> dict[str, Any]:
        form = self._form
        return self.learnt() | {"apart": form.apart, "length": form.length, "characters": form.characters}

    def restore(self, state: dict[str, Any]) -> Self:
        self.recall(state)
        length = int(state.get("length", self.config.length))
        self._form = _Form(bool(state.get("apart", False)), length, state.get("characters"))
        return self

    def characters(self) -> str | None:
        """All characters that a prompt may have: those of the training documents; None where that is not known."""
        return self._form.characters

    def prompt(self, text: str = "") -> list[int]:
        known = self.characters()
        unknown = "".join(dict.fromkeys(c for c in text if known is not None and c not in known))
        if unknown:
            raise MakarError(
                f"the prompt has '{unknown}', which is in no document that the model learnt from; leave it out"
            )
        begin = [] if self._form.apart else [self.marker]
        return begin + (self.symbols([text])[0].tolist() if text else [])

    def words(self) -> str:
        if self._form.apart:
            return f"a row a document, of up to {self._form.length} symbols; a longer one goes on in further rows"
        return f"documents laid end to end, in rows of {self._form.length} symbols"
