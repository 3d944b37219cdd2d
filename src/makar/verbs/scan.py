"""Scan: what is in data before anything is learnt from it: size, balance, duplicates, leaks, personal data.

Entropies are of the frequencies that were counted, in bits (Shannon 1948, section 6), which for few items lie below
those of the source. Personal data are told by kind and by the item's sha256, and never repeated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from makar.data import Dataset, Split, pii
from makar.data.contamination import contamination
from makar.data.manifest import duplicates

_SHOWN = 5
_SIZES = {"text": "characters", "pictures": "pixels", "rows": "cells", "points": "numbers"}
NO_CLASS = "no class"


@dataclass(frozen=True)
class Leak:
    """Held-out items of which training holds the same or nearly the same, by one check of `data/contamination.py`."""

    check: str
    found: int
    looked_at: int
    share: float
    usual: float  # share of training items that have such a twin among the others, which no random split can avoid


@dataclass(frozen=True)
class Personal:
    """An item with personal data in it."""

    item: str  # sha256
    split: str
    kinds: dict[str, int]


@dataclass(frozen=True)
class Scanned:
    """What is in a dataset."""

    name: str
    modality: str
    licence: str
    items: dict[str, int]  # by split
    size: int  # of all items, in `unit`
    unit: str
    duplicates: int  # items that repeat an earlier one
    classes: dict[str, int]
    class_entropy: float | None  # bits; None where there are no classes
    symbol_entropy: dict[str, float]  # bits per character, pixel value, or entry of a column that holds words
    pixels: dict[str, float]  # mean and variance of the values of all pixels; empty where there are none
    missing: dict[str, float]  # share of the rows whose cell is missing, by column; none where no cell is
    leaks: list[Leak]
    personal: dict[str, int]  # findings by kind
    personal_items: list[Personal]

    @property
    def balance(self) -> float | None:
        """Entropy of the classes over that of as many equal ones: 1 where all are equally frequent (Pielou 1966)."""
        if self.class_entropy is None or len(self.classes) < 2:
            return None
        return self.class_entropy / math.log2(len(self.classes))

    @property
    def effective_classes(self) -> float | None:
        """2 to the entropy: how many classes of equal frequency have the same entropy (Hill 1973, order 1)."""
        return None if self.class_entropy is None else float(2.0**self.class_entropy)

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self) | {"balance": self.balance, "effective_classes": self.effective_classes}

    def words(self) -> str:
        """For people."""
        split = ", ".join(f"{n:,} {side.replace('_', ' ')}" for side, n in self.items.items())
        total = sum(self.items.values())
        lines = [
            f"{self.name}: {self.modality} under {self.licence}",
            f"size         {total:,} items ({split}), {self.size:,} {self.unit}",
            f"duplicates   {self.duplicates:,} ({self.duplicates / total:.1%}) repeat an earlier item",
            *self._class_lines(),
            *(f"entropy      {bits:.3f} bits per {what}" for what, bits in self.symbol_entropy.items()),
            *(f"pixels       {what} {value:.3f}" for what, value in self.pixels.items()),
            *(f"missing      {share:.1%} of '{column}'" for column, share in self.missing.items()),
        ]
        for leak in self.leaks:
            lines.append(
                f"leak         {leak.check}: {leak.found:,} of {leak.looked_at:,} held-out items ({leak.share:.1%}) "
                f"are in training; {leak.usual:.1%} of training items have such a twin among themselves"
            )
        return "\n".join([*lines, *self._personal_lines()])

    def _class_lines(self) -> list[str]:
        if self.class_entropy is None:
            return ["classes      none"]
        most = max(self.classes, key=lambda name: self.classes[name])
        least = min(self.classes, key=lambda name: self.classes[name])
        balance = "" if self.balance is None else f", {self.balance:.1%} of that of equal classes"
        return [
            f"classes      {len(self.classes)}: entropy {self.class_entropy:.3f} bits{balance}, as "
            f"{self.effective_classes:.2f} equal ones; most frequent {most} ({self.classes[most]:,}), "
            f"least {least} ({self.classes[least]:,})"
        ]

    def _personal_lines(self) -> list[str]:
        if not self.personal:
            return ["personal     nothing in a known shape was found, which is no proof that there is nothing"]
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.personal.items())
        lines = [f"personal     {kinds}, in {len(self.personal_items):,} items"]
        for found in self.personal_items[:_SHOWN]:
            named = ", ".join(f"{n} {kind}" for kind, n in found.kinds.items())
            lines.append(f"             item {found.item[:12]} ({found.split.replace('_', ' ')}): {named}")
        if len(self.personal_items) > _SHOWN:
            lines.append(f"             … and {len(self.personal_items) - _SHOWN:,} more; --json lists them all")
        return lines


def scan(data: Dataset) -> Scanned:
    """Look through a dataset, both splits together. Nothing is changed."""
    splits = {"train": data.train, "held_out": data.held_out}
    things = [thing for split in splits.values() for thing in split.things]
    classes, symbols = _classes(data, splits.values()), _symbols(data, things)
    personal, where = _personal(data, splits)
    return Scanned(
        name=data.name,
        modality=data.modality,
        licence=data.manifest.licence,
        items={side: len(split) for side, split in splits.items()},
        size=sum(_size(thing) for thing in things),
        unit=_SIZES[data.modality],
        duplicates=duplicates([item for side in splits for item in data.manifest.items[side]]),
        classes=classes,
        class_entropy=entropy(classes) if classes else None,
        symbol_entropy={name: entropy(counts) for name, counts in symbols.items()},
        pixels=_moments(symbols["pixel value"]) if data.modality == "pictures" else {},
        missing=_missing(things) if data.modality == "rows" else {},
        leaks=[Leak(c.name, len(c.matches), c.looked_at, c.share, c.usual) for c in contamination(data)],
        personal=personal,
        personal_items=where,
    )


def entropy(counts: Mapping[Any, int]) -> float:
    """Entropy in bits of the frequencies that are counted; 0 for none."""
    total = sum(counts.values())
    return sum(n / total * math.log2(total / n) for n in counts.values() if n)


def _moments(counts: Mapping[Any, int]) -> dict[str, float]:
    """Mean and variance of the numbers that are counted."""
    values, times = np.array(list(counts)), np.array(list(counts.values()))
    mean = float(np.average(values, weights=times))
    return {"mean": mean, "variance": float(np.average((values - mean) ** 2, weights=times))}


def _missing(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Share of the rows without a value, by column, where that is not 0."""
    counted = Counter(name for row in rows for name, value in row.items() if value is None)
    return {name: counted[name] / len(rows) for name in rows[0] if counted[name]}


def _size(thing: Any) -> int:
    """Characters of a text, pixels of a picture (H, W, C), cells of a row, numbers of a point."""
    if isinstance(thing, np.ndarray):
        return int(np.prod(thing.shape[:2]))
    return len(thing)


def _classes(data: Dataset, splits: Iterable[Split]) -> dict[str, int]:
    """Items by class, and those without one; empty where the data have no classes."""
    counted: Counter[int] = Counter()
    for split in splits:
        if split.labels is not None:
            counted.update(split.labels.tolist())
    named = {name: counted[i] for i, name in enumerate(data.classes) if counted[i]}
    return named | ({NO_CLASS: counted[-1]} if named and counted[-1] else {})


def _symbols(data: Dataset, things: list[Any]) -> dict[str, Mapping[Any, int]]:
    """How often each symbol stands in the data, by what the symbols are."""
    if data.modality == "text":
        return {"character": Counter("".join(things))}
    if data.modality == "pictures":
        levels = sum((np.bincount(thing.ravel(), minlength=data.levels) for thing in things), np.zeros(1, np.int64))
        return {"pixel value": dict(enumerate(levels.tolist()))}
    if data.modality == "rows":
        columns = [name for name in things[0] if any(isinstance(row.get(name), str) for row in things)]
        return {f"entry of '{name}'": Counter(row.get(name) for row in things) for name in columns}
    return {}


def _personal(data: Dataset, splits: Mapping[str, Split]) -> tuple[dict[str, int], list[Personal]]:
    counts: Counter[str] = Counter()
    where = []
    for side, split in splits.items():
        found = pii.scan(split.things)
        counts.update(found.counts)
        for place, spans in found.items.items():
            kinds = dict(sorted(Counter(span.kind for span in spans).items()))
            where.append(Personal(data.manifest.items[side][place], side, kinds))
    return dict(sorted(counts.items())), where
