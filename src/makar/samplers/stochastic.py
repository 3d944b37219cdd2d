"""The stochastic sampler of EDM (Karras et al. 2022, algorithm 2): Heun's method, with a little noise put back.

Before every step from t, noise is added until the time is t' = min((1 + gamma) t, start), where
gamma = min(churn / steps, sqrt 2 - 1) for t within [low, high]; then a Heun step goes from t' to s. Adding noise by the
forward process keeps the marginals, and what is drawn anew is purged of the errors of earlier steps. churn = 0 is
Heun's method. Unlike the paper's, t' never lies beyond `start`, where no model was trained. For ancestral sampling, the
other way to be stochastic, see `ddim` with eta = 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from makar.core.model import Denoises
from makar.core.noise import Noise
from makar.core.sampler import Sampler
from makar.nets.schedules import renoise
from makar.samplers._ode import begin, heun_step


@dataclass(frozen=True)
class Config:
    steps: int = 12
    churn: float = 4.0  # how much noise is put back over the whole walk
    low: float = 0.05  # times between which it is
    high: float = 10.0
    guidance: float = 1.0  # strength of classifier-free guidance; 1 is the plain conditional model


class Stochastic(Sampler):
    """A walk that takes one step back for every few forward; 2 steps - 1 evaluations of the model."""

    Config = Config
    takes = Denoises

    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        config: Config = self.config
        flow, x, spans = begin(model, noise, condition, config.steps, config.guidance)
        gamma = min(config.churn / config.steps, math.sqrt(2.0) - 1.0)
        for t, s in spans:
            churned = (t * (1.0 + gamma)).clamp(max=flow.schedule.start)
            if config.low <= float(t) <= config.high and float(churned) > float(t):
                x = renoise(flow.schedule, x, t, churned, noise.normal(*x.shape[1:]))
            else:
                churned = t
            mean = flow.mean(x, churned)
            yield mean
            x = heun_step(flow, x, mean, churned, s)
        yield x
