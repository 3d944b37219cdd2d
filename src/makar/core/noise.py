"""Chance is an argument: one stream of random numbers for every output, one for every training step.

`Noise.rows(seed, indices)` gives output i a stream that depends on (seed, i) and on nothing else, so that one seed
makes the same sample alone, in a batch of three and beside strangers. Its bits come from Philox4x32-10 (Salmon et al.
2011, "Parallel random numbers: as easy as 1, 2, 3"), a counter-based generator: word j of stream i is a pure function
of (seed, i, j), computed here for all rows at once in int64 arithmetic, on any device.

`Noise.step(seed, n)` gives training step n one generator, keyed by (seed, n), which is faster and makes a resumed run
the unbroken one. No global generator is ever touched.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_M0, _M1 = 0xD2511F53, 0xCD9E8D57  # multipliers and key increments of Philox4x32, Salmon et al. table 2
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_MASK = 0xFFFFFFFF
_AHEAD = 32  # blocks


def seed_from(*parts: object) -> int:
    """A 63-bit seed that depends on all `parts`: how streams for different purposes are kept apart."""
    digest = hashlib.sha256("\x1f".join(map(repr, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


Words = TypeVar("Words", Tensor, NDArray[np.int64])


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Ten rounds of Philox4x32: four 32-bit words (held in int64) for each counter of four 32-bit words.

    Whole numbers, so arrays and tensors give the same bits; of the few numbers that a tile takes at a time numpy makes
    its own in a fifth of the time.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1  # wraps modulo 2^64; the shift below drops the sign
        c0, c1, c2, c3 = ((p1 >> 32) & _MASK) ^ c1 ^ k0, p1 & _MASK, ((p0 >> 32) & _MASK) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _W0) & _MASK, (k1 + _W1) & _MASK
    return c0, c1, c2, c3


class Noise(ABC):
    """A source of random numbers for a batch of B rows."""

    @staticmethod
    def rows(seed: int, indices: Sequence[int] | Tensor, device: torch.device | str = "cpu") -> Noise:
        """One stream per output: row r gets the stream of (seed, indices[r])."""
        return RowNoise(seed, torch.as_tensor(indices, dtype=torch.int64, device=device))

    @staticmethod
    def step(seed: int, n: int, batch: int, device: torch.device | str = "cpu") -> Noise:
        """One stream for training step `n`, shared by its `batch` rows."""
        return StepNoise(seed_from(seed, "step", n), batch, device)

    @property
    @abstractmethod
    def batch(self) -> int:
        """B, the number of rows."""

    @abstractmethod
    def uniform(self, *shape: int) -> Tensor:
        """Float32 (B, *shape), uniform on [0, 1)."""

    @abstractmethod
    def normal(self, *shape: int) -> Tensor:
        """Float32 (B, *shape), standard normal."""

    def integers(self, high: int, *shape: int) -> Tensor:
        """Int64 (B, *shape), uniform on 0..high-1."""
        return (self.uniform(*shape).double() * high).long().clamp_(max=high - 1)

    def choice(self, logits: Tensor, given: Tensor | None = None) -> Tensor:
        """One index for every distribution along the last axis of `logits` (B, ..., K), unnormalised log-probabilities.

        By inversion, one uniform for each: index = #{k : cdf(k) <= u}. Returns int64 (B, ...). `given`, int64 (B, t),
        are the symbols drawn before it, where there are such: plain chance does not look at them, keyed chance (a
        watermark) does.
        """
        cdf = torch.softmax(logits.double(), -1).cumsum(-1)
        u = self.uniform(*logits.shape[1:-1]).double().unsqueeze(-1) * cdf[..., -1:]
        return (cdf <= u).sum(-1).clamp_(max=logits.shape[-1] - 1)


class StepNoise(Noise):
    """One `torch.Generator` for the whole batch: fast, for training."""

    def __init__(self, seed: int, batch: int, device: torch.device | str = "cpu") -> None:
        self._batch = batch
        self._device = torch.device(device)
        self._generator = torch.Generator(self._device).manual_seed(seed)

    @property
    def batch(self) -> int:
        return self._batch

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand((self._batch, *shape), generator=self._generator, device=self._device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn((self._batch, *shape), generator=self._generator, device=self._device)


class RowNoise(Noise):
    """One Philox stream for every row: what row r draws does not depend on the other rows."""

    def __init__(self, seed: int, indices: Tensor) -> None:
        mixed = seed_from(seed, "rows")
        self._key = (mixed & _MASK, (mixed >> 32) & _MASK)
        self._indices = indices
        self._next = 0  # 128-bit blocks drawn so far from every stream
        self._held = torch.empty((len(indices), 0, 4), dtype=torch.int64)  # blocks computed ahead, the next one first

    @property
    def batch(self) -> int:
        return len(self._indices)

    def _words(self, count: int) -> Tensor:
        """Int64 (B, count) of 32-bit words, the next ones of every row's stream."""
        blocks = -(-count // 4)
        if self._held.shape[1] < blocks:
            # One symbol of a text takes one block: a few at once take no longer than one.
            self._held = self._blocks(blocks if self._next == 0 else max(blocks, _AHEAD))
        words, self._held = self._held[:, :blocks], self._held[:, blocks:]
        self._next += blocks
        return words.reshape(self.batch, -1)[:, :count]

    def _blocks(self, count: int) -> Tensor:
        """The next blocks of every row's stream, int64 (B, count, 4)."""
        if self._indices.device.type == "cpu":
            return self._blocks_here(count)
        block = torch.arange(self._next, self._next + count, device=self._indices.device).expand(self.batch, count)
        row = self._indices.unsqueeze(1).expand(self.batch, count)
        return torch.stack(philox((block & _MASK, block >> 32, row & _MASK, (row >> 32) & _MASK), self._key), -1)

    def _blocks_here(self, count: int) -> Tensor:
        """The same by numpy, on the processor."""
        block = np.broadcast_to(np.arange(self._next, self._next + count, dtype=np.int64), (self.batch, count))
        row = np.broadcast_to(self._indices.numpy()[:, None], (self.batch, count))
        words = philox((block & _MASK, block >> 32, row & _MASK, (row >> 32) & _MASK), self._key)
        return torch.from_numpy(np.stack(words, -1))

    def uniform(self, *shape: int) -> Tensor:
        words = self._words(math.prod(shape))
        return ((words >> 8).to(torch.float32) * 2.0**-24).reshape(self.batch, *shape)

    def normal(self, *shape: int) -> Tensor:
        # Box and Muller 1958, in float64: a last-bit difference between vector code paths is rounded away.
        count = math.prod(shape)
        pairs = -(-count // 2)
        words = self._words(2 * pairs).to(torch.float64)
        radius = torch.sqrt(-2.0 * torch.log((words[:, :pairs] + 1.0) * 2.0**-32))
        angle = words[:, pairs:] * (2.0 * math.pi * 2.0**-32)
        both = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], 1)
        return both[:, :count].to(torch.float32).reshape(self.batch, *shape)


class Replay(Noise):
    """Numbers given beforehand, in order: what a test feeds a sampler whose answer it knows."""

    def __init__(self, *tensors: Tensor) -> None:
        self._tensors = list(tensors)
        self._count = len(tensors[0])

    @property
    def batch(self) -> int:
        return self._count

    def uniform(self, *shape: int) -> Tensor:
        return self._tensors.pop(0).reshape(self._count, *shape)

    def normal(self, *shape: int) -> Tensor:
        return self._tensors.pop(0).reshape(self._count, *shape)
