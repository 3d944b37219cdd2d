"""Documents as characters of an alphabet learnt from the data: for molecules, tunes, names, sentences of a grammar.

Symbols 0..n-1 are the n characters of the training documents in the order of their code points (at most `vocab` of
them, the most frequent; a large script is else better served by bytes or byte pairs); n stands for any other character,
and comes back as U+FFFD; n + 1 is the marker that parts documents (`_documents`: a row a document where they are
short, else laid end to end and cut). So that likelihoods stay those of the text, a character that n stands for costs
log(1,112,064 - n) nats more: which of all others it is, each held equally likely (`nats`). It is never drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from makar.codecs._documents import Documents, Form
from makar.core.errors import MakarError

_CHARACTERS = 0x110000 - 0x800  # code points without surrogates
_OTHER = 0xFFFD


@dataclass(frozen=True)
class Config:
    length: int = 256  # symbols a row, at most
    vocab: int = 2048  # characters at most
    rows: Form = "auto"  # one document each, or documents packed; auto: as the documents' lengths say


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.int64)


class Symbols(Documents):
    """Documents (str) over a small alphabet to rows and back."""

    Config: TypeAlias = Config
    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config.vocab < 1:
            raise MakarError(f"codec symbols: vocab is {config.vocab}; it must hold at least 1 character")
        self._alphabet = np.empty(0, dtype=np.int64)

    @property
    def marker(self) -> int:
        return len(self._alphabet) + 1

    def learn(self, documents: Sequence[str]) -> None:
        points, counts = np.unique(_code_points("".join(documents)), return_counts=True)
        frequent = np.argsort(-counts, kind="stable")[: self.config.vocab]
        self._alphabet = np.sort(points[frequent])

    def symbols(self, documents: Sequence[str]) -> list[np.ndarray]:
        return [self._indices(d) for d in documents]

    def _indices(self, text: str) -> np.ndarray:
        points = _code_points(text)
        return np.where(self._known(points), np.searchsorted(self._alphabet, points), len(self._alphabet))

    def _known(self, points: np.ndarray) -> np.ndarray:
        return np.isin(points, self._alphabet)

    def text(self, symbols: np.ndarray) -> str:
        points = np.append(self._alphabet, _OTHER).astype("<u4")
        found: str = points[symbols].tobytes().decode("utf-32-le")
        return found

    def nats(self, things: Sequence[str]) -> float:
        others = sum(int((~self._known(_code_points(d))).sum()) for d in things)
        return -others * math.log(_CHARACTERS - len(self._alphabet))

    def never(self) -> list[int]:
        return [len(self._alphabet)]

    def characters(self) -> str:
        return self._alphabet.astype("<u4").tobytes().decode("utf-32-le")

    def learnt(self) -> dict[str, Any]:
        return {"alphabet": self._alphabet.tolist()}

    def recall(self, state: dict[str, Any]) -> None:
        self._alphabet = np.array(state["alphabet"], dtype=np.int64)
