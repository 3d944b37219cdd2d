"""Watermarks: marks in what is made that only the holder of a key can find.

A mark is put in at one of two places. Keyed chance (`noise`) replaces the random numbers by ones that a key and the
context determine: the model's distribution stays, or is changed by a stated amount. A stamp (`stamp`) changes the
finished thing by less than one notices. `detect` gives a p-value: how likely evidence at least this strong is in a
thing that carries no mark of this key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from makar.core.codec import Codec
from makar.core.model import Model
from makar.core.noise import Noise
from makar.core.sampler import Sampler


@dataclass(frozen=True)
class Detection:
    """What was found in one thing."""

    name: str
    p_value: float | None  # None where the thing is too small to be judged
    evidence: str  # in words, with the counts that the p-value rests on


class Watermark(ABC):
    """A way to mark. A subclass is final, sets `Config` (frozen dataclass) and `modality`; made as
    `W(config, key, model, codec)`.

    `key` is 32 secret bytes, one for each model; it is in no record and no setting. `model` and `codec` are those that
    things are made with, and may be None for a mark that needs neither to be found. Things are what a file holds: a
    str, a picture uint8 (H, W, C) of 256 levels, a sound float32 (samples, channels) within [-1, 1].
    """

    Config: ClassVar[type[Any]]
    modality: ClassVar[str]
    """What it marks: "text", "pictures" or "sound"."""

    automatic: ClassVar[int] = 0
    """Its rank among those chosen without being named, best first from 1; 0 where it must be named."""

    needs_model: ClassVar[bool] = False
    """Whether the model and codec are needed to find it."""

    def __init__(self, config: Any, key: bytes, model: Model | None = None, codec: Codec | None = None) -> None:
        self.config = config
        self.key = key
        self.model = model
        self.codec = codec

    @abstractmethod
    def obstacle(self, sampler: Sampler | None, shape: tuple[int, ...] | None) -> str | None:
        """Why it cannot mark what this model, drawn from by this sampler, makes (a thing's `shape` where it has one).

        One sentence for people, or None where nothing is in the way.
        """

    def noise(self, noise: Noise) -> Noise:
        """Chance with the mark in it; by default as it was."""
        return noise

    def stamp(self, thing: Any) -> Any:
        """The thing with the mark in it; by default as it was."""
        return thing

    @abstractmethod
    def detect(self, thing: Any) -> Detection:
        """Look for the mark."""
