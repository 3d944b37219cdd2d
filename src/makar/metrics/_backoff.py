"""A character or word model of high order, fitted to training text only to read other text with.

Interpolated absolute discounting (Ney, Essen & Kneser 1994): with c the counts of the corpus, h the k symbols before x,
h' the k - 1, and t(h) the number of different symbols that follow h,

    p_k(x | h) = (max(c(hx) - D_k, 0) + D_k t(h) p_{k-1}(x | h')) / c(h)       where c(h) > 0, else p_{k-1}(x | h')
    p_{-1}(x)  = 1 / (symbols of the corpus + 1)                   D_k = (n_1 + 1/2) / (n_1 + 2 n_2 + 1)

with n_j the number of different grams of k + 1 symbols that stand j times in the corpus: D_k is the leave-one-out
estimate, kept from 0 so that no symbol is impossible. No table of grams is built: the 64-bit keys of all grams of one
order are sorted once and looked up, 44 bits for the context and 20 for the symbol, so that counts, contexts and
successors are distances in one sorted array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from makar.metrics._intervals import Array
from makar.metrics._windows import Windows, joined

_SYMBOL = np.uint64((1 << 20) - 1)
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """What the model says of every symbol of some sequences, laid end to end."""

    bits: Array  # (symbols, orders): -log2 p_k of each symbol
    known: NDArray[np.bool_]  # (symbols, orders): whether the symbol with the k before it stands in the corpus
    spans: tuple[tuple[int, int], ...]  # where each sequence begins and ends


class Backoff:
    """The model of contexts of 0 to `orders` - 1 symbols. Symbols are codes from 0 to below 2^20 - 2."""

    def __init__(self, corpus: Sequence[Codes], orders: int) -> None:
        self._top = 1 + max((int(s.max()) for s in corpus if len(s)), default=0)
        self._values = np.random.Generator(np.random.Philox(0)).integers(0, 1 << 63, self._top + 3, dtype=np.uint64)
        self._values = self._values * np.uint64(2) + np.uint64(1)
        stream = joined(corpus, self._top)
        windows = Windows(stream, self._values)
        self._orders = [_Grams(np.sort(_keys(windows, stream, k))) for k in range(orders)]
        self._symbols = len(np.unique(stream)) + 1

    def read(self, texts: Sequence[Codes]) -> Reading:
        """Bits of every symbol at every order. A symbol that the corpus has not counts as its one unknown symbol."""
        other = self._top + 1  # stands for the unknown, and ends a sequence: neither is in the corpus
        stream = joined([np.where(t < self._top, t, other) for t in texts], other)
        windows = Windows(stream, self._values)
        n = len(stream)
        bits, known = np.zeros((n, len(self._orders))), np.zeros((n, len(self._orders)), dtype=np.bool_)
        below = np.full(n, 1.0 / self._symbols)
        alive = np.arange(n)  # where the context of this order stands in the corpus
        for k, grams in enumerate(self._orders):
            alive = alive[alive >= k]
            keys = _keys(windows, stream, k)[alive - k]
            p, seen, found = grams.look_up(keys, below[alive])
            below[alive] = p
            known[alive, k] = seen
            bits[:, k] = -np.log2(below)
            alive = alive[found]
        ends = np.cumsum([len(t) + 1 for t in texts])
        spans = tuple((int(end) - len(t) - 1, int(end) - 1) for end, t in zip(ends, texts, strict=True))
        return Reading(bits, known, spans)


class _Grams:
    """The sorted keys of all grams of one order."""

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        self._keys = keys
        first = np.ones(len(keys), dtype=np.bool_)
        first[1:] = keys[1:] != keys[:-1]
        self._types = np.concatenate([[0], np.cumsum(first)])
        times = np.bincount(np.diff(np.append(np.flatnonzero(first), len(keys))), minlength=3)
        self._discount = (times[1] + 0.5) / (times[1] + 2 * times[2] + 1)

    def look_up(self, keys: NDArray[np.uint64], below: Array) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
        """Probabilities given those of the order below, whether the grams are known, and whether their contexts are."""
        asked, back = np.unique(keys, return_inverse=True)  # in order, so that the look-ups stay near each other
        context = np.searchsorted(self._keys, asked & ~_SYMBOL), np.searchsorted(self._keys, asked | _SYMBOL, "right")
        gram = np.searchsorted(self._keys, asked), np.searchsorted(self._keys, asked, "right")
        total = (context[1] - context[0])[back]
        count = (gram[1] - gram[0])[back]
        kinds = (self._types[context[1]] - self._types[context[0]])[back]
        d = self._discount
        p = (np.maximum(count - d, 0.0) + d * kinds * below) / np.maximum(total, 1)
        return np.where(total > 0, p, below), count > 0, total > 0


def _keys(windows: Windows, stream: Codes, k: int) -> NDArray[np.uint64]:
    """Keys of the grams of k symbols and one more, (length - k,): the context's hash above, the symbol below."""
    contexts = windows(k)[: len(stream) - k] if k else np.zeros(len(stream), dtype=np.uint64)
    keys: NDArray[np.uint64] = (contexts & ~_SYMBOL) | stream[k:].astype(np.uint64)
    return keys
