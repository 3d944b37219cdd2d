"""How near is an output to the nearest training item, and is that nearer than fresh items are?

The index holds the training items in a small form (see `_measures`) under the sha256 that the manifest lists them by.
Its threshold is calibrated: with n held-out items, which the model has never seen, it is the k-th smallest of their
distances, k = floor(rate (n + 1)) and at least 1. A fresh item then lies below it with probability k / (n + 1) (they
are exchangeable), and that is the rate that is stated. What lies below counts as a copy and carries its attribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from makar.core.errors import MakarError
from makar.core.spaces import Space
from makar.provenance import _store
from makar.provenance._measures import Measure, measure_for, restored
from makar.provenance.home import Home
from makar.provenance.receipts import Nearness

FORMAT = "makar-index-2"
_JUDGES = 5000  # held-out items, at most, that the threshold rests on


@dataclass(frozen=True, eq=False)
class Index:
    """The training items of one dataset, ready to be compared with."""

    manifest: str  # digest of the manifest that lists them
    items: tuple[str, ...]  # sha256 of every training item, in the manifest's order
    measure: Measure
    threshold: float
    rate: float  # share of fresh items that lie below the threshold, in expectation
    fresh: int  # held-out items that the threshold rests on
    attribution: str = ""  # whom to credit for the training items

    def nearest(self, outputs: Any) -> list[tuple[str, float]]:
        """For every output the sha256 of the nearest training item and the distance to it.

        `outputs` is what the index was built from: integers (n, C, H, W), items of the space, or texts.
        """
        distances, places = self.measure.nearest(outputs)
        pairs = zip(places.tolist(), distances.tolist(), strict=True)
        return [(self.items[place], distance) for place, distance in pairs]

    def judge(self, outputs: Any) -> list[Nearness]:
        """What a receipt keeps of every output; with the attribution where it counts as a copy."""
        return [
            Nearness(
                item=item,
                distance=distance,
                threshold=self.threshold,
                measure=self.measure.words,
                attribution=self.attribution if distance < self.threshold else "",
            )
            for item, distance in self.nearest(outputs)
        ]


def build(
    train: Tensor | Sequence[str],
    held_out: Tensor | Sequence[str],
    items: Sequence[str],
    manifest: str,
    space: Space | None = None,
    attribution: str = "",
    rate: float = 0.01,
) -> Index:
    """An index over training items, calibrated on held-out ones.

    Pictures are integers (n, C, H, W) with `space` = Levels; rows and points are items of their space; texts are
    strings, and `space` is None. Raises MakarError where counts disagree or there is nothing to calibrate on.
    """
    if len(train) != len(items):
        raise MakarError(f"the manifest lists {len(items)} training items, but {len(train)} were given")
    if not len(train) or not len(held_out):
        raise MakarError("an index needs training items, and held-out ones to say how near a fresh item comes")
    measure = measure_for(train, space)
    distances = measure.nearest(held_out[:_JUDGES])[0]
    fresh = len(distances)
    k = max(1, int(rate * (fresh + 1) + 1e-9))
    threshold = float(distances.sort().values[k - 1])
    return Index(manifest, tuple(items), measure, threshold, k / (fresh + 1), fresh, attribution)


def is_copy(nearness: Nearness) -> bool:
    """Whether an output is nearer to a training item than the threshold."""
    return nearness.distance < nearness.threshold


def objection(nearness: Nearness, copies: Literal["record", "refuse", "off"]) -> str:
    """Why the policy refuses an output, in a sentence; empty where it does not."""
    if copies != "refuse" or not is_copy(nearness):
        return ""
    return (
        f"the output is a near copy of training item {nearness.item[:12]} (distance {nearness.distance:.3g}, refused "
        f"below {nearness.threshold:.3g}); draw with another seed, or set copies = 'record' in the policy"
    )


def save(index: Index, home: Home) -> Path:
    """Write an index to its place, whole or not at all; returns the folder."""
    tensors, settings = index.measure.state()
    plain = {
        "format": FORMAT,
        "manifest": index.manifest,
        "measure": index.measure.kind,
        "words": index.measure.words,
        "settings": settings,
        "threshold": index.threshold,
        "rate": index.rate,
        "fresh": index.fresh,
        "attribution": index.attribution,
        "items": list(index.items),
    }
    return _store.write(_store.place(home, index.manifest, "nearest"), tensors, plain)


def load(home: Home, manifest: str) -> Index | None:
    """The index of a dataset; None where there is none. Raises MakarError where it was altered."""
    folder = _store.place(home, manifest, "nearest")
    stored = _store.read(folder, {"format": FORMAT, "manifest": manifest})
    if stored is None:
        return None
    tensors, plain = stored
    try:
        return Index(
            manifest=manifest,
            items=tuple(map(str, plain["items"])),
            measure=restored(plain["measure"], tensors, plain["settings"]),
            threshold=float(plain["threshold"]),
            rate=float(plain["rate"]),
            fresh=int(plain["fresh"]),
            attribution=str(plain["attribution"]),
        )
    except (ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise _store.broken(folder, f"{type(error).__name__} in what it says of itself") from None
