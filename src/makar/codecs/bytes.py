"""Documents as their UTF-8 bytes.

No vocabulary to learn and nothing that it cannot write: symbols 0..255 are the bytes, 256 is the marker that parts
documents (`_documents`: a row a document where they are short, else laid end to end and cut). What a model draws need
not be valid UTF-8; what is not is shown as U+FFFD, but for a character that the row's end cuts in two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from makar.codecs._documents import Documents, Form, readable

BEGIN = 256


@dataclass(frozen=True)
class Config:
    length: int = 256  # symbols a row, at most
    rows: Form = "auto"  # one document each, or documents packed; auto: as the documents' lengths say


class Bytes(Documents):
    """Documents (str) to rows of bytes and back."""

    Config: TypeAlias = Config
    config: Config

    @property
    def marker(self) -> int:
        return BEGIN

    def symbols(self, documents: Sequence[str]) -> list[np.ndarray]:
        return [np.frombuffer(d.encode("utf-8"), dtype=np.uint8) for d in documents]

    def text(self, symbols: np.ndarray) -> str:
        return readable(symbols.astype(np.uint8).tobytes())

    def learn(self, documents: Sequence[str]) -> None:
        """Bytes are known beforehand."""

    def learnt(self) -> dict[str, Any]:
        return {}

    def recall(self, state: dict[str, Any]) -> None:
        """Bytes are known beforehand."""
