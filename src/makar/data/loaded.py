"""What a source hands over: things, and what is known of their past, before they are split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from makar.data.dataset import Evidence, Origin


@dataclass(frozen=True)
class Tag:
    """What is known of one item."""

    creator: str = ""
    tags: tuple[str, ...] = ()
    licence: str | None = None  # an SPDX expression, where the item has one of its own


@dataclass(frozen=True)
class Loaded:
    """Things as a source read them.

    `licence` is None for data of the user's own, whose licence the user states or a file in `folder` does.
    `held` marks the items that the data itself holds out (a folder named `test`, say), or is None.
    """

    name: str
    modality: str
    source: str
    things: Sequence[Any]
    labels: np.ndarray | None = None  # int64 (n,), -1 where an item has no class
    classes: tuple[str, ...] = ()
    label: str = ""  # of rows: the column that is the class
    levels: int = 256
    licence: str | None = None
    attribution: str = ""
    folder: Path | None = None
    held: np.ndarray | None = None  # bool (n,)
    held_out: float = 0.2  # share, or a count where it is 1 or more, used where the user says nothing
    entropy: float | None = None  # nats a unit, where it is known exactly
    notes: list[str] = field(default_factory=list)
    origin: Origin = "user"
    tagged: Sequence[Tag] | None = None  # one for each thing
    optouts: Sequence[Evidence] = ()


@dataclass(frozen=True)
class Mix:
    """Several sources to be joined to one dataset."""

    name: str
    parts: Sequence[Loaded]
