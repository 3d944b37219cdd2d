"""A blend of two next-symbol models: p(w | h) = a p_1(w | h) + (1 - a) p_2(w | h)   (Jelinek & Mercer 1980).

Models of unlike kinds err on unlike symbols, and where one gives a symbol little the other's share bounds the loss:
-log p <= -log p_1 - log a. Counts remember rare strings, a network shares what it learns between contexts. The mixture
is taken symbol by symbol, so it is itself an exact next-symbol model. The weight a is given, not learnt.

One learner trains both parts. A part that counts is shown the whole training set once, before the first step; a part
that descends takes the loop's batches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from makar.core.config import build, to_plain
from makar.core.errors import CapabilityError, MakarError
from makar.core.learner import Batch, Learner
from makar.core.model import HasLogProb, LogProb, Model, PredictsNext, ScoresSymbols, Tiny
from makar.core.noise import Noise
from makar.core.registry import load
from makar.core.spaces import Classes, Space, Tokens


@dataclass(frozen=True)
class Config:
    first: str = "ngram"
    second: str = "transformer"
    weight: float = 0.5  # a, the first model's share
    first_config: dict[str, Any] = field(default_factory=dict)
    second_config: dict[str, Any] = field(default_factory=dict)


class Blend(Model, PredictsNext, HasLogProb, ScoresSymbols):
    """Two families of next-symbol models, mixed symbol by symbol.

    Raises CapabilityError for a part that does not say how likely each symbol is, MakarError for a weight outside
    (0, 1).
    """

    Config: TypeAlias = Config
    config: Config
    spaces = (Tokens,)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        if not 0.0 < config.weight < 1.0:
            raise MakarError(f"blend: weight is {config.weight}; it must lie between 0 and 1")
        self.parts = nn.ModuleList(
            [
                _part(space, condition, config.first, config.first_config),
                _part(space, condition, config.second, config.second_config),
            ]
        )

    @property
    def shares(self) -> tuple[float, float]:
        """Log-weights of the parts."""
        return math.log(self.config.weight), math.log1p(-self.config.weight)

    @property
    def length(self) -> int:
        return self.space.dimensions

    @property
    def end(self) -> int | None:
        return self.space.start if isinstance(self.space, Tokens) else None

    def next(self, prefix: Tensor, cache: Any, condition: Tensor | None = None) -> tuple[Tensor, Any]:
        caches = (None, None) if cache is None else cache
        mixed, kept = [], []
        for part, share, held in zip(self.parts, self.shares, caches, strict=True):
            assert isinstance(part, PredictsNext)
            logits, memory = part.next(prefix, held, condition)
            mixed.append(torch.log_softmax(logits.double(), 1) + share)
            kept.append(memory)
        return torch.logaddexp(*mixed).float(), tuple(kept)

    def finish(self, symbols: Tensor, noise: Noise) -> Tensor:
        return symbols

    def symbol_nats(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log-probability of each symbol, float64 (B, T); 0 where x is -1."""
        mixed = []
        for part, share in zip(self.parts, self.shares, strict=True):
            assert isinstance(part, ScoresSymbols)
            mixed.append(part.symbol_nats(x, condition).double() + share)
        return torch.where(x >= 0, torch.logaddexp(*mixed), 0.0)

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        """Exact, nats an item, float64 (B,)."""
        return LogProb(self.symbol_nats(x, condition).sum(1), "exact")

    def learner(self) -> Learner:
        return Together(self)

    def flops(self) -> float:
        """Of both parts; a part that takes one pass over all items is counted as if it took one at every step."""
        return sum(part.flops() for part in self.parts if isinstance(part, Model))

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        second = load("families", "transformer").tiny(space)
        config = Config(first_config={"order": 3}, second_config=to_plain(second.config))
        return Tiny(config, steps=60, bar=0.03, batch=second.batch)


class Together(Learner):
    """Trains the parts side by side; done when both are."""

    def __init__(self, model: Blend) -> None:
        self._weight = model.config.weight
        self._learners = [part.learner() for part in model.parts if isinstance(part, Model)]
        self._losses = [0.0, 0.0]  # the last of each part
        self.batch = min((learner.batch for learner in self._learners if learner.batch is not None), default=None)

    def prepare(self, x: Tensor, condition: Tensor | None) -> None:
        """Show every part the whole training set; a part that learns from nothing less learns here."""
        for i, learner in enumerate(self._learners):
            learner.prepare(x, condition)
            passes = 0
            while learner.batch is None and not learner.done:
                noise = Noise.step(i, passes, len(x), x.device)
                self._losses[i] = learner.step(Batch(x, condition), noise)["loss"]
                passes += 1

    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        """One step of every part that is not done; what they record is named first_* and second_*.

        "loss" is the weighted mean of the parts' last losses, which bounds the mixture's where both are of the same
        items (Jensen's inequality).
        """
        numbers: dict[str, float] = {}
        for i, (name, learner) in enumerate(zip(("first", "second"), self._learners, strict=True)):
            if not learner.done:
                found = learner.step(batch, noise)
                self._losses[i] = found["loss"]
                numbers |= {f"{name}_{key}": value for key, value in found.items()}
        self.done = all(learner.done for learner in self._learners)
        return {"loss": self._weight * self._losses[0] + (1.0 - self._weight) * self._losses[1], **numbers}

    def state_dict(self) -> dict[str, Any]:
        return {
            "parts": [learner.state_dict() for learner in self._learners],
            "done": [learner.done for learner in self._learners],
            "losses": list(self._losses),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for learner, saved, done in zip(self._learners, state["parts"], state["done"], strict=True):
            learner.load_state_dict(saved)
            learner.done = bool(done)
        self._losses = [float(v) for v in state["losses"]]

    def finish(self) -> None:
        for learner in self._learners:
            learner.finish()


def _part(space: Space, condition: Classes | None, name: str, given: dict[str, Any]) -> Model:
    family = load("families", name)
    if not (issubclass(family, PredictsNext) and issubclass(family, ScoresSymbols)):
        raise CapabilityError(f"blend: {name} does not say how likely each symbol is, so it cannot be mixed")
    part = family(space, condition, build(family.Config, given, f"blend: {name}"))
    assert isinstance(part, Model)
    return part
