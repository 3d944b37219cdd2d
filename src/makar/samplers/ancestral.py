"""Ancestral sampling: symbol by symbol, each from the model's distribution given those before it.

What is drawn from may be sharpened or cut, in this order:

    repetition penalty r   a logit of a symbol drawn before is divided by r where positive, multiplied where negative
                           (Keskar et al. 2019, eq. 2, in the form that is indifferent to the logit's sign)
    temperature T          softmax(logits / T); 0 takes the most likely symbol
    top k                  only the k most likely symbols                            (Fan et al. 2018)
    top p                  only the fewest symbols that hold a mass of at least p    (nucleus; Holtzman et al. 2020)

With all left alone, items follow the model's distribution exactly.

An item ends with the model's `end` symbol, where it has one; -1 stands behind it. It may be longer than the model sees
at a time (`limit`): see `_window`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import PredictsNext
from makar.core.noise import Noise
from makar.core.sampler import Sampler
from makar.samplers._window import Window


@dataclass(frozen=True)
class Config:
    temperature: float = 1.0
    top_k: int = 0  # 0 keeps all
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    prompt: tuple[int, ...] = ()  # symbols that every item begins with
    limit: int = 0  # symbols of an item at most, its prompt included; 0: as many as the model sees at a time
    never: tuple[int, ...] = ()  # symbols that are not drawn

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1 or self.repetition_penalty <= 0:
            raise MakarError(
                "a sampler needs temperature >= 0, top_k >= 0, 0 < top_p <= 1 and repetition_penalty > 0; given "
                f"{self.temperature}, {self.top_k}, {self.top_p} and {self.repetition_penalty}"
            )


def penalised(logits: Tensor, drawn: Tensor, penalty: float) -> Tensor:
    """Logits (B, V) with those of the symbols int64 (B, t), t >= 1, made less likely."""
    seen = logits.gather(1, drawn)
    return logits.scatter(1, drawn, torch.where(seen > 0, seen / penalty, seen * penalty))


def truncated(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Logits (B, V) with -inf for all but the `top_k` most likely symbols (0: all), then for all but the nucleus."""
    if 0 < top_k < logits.shape[1]:
        values, index = logits.topk(top_k, 1)
        logits = torch.full_like(logits, -math.inf).scatter(1, index, values)
    if top_p < 1.0:
        ordered, index = logits.sort(dim=1, descending=True, stable=True)
        mass = ordered.double().softmax(1)
        outside = mass.cumsum(1) - mass >= top_p  # the mass before it is enough already; never the first symbol
        logits = logits.scatter(1, index, ordered.masked_fill(outside, -math.inf))
    return logits


class Ancestral(Sampler):
    Config = Config
    takes = PredictsNext

    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        """Symbols so far, int64 (B, t), after each one drawn, until every item has ended or is at its limit.

        Raises MakarError where the prompt is longer than an item may be.
        """
        config: Config = self.config
        window = Window(model, condition, config.prompt, config.limit)
        symbols, filled = window.begun(noise.batch), len(config.prompt)
        ended = torch.zeros(noise.batch, dtype=torch.bool, device=symbols.device)
        if filled == window.limit:
            yield symbols
        while filled < window.limit and not bool(ended.all()):
            drawn = self.choose(window.logits(symbols[:, :filled]), symbols[:, :filled], noise)
            drawn = torch.where(ended, -1, drawn.to(ended.device))
            symbols[:, filled] = drawn
            filled += 1
            if model.end is not None:
                ended = (drawn < 0) | (drawn == model.end)
            yield symbols[:, :filled]

    def choose(self, logits: Tensor, symbols: Tensor, noise: Noise) -> Tensor:
        """The next symbol int64 (B,), given the model's logits (B, V) and the symbols so far."""
        config: Config = self.config
        if config.never:
            logits = logits.index_fill(1, torch.tensor(config.never, device=logits.device), -math.inf)
        if config.repetition_penalty != 1.0 and symbols.shape[1]:
            logits = penalised(logits, symbols.clamp(min=0).to(logits.device), config.repetition_penalty)
        if config.temperature == 0.0:
            return logits.argmax(1)
        return noise.choice(truncated(logits / config.temperature, config.top_k, config.top_p), symbols)
