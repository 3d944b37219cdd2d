"""Documents as rows of symbols: laid end to end and cut, each begun by a marker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


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
