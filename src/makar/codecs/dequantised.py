"""Pixels as reals: uniform noise fills each level's cell, after which densities of the reals apply.

For v = x + u, u ~ U[0, 1), and any density p(v), Jensen's inequality gives the picture's log-probability the bound

    log P(x) = log E_u[p(x + u)] >= E_u[log p(x + u)]            (Theis, van den Oord & Bethge 2016, eq. 3)

and with v = levels * s, y = g(s) a change of variables adds log |dy/dv|. Either g(s) = 2 s - 1, or the logit of
a + (1 - 2a) s (Dinh, Sohl-Dickstein & Bengio 2017, section 4.1), which has no edges. The noise is a function of the
picture's content, so that encoding is a function and decoding its exact inverse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from makar.codecs._content import uniforms
from makar.codecs._pictures import checked, shape_of
from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.spaces import Reals


@dataclass(frozen=True)
class Config:
    """How many values a pixel can have, and the a of the logit; with a = 0 the cells are scaled to [-1, 1]."""

    levels: int = 256
    logit: float = 0.0


class Dequantised(Codec):
    """Pictures uint8 (H, W, C) to Reals((C, H, W))."""

    Config: TypeAlias = Config
    config: Config
    things = "pictures"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if not 0.0 <= config.logit < 0.5:
            raise MakarError(
                f"the codec 'dequantised' was given logit={config.logit:g}; it must be from 0 to below 0.5"
            )
        self._shape: tuple[int, int, int] | None = None

    @property
    def space(self) -> Reals:
        if self._shape is None:
            raise MakarError("the codec 'dequantised' has not been fitted")
        return Reals(self._shape)

    def fit(self, things: Sequence[Any]) -> Self:
        self._shape = shape_of(things)
        return self

    def _filled(self, things: Sequence[Any]) -> np.ndarray:
        """s = (x + u) / levels, float64 (B, C, H, W)."""
        values = checked(things, self.space.shape, self.config.levels)
        if not len(values):
            return values.astype(np.float64)
        count = self.space.dimensions
        noise = np.stack([uniforms(np.ascontiguousarray(v).tobytes(), count).reshape(v.shape) for v in values])
        filled: np.ndarray = (values + noise) / self.config.levels
        return filled

    def encode(self, things: Sequence[Any]) -> Tensor:
        """Float32 (B, C, H, W)."""
        s, a = self._filled(things), self.config.logit
        if a:
            s = a + (1.0 - 2.0 * a) * s
            y = np.log(s) - np.log1p(-s)
        else:
            y = 2.0 * s - 1.0
        return torch.from_numpy(y.astype(np.float32))

    def decode(self, x: Tensor) -> list[Any]:
        """Pictures uint8 (H, W, C): the cell that each value lies in, the nearest for values outside of all."""
        y, a = x.detach().cpu().double(), self.config.logit
        s = (torch.sigmoid(y) - a) / (1.0 - 2.0 * a) if a else (y + 1.0) / 2.0
        cells = (s * self.config.levels).floor().clamp(0, self.config.levels - 1)
        return list(cells.permute(0, 2, 3, 1).to(torch.uint8).contiguous().numpy())

    def nats(self, things: Sequence[Any]) -> float:
        """Sum over all values of log |dy/dv|."""
        count, a = self.units(things), self.config.logit
        if not a:
            return count * math.log(2.0 / self.config.levels)
        s = a + (1.0 - 2.0 * a) * self._filled(things)
        return count * math.log((1.0 - 2.0 * a) / self.config.levels) - float((np.log(s) + np.log1p(-s)).sum())

    def units(self, things: Sequence[Any]) -> int:
        """Dimensions: values in all pictures."""
        return len(things) * self.space.dimensions

    def state(self) -> dict[str, Any]:
        return {"shape": list(self.space.shape)}

    def restore(self, state: dict[str, Any]) -> Self:
        channels, height, width = state["shape"]
        self._shape = (channels, height, width)
        return self
