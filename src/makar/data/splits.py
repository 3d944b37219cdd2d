"""Splits by content: which side an item falls on depends on its bytes and on nothing else.

Items are sorted by the SHA-256 of their canonical bytes and the first share is held out. So the split does not depend
on the order of files, on the machine or on a seed; adding items moves few of the old ones across; and two identical
items, having one hash, can never lie on different sides.

Rows of a table may repeat naturally: of three columns with a few values each there are only so many. Then a split by
content holds out whole kinds of rows, and neither side has the shares of the data. Such tables are split by row. Repeat
k = 1, 2, ... of a row with the hash h has a place of its own in the order, that of the SHA-256 of h and k, as if it had
fallen there by chance. Of ten or more identical rows, with h read as a fraction u, repeat k has the place

    u_k = frac(u + k (sqrt 5 - 1) / 2)

for the golden ratio spreads so many so evenly that each side gets its share of them, but for about one. With one row of
each kind it is the split by content.

Where rows have a class, each class is split for itself, so that both sides have its share.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from makar.core.errors import MakarError

_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 (sqrt 5 - 1) / 2
_EVEN = 10  # identical rows from which on they are spread evenly
_EACH = 5  # times that a row stands there on average
_OFTEN = 0.02  # of rows with a twin


def canonical(thing: Any) -> bytes:
    """The bytes that stand for a thing: an array's own, a document's UTF-8, a row's JSON with sorted keys."""
    if isinstance(thing, np.ndarray):
        return np.ascontiguousarray(thing).tobytes()
    if isinstance(thing, str):
        return thing.encode("utf-8")
    return json.dumps(thing, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def digests(things: Sequence[Any]) -> list[str]:
    """SHA-256 of every thing, in hexadecimal."""
    return [hashlib.sha256(canonical(thing)).hexdigest() for thing in things]


def by_content(hashes: Sequence[str], held_out: float) -> tuple[list[int], list[int]]:
    """Indices of the training and of the held-out items, each in the order of their hashes.

    `held_out` below 1 is a share, from 1 on a count. Where the boundary would part identical items it moves to the
    nearest place that parts none. Raises MakarError if that leaves a side empty.
    """
    count = len(hashes)
    order = sorted(range(count), key=lambda i: (hashes[i], i))
    places = [i for i in range(1, count) if hashes[order[i - 1]] != hashes[order[i]]]
    if not places:
        raise MakarError(f"all {count} items are identical, so none can be held out; more data is needed")
    wanted = _wanted(count, held_out)
    cut = min(places, key=lambda place: abs(place - wanted))
    return order[cut:], order[:cut]


def by_row(hashes: Sequence[str], held_out: float) -> tuple[list[int], list[int]]:
    """The same for rows that repeat naturally: identical ones are items of their own, spread over both sides."""
    places = _places(hashes)
    order = sorted(range(len(hashes)), key=places.__getitem__)
    cut = _wanted(len(hashes), held_out)
    return order[cut:], order[:cut]


def in_classes(
    hashes: Sequence[str], labels: np.ndarray, held_out: float, split: Callable[..., tuple[list[int], list[int]]]
) -> tuple[list[int], list[int]]:
    """One of the splits above done in each class, so that it has its share on both sides.

    A class that cannot be parted is for training. Raises MakarError where nothing would be held out.
    """
    quotas = _quotas(labels, _wanted(len(hashes), held_out))
    test: set[int] = set()
    for label, quota in quotas.items():
        among = np.flatnonzero(labels == label).tolist()
        own = [hashes[i] for i in among]
        if 0 < quota < len(among) and (split is by_row or len(set(own)) > 1):
            test |= {among[i] for i in split(own, quota)[1]}
    if not test:
        return split(hashes, held_out)
    places = _places(hashes)
    order = sorted(range(len(hashes)), key=places.__getitem__)
    return [i for i in order if i not in test], [i for i in order if i in test]


def repeat_naturally(rows: Sequence[Mapping[str, Any]], hashes: Sequence[str]) -> bool:
    """Whether rows are identical because there are few that are possible, and not because they were entered twice.

    At least one row in 50 has a twin, and most that do are made of cells each of which also stands in other, different
    rows (of one column alone: half of the rows repeat, some more often than others). A number with decimals that stands
    in one row and its copies alone says that the copies are of one record. Where each row stands there five times on
    average there is nothing else to split by.
    """
    counts = Counter(hashes)
    twins = sum(count for count in counts.values() if count > 1)
    if twins < _OFTEN * len(rows) or len(counts) < 2:
        return False
    if _EACH * len(counts) <= len(rows):
        return True
    values = {name: Counter(row[name] for row in rows) for name in rows[0]}
    varied = {name: found for name, found in values.items() if len(found) > 1}
    if len(varied) < 2:
        return 2 * len(counts) <= len(rows) and len(set(counts.values())) > 1
    first = {sha: row for sha, row in zip(hashes, rows, strict=True) if counts[sha] > 1}
    natural = sum(
        counts[sha]
        for sha, row in first.items()
        if all(found[row[name]] > counts[sha] for name, found in varied.items())
    )
    return 2 * natural >= twins


def _wanted(count: int, held_out: float) -> int:
    """How many of `count` items to hold out. Raises MakarError where a side would be empty."""
    wanted = round(held_out * count) if held_out < 1 else int(held_out)
    if held_out <= 0 or wanted >= count:
        raise MakarError(
            f"held_out is {held_out:g}, but it must leave items on both sides of {count}; give a share such as 0.2"
        )
    return max(wanted, 1)


def _places(hashes: Sequence[str]) -> list[tuple[int, str]]:
    """The place of every item in the order of its split, in 2^64ths, and its hash where that is the same."""
    counts, seen = Counter(hashes), Counter[str]()
    found = []
    for sha in hashes:
        k = seen[sha]
        if counts[sha] >= _EVEN:
            place = (int(sha[:16], 16) + k * _GOLDEN) % 2**64
        else:
            place = int((hashlib.sha256(f"{sha} {k}".encode()).hexdigest() if k else sha)[:16], 16)
        found.append((place, sha))
        seen[sha] += 1
    return found


def _quotas(labels: np.ndarray, wanted: int) -> dict[int, int]:
    """How many of each class to hold out, `wanted` in all, by largest remainders; one at least stays for training."""
    sizes = Counter(labels.tolist())
    exact = {label: wanted * size / len(labels) for label, size in sorted(sizes.items())}
    quotas = {label: min(int(share), sizes[label] - 1) for label, share in exact.items()}
    for label in sorted(exact, key=lambda label: quotas[label] - exact[label]):
        if sum(quotas.values()) < wanted and quotas[label] < sizes[label] - 1:
            quotas[label] += 1
    return quotas


def marked(hashes: Sequence[str], held: np.ndarray) -> tuple[list[int], list[int]]:
    """The data's own split as it is: training and held-out indices in hash order; an empty side is refused."""
    if held.all() or not held.any():
        side = "held out" if held.all() else "for training"
        raise MakarError(f"the data's own split has all {len(held)} items {side}; put items into both folders")
    order = sorted(range(len(hashes)), key=lambda i: (hashes[i], i))
    return [i for i in order if not held[i]], [i for i in order if held[i]]


def given(hashes: Sequence[str], held: np.ndarray) -> tuple[list[int], list[int], int]:
    """The same without training items that are also held out, and how many those were.

    A training item that is also held out is dropped from training: it would be tested on what it was taught.
    """
    every, test = marked(hashes, held)
    kept_out = {hashes[i] for i in test}
    train = [i for i in every if hashes[i] not in kept_out]
    if not train:
        raise MakarError("every training item is also among the held-out ones, so nothing is left to learn from")
    return train, test, int((~held).sum()) - len(train)
