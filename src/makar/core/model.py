"""Models: what is learnt, and how one draws from it.

A model is written for a space. It generates by exactly one of three capabilities (`Draws`, `Denoises`,
`PredictsNext`), which `verbs/sample.py` pairs with a sampler; it adds the others where its mathematics has them.
Capabilities are found by type, never by a flag.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from makar.core.learner import Learner
from makar.core.noise import Noise
from makar.core.spaces import Classes, Space


@dataclass(frozen=True)
class LogProb:
    """Log-likelihoods of a batch, in nats an item, shape (B,), and what kind of number they are.

    `exact` is log p(x); `lower` is a bound whose expectation lies below it; `estimate` may lie on either side.
    Unlike kinds are never compared silently.
    """

    nats: Tensor
    kind: Literal["exact", "lower", "estimate"]


@dataclass(frozen=True)
class Tiny:
    """A model small enough to learn the laws' problem for its space within seconds, and the bar that says it has.

    The laws give every space a problem with a known answer and a distance between 512 samples and 512 held-out items
    (see `tests/laws/problems.py`); after `steps` learner steps with batches of `batch` the distance must be <= `bar`.
    """

    config: Any
    steps: int
    bar: float
    batch: int = 128


class Model(nn.Module, ABC):
    """A family's model: parameters and buffers, a space, perhaps a condition, and a learner.

    A subclass is final. It sets `Config`, a frozen dataclass with a default for every field, and `spaces`, the kinds
    of space it can be written for, and is constructed as `Family(space, condition, config)`.
    """

    Config: ClassVar[type[Any]]
    spaces: ClassVar[tuple[type[Any], ...]]

    def __init__(self, space: Space, condition: Classes | None, config: Any) -> None:
        super().__init__()
        self.space = space
        self.condition = condition
        self.config = config

    @classmethod
    def memory(cls, space: Space, condition: Classes | None, config: Any, items: int) -> int:
        """Bytes that a training on so many items holds at most beside them, foreseen before anything is made.

        0 says that it is little beside the data, which is so where parameters are shared between dimensions.
        """
        return 0

    @abstractmethod
    def learner(self) -> Learner:
        """What turns batches into a better model."""

    @classmethod
    @abstractmethod
    def tiny(cls, space: Space) -> Tiny:
        """The problem that it must learn within seconds."""

    @abstractmethod
    def flops(self) -> float:
        """Floating-point operations of one training step for one item (forward and backward), counted by hand."""

    @property
    def classes(self) -> int:
        """How many classes it is conditioned on; 0 where there is no condition."""
        return 0 if self.condition is None else self.condition.count

    def labels(self, condition: Tensor | None, batch: int) -> Tensor:
        """The condition as int64 (B,), with -1 wherever none is given."""
        if condition is not None:
            return condition
        device = next(chain(self.parameters(), self.buffers())).device
        return torch.full((batch,), -1, dtype=torch.int64, device=device)

    def restore(self, state: dict[str, Tensor]) -> None:
        """Load a state whose buffers may have sizes that depend on the data (the counts of an n-gram, say)."""
        for name, value in state.items():
            owner_name, _, leaf = name.rpartition(".")
            owner = self.get_submodule(owner_name)
            held = owner._buffers.get(leaf)
            if leaf in owner._buffers and (held is None or held.shape != value.shape):
                owner.register_buffer(leaf, torch.empty_like(value))
        self.load_state_dict(state, strict=True)


class Draws(ABC):
    """Generates in one pass."""

    @abstractmethod
    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """One item of the space for every row of `noise`; `condition` is int64 (B,) or None."""


@dataclass(frozen=True)
class Posterior:
    """What is believed of the clean x given x_t: its mean E[x | x_t], shape of x_t."""

    mean: Tensor


class Schedule(ABC):
    """A path x_t = alpha(t) x + sigma(t) eps from data (t near `end`) to noise (t = `start`); eps ~ N(0, I).

    Times are float64 tensors. The marginal at `start` is taken to be N(0, prior_std^2 I).
    """

    start: float
    end: float

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """How much of the datum is left at time t."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """How much noise there is at time t."""

    @abstractmethod
    def slope(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The derivatives (d alpha / dt, d sigma / dt)."""

    @abstractmethod
    def grid(self, steps: int) -> Tensor:
        """steps + 1 decreasing times from `start` to the clean end, where sigma is 0; float64."""

    @property
    @abstractmethod
    def prior_std(self) -> float:
        """Standard deviation of x_t at `start`."""


class Denoises(ABC):
    """Generates by removing noise step by step; any sampler that takes a denoiser takes it."""

    default_sampler: ClassVar[str]

    @property
    def sampler_settings(self) -> dict[str, float]:
        """Settings of that sampler that suit this model better than the sampler's own."""
        return {}

    @property
    @abstractmethod
    def schedule(self) -> Schedule:
        """The path between data and noise."""

    @property
    @abstractmethod
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one x_t."""

    @abstractmethod
    def denoise(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Posterior:
        """The posterior of the clean datum given x_t (B, *latent_shape) at times t (B,), float32."""

    @abstractmethod
    def finish(self, x: Tensor, noise: Noise) -> Tensor:
        """A clean latent (B, *latent_shape) as an item of the space."""


class PredictsNext(ABC):
    """Generates symbol by symbol."""

    default_sampler: ClassVar[str] = "ancestral"

    @property
    @abstractmethod
    def length(self) -> int:
        """How many symbols the model sees at a time: a whole item, or a window of a text."""

    @property
    def end(self) -> int | None:
        """The symbol after which an item that is drawn has nothing more; None where each has `length` symbols."""
        return None

    @abstractmethod
    def next(self, prefix: Tensor, cache: Any, condition: Tensor | None = None) -> tuple[Tensor, Any]:
        """Logits (B, V) of the symbol that follows `prefix`, int64 (B, t) with t >= 0, and a cache.

        `cache` is None or what the last call returned, in which case `prefix` is the last call's prefix with symbols
        appended. Logits are -inf for symbols that cannot stand there. A cached call gives the logits of an uncached.
        """

    @abstractmethod
    def finish(self, symbols: Tensor, noise: Noise) -> Tensor:
        """All symbols, int64 (B, length) or, where there is an `end`, (B, t), as an item of the space."""


class HasLogProb(ABC):
    """Has a likelihood, or a bound or an estimate of it."""

    @abstractmethod
    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        """Log-likelihood of items of the space, in nats an item, shape (B,).

        For `Levels` and `Tokens` it is a log-probability; for `Reals` a log-density; for `Columns` the density of the
        numeric and the probability of the categorical columns. On `Tokens`, -1 ends an item and is not scored.
        """


class Encodes(ABC):
    """Has latents to interpolate, steer, or build on."""

    @abstractmethod
    def encode(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Latents of a batch."""

    @abstractmethod
    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Items of the space from latents, without chance."""


class Completes(ABC):
    """Fills in what is missing."""

    @abstractmethod
    def complete(self, x: Tensor, mask: Tensor, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """Items equal to `x` where `mask` (bool, shape of x) is True, drawn where it is False."""


class Streams(ABC):
    """Shows results as they form."""

    @abstractmethod
    def partials(self, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        """Items of the space, each nearer to the last, which is what the model's usual way of drawing returns."""


class ScoresSymbols(ABC):
    """Says of every symbol of a sequence how likely it was, so that models can be mixed symbol by symbol."""

    @abstractmethod
    def symbol_nats(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log-probability of each symbol given those before it, in nats; int64 x (B, T) to (B, T).

        0 where `x` is -1. A picture (B, *shape) gives (B, dimensions), in the order in which it is read. The sum over
        the symbols is the item's exact log-probability.
        """
