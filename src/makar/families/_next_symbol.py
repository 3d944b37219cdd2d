"""What the families that predict the next symbol have in common: everything but the network in the middle.

log p(x) = sum_t log P(s_t | s_1, ..., s_(t-1), class) over the symbols of `_serial.Serial`. The network's input at
place t is the sum of learned vectors for what is known there: the place itself, the class, and each of a few symbols
before it (a table a neighbour, which also tells "there is none", so that the first place needs no start symbol).
Attention or recurrence brings the rest.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.core.learner import Batch, Descent, Learner, Optimiser
from makar.core.model import HasLogProb, LogProb, Model, PredictsNext, ScoresSymbols
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Space, Tokens
from makar.families._serial import Serial
from makar.nets.mlp import ClassEmbedding
from makar.nets.ordered import FreeEmbedding, OrderedEmbedding


def picture_batch(space: Space) -> int:
    """Pictures a step: as many as have some 1,500 values, which are as many examples of the next symbol."""
    return max(1, min(16, 1568 // space.dimensions))


class Stem(nn.Module):
    """Symbols so far to the network's input at each place whose symbol is to be predicted."""

    def __init__(self, serial: Serial, classes: int, width: int) -> None:
        super().__init__()
        neighbours = serial.neighbours()
        self.outside = serial.vocab  # stands for a neighbour that there is none of
        self.register_buffer("neighbours", neighbours + 1, persistent=False)
        self.register_buffer("coordinates", serial.coordinates(), persistent=False)
        self.neighbours: Tensor
        self.coordinates: Tensor
        kind = OrderedEmbedding if isinstance(serial.space, Levels) else FreeEmbedding
        self.symbols = kind(neighbours.shape[1], serial.vocab + 1, width)
        axes = self.coordinates.amax(0).tolist() if self.coordinates.shape[1] else []
        self.places = nn.ModuleList(nn.Embedding(top + 1, width) for top in axes)
        for table in self.places.children():
            nn.init.normal_(table.weight, std=0.5)  # type: ignore[arg-type]
        self.label = ClassEmbedding(classes, width) if classes else None

    def forward(self, symbols: Tensor, begin: int, labels: Tensor) -> Tensor:
        """Inputs (B, t + 1 - begin, width) at places begin..t, given the t symbols before place t, int64 (B, t)."""
        count = symbols.shape[1]
        known = F.pad(symbols, (1, 0), value=-1)
        known = torch.where(known < 0, self.outside, known)
        h: Tensor = self.symbols(known[:, self.neighbours[begin : count + 1]])
        for axis, table in enumerate(self.places):
            h = h + table(self.coordinates[begin : count + 1, axis])
        return h if self.label is None else h + self.label(labels)[:, None]


class NextSymbol(Model, PredictsNext, HasLogProb, ScoresSymbols, ABC):
    """A model of the next symbol, given a `trunk`; the cache is how many places it has seen and the trunk's own."""

    serial: Serial

    def __init__(
        self, space: Space, condition: Classes | None, config: Any, width: int, bins: int, drop: float
    ) -> None:
        super().__init__(space, condition, config)
        self.serial = Serial(space, bins)
        self.stem = Stem(self.serial, self.classes, width)
        self.head = nn.Linear(width, self.serial.vocab)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self._drop = drop

    @abstractmethod
    def trunk(self, h: Tensor, cache: Any, noise: Noise | None) -> tuple[Tensor, Any]:
        """Inputs (B, n, width) at the places after the cache's to outputs of that shape, and the longer cache.

        `noise` is that of training, for dropout, or None.
        """

    @property
    def length(self) -> int:
        return self.serial.length

    @property
    def end(self) -> int | None:
        return self.space.start if isinstance(self.space, Tokens) else None

    def _logits(self, h: Tensor, begin: int) -> Tensor:
        """Outputs (B, n, width) at places begin.. to logits (B, n, V), -inf for what cannot stand there."""
        logits: Tensor = self.head(h)
        allowed = self.serial.allowed()
        if allowed is not None:
            logits = logits.masked_fill(~allowed[begin : begin + h.shape[1]], -math.inf)
        return logits

    def _symbol_nats(self, symbols: Tensor, labels: Tensor, noise: Noise | None) -> Tensor:
        """log P of each symbol (B, T) given those before it, float32 nats, 0 where it is -1."""
        h, _ = self.trunk(self.stem(symbols[:, :-1], 0, labels), None, noise)
        logits = self._logits(h, 0)
        nats = F.cross_entropy(logits.flatten(0, 1), symbols.flatten(), ignore_index=-1, reduction="none")
        return torch.neg(nats).reshape(symbols.shape)

    def symbol_nats(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        symbols = self.serial.encode(x)
        nats = self._symbol_nats(symbols, self.labels(condition, len(x)), None)
        volume = self.serial.volume(x, symbols)
        return nats if volume is None else (nats + volume).float()

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        return LogProb(self.symbol_nats(x, condition).sum(1), "exact")

    def next(self, prefix: Tensor, cache: Any, condition: Tensor | None = None) -> tuple[Tensor, Any]:
        begin, inner = cache if cache is not None else (0, None)
        count = prefix.shape[1]
        if not begin <= count < self.length:
            raise ValueError(f"the prefix has {count} symbols; it must have {begin} to {self.length - 1}")
        h, inner = self.trunk(self.stem(prefix, begin, self.labels(condition, len(prefix))), inner, None)
        return self._logits(h[:, -1:], count)[:, 0], (count + 1, inner)

    def finish(self, symbols: Tensor, noise: Noise) -> Tensor:
        return self.serial.decode(symbols, noise)

    def loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Negative log-likelihood of a batch, nats an item, (B,); some labels are withheld."""
        labels = self.labels(batch.condition, len(batch.x))
        if self.classes:
            labels = torch.where(noise.uniform() < self._drop, -1, labels)
        symbols = self.serial.encode(batch.x)
        if self.end is not None:  # nothing depends on what is behind the longest item of the batch
            symbols = symbols[:, : max(1, int((symbols >= 0).sum(1).max()))]
        loss = -self._symbol_nats(symbols, labels, noise).sum(1)
        volume = self.serial.volume(batch.x, symbols)
        return loss if volume is None else loss - volume.sum(1).float()

    @torch.no_grad()
    def prepare(self, x: Tensor) -> None:
        """Learn from training items what gradients cannot: the bins; and start the output at the symbols' shares."""
        self.serial.learn(x)
        symbols = self.serial.encode(x)
        counts = torch.bincount(symbols[symbols >= 0], minlength=self.serial.vocab) + 0.1
        self.head.bias.copy_((counts / counts.sum()).log())

    def descent(self, settings: Optimiser) -> Learner:
        """The learner, with these settings."""
        return SerialDescent(self, self.loss, self.length, self.prepare, settings)

    def stem_flops(self) -> float:
        """Floating-point operations of a forward pass for one item outside the trunk."""
        adds = self.stem.neighbours.shape[1] + len(self.stem.places)
        return self.length * float(2 * self.head.weight.numel() + adds * self.head.in_features)


class SerialDescent(Learner):
    """Gradient descent on nats a symbol, which keeps gradients of one size for any length; reports nats an item."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Batch, Noise], Tensor],
        length: int,
        prepare: Callable[[Tensor], None],
        settings: Optimiser,
    ) -> None:
        """`loss` gives nats an item, (B,), `prepare` is shown the whole training set once."""
        self._descent = Descent(model, lambda batch, noise: loss(batch, noise) / length, settings)
        self._length = length
        self._prepare = prepare
        self.batch = settings.batch
        self.settings = settings

    def prepare(self, x: Tensor, condition: Tensor | None) -> None:
        self._prepare(x)

    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        numbers = self._descent.step(batch, noise)
        return numbers | {"loss": numbers["loss"] * self._length}

    def state_dict(self) -> dict[str, Any]:
        return self._descent.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._descent.load_state_dict(state)

    def finish(self) -> None:
        self._descent.finish()
