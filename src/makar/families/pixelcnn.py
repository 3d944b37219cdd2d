"""Gated PixelCNN (van den Oord et al. 2016b, "Conditional image generation with PixelCNN decoders").

log p(x) = sum_i log P(x_i | x_1, ..., x_(i-1), class) over the values of a picture in raster order, channels of a
pixel in turn, each a free distribution over the levels. Two stacks of convolutions, which see only what has been drawn,
give all of these at once (`nets/masked_conv.py`). Drawing goes value by value, and does the new pixel's work alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.learner import Batch, Learner, Optimiser
from makar.core.model import HasLogProb, LogProb, Model, PredictsNext, ScoresSymbols, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Space
from makar.families._next_symbol import SerialDescent
from makar.nets.masked_conv import GatedPixelCNN, Progress


@dataclass(frozen=True)
class Config:
    width: int | None = None  # None: 32, of more than 256 pixels 24
    layers: int | None = None  # None: 5, of more than 256 pixels 4
    reach: int = 1  # how far a kernel sees: kernels of 2 reach + 1
    dropout: float = 0.15  # of what a layer adds
    drop: float = 0.05  # share of training rows whose class is withheld
    optimiser: Optimiser | None = None  # None: as many pictures a step as have some 3,100 pixels, at most 16


class PixelCNN(Model, PredictsNext, HasLogProb, ScoresSymbols):
    Config = Config
    spaces = (Levels,)

    def __init__(self, space: Space, condition: Classes | None, config: Any) -> None:
        super().__init__(space, condition, config)
        if not isinstance(space, Levels) or len(space.shape) != 3:
            raise TypeError("a PixelCNN is for pictures: levels of shape (channels, height, width)")
        channels, height, width = space.shape
        self.levels, self.channels = space.levels, channels
        large = height * width > 256
        self.net = GatedPixelCNN(
            (channels, height, width), space.levels, self.classes, config.width or (24 if large else 32),
            config.layers or (4 if large else 5), config.reach, config.dropout,
        )  # fmt: skip
        usual = Optimiser(batch=max(1, min(16, 3136 // (height * width))), average=0.99 if large else 0.999)
        self._optimiser: Optimiser = config.optimiser or usual

    @property
    def length(self) -> int:
        return self.space.dimensions

    def _labels(self, condition: Tensor | None, batch: int) -> Tensor:
        """Labels (B,), -1 for all where the model has no classes."""
        return self.labels(condition if self.classes else None, batch)

    def _symbol_nats(self, x: Tensor, labels: Tensor, noise: Noise | None) -> Tensor:
        """log P of every value, in raster order (B, dimensions)."""
        logits = self.net(x, labels, noise).reshape(-1, self.levels)
        values = x.permute(0, 2, 3, 1).reshape(-1)
        return -F.cross_entropy(logits, values, reduction="none").reshape(len(x), -1)

    def symbol_nats(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self._symbol_nats(x, self._labels(condition, len(x)), None)

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        return LogProb(self.symbol_nats(x, condition).sum(1), "exact")

    def next(self, prefix: Tensor, cache: Progress | None, condition: Tensor | None = None) -> tuple[Tensor, Progress]:
        count = prefix.shape[1]
        if count >= self.length:
            raise ValueError(f"a picture has {self.length} values, and all are there")
        labels = self._labels(condition, len(prefix))
        pixel, channel = divmod(count, self.channels)
        whole = prefix[:, : pixel * self.channels].unflatten(1, (pixel, self.channels)).transpose(1, 2)
        for n in range(0 if cache is None else cache.pixel + 1, pixel + 1):
            cache = self.net.step(whole[:, :, :n], cache, labels)
        assert cache is not None
        return self.net.read(cache.features, prefix[:, pixel * self.channels :], channel), cache

    def finish(self, symbols: Tensor, noise: Noise) -> Tensor:
        assert isinstance(self.space, Levels)
        channels, height, width = self.space.shape
        return symbols.reshape(-1, height, width, channels).permute(0, 3, 1, 2).contiguous()

    def loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Negative log-likelihood of a batch, nats an item, (B,); some labels are withheld."""
        labels = torch.where(noise.uniform() < self.config.drop, -1, self._labels(batch.condition, len(batch.x)))
        return -self._symbol_nats(batch.x, labels, noise).sum(1)

    @torch.no_grad()
    def prepare(self, x: Tensor) -> None:
        """Start the output at the levels' shares."""
        counts = torch.bincount(x.flatten(), minlength=self.levels) + 0.1
        self.net.head.bias.copy_((counts / counts.sum()).log())

    def learner(self) -> Learner:
        return SerialDescent(self, self.loss, self.length, self.prepare, self._optimiser)

    def flops(self) -> float:
        return 3.0 * self.net.flops()

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        config = Config(width=16, layers=3, dropout=0.0, optimiser=Optimiser(rate=3e-3, batch=64))
        return Tiny(config, steps=200, bar=0.02, batch=64)
