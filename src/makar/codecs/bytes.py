"""Documents as their UTF-8 bytes.

No vocabulary to learn and nothing that it cannot write: symbols 0..255 are the bytes, 256 begins a document. Documents
are laid end to end and cut into rows of `length` symbols, so a row may begin and end amid a document. What a model
draws need not be valid UTF-8; what is not is shown as U+FFFD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from torch import Tensor

from makar.codecs._documents import only_document, pack, utf8_bytes
from makar.core.codec import Codec
from makar.core.spaces import Tokens

BEGIN = 256


@dataclass(frozen=True)
class Config:
    length: int = 256  # symbols a row


class Bytes(Codec):
    """Documents (str) to rows of bytes and back."""

    Config: TypeAlias = Config
    config: Config
    things = "text"

    @property
    def space(self) -> Tokens:
        return Tokens(BEGIN + 1, self.config.length, BEGIN)

    def fit(self, things: Sequence[str]) -> Self:
        return self

    def encode(self, things: Sequence[str]) -> Tensor:
        documents = [np.frombuffer(d.encode("utf-8"), dtype=np.uint8) for d in things]
        return pack(documents, BEGIN, self.config.length)

    def decode(self, x: Tensor) -> list[str]:
        rows = (only_document(row, BEGIN) for row in x.cpu().numpy())
        return [row.astype(np.uint8).tobytes().decode("utf-8", errors="replace") for row in rows]

    def nats(self, things: Sequence[str]) -> float:
        return 0.0

    def units(self, things: Sequence[str]) -> int:
        return utf8_bytes(things)

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> Self:
        return self

    def prompt(self) -> list[int]:
        return [BEGIN]
