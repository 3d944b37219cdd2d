"""Collapse: are outputs of a model all alike while its data are not?

One tile of outputs is drawn and compared with as many training items of the same classes:

    spread = mean distance within pairs of the same class, of relaxed items      (pictures, points, rows)
    spread = share of distinct rows among the first symbols                      (text)

A model has collapsed if its spread is less than a quarter of the data's. The threshold is far below what any working
family shows (a Gaussian fitted to digits has 1.0) and far above a dead generator's 0, so it needs no tuning. Numeric
columns are compared as asinh x, or a single wild value in the data would make every model look narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from makar.core.model import PredictsNext
from makar.core.noise import Noise, seed_from
from makar.core.spaces import Columns, Space, Tokens
from makar.nets.relax import Scaled
from makar.verbs.sample import TILE, default_sampler, draw
from makar.verbs.trained import Trained

NARROW = 0.25
_CLASSES = 8  # at most so many, so that every class has some pairs
_SYMBOLS = 32  # at which a text is cut, since drawing long ones costs


@dataclass(frozen=True)
class Spread:
    """How much outputs differ among themselves, and how much training items do."""

    made: float
    data: float

    @property
    def collapsed(self) -> bool:
        """Whether the outputs differ far less than the data."""
        return self.data > 0 and not self.made >= NARROW * self.data  # an output that is not a number is no variety

    def words(self) -> str:
        """The finding in a clause."""
        return f"outputs differ by {self.made:.3g} among themselves where training items differ by {self.data:.3g}"


def spread(trained: Trained, x: Tensor, labels: Tensor | None) -> Spread:
    """The spread of one tile of outputs and of training items x (n, ...) of the same classes int64 (n,)."""
    rows, wanted = _alike(len(x), labels if trained.model.classes else None)
    seed = seed_from(trained.record.recipe["seed"], "collapse")
    if isinstance(trained.model.space, Tokens):
        made = _beginnings(trained, seed, wanted)
        return Spread(_distinct(made), _distinct(x[rows][:, : made.shape[1]]))
    made = draw(trained, TILE, seed, wanted)
    return Spread(*(_distance(trained.model.space, items, wanted) for items in (made, x[rows])))


def _alike(n: int, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Indices of TILE training items, evenly spread within each of the largest classes, and their classes."""
    if labels is None:
        return torch.arange(TILE) * n // TILE, None
    counts = torch.bincount(labels.clamp(min=0))
    largest = counts.argsort(descending=True, stable=True)[: min(_CLASSES, int((counts > 0).sum()))]
    wanted = largest[torch.arange(TILE) % len(largest)].sort().values
    rows = torch.empty(TILE, dtype=torch.int64)
    for label in largest:
        places, own = (wanted == label).nonzero().flatten(), (labels == label).nonzero().flatten()
        rows[places] = own[torch.arange(len(places)) * len(own) // len(places)]
    return rows, wanted


def _beginnings(trained: Trained, seed: int, labels: Tensor | None) -> Tensor:
    """The first symbols of one tile of texts, int64 (TILE, t)."""
    if not isinstance(trained.model, PredictsNext):
        return draw(trained, TILE, seed, labels)[:, :_SYMBOLS]
    sampler = default_sampler(trained)
    assert sampler is not None, "what predicts symbols has a sampler"
    with torch.inference_mode():
        partials = islice(sampler.partials(trained.model, Noise.rows(seed, range(TILE)), labels), _SYMBOLS)
        *_, last = partials
    return last


def _distinct(symbols: Tensor) -> float:
    return len(torch.unique(symbols, dim=0)) / len(symbols)


def _distance(space: Space, items: Tensor, labels: Tensor | None) -> float:
    """Mean Euclidean distance within pairs of different items of one class, relaxed; not a number where items are."""
    y = Scaled(space).relax(items).flatten(1).double()
    if isinstance(space, Columns):
        y = y.asinh()
    alike = torch.ones(len(y), len(y), dtype=torch.bool) if labels is None else labels[:, None] == labels
    pairs = alike.triu(1)
    return float(torch.cdist(y, y, compute_mode="donot_use_mm_for_euclid_dist")[pairs].mean())
