"""Learners: what turns batches into a better model.

One loop, `for batch: learner.step(batch, noise)`, serves gradient descent, two players, counting and
expectation-maximisation alike. `Descent` is the learner of every family that minimises one loss.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from makar.core.errors import NonFinite
from makar.core.noise import Noise


@dataclass(frozen=True)
class Batch:
    """What a learner is given: items (B, ...), labels (B,) or None, and the share of the budget already used."""

    x: Tensor
    condition: Tensor | None = None
    progress: float = 0.0


class Learner(ABC):
    """Holds what training needs beyond the model: optimisers, averages, counts."""

    batch: int | None = None
    """Items a step, or None for the whole training set in its own order."""

    settings: Optimiser | None = None
    """How it descends, where it does so at one learning rate, which is its family's `rate` or in its `optimiser`."""

    done: bool = False
    """True once further steps would change nothing (counting after its one pass, converged EM)."""

    def prepare(self, x: Tensor, condition: Tensor | None) -> None:
        """Look once at the whole training set before the first step (bins of a numeric column, the data's scale)."""

    @abstractmethod
    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        """One step; returns numbers to record, always with "loss" (nats an item where there is a likelihood)."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs beyond the model's own state."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""

    def finish(self) -> None:
        """Settle the model after the last step (put the averaged weights in place, say)."""


@dataclass(frozen=True)
class Optimiser:
    """How gradients become steps: AdamW, warm-up then cosine over the budget, clipping, an average of the weights."""

    rate: float = 2e-3
    batch: int = 128
    beta1: float = 0.9
    beta2: float = 0.99
    decay: float = 0.01  # AdamW's weight decay, on matrices only
    clip: float = 1.0  # largest gradient norm
    warmup: float = 0.03  # share of the budget
    average: float = 0.999  # decay of the moving average of the weights; 0 keeps none


def annealed(progress: float, warmup: float) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine to 0 at progress 1."""
    if progress < warmup:
        return max(progress / warmup, 0.01)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (progress - warmup) / (1.0 - warmup))))


def adamw(parameters: Iterable[nn.Parameter], settings: Optimiser) -> torch.optim.AdamW:
    """Fused AdamW with decay on matrices only."""
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    return torch.optim.AdamW(groups, lr=settings.rate, betas=(settings.beta1, settings.beta2), fused=True)


def take_step(optimiser: torch.optim.Optimizer, rate: float, clip: float) -> float:
    """Clip the gradients, refuse if they are not finite, set the rate, step. Returns the norm before clipping.

    Raises NonFinite before any weight has changed.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, clip))
    if not math.isfinite(norm):
        optimiser.zero_grad(set_to_none=True)
        raise NonFinite(
            f"the gradient's norm is {norm}; the step was not taken; lower the learning rate or look at the data"
        )
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return norm


class Average:
    """Exponential moving average of a module's parameters, with the ramp (1 + n) / (10 + n) at the start."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._parameters: list[Tensor] = list(module.parameters())
        self._decay = decay
        self.count = 0
        self.values = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the weights as they are now."""
        self.count += 1
        decay = min(self._decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(self.values, self._parameters, 1.0 - decay)

    @torch.no_grad()
    def put(self) -> None:
        """Write the average into the module."""
        for parameter, value in zip(self._parameters, self.values, strict=True):
            parameter.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "values": [v.clone() for v in self.values]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = int(state["count"])
        for value, saved in zip(self.values, state["values"], strict=True):
            value.copy_(saved)


class Descent(Learner):
    """Gradient descent on one loss, shape (B,): the learner of most families."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Batch, Noise], Tensor],
        settings: Optimiser,
        look: Callable[[Tensor], None] | None = None,
    ) -> None:
        """`look` is shown the whole training set once, before the first step."""
        self.batch = settings.batch
        self._look = look
        self._model = model
        self.loss = loss
        self.settings: Optimiser = settings
        self._optimiser = adamw(model.parameters(), settings)
        self._average = Average(model, settings.average) if settings.average else None

    def prepare(self, x: Tensor, condition: Tensor | None) -> None:
        if self._look is not None:
            self._look(x)

    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        if not self._model.training:  # to walk through all modules takes time
            self._model.train()
        loss = self.loss(batch, noise).mean()
        value = loss.item()
        if not math.isfinite(value):
            raise NonFinite(f"the loss is {value}; the step was not taken; lower the learning rate or look at the data")
        loss.backward()
        rate = self.settings.rate * annealed(batch.progress, self.settings.warmup)
        norm = take_step(self._optimiser, rate, self.settings.clip)
        if self._average is not None:
            self._average.update()
        return {"loss": value, "gradient_norm": norm}

    def state_dict(self) -> dict[str, Any]:
        average = None if self._average is None else self._average.state_dict()
        return {"optimiser": self._optimiser.state_dict(), "average": average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._optimiser.load_state_dict(state["optimiser"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def finish(self) -> None:
        if self._average is not None:
            self._average.put()
        self._model.eval()
