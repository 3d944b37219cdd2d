"""Which items are for training and which are held out, and how they were told apart in words.

The data's own split where they have one and the user gives no share; else by content, or by row where rows of a table
repeat naturally (`data/splits.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from makar.data import splits
from makar.data.loaded import Loaded

BY_ROW = "by row"
"""How `Manifest.split` begins where rows repeat naturally, so that identical ones may be on both sides."""


def of(
    loaded: Loaded, hashes: Sequence[str], held_out: float | None, mixed: bool, notes: list[str]
) -> tuple[list[int], list[int], str]:
    """Training and held-out places, and the words for the manifest; `held_out` is the share that the user gave."""
    natural = loaded.modality == "rows" and splits.repeat_naturally(loaded.things, hashes)
    why = f"{BY_ROW}: rows repeat naturally, so each repeat counts as one; "
    if loaded.held is not None and held_out is None:
        own = "what a member holds out is held out of all" if mixed else "the data's own"
        words = f"{own}; items in the order of their SHA-256"
        if natural:
            return *splits.marked(hashes, loaded.held), why + words
        train, test, repeated = splits.given(hashes, loaded.held)
        if repeated:
            notes.append(f"{repeated} training items were dropped because they are among the held-out ones")
        return train, test, words
    if loaded.held is not None:
        notes.append("the data's own split was set aside because held_out= was given")
    share = loaded.held_out if held_out is None else held_out
    split = splits.by_row if natural else splits.by_content
    if loaded.label and loaded.labels is not None:
        train, test = splits.in_classes(hashes, loaded.labels, share, split)
    else:
        train, test = split(hashes, share)
    first = f"the first {len(test)} of {len(hashes)} held out{', each class in its share' if loaded.label else ''}"
    return train, test, f"{why if natural else 'by content: '}items sorted by SHA-256, {first}"
