"""A dataset is things with a past: two splits that share no item, and a manifest that says where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict


class Manifest(BaseModel):
    """Where a dataset comes from, under which licence, and what exactly is in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    modality: str  # "pictures", "text", "rows" or "points"
    source: str
    licence: str  # an SPDX expression, or "unknown"
    attribution: str
    counts: dict[str, int]  # items in each split
    classes: list[str]
    items: dict[str, list[str]]  # sha256 of every item, by split, in the order of the split
    split: str  # how items were assigned to splits, in words
    notes: list[str] = []  # what was dropped or changed on the way, and why
    digest: str  # of all the above


@dataclass(frozen=True)
class Split:
    """Things in a fixed order, with a label for each where the data has classes.

    A picture is uint8 (H, W, C) with values below `Dataset.levels`; a document is a str; a row is a dict from column
    to str, float, int or None; a point is float32 (d,).
    """

    things: Sequence[Any]
    labels: np.ndarray | None = None  # int64 (n,)

    def __len__(self) -> int:
        return len(self.things)


@dataclass(frozen=True)
class Dataset:
    """What training and scoring are given."""

    train: Split
    held_out: Split
    manifest: Manifest
    levels: int = 256  # for pictures: values a pixel can have
    entropy: float | None = None  # nats a unit (symbol, dimension) that no model can beat, where known exactly

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def modality(self) -> str:
        return self.manifest.modality

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.manifest.classes)
