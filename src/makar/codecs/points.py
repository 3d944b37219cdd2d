"""Points in standard units: each coordinate less its mean, divided by its standard deviation.

An affine change of variables z = (x - m) / s, so log p(x) = log p(z) - sum log s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.spaces import Reals


@dataclass(frozen=True)
class Config:
    """Nothing to set."""


class Points(Codec):
    """Points float32 (d,) to Reals((d,))."""

    Config: TypeAlias = Config
    config: Config
    things = "points"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._mean = np.zeros(0)
        self._std = np.ones(0)

    @property
    def space(self) -> Reals:
        if not len(self._mean):
            raise MakarError("the codec 'points' has not been fitted")
        return Reals((len(self._mean),))

    def fit(self, things: Sequence[Any]) -> Self:
        """Mean and standard deviation; a coordinate that never varies keeps its unit."""
        values = np.asarray(things, np.float64)
        if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
            raise MakarError(f"points must be finite vectors of one length, but these have the shape {values.shape}")
        std = values.std(0)
        self._mean, self._std = values.mean(0), np.where(std > 0, std, 1.0)
        return self

    def encode(self, things: Sequence[Any]) -> Tensor:
        """Float32 (B, d)."""
        width = self.space.dimensions
        values = np.asarray(things, np.float64).reshape(len(things), -1) if len(things) else np.zeros((0, width))
        if values.shape[1] != width:
            raise MakarError(f"points of {width} coordinates were learnt, but these have {values.shape[1]}")
        return torch.from_numpy(((values - self._mean) / self._std).astype(np.float32))

    def decode(self, x: Tensor) -> list[Any]:
        """Points float32 (d,), equal to the encoded ones up to float32 rounding."""
        values = x.detach().cpu().double().numpy() * self._std + self._mean
        return list(values.astype(np.float32))

    def nats(self, things: Sequence[Any]) -> float:
        """-sum log s for every point."""
        return -len(things) * float(np.log(self._std).sum())

    def units(self, things: Sequence[Any]) -> int:
        """Dimensions: coordinates of all points."""
        return len(things) * self.space.dimensions

    def state(self) -> dict[str, Any]:
        return {"mean": self._mean.tolist(), "std": self._std.tolist()}

    def restore(self, state: dict[str, Any]) -> Self:
        self._mean, self._std = np.asarray(state["mean"], np.float64), np.asarray(state["std"], np.float64)
        return self
