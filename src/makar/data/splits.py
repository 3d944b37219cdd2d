"""Splits by content: which side an item falls on depends on its bytes and on nothing else.

Items are sorted by the SHA-256 of their canonical bytes and the first share is held out. So the split does not depend
on the order of files, on the machine or on a seed; adding items moves few of the old ones across; and two identical
items, having one hash, can never lie on different sides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from makar.core.errors import MakarError


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
    wanted = round(held_out * count) if held_out < 1 else int(held_out)
    if held_out <= 0 or wanted >= count:
        raise MakarError(
            f"held_out is {held_out:g}, but it must leave items on both sides of {count}; give a share such as 0.2"
        )
    cut = min(places, key=lambda place: abs(place - wanted))
    return order[cut:], order[:cut]


def given(hashes: Sequence[str], held: np.ndarray) -> tuple[list[int], list[int], int]:
    """The data's own split: training and held-out indices in hash order, and how many training items were dropped.

    A training item that is also held out is dropped from training: it would be tested on what it was taught.
    """
    if held.all() or not held.any():
        side = "held out" if held.all() else "for training"
        raise MakarError(f"the data's own split has all {len(held)} items {side}; put items into both folders")
    order = sorted(range(len(hashes)), key=lambda i: (hashes[i], i))
    kept_out = {hashes[i] for i in order if held[i]}
    test = [i for i in order if held[i]]
    train = [i for i in order if not held[i] and hashes[i] not in kept_out]
    if not train:
        raise MakarError("every training item is also among the held-out ones, so nothing is left to learn from")
    return train, test, int((~held).sum()) - len(train)
