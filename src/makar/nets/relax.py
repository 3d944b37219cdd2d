"""Discrete spaces made continuous and back, so that families of the reals serve them all.

Scaled       no noise and no likelihood: levels on [-1, 1], a categorical column as a one-hot vector in {0, 1}.
             For denoisers, adversaries and encoders.
Dequantised  uniform noise fills each level's cell, so that a density p(y) of the relaxed y bounds the probability
             of the discrete x:  log P(x) >= E_u[log p(y)] + volume   (Theis et al. 2016, eq. 3; Uria et al. 2013).
             For flows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.core.noise import Noise
from makar.core.spaces import Categorical, Columns, Levels, Reals, Space, Tokens


class Scaled(nn.Module):
    """Items of a space as reals of `shape`, without noise."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        if isinstance(space, Tokens):
            raise TypeError("symbols have no order: a Tokens space is not relaxed to reals")
        self.space = space
        if isinstance(space, Columns):
            widths = [c.levels if isinstance(c, Categorical) else 1 for c in space.columns]
            self.widths = widths
            self.shape: tuple[int, ...] = (sum(widths),)
        else:
            self.shape = space.shape

    @property
    def dimensions(self) -> int:
        """Numbers in one relaxed item."""
        return math.prod(self.shape)

    def relax(self, x: Tensor) -> Tensor:
        """Items of the space to float32 (B, *shape)."""
        if isinstance(self.space, Reals):
            return x
        if isinstance(self.space, Levels):
            return x.float() * (2.0 / (self.space.levels - 1)) - 1.0
        assert isinstance(self.space, Columns)
        parts = [
            F.one_hot(v.long(), c.levels).float() if isinstance(c, Categorical) else v.unsqueeze(1)
            for v, c in zip(x.unbind(1), self.space.columns, strict=True)
        ]
        return torch.cat(parts, 1)

    def snap(self, y: Tensor) -> Tensor:
        """The nearest items of the space to float32 (B, *shape)."""
        if isinstance(self.space, Reals):
            return y
        if isinstance(self.space, Levels):
            top = self.space.levels - 1
            return ((y + 1.0) * (top / 2.0)).round().clamp(0, top).long()
        assert isinstance(self.space, Columns)
        parts = [
            part.argmax(1).float() if isinstance(c, Categorical) else part[:, 0]
            for part, c in zip(y.split(self.widths, 1), self.space.columns, strict=True)
        ]
        return torch.stack(parts, 1)

    def squash(self, y: Tensor) -> Tensor:
        """Unbounded reals onto the region where relaxed items live, with a gradient: what a generator ends with."""
        if isinstance(self.space, Reals):
            return y
        if isinstance(self.space, Levels):
            return torch.tanh(y)
        assert isinstance(self.space, Columns)
        parts = [
            torch.softmax(part, 1) if isinstance(c, Categorical) else part
            for part, c in zip(y.split(self.widths, 1), self.space.columns, strict=True)
        ]
        return torch.cat(parts, 1)


class Dequantised(nn.Module):
    """Items of a space as reals of the space's own shape; discrete cells are filled with uniform noise.

    A cell of k levels becomes an interval of width 2/k within [-1, 1]; `volume` is the log of all cells' widths, which
    is added to log p(y) to bound log P(x).
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        if isinstance(space, Tokens):
            raise TypeError("symbols have no order: a Tokens space is not dequantised")
        self.space = space
        self.shape: tuple[int, ...] = (len(space.columns),) if isinstance(space, Columns) else space.shape
        if isinstance(space, Columns):
            levels = [c.levels if isinstance(c, Categorical) else 0 for c in space.columns]
        else:
            levels = [space.levels if isinstance(space, Levels) else 0] * space.dimensions
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.float32).reshape(self.shape), persistent=False)
        self.levels: Tensor
        self.volume = sum(math.log(2.0 / k) for k in levels if k)

    @property
    def exact(self) -> bool:
        """Whether there was nothing to dequantise, so that a density is exact and not a bound."""
        return not bool((self.levels > 0).any())

    def relax(self, x: Tensor, noise: Noise) -> Tensor:
        """Items of the space to float32 (B, *shape)."""
        if self.exact:
            return x
        y = 2.0 * (x + noise.uniform(*self.shape)) / self.levels.clamp(min=1) - 1.0
        return torch.where(self.levels > 0, y, x.to(y.dtype))

    def snap(self, y: Tensor) -> Tensor:
        """The items in whose cells float32 (B, *shape) lie."""
        if self.exact:
            return y
        k = self.levels.clamp(min=1)
        cells = ((y + 1.0) * k / 2.0).floor().clamp(min=0).minimum(k - 1)
        cells = torch.where(self.levels > 0, cells, y)
        return cells.long() if isinstance(self.space, Levels) else cells
