"""Contamination: what of the held-out items was, in the same or nearly the same form, trained on?

    exact          the same bytes (by sha256); a split by content has none
    13 words       a run of 13 words, case and punctuation left out, stands in a training document (Brown et al. 2020)
    50 characters  a run of 50 characters does, white space evened out
    picture        difference hashes (Krawetz 2013) at most 6 of 64 bits apart, and pixels that correlate to 0.98
    row            all categories equal and all numbers within 1 % of their range; a point within 0.01 %

Near forms also occur among training items themselves: families of pictures, set phrases, tables of few values. How
many training items have such a twin among the others is stated beside, for a random split cannot have fewer: what lies
above is a leak, what does not is a property of the data (and still no test of anything new).
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from makar.core.windows import Codes, Hashes, code_points, windows
from makar.data import splits
from makar.data.dataset import Dataset

WORDS, CHARACTERS = 13, 50
BITS, ALIKE = 6, 0.98
NEAR_ROW, NEAR_POINT = 1e-2, 1e-4
_SAMPLE = 2000  # training items, at most, that are looked at for twins among the others
_BLOCK = 256


@dataclass(frozen=True)
class Check:
    """One way of being contained: which held-out item matches which training item (places within the splits)."""

    name: str
    matches: dict[int, int]
    looked_at: int  # held-out items
    twins: int  # training items that match another training item
    sampled: int  # training items looked at for twins

    @property
    def share(self) -> float:
        """Share of the held-out items that match."""
        return len(self.matches) / self.looked_at

    @property
    def usual(self) -> float:
        """Share of training items that match another one: what a random split has too."""
        return self.twins / self.sampled


def contamination(data: Dataset) -> list[Check]:
    """Every check that fits the data's modality, exact copies first."""
    train, held = list(data.train.things), list(data.held_out.things)
    checks = [_exact(train, held)]
    if data.modality == "text":
        checks += [
            _shared(f"{WORDS} words", [_words(ts) for ts in (train, held)], WORDS),
            _shared(f"{CHARACTERS} characters", [[_evened(t) for t in ts] for ts in (train, held)], CHARACTERS),
        ]
    elif data.modality == "pictures":
        checks.append(_pictures(train, held, data.levels))
    else:
        checks.append(_rows(_table(train, held)))
    return checks


def _exact(train: list[Any], held: list[Any]) -> Check:
    places: dict[str, int] = {}
    repeats = 0
    for i, sha in enumerate(splits.digests(train)):
        repeats += sha in places
        places.setdefault(sha, i)
    matches = {i: places[sha] for i, sha in enumerate(splits.digests(held)) if sha in places}
    return Check("exact", matches, len(held), repeats, len(train))


def _words(texts: list[str]) -> list[Codes]:
    """Words as 62-bit numbers, the same in every text."""

    def code(word: str) -> int:
        return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 2

    known: dict[str, int] = {}
    found = [re.findall(r"\w+", text.casefold()) for text in texts]
    return [np.array([known.get(w) or known.setdefault(w, code(w)) for w in ws], dtype=np.int64) for ws in found]


def _evened(text: str) -> Codes:
    return code_points(re.sub(r"\s+", " ", text))


def _shared(name: str, sides: Sequence[list[Codes]], width: int) -> Check:
    """Documents that share a window; of several training documents the first is named."""
    train, held = ([np.unique(windows(codes, width)) for codes in side] for side in sides)
    hashes = np.concatenate([*train, np.empty(0, dtype=np.uint64)])
    owners = np.repeat(np.arange(len(train)), [len(t) for t in train])
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    again = np.zeros(len(hashes), dtype=np.bool_)
    again[1:] = hashes[1:] == hashes[:-1]
    again[:-1] |= again[1:]
    matches = {}
    for i, wanted in enumerate(held):
        found = _owner(wanted, hashes, owners)
        if found is not None:
            matches[i] = found
    return Check(name, matches, len(held), len(np.unique(owners[again])), len(train))


def _owner(wanted: Hashes, hashes: Hashes, owners: NDArray[np.int64]) -> int | None:
    if not len(hashes):
        return None
    places = np.searchsorted(hashes, wanted).clip(max=len(hashes) - 1)
    hit = hashes[places] == wanted
    return int(owners[places[hit]].min()) if hit.any() else None


def difference_hash(picture: NDArray[Any], levels: int) -> NDArray[np.uint8]:
    """64 bits, (8,) bytes: whether each of 8 x 9 grey cells is brighter than its left neighbour."""
    grey = picture.astype(np.float64).mean(2) * (255.0 / max(1, levels - 1))
    small = Image.fromarray(grey.astype(np.float32), "F").resize((9, 8), Image.Resampling.BOX)
    cells = np.asarray(small)
    return np.packbits(cells[:, 1:] > cells[:, :-1])


_ONES = np.array([bin(i).count("1") for i in range(256)], dtype=np.uint8)


def _pictures(train: list[Any], held: list[Any], levels: int) -> Check:
    hashes = [np.array([difference_hash(p, levels) for p in side]) for side in (train, held)]
    units = [_units(side) for side in (train, held)]
    matches: dict[int, int] = {}
    for i, j in _alike((hashes[1], units[1]), (hashes[0], units[0])):
        matches.setdefault(i, j)
    some = np.linspace(0, len(train) - 1, min(len(train), _SAMPLE)).astype(np.int64)
    twins = {i for i, j in _alike((hashes[0][some], units[0][some]), (hashes[0], units[0])) if some[i] != j}
    return Check("picture", matches, len(held), len(twins), len(some))


def _units(pictures: list[Any]) -> NDArray[np.float32]:
    flat = np.stack(pictures).reshape(len(pictures), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.divide(flat, np.maximum(length, 1e-6), dtype=np.float32)
    return units


def _alike(a: tuple[NDArray[Any], NDArray[Any]], b: tuple[NDArray[Any], NDArray[Any]]) -> list[tuple[int, int]]:
    """Pairs of places whose hashes and whose pixels agree; pictures without any contrast match each other."""
    found = []
    flat = np.abs(b[1]).max(1) == 0
    for start in range(0, len(a[0]), _BLOCK):
        hashes, units = a[0][start : start + _BLOCK], a[1][start : start + _BLOCK]
        apart = np.zeros((len(hashes), len(b[0])), dtype=np.uint8)
        for byte in range(8):
            apart += _ONES[hashes[:, byte, None] ^ b[0][:, byte]]
        like = units @ b[1].T >= ALIKE
        like |= (np.abs(units).max(1) == 0)[:, None] & flat
        rows, columns = np.nonzero((apart <= BITS) & like)
        found += list(zip((rows + start).tolist(), columns.tolist(), strict=True))
    return found


@dataclass(frozen=True)
class _Table:
    """Both sides as numbers in units of the tolerance, and the categories of each row as one value."""

    numbers: tuple[NDArray[np.float64], NDArray[np.float64]]
    categories: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def _table(train: list[Any], held: list[Any]) -> _Table:
    if not isinstance(train[0], dict):
        sides = [np.stack(side).reshape(len(side), -1).astype(np.float64) for side in (train, held)]
        reach = np.ptp(sides[0], axis=0)
        first, second = (side / (np.where(reach > 0, reach, 1.0) * NEAR_POINT) for side in sides)
        return _Table((first, second), ([()] * len(train), [()] * len(held)))
    names = list(train[0])
    numeric = [n for n in names if all(isinstance(row.get(n), int | float | None) for row in (*train, *held))]
    words = [n for n in names if n not in numeric]
    columns = [[[_number(row.get(n)) for n in numeric] for row in side] for side in (train, held)]
    sides = [np.array(c, dtype=np.float64).reshape(len(c), len(numeric)) for c in columns]
    filled = np.where(np.isnan(sides[0]), 0.0, sides[0])
    reach = np.ptp(filled, axis=0) if len(numeric) else np.empty(0)
    scaled = [side / (np.where(reach > 0, reach, 1.0) * NEAR_ROW) for side in sides]
    gaps = [[tuple(np.isnan(row)) for row in side] for side in sides]  # a missing number matches a missing one
    keys = [
        [(*(row.get(n) for n in words), *gap) for row, gap in zip(side, gap_, strict=True)]
        for side, gap_ in zip((train, held), gaps, strict=True)
    ]
    clean = [np.where(np.isnan(s), 0.0, s) for s in scaled]
    return _Table((clean[0], clean[1]), (keys[0], keys[1]))


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _rows(table: _Table) -> Check:
    """Within each set of categories, neighbours at most one tolerance away in every number."""
    from sklearn.neighbors import KDTree

    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for i, key in enumerate(table.categories[0]):
        groups[key].append(i)
    asked: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for i, key in enumerate(table.categories[1]):
        asked[key].append(i)
    some = set(np.linspace(0, len(table.numbers[0]) - 1, min(len(table.numbers[0]), _SAMPLE)).astype(int).tolist())
    matches: dict[int, int] = {}
    twins = 0
    for key, members in groups.items():
        own = [i for i in members if i in some]
        if not table.numbers[0].shape[1]:
            matches |= dict.fromkeys(asked[key], members[0])
            twins += len(own) if len(members) > 1 else 0
            continue
        tree = KDTree(table.numbers[0][members], metric="chebyshev")
        if asked[key]:
            distance, place = tree.query(table.numbers[1][asked[key]])
            near = zip(asked[key], distance[:, 0], place[:, 0], strict=True)
            matches |= {i: members[p] for i, d, p in near if d <= 1.0}
        if own and len(members) > 1:
            twins += int((tree.query(table.numbers[0][own], k=2)[0][:, 1] <= 1.0).sum())
    return Check("row", dict(sorted(matches.items())), len(table.numbers[1]), twins, len(some))
