"""Blocked styles by distance: is an output made in the manner of some reference items?

A style is known by a few items. Distances are between traces of making (`_traces`), which say how a thing is made and
not what it shows, in units of their standard deviation among clean items: the mean absolute difference to the mean of
the references, which for words is Burrows's Delta (2002, "Delta: a measure of stylistic difference"). As a measure of
the style itself it leaves out traces in which the references differ among themselves more than clean items do.

The threshold is calibrated as that of the index of training items: with n clean items it is the k-th least of their
distances, k = floor(rate (n + 1)) and at least 1, so that a clean item lies below with probability k / (n + 1). That
rate is stated; how many works of a style are caught is measured and not promised, and a style that is no trace of
making (a subject, a plot) is not seen at all.

`MAKAR_HOME/styles/NAME/` keeps a style; the policy's `blocked` names those in force.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from makar.core import files, state
from makar.core.errors import MakarError
from makar.core.score import Score
from makar.metrics._intervals import Array, wilson
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.verbs.audits import _figures
from makar.verbs.audits._result import Result, beyond_measure, timed
from makar.verbs.audits._traces import traces

FORMAT = "makar-style-1"
RATE = 0.01  # of clean items that are taken for the style
LEAST = 5  # references, and clean items
WORTH = 0.5  # of the style's own works that must be caught for the block to be worth its name
_ARRAYS = ("centre", "scale", "weight", "clean")
_TENSORS, _PLAIN = "style.safetensors", "style.json"


@dataclass(frozen=True, eq=False)
class Style:
    """The mean traces of some references, and the distances of clean items that calibrate it."""

    name: str
    modality: str
    levels: int  # of pictures; 0 for text
    references: int
    centre: Array  # (d,) mean traces of the references
    scale: Array  # (d,) standard deviations among clean items
    weight: Array  # (d,) of each trace; they sum to 1
    clean: Array  # (n,) distances of clean items, ascending
    threshold: float
    rate: float  # share of clean items that lie below the threshold, in expectation

    def distances(self, things: Sequence[Any]) -> Array:
        """Weighted mean absolute difference from the style, in standard deviations of clean items."""
        found: Array = (
            np.abs((traces(self.modality, things, self.levels or 256) - self.centre) / self.scale) @ self.weight
        )
        return found

    def refusals(self, things: Sequence[Any]) -> list[str]:
        """For each thing why it is refused, in a sentence; empty where it is not."""
        return [self._refusal(float(d)) for d in self.distances(things)]

    def _refusal(self, distance: float) -> str:
        if distance >= self.threshold:
            return ""
        return (
            f"the output is in the blocked style '{self.name}' (distance {distance:.3g}, refused below "
            f"{self.threshold:.3g}, where {100 * self.rate:.2g} % of {len(self.clean)} clean items lie)"
        )


def build(
    name: str, references: Sequence[Any], clean: Sequence[Any], modality: str, levels: int = 0, rate: float = RATE
) -> Style:
    """A style from a few items of it, calibrated on clean items, which are of other styles.

    Raises MakarError for fewer than five of either or a name that is no file's.
    """
    if not re.fullmatch(r"[\w][\w .-]{0,63}", name):
        raise MakarError(f"'{name[:80]}' cannot name a style; use up to 64 letters, digits, spaces, dots and hyphens")
    if min(len(references), len(clean)) < LEAST:
        raise MakarError(
            f"a style needs at least {LEAST} references and {LEAST} clean items, and {len(references)} and "
            f"{len(clean)} were given"
        )
    ours, others = (traces(modality, things, levels or 256) for things in (references, clean))
    scale = others.std(0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    own = ours.std(0, ddof=1) / scale
    weight = np.where(own <= 1.0, 1.0, 0.0)
    weight = weight / weight.sum() if weight.any() else np.full(len(own), 1.0 / len(own))
    centre = ours.mean(0)
    distances = np.sort(np.abs((others - centre) / scale) @ weight)
    k = max(1, math.floor(rate * (len(clean) + 1) + 1e-9))
    threshold = float(distances[k - 1])
    stated = k / (len(clean) + 1)
    return Style(name, modality, levels, len(references), centre, scale, weight, distances, threshold, stated)


@timed
def blocked(style: Style, fresh: Sequence[Any], works: Sequence[Any]) -> Result:
    """How often a blocked style refuses fresh clean items and catches further works of it; neither built it.

    The finding is an alarm where false refusals surely exceed their stated rate, or less than half is surely caught.
    """
    if min(len(fresh), len(works)) < LEAST:
        return beyond_measure("style", f"fewer than {LEAST} items of either kind cannot judge a blocked style")
    wrong, caught = (int((style.distances(things) < style.threshold).sum()) for things in (fresh, works))
    low, high = wilson(caught, len(works))
    figures = (
        _figures.share(f"refused[clean;style={style.name}]@{len(fresh)}", wrong, len(fresh)),
        Score(f"refused[works;style={style.name}]@{len(works)}", caught / len(works), low, high, len(works), True),
    )
    bars = {"clean items refused": style.rate, "works refused": WORTH, "distance": style.threshold}
    details = {"references": style.references, "clean items": len(style.clean)}
    of_works, of_clean = (100 * figures[i].value for i in (1, 0))
    shown = f"{of_works:.0f} % of further works are refused, and {of_clean:.1f} % of clean items"
    if figures[0].low > style.rate or high < WORTH:
        return Result("style", "alarm", f"'{style.name}' is not blocked as stated: {shown}", figures, bars, details)
    return Result("style", "none", f"'{style.name}': {shown}", figures, bars, details)


# Keeping


def _place(home: Home, name: str) -> Path:
    return home.root / "styles" / hashlib.sha256(name.casefold().encode()).hexdigest()[:16]


def save(style: Style, home: Home) -> Path:
    """Keep a style in the workspace, whole or not at all; returns its folder."""
    arrays = {name: torch.from_numpy(np.ascontiguousarray(getattr(style, name), np.float64)) for name in _ARRAYS}
    data = state.save_tensors(arrays)
    plain = {
        "format": FORMAT, "name": style.name, "modality": style.modality, "levels": style.levels,
        "references": style.references, "threshold": style.threshold, "rate": style.rate,
        "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    folder = _place(home, style.name)
    files.write_directory(folder, {_TENSORS: data, _PLAIN: files.to_json(plain).encode()})
    return folder


def load(home: Home, name: str) -> Style | None:
    """A style of the workspace; None where there is none of this name. Raises MakarError where it was altered."""
    folder = _place(home, name)
    if not folder.exists():
        return None
    try:
        data, plain = (folder / _TENSORS).read_bytes(), json.loads((folder / _PLAIN).read_bytes())
        if plain["format"] != FORMAT or plain["sha256"] != hashlib.sha256(data).hexdigest():
            raise ValueError("it is of another version, or its digest is not that of its content")
        arrays = {key: value.double().numpy() for key, value in state.load_tensors(data, str(folder)).items()}
        return Style(
            name=str(plain["name"]), modality=str(plain["modality"]), levels=int(plain["levels"]),
            references=int(plain["references"]), threshold=float(plain["threshold"]), rate=float(plain["rate"]),
            **{key: arrays[key] for key in _ARRAYS},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MakarError(f"the style '{name}' in {folder} cannot be used ({error}); build it anew") from None


def in_force(home: Home, policy: Policy, modality: str) -> list[Style]:
    """The styles that the policy blocks by name and the workspace knows by distance."""
    found = [load(home, name) for name in policy.blocked]
    return [style for style in found if style is not None and style.modality == modality]
