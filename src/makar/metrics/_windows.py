"""All windows of a width in a sequence of symbols, and which of them stand in a corpus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


class Windows:
    """Hashes of all windows of a length in a sequence of symbols, by prefix sums of a polynomial modulo 2^64.

    Every symbol has a random odd 64-bit value, so that unequal windows agree with a chance of about 2^-60.
    """

    def __init__(self, symbols: NDArray[np.int64], values: Words) -> None:
        self.length = len(symbols)
        powers = np.full(self.length + 1, 0x9E3779B97F4A7C15, dtype=np.uint64)
        powers[0] = 1
        self._inverse = np.full(self.length + 1, pow(0x9E3779B97F4A7C15, -1, 1 << 64), dtype=np.uint64)
        self._inverse[0] = 1
        with np.errstate(over="ignore"):
            powers, self._inverse = np.cumprod(powers), np.cumprod(self._inverse)
            sums = np.cumsum(values[symbols] * powers[:-1], dtype=np.uint64)
        self._sums = np.concatenate([np.zeros(1, dtype=np.uint64), sums])

    def __call__(self, width: int) -> Words:
        """One hash for every window, (length - width + 1,); none where the sequence is shorter."""
        if width > self.length:
            return np.empty(0, dtype=np.uint64)
        with np.errstate(over="ignore"):
            hashes: Words = (self._sums[width:] - self._sums[:-width]) * self._inverse[: self.length - width + 1]
        return hashes


class Overlap:
    """Which windows of some sequences occur in a corpus. Windows never cross from one sequence into the next."""

    def __init__(self, corpus: Sequence[NDArray[np.int64]], samples: Sequence[NDArray[np.int64]]) -> None:
        top = 1 + max((int(s.max()) for s in (*corpus, *samples) if len(s)), default=0)
        chance = np.random.Generator(np.random.Philox(0))
        values = chance.integers(0, 1 << 63, top + 2, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        # unlike ends in corpus and samples: a window that crosses one is never found
        self._corpus = Windows(joined(corpus, top), values)
        self._samples = Windows(joined(samples, top + 1), values)
        self._spans: list[tuple[int, int]] = []
        start = 0
        for s in samples:
            self._spans.append((start, start + len(s)))
            start += len(s) + 1

    def seen(self, width: int) -> list[NDArray[np.bool_]]:
        """For each sample, whether each of its windows of this width occurs in the corpus."""
        mine, theirs = self._samples(width), self._corpus(width)
        wanted = np.unique(mine)
        # most of the corpus' hashes are no sample's: a table of their low bits sieves them before the exact look-up
        sieve = np.zeros(1 << 22, dtype=np.bool_)
        low = np.uint64((1 << 22) - 1)
        sieve[(wanted & low).astype(np.int64)] = True
        candidates = theirs[sieve[(theirs & low).astype(np.int64)]]
        found = np.isin(mine, candidates)
        return [found[a : max(a, b - width + 1)] for a, b in self._spans]

    def longest(self) -> int:
        """Width of the longest window that occurs in the corpus, by bisection: if one does, so do its parts."""
        low, high = 0, max((b - a for a, b in self._spans), default=0)
        while low < high:
            width = (low + high + 1) // 2
            if any(bool(s.any()) for s in self.seen(width)):
                low = width
            else:
                high = width - 1
        return low


def joined(sequences: Sequence[NDArray[np.int64]], end: int) -> NDArray[np.int64]:
    """All sequences, one after another, each with the symbol `end` behind it."""
    stop = np.array([end], dtype=np.int64)
    return np.concatenate([part for s in sequences for part in (s, stop)] or [stop])


def characters(text: str) -> NDArray[np.int64]:
    """Code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
