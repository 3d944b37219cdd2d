"""Verbatim guard: what is the longest passage of a text that stands word for word in the training text?

Both texts are evened out first: case-folded (Unicode, section 3.13), and every run of white space one space. So a
quotation in capitals, wrapped or with its spaces doubled is the quotation it is. Limits count evened-out characters;
places are told in the texts as they were given. A changed letter ends a passage.

Seed and extend. Of the training text every fifth window of 16 characters is kept by hash with its place, and the text
itself. Each window of the text in question that is among them is extended to both sides, character by character. Any
passage of 20 characters or more holds a window that was kept, so it is found at its true length; a window that occurs
more than 32 times keeps 32 of its places: a passage made of nothing but such phrases may be found shorter than it is.

Passages never cross from one training document into the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from makar.core.errors import MakarError
from makar.core.windows import Codes, Hashes, code_points, windows
from makar.provenance import _store
from makar.provenance.home import Home

FORMAT = "makar-verbatim-2"
SEED, STEP = 16, 5
SHORTEST = SEED + STEP - 1  # passages of so many characters are surely found
_PLACES = 32
_STRIDE = 32  # characters compared at once
_SPACE = np.array([chr(i).isspace() for i in range(0x3002)])  # by code point; the last stands for all above


@dataclass(frozen=True)
class Passage:
    """A stretch of a text, [start, start + length), that stands in training item `item` from character `place` on."""

    start: int
    length: int
    item: str  # sha256, as in the manifest; empty where nothing was found
    place: int
    evened: int  # characters with case and white space evened out: what a limit counts


NOTHING = Passage(0, 0, "", 0, 0)


@dataclass(frozen=True, eq=False)
class _Evened:
    """A text case-folded, its runs of white space one space each."""

    codes: Codes  # code points
    places: Codes  # where each stands in the given text, and last the given text's length

    @classmethod
    def of(cls, text: str) -> _Evened:
        folded = text.casefold()
        places = np.arange(len(text))
        if len(folded) > len(text):  # folding never shortens: equal lengths are one character for each
            places = np.repeat(places, [len(c.casefold()) for c in text])
        codes = code_points(folded)
        space = _SPACE[np.minimum(codes, len(_SPACE) - 1)]
        kept = np.ones(len(codes), dtype=np.bool_)
        kept[1:] = ~(space[1:] & space[:-1])
        return cls(np.where(space, 32, codes)[kept], np.append(places[kept], len(text)))

    def span(self, start: int, length: int) -> tuple[int, int]:
        """First place and length in the given text of a stretch of the evened one, with all its white space."""
        first, last = int(self.places[start]), int(self.places[start + length - 1])
        return first, max(last + 1, int(self.places[start + length])) - first


@dataclass(frozen=True, eq=False)
class Quotes:
    """The training text of one dataset, ready to be compared with."""

    manifest: str
    items: tuple[str, ...]  # sha256 of every training document, in the manifest's order
    text: NDArray[np.generic]  # code points of the evened-out documents + 1, a 0 after every document
    ends: Codes  # where each document's 0 stands
    moves: Codes  # sorted places in `text` from which on ...
    moved: Codes  # ... the documents as given are so many characters ahead
    seeds: Hashes  # sorted
    places: Codes  # where each begins

    def longest(self, text: str) -> Passage:
        """The longest passage that stands in the training text too; of equals the first."""
        evened = _Evened.of(text)
        wanted = evened.codes + 1
        here, there = self._seeds(wanted)
        if not len(here):
            return NOTHING
        forward = _agreement(wanted, self.text, here, there, 1)
        backward = _agreement(wanted, self.text, here - 1, there - 1, -1)
        length = np.where(forward >= SEED, forward + backward, 0)  # less than a seed: hashes agreed by chance
        best = int(length.argmax())
        if not length[best]:
            return NOTHING
        start, place = int(here[best] - backward[best]), int(there[best] - backward[best])
        document = int(np.searchsorted(self.ends, place))
        begins = int(self.ends[document - 1]) + 1 if document else 0
        count = int(length[best])
        return Passage(
            *evened.span(start, count), self.items[document], self._given(place) - self._given(begins), count
        )

    def _given(self, place: int) -> int:
        """A place of the evened-out documents, in the documents as they were given."""
        return place + int(self.moved[np.searchsorted(self.moves, place, "right") - 1])

    def _seeds(self, wanted: Codes) -> tuple[Codes, Codes]:
        """Where windows of a text and of the training text agree; of those in one run only the first."""
        hashes = windows(wanted, SEED)
        first = np.searchsorted(self.seeds, hashes, "left")
        counts = np.searchsorted(self.seeds, hashes, "right") - first
        here = np.repeat(np.arange(len(hashes)), counts)
        there = self.places[np.arange(counts.sum()) + np.repeat(first - (counts.cumsum() - counts), counts)]
        order = np.lexsort((here, there - here))
        here, there = here[order], there[order]
        follows = np.zeros(len(here), dtype=np.bool_)
        follows[1:] = (np.diff(there - here) == 0) & (np.diff(here) == STEP)
        return here[~follows], there[~follows]

    def guard(self, text: str, limit: int) -> Passage | None:
        """The passage for which a text is refused: `limit` characters in a row or more; None where there is none.

        Raises MakarError for a limit below what is surely found.
        """
        if limit < SHORTEST:
            raise MakarError(f"a verbatim limit of {limit} characters is too short; give at least {SHORTEST}")
        found = self.longest(text)
        return found if found.evened >= limit else None

    def limit(self, fresh: Sequence[str], rate: float) -> int:
        """The least limit that at most this share of fresh texts reaches: with n of them, the k-th longest passage
        plus 1, k = floor(rate (n + 1)); the longest of all plus 1 where k is 0. At least what is surely found."""
        lengths = sorted((self.longest(text).evened for text in fresh), reverse=True)
        if not lengths:
            raise MakarError("a limit cannot be chosen without texts that were not trained on; hold some out")
        return max(SHORTEST, lengths[max(0, int(rate * (len(lengths) + 1)) - 1)] + 1)


def _agreement(a: Codes, b: NDArray[np.generic], i: Codes, j: Codes, step: int) -> Codes:
    """How many characters agree from a[i] and b[j] on, stepping by +1 or -1, for every pair."""
    length = np.zeros(len(i), dtype=np.int64)
    open_ = np.arange(len(i))
    offsets = np.arange(_STRIDE)
    while len(open_):
        at = length[open_, None] + offsets
        left, right = i[open_, None] + step * at, j[open_, None] + step * at
        inside = (left >= 0) & (left < len(a)) & (right >= 0) & (right < len(b))
        same = inside & (a[np.clip(left, 0, len(a) - 1)] == b[np.clip(right, 0, len(b) - 1)])
        run = np.where(same.all(1), _STRIDE, same.argmin(1))
        length[open_] += run
        open_ = open_[run == _STRIDE]
    return length


def build(documents: Sequence[str], items: Sequence[str], manifest: str) -> Quotes:
    """An index of training documents, listed by sha256 in the same order."""
    if len(documents) != len(items):
        raise MakarError(f"the manifest lists {len(items)} training items, but {len(documents)} were given")
    if not documents:
        raise MakarError("there is no training text to compare with")
    stop = np.zeros(1, dtype=np.int64)
    evened = [_Evened.of(d) for d in documents]
    joined = np.concatenate([part for e in evened for part in (e.codes + 1, stop)])
    ends = np.cumsum([len(e.places) for e in evened]) - 1
    hashes = windows(joined, SEED)[::STEP]
    places = np.arange(len(hashes), dtype=np.int64) * STEP
    whole = np.searchsorted(ends, places) == np.searchsorted(ends, places + SEED - 1, "right")
    hashes, places = hashes[whole], places[whole]
    order = np.argsort(hashes, kind="stable")
    hashes, places = hashes[order], places[order]
    rank = np.arange(len(hashes)) - np.searchsorted(hashes, hashes, "left")
    kept = rank < _PLACES
    small = joined.astype(np.uint8) if joined.max() < 256 else joined.astype(np.int32)
    return Quotes(manifest, tuple(items), small, ends, *_moves(evened), hashes[kept], places[kept])


def _moves(evened: Sequence[_Evened]) -> tuple[Codes, Codes]:
    """Where in the joined texts the distance to the given ones changes, from place 0 on, and to what."""
    lengths = np.array([int(e.places[-1]) + 1 for e in evened])
    given = np.concatenate([e.places + base for e, base in zip(evened, lengths.cumsum() - lengths, strict=True)])
    ahead = given - np.arange(len(given))
    moves = np.flatnonzero(np.diff(ahead, prepend=-1))  # the first is 0 ahead
    return moves, ahead[moves]


def save(quotes: Quotes, home: Home) -> Path:
    """Write an index to its place, whole or not at all; returns the folder. It holds the training text."""
    tensors = {
        "text": torch.from_numpy(quotes.text),
        "ends": torch.from_numpy(quotes.ends),
        "moves": torch.from_numpy(quotes.moves),
        "moved": torch.from_numpy(quotes.moved),
        "seeds": torch.from_numpy(quotes.seeds.view(np.int64)),
        "places": torch.from_numpy(quotes.places.astype(np.int32 if len(quotes.text) < 2**31 else np.int64)),
    }
    plain = _described(quotes.manifest) | {"items": list(quotes.items)}
    return _store.write(_store.place(home, quotes.manifest, "verbatim"), tensors, plain)


def load(home: Home, manifest: str) -> Quotes | None:
    """The index of a dataset; None where there is none. Raises MakarError where it was altered."""
    folder = _store.place(home, manifest, "verbatim")
    stored = _store.read(folder, _described(manifest))
    if stored is None:
        return None
    tensors, plain = stored
    try:
        return Quotes(
            manifest=manifest,
            items=tuple(map(str, plain["items"])),
            text=tensors["text"].numpy(),
            ends=tensors["ends"].numpy().astype(np.int64),
            moves=tensors["moves"].numpy().astype(np.int64),
            moved=tensors["moved"].numpy().astype(np.int64),
            seeds=tensors["seeds"].numpy().view(np.uint64),
            places=tensors["places"].numpy().astype(np.int64),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _store.broken(folder, f"{type(error).__name__} in what it says of itself") from None


def _described(manifest: str) -> dict[str, Any]:
    return {"format": FORMAT, "manifest": manifest, "seed": SEED, "step": STEP}
