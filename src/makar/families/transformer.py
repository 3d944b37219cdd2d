"""Decoder-only transformer over the symbols of any space (Radford et al. 2018; blocks of Touvron et al. 2023).

log p(x) = sum_t log P(s_t | s_1, ..., s_(t-1), class). All places are trained at once under a causal mask; drawing
keeps keys and values of the places so far, so a new symbol costs one place and not all. The likelihood is exact.

A picture is read in raster order, and each pixel is shown its neighbours above and to the left, so that attention need
not find them; text is shown its last three symbols; a row of a table is read column by column (`_serial.py`).
`nets/transformer.py` has the blocks, `_next_symbol.py` what this family shares with `recurrent`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from makar.core.learner import Learner, Optimiser
from makar.core.model import Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Columns, Levels, Space, Tokens
from makar.families._next_symbol import NextSymbol, picture_batch
from makar.nets.transformer import Decoder, KeyValues


@dataclass(frozen=True)
class Config:
    """None leaves a size to the space: small for short items of few symbols, larger for text."""

    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    kv_heads: int | None = None  # None: one key and value for every query head
    dropout: float | None = None
    bins: int = 32  # most bins of a numeric column
    drop: float = 0.1  # share of training rows whose class is withheld
    optimiser: Optimiser | None = None


@dataclass(frozen=True)
class _Size:
    width: int
    depth: int
    heads: int
    dropout: float
    optimiser: Optimiser


def _size(space: Space) -> _Size:
    """What makes hundreds of steps in 20 seconds of a core, on digits of 8 and 28 pixels and on windows of 256
    symbols of a Bible. A longer budget pays for more: width 192 and depth 5 were better after 400 seconds.
    """
    if isinstance(space, Tokens):
        if space.length >= 128:
            return _Size(128, 3, 4, 0.0, Optimiser(batch=4, average=0.99))
        return _Size(96, 3, 4, 0.0, Optimiser(batch=32, average=0.99))
    if isinstance(space, Columns):
        return _Size(96, 3, 4, 0.0, Optimiser(batch=128))
    if space.dimensions > 256:
        return _Size(64, 2, 4, 0.0, Optimiser(batch=picture_batch(space), average=0.99))
    return _Size(64, 3, 4, 0.2, Optimiser(batch=16))


class Transformer(NextSymbol):
    Config = Config
    spaces = (Tokens, Levels, Columns)

    def __init__(self, space: Space, condition: Classes | None, config: Any) -> None:
        size = _size(space)
        width = config.width or size.width
        super().__init__(space, condition, config, width, config.bins, config.drop)
        dropout = size.dropout if config.dropout is None else config.dropout
        self.decoder = Decoder(width, config.depth or size.depth, config.heads or size.heads, config.kv_heads, dropout)

    def trunk(self, h: Tensor, cache: KeyValues | None, noise: Noise | None) -> tuple[Tensor, KeyValues]:
        out: tuple[Tensor, KeyValues] = self.decoder(h, cache, noise)
        return out

    def learner(self) -> Learner:
        return self.descent(self.config.optimiser or _size(self.space).optimiser)

    def flops(self) -> float:
        return 3.0 * (self.decoder.flops(self.length) + self.stem_flops())

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        config = Config(width=48, depth=2, heads=4, dropout=0.0, optimiser=Optimiser(rate=3e-3, batch=64))
        return Tiny(config, steps=200, bar=0.02, batch=64)
