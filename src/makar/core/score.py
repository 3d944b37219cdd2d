"""Scores: a number is never bare.

A metric compares a reference with what was generated. Its score's name carries extractor, sample sizes and estimator,
so scores of different names never share a column; the score carries an interval, its n and its caveats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from makar.core.model import LogProb
from makar.core.spaces import Classes, Space


@dataclass(frozen=True)
class Score:
    """A value with its 95 % interval [low, high] and the number of items n that it rests on."""

    name: str
    value: float
    low: float
    high: float
    n: int
    higher_is_better: bool | None  # None where nearness to a reference value is what counts
    caveats: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Sample:
    """Items in three forms: as things, as a tensor in the space, and as features; with labels where there are any."""

    things: Sequence[Any]
    x: Tensor
    labels: Tensor | None = None  # int64 (n,)
    features: Tensor | None = None  # float64 (n, d), by the extractor that the reference names


@dataclass(frozen=True)
class Reference:
    """What generated items are compared with. Held-out items were never trained on."""

    space: Space
    modality: str  # "pictures", "text", "rows" or "points"
    train: Sample
    held_out: Sample
    extractor: str = ""  # name of what made the features, with a digest: "probe-digits-1a2b3c4d"
    condition: Classes | None = None
    classify: Any = None  # (x: Tensor) -> int64 labels, where a classifier of the classes exists


@dataclass(frozen=True)
class Generated:
    """What a model made, and what it says of the held-out items."""

    sample: Sample
    held_out: LogProb | None = None  # log-likelihood of the held-out rows under the model; None where it has none
    units: int = 0  # raw units (bytes, dimensions) in the held-out things that the likelihood is of
    volume: float = 0.0  # nats that the model's codec adds to that likelihood
    facts: dict[str, Any] = field(default_factory=dict)


class Metric(ABC):
    """A comparison of a reference with generated items. A subclass is final and takes no arguments."""

    modalities: ClassVar[tuple[str, ...]]
    """Which of "pictures", "text", "rows", "points" it is for."""

    @abstractmethod
    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        """Its scores; none where what it needs (labels, features, a likelihood) is not there."""
