"""Heun's method on the probability-flow ODE (Karras et al. 2022, algorithm 1).

    x_s = x_t + (s - t) (f(x_t, t) + f(x', s)) / 2,     x' = x_t + (s - t) f(x_t, t)

Order 2, two evaluations a step but for the last, which is Euler's since the slope is not defined where sigma is 0
(one first-order step does not change the global order). Below some 15 evaluations it is worse than its rivals by far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from makar.core.model import Denoises
from makar.core.noise import Noise
from makar.core.sampler import Sampler
from makar.samplers._ode import heun_step, walk


@dataclass(frozen=True)
class Config:
    steps: int = 12  # 2 steps - 1 evaluations of the model: 23
    guidance: float = 1.0  # strength of classifier-free guidance; 1 is the plain conditional model


class Heun(Sampler):
    """The trapezoidal rule with Euler's step as its prediction."""

    Config = Config
    takes = Denoises
    order = 2

    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        return walk(model, noise, condition, self.config.steps, self.config.guidance, heun_step)
