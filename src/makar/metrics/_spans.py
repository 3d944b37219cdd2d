"""Spans of two sets of texts, cut alike, and what a judge may look at in each.

Length and place must not betray who wrote a span: for each span of a generated text one of the same length is cut from
a fresh text, at the same distance from its beginning where the fresh text is long enough. Two kinds of features:

    dense    means over the span of what a model of the training text says of its symbols: bits at every order, and
             whether the gram stands in the training text; of characters and of words; beside them the worst character,
             the spread of bits, shares of spaces, capitals, digits and signs, and how often the span repeats itself
    sparse   square roots of the shares of hashed grams of 1 to 5 characters, of length 1
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from makar.metrics._backoff import Backoff, Codes, Reading
from makar.metrics._intervals import Array
from makar.metrics._windows import Windows, characters, joined

SHORT = 256  # the length up to which a text is an item
_BUCKETS = 1 << 15
_GRAMS = 5
_SELF = 6  # width of the grams by which a span may repeat itself


def is_short(held: Sequence[str]) -> bool:
    """Whether texts are items rather than stretches of text."""
    return bool(held) and float(np.quantile([len(t) for t in held], 0.9)) <= SHORT


@dataclass(frozen=True)
class Span:
    """Characters start to stop of a text."""

    text: int
    start: int
    stop: int


def pairs(
    made: Sequence[int], real: Sequence[int], length: int, most: int, chance: np.random.Generator
) -> tuple[list[Span], list[Span]]:
    """As many spans of at most `length` of either set, given the lengths of its texts, two and two equally long.

    Every text is cut up from its beginning; of the spans `most` are taken at random. The fresh texts take turns.
    """
    whole = [
        Span(i, a, min(a + length, n))
        for i, n in enumerate(made)
        for a in range(0, max(n - length, 0) + 1, length)
        if n
    ]
    if len(whole) > most:
        whole = [whole[i] for i in np.sort(chance.permutation(len(whole))[:most])]
    able = np.flatnonzero(np.array(real) > 0)
    turn: list[int] = []
    taken: set[tuple[int, int]] = set()
    mine, theirs = [], []
    for span in whole:
        turn = turn or chance.permutation(able).tolist()
        text = turn.pop()
        size = min(span.stop - span.start, real[text])
        start = span.start
        if start + size > real[text] or (text, start) in taken:  # elsewhere, so that no span is shown twice
            start = int(chance.integers(0, real[text] - size + 1))
        taken.add((text, start))
        mine.append(Span(span.text, span.start, span.start + size))
        theirs.append(Span(text, start, start + size))
    return mine, theirs


def wholes(lengths: Sequence[int]) -> list[Span]:
    """Every text as one span."""
    return [Span(i, 0, n) for i, n in enumerate(lengths)]


class Texts:
    """One set of texts, read by the models of the training text."""

    def __init__(self, texts: Sequence[str], letters: Backoff, words: Backoff, codes: dict[str, int]) -> None:
        self.letters = [characters(t) for t in texts]
        self.lengths = [len(t) for t in self.letters]
        self.reading = letters.read(self.letters)
        self.places = [list(re.finditer(WORD, t)) for t in texts]
        unknown = len(codes) + 1
        self.words = [np.array([codes.get(m.group(), unknown) for m in found], dtype=np.int64) for found in self.places]
        self.word_reading = words.read(self.words)
        wide = self._wide()
        self._sums = np.concatenate([np.zeros((1, wide.shape[1])), np.cumsum(wide, 0)])

    def _wide(self) -> Array:
        """What is averaged over a span: one row a character, the last column counts words."""
        r = self.reading
        by_word = np.zeros((len(r.bits), 2 * self.word_reading.bits.shape[1] + 1))
        for (a, _), (b, stop), found in zip(r.spans, self.word_reading.spans, self.places, strict=True):
            if found:
                at = a + np.array([m.end() - 1 for m in found])
                w = self.word_reading
                by_word[at] = np.concatenate([w.bits[b:stop], w.known[b:stop], np.ones((stop - b, 1))], 1)
        best = r.bits[:, [len(r.bits[0]) // 2]]
        stream = joined(self.letters, 0)
        return np.concatenate([r.bits, r.known, best**2, _kinds(stream), by_word], 1)

    def dense(self, spans: Sequence[Span]) -> Array:
        """(spans, features)."""
        first = np.array([self.reading.spans[s.text][0] for s in spans])
        start, stop = first + [s.start for s in spans], first + [s.stop for s in spans]
        means = self._sums[stop] - self._sums[start]
        size = np.maximum(stop - start, 1)
        words = 2 * self.word_reading.bits.shape[1] + 1
        letters, of_words = means[:, :-words] / size[:, None], means[:, -words:]
        of_words[:, :-1] /= np.maximum(of_words[:, -1:], 1.0)
        of_words[:, -1] /= size
        middle = self.reading.bits[:, self.reading.bits.shape[1] // 2]
        worst = np.array([middle[a:b].max(initial=0.0) for a, b in zip(start, stop, strict=True)])
        again = np.array([_again(self.letters[s.text][s.start : s.stop]) for s in spans])
        return np.column_stack([letters, of_words, worst, again, size])

    def sparse(self, spans: Sequence[Span]) -> csr_matrix:
        """(spans, 32768)."""
        return hashed([self.letters[s.text][s.start : s.stop] for s in spans])


WORD = r"\w+|[^\w\s]"


def coded(texts: Sequence[str]) -> tuple[list[Codes], dict[str, int]]:
    """Every text as codes of its words and signs, and what the codes mean; no more than 2^20 - 8 of them."""
    codes: dict[str, int] = {}
    most = (1 << 20) - 8
    out = []
    for t in texts:
        out.append(np.array([codes.setdefault(w, min(len(codes), most)) for w in re.findall(WORD, t)], dtype=np.int64))
    return out, codes


def hashed(pieces: Sequence[Codes]) -> csr_matrix:
    """Square roots of the shares of grams of 1 to 5 symbols in each piece, hashed to 32768 buckets."""
    values = np.random.Generator(np.random.Philox(1)).integers(0, 1 << 63, 1 << 12, dtype=np.uint64)
    values = values * np.uint64(2) + np.uint64(1)
    stream = joined([p % ((1 << 12) - 1) for p in pieces], (1 << 12) - 1)
    owner = np.repeat(np.arange(len(pieces)), [len(p) + 1 for p in pieces])
    windows, rows, columns = Windows(stream, values), [], []
    for n in range(1, min(_GRAMS, len(stream)) + 1):
        inside = owner[: len(stream) - n + 1] == owner[n - 1 :]
        inside &= stream[n - 1 :] != (1 << 12) - 1
        rows.append(owner[n - 1 :][inside])
        # Fibonacci hashing: the width enters so that grams of unlike widths fall apart
        mixed = (windows(n)[inside] + np.uint64(n)) * np.uint64(0x9E3779B97F4A7C15)
        columns.append((mixed >> np.uint64(49)).astype(np.int64))
    row, column = np.concatenate(rows), np.concatenate(columns)
    counts = csr_matrix((np.ones(len(row)), (row, column)), shape=(len(pieces), _BUCKETS))
    counts.sum_duplicates()
    totals = np.maximum(np.asarray(counts.sum(1)).ravel(), 1.0)
    counts.data = np.sqrt(counts.data / np.repeat(totals, np.diff(counts.indptr)))
    return counts


def _kinds(stream: Codes) -> Array:
    """One column a kind of character: line ends, other space, capitals, digits, signs."""
    kinds, back = np.unique(stream, return_inverse=True)
    table = np.zeros((len(kinds), 5))
    for i, code in enumerate(kinds.tolist()):
        c = chr(code)
        table[i] = [c == "\n", c.isspace(), c.isupper(), c.isdigit(), not (c.isalnum() or c.isspace())]
    return table[back]


def _again(piece: Codes) -> float:
    """Share of a piece's grams of 6 symbols that it has used before."""
    if len(piece) <= _SELF:
        return 0.0
    rows = np.lib.stride_tricks.sliding_window_view(piece, _SELF)
    keys = (rows * np.array([1, 31, 961, 29791, 923521, 28629151])).sum(1)
    return 1.0 - len(np.unique(keys)) / len(keys)


def mean_bits(reading: Reading) -> Array:
    """Mean bits of a symbol at every order, (orders,), without the ends of sequences."""
    inside = np.concatenate([np.arange(a, b) for a, b in reading.spans] or [np.empty(0, dtype=np.int64)])
    means: Array = reading.bits[inside].mean(0)
    return means
