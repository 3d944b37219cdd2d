"""Vectors for ordered levels, such as a pixel's greys: near levels begin as near vectors.

A table with a free row for each of k levels learns each from its own examples alone; here level j is the sum
e_0 + e_1 + ... + e_j of learned steps, so an example of a level teaches all the levels above it. Any table can be
written so: nothing is lost but the indifference to order.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class OrderedEmbedding(nn.Module):
    """Sums of vectors for ordered levels, a table for each of several places.

    Level k is the sum of the steps from 0 up to k, so that neighbours begin alike and each example of a level teaches
    all the levels above it.
    """

    def __init__(self, tables: int, levels: int, width: int) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.randn(tables, levels, width) / math.sqrt(tables * levels))
        self.register_buffer("shift", torch.arange(tables) * levels, persistent=False)
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Levels int64 (B, n, tables) to (B, n, width)."""
        vectors = self.steps.cumsum(1).flatten(0, 1)
        found: Tensor = F.embedding_bag((x + self.shift).flatten(0, 1), vectors, mode="sum")
        return found.reshape(*x.shape[:2], -1)


class FreeEmbedding(nn.Module):
    """Sums of vectors for symbols without an order, a table for each of several places."""

    def __init__(self, tables: int, symbols: int, width: int) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(tables * symbols, width, mode="sum")
        nn.init.normal_(self.table.weight, std=1.0 / math.sqrt(tables))
        self.register_buffer("shift", torch.arange(tables) * symbols, persistent=False)
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Symbols int64 (B, n, tables) to (B, n, width)."""
        found: Tensor = self.table((x + self.shift).flatten(0, 1))
        return found.reshape(*x.shape[:2], -1)
