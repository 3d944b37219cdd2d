"""Pixels as they are: a picture's values are levels, channels first. One to one, so no change of volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from makar.codecs._pictures import checked, shape_of
from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.spaces import Levels


@dataclass(frozen=True)
class Config:
    """How many values a pixel can have."""

    levels: int = 256


class Pixels(Codec):
    """Pictures uint8 (H, W, C) to Levels((C, H, W), levels)."""

    Config: TypeAlias = Config
    config: Config
    things = "pictures"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._shape: tuple[int, int, int] | None = None

    @property
    def space(self) -> Levels:
        if self._shape is None:
            raise MakarError("the codec 'pixels' has not been fitted")
        return Levels(self._shape, self.config.levels)

    def fit(self, things: Sequence[Any]) -> Self:
        self._shape = shape_of(things)
        return self

    def encode(self, things: Sequence[Any]) -> Tensor:
        """Int64 (B, C, H, W)."""
        values = checked(things, self.space.shape, self.config.levels)
        return torch.from_numpy(values.astype(np.int64))

    def decode(self, x: Tensor) -> list[Any]:
        """Pictures uint8 (H, W, C)."""
        values = x.permute(0, 2, 3, 1).to(torch.uint8).cpu().contiguous().numpy()
        return list(values)

    def nats(self, things: Sequence[Any]) -> float:
        return 0.0

    def units(self, things: Sequence[Any]) -> int:
        """Dimensions: values in all pictures."""
        return len(things) * self.space.dimensions

    def state(self) -> dict[str, Any]:
        return {"shape": list(self.space.shape)}

    def restore(self, state: dict[str, Any]) -> Self:
        channels, height, width = state["shape"]
        self._shape = (channels, height, width)
        return self
