"""Recurrent network over the symbols of any space: LSTM or GRU (Hochreiter & Schmidhuber 1997; Cho et al. 2014).

log p(x) = sum_t log P(s_t | h_t, class), where the state h_t = f(h_(t-1), inputs at t) is all that is kept of the
symbols before (Mikolov et al. 2010). A step costs the same at any length, and no place can be trained before the one
before it.
Pictures are read as by PixelRNN's forebears: in raster order, each pixel shown its neighbours above and to the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from makar.core.learner import Learner, Optimiser
from makar.core.model import Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Columns, Levels, Space, Tokens
from makar.families._next_symbol import NextSymbol, picture_batch
from makar.nets.recurrent import Recurrent as Layers
from makar.nets.recurrent import State
from makar.nets.transformer import RMSNorm, dropped


@dataclass(frozen=True)
class Config:
    """None leaves a size to the space: small for short items of few symbols, larger for text."""

    cell: Literal["lstm", "gru"] = "lstm"
    width: int | None = None
    depth: int | None = None
    dropout: float | None = None  # of the network's inputs and outputs
    bins: int = 32  # most bins of a numeric column
    drop: float = 0.1  # share of training rows whose class is withheld
    optimiser: Optimiser | None = None


@dataclass(frozen=True)
class _Size:
    width: int
    depth: int
    dropout: float
    optimiser: Optimiser


def _size(space: Space) -> _Size:
    """What makes hundreds of steps in 20 seconds of a laptop's core; a longer budget pays for width 320 and depth 2."""
    if isinstance(space, Tokens):
        if space.length >= 128:
            return _Size(160, 1, 0.0, Optimiser(batch=4, average=0.99))
        return _Size(128, 1, 0.0, Optimiser(batch=32, average=0.99))
    if isinstance(space, Columns):
        return _Size(128, 1, 0.0, Optimiser(batch=128))
    if space.dimensions > 256:
        return _Size(96, 1, 0.0, Optimiser(batch=2 * picture_batch(space), average=0.99))
    return _Size(96, 1, 0.2, Optimiser(batch=16))


class Recurrent(NextSymbol):
    Config = Config
    spaces = (Tokens, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Any) -> None:
        size = _size(space)
        width = config.width or size.width
        super().__init__(space, condition, config, width, config.bins, config.drop)
        self.layers = Layers(width, config.depth or size.depth, config.cell)
        self.norm = RMSNorm(width)
        self.dropout = size.dropout if config.dropout is None else config.dropout

    def trunk(self, h: Tensor, cache: State | None, noise: Noise | None) -> tuple[Tensor, State]:
        h = dropped(h, self.dropout, noise)
        out, state = self.layers(h, cache)
        # What is known at this place reaches the output past the recurrence too.
        return dropped(self.norm(h + out), self.dropout, noise), state

    def learner(self) -> Learner:
        return self.descent(self.config.optimiser or _size(self.space).optimiser)

    def flops(self) -> float:
        return 3.0 * (self.layers.flops(self.length) + self.stem_flops())

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        config = Config(width=64, depth=1, dropout=0.0, optimiser=Optimiser(rate=3e-3, batch=64))
        return Tiny(config, steps=250, bar=0.02, batch=64)
