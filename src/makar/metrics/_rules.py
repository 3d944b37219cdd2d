"""Rules that short strings keep, found in the training items: what a model of a few letters in a row cannot see.

    even       a character that stands an even number of times wherever it stands (quotes, the ring numbers of SMILES)
    equal      two characters that stand equally often (brackets)
    once       a character that stands exactly once in every item

A rule is one that at least 98 % of the items it speaks of keep; it speaks of 50 items and of 2 % of all at least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

KEPT, SPOKEN, FEWEST = 0.98, 0.02, 50
_CHARACTERS, _RULES = 60, 24


class Rules:
    """The rules of some items; there may be none."""

    def __init__(self, items: Sequence[str]) -> None:
        holders = Counter(c for t in items for c in set(t))
        least = max(FEWEST, SPOKEN * len(items))
        frequent = [c for c, n in holders.most_common(_CHARACTERS) if n >= least]
        counts = {c: _count(items, c) for c in frequent}
        self._even = [c for c in frequent if _share(counts[c] % 2 == 0, counts[c] > 0) >= KEPT][:_RULES]
        self._equal = [
            (a, b)
            for a, b in combinations(frequent, 2)
            if _share(counts[a] == counts[b], (counts[a] > 0) | (counts[b] > 0)) >= KEPT
        ][:_RULES]
        self._once = [c for c in frequent if (counts[c] == 1).mean() >= KEPT][:_RULES]

    def __len__(self) -> int:
        return len(self._even) + len(self._equal) + len(self._once)

    @property
    def words(self) -> list[str]:
        """Each rule in words."""
        return [
            *(f"an even number of {c!r}" for c in self._even),
            *(f"as many {a!r} as {b!r}" for a, b in self._equal),
            *(f"one {c!r}" for c in self._once),
        ]

    def broken(self, items: Sequence[str]) -> NDArray[np.bool_]:
        """(items, rules): which item breaks which rule."""
        columns = [_count(items, c) % 2 == 1 for c in self._even]
        columns += [_count(items, a) != _count(items, b) for a, b in self._equal]
        columns += [_count(items, c) != 1 for c in self._once]
        return np.stack(columns, 1) if columns else np.zeros((len(items), 0), dtype=np.bool_)


def _count(items: Sequence[str], character: str) -> NDArray[np.int64]:
    return np.array([t.count(character) for t in items], dtype=np.int64)


def _share(kept: NDArray[np.bool_], spoken: NDArray[np.bool_]) -> float:
    return float(kept[spoken].mean()) if spoken.any() else 0.0
