"""A dataset is things with a past: two splits that share no item, and a manifest that says where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Origin = Literal["captured", "licensed", "crawled", "user", "synthetic", "public", "mixed"]
"""How data were come by: recorded by those who train, licensed from its makers, crawled, given by the user, drawn by a
program, or public. The kinds of source that the European Commission's template for the public summary of training
content asks for (2025, part 2); "user" where nobody has said, "mixed" where the members of a mix differ."""


class Evidence(BaseModel):
    """What was found where a maker may have said whether machines may learn from their work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str  # "robots.txt", "Content-Usage", "XMP", "withdrawn" …
    url: str  # where it was found; for what is within a file, the file's name
    time: str  # when, as the crawler wrote it; "" where nobody did
    sha256: str  # of the raw bytes that were read; "" where there were none
    verdict: Literal["no", "yes", "silent", "not looked at"]
    why: str
    items: list[str]  # URLs, or names of files, that it governs


class Member(BaseModel):
    """One of several sources of a dataset, or those of its items that are under one licence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: str
    licence: str
    attribution: str
    origin: Origin
    counts: dict[str, int]  # items in each split
    share: float  # of all items
    digest: str  # of the name, source, licence and the items


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
    items: dict[str, list[str]] = Field(repr=False)  # sha256 of every item, by split, in the order of the split
    split: str  # how items were assigned to splits, in words
    notes: list[str] = []  # what was dropped or changed on the way, and why
    origin: Origin = "user"
    members: list[Member] = []  # of a mix, or of items under several licences
    optouts: list[Evidence] = []  # signals of opting out that were looked for, and what was found
    accepted: list[str] = []  # members of unknown licence that the user accepted by name
    creators: dict[str, str] = Field({}, repr=False)  # who made an item, by its sha256, where that is known
    tags: dict[str, list[str]] = Field({}, repr=False)  # what an item is tagged with, by its sha256
    label: str = ""  # of rows: the column that is the class, which stands in every row
    digest: str  # of all the above; fields added after the first release count where they are not at their default


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

    def __repr__(self) -> str:
        return f"<Split of {len(self):,} things>"


@dataclass(frozen=True)
class Dataset:
    """What training and scoring are given."""

    train: Split
    held_out: Split
    manifest: Manifest
    levels: int = 256  # for pictures: values a pixel can have
    entropy: float | None = None  # nats a unit (symbol, dimension) that no model can beat, where known exactly

    def __repr__(self) -> str:
        sides = f"{len(self.train):,} train, {len(self.held_out):,} held out"
        return f"<Dataset {self.name}: {self.modality}, {sides}; licence {self.manifest.licence}>"

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def modality(self) -> str:
        return self.manifest.modality

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.manifest.classes)
