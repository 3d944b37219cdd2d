"""Scores that rest on different numbers of items, brought into one column.

A slow family is scored on fewer items, and many scores depend on how many there are (a Frechet distance is too large by
about 1/n, recall too small). What the same real items score at both numbers says by how much, to first order, so

    score at n  =  score at m + (floor at n - floor at m)

where there is a floor at both; a score without a floor (bits for a byte) is a mean over items, and is taken as it is.
Every score that was moved says so, and its interval is the wider one of fewer items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from makar.verbs.protocol import Cell, Value


def align(cells: Sequence[Cell], n: int) -> list[Cell]:
    """The cells with their scores under the names that they would have at `n` items; anchors at n only."""
    floors = {c.seed or n: c.scores for c in cells if c.kind == "anchor" and c.family == "floor"}
    names = _main_names(cells, floors.get(n, {}))
    kept = [c for c in cells if not (c.kind == "anchor" and c.seed)]
    return [_aligned(c, names, floors, n) if c.kind == "cell" else c for c in kept]


def _main_names(cells: Sequence[Cell], floor: dict[str, Value]) -> dict[str, str]:
    """For every score without its numbers, the full name that its column has: the floor's, or the most frequent one."""
    counts = Counter(name for c in cells if c.kind == "cell" for name in c.scores)
    found: dict[str, str] = {}
    for name, _ in sorted(counts.items(), key=lambda item: (item[1], _items(item[0]), item[0])):
        found[_base(name)] = name
    return found | {_base(name): name for name in floor}


def _base(name: str) -> str:
    return name.partition("@")[0]


def _items(name: str) -> int:
    first = name.partition("@")[2].partition("/")[0]
    return int(first) if first.isdigit() else 0


def _aligned(cell: Cell, names: dict[str, str], floors: dict[int, dict[str, Value]], n: int) -> Cell:
    if len({_base(name) for name in cell.scores}) < len(cell.scores):
        return cell  # two scores that differ in their numbers alone: none is the other's
    own, main = floors.get(cell.drawn or n, {}), floors.get(n, {})
    scores = {}
    for name, value in cell.scores.items():
        wanted = names[_base(name)]
        here, there = own.get(name), main.get(wanted)
        known = here is not None and there is not None and here.value is not None and there.value is not None
        if name == wanted:
            scores[name] = value
        elif known and here is not None and there is not None:
            scores[wanted] = _moved(value, (there.value or 0.0) - (here.value or 0.0), cell.drawn or n)
        elif wanted not in main:
            scores[wanted] = value
        else:
            scores[name] = value
    return cell.model_copy(update={"scores": scores})


def _moved(value: Value, by: float, items: int) -> Value:
    ends = {key: None if x is None else x + by for key, x in (("low", value.low), ("high", value.high))}
    caveat = f"scored on {items} items only; brought to the others' number by what the floor moves ({by:+.3g})"
    moved = None if value.value is None else value.value + by
    return value.model_copy(update=ends | {"value": moved, "caveats": (*value.caveats, caveat)})
