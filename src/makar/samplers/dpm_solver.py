"""DPM-Solver++(2M) (Lu et al. 2022b, "DPM-Solver++: fast solver for guided sampling", algorithm 2).

In lambda = log(alpha / sigma) the probability-flow ODE has an exactly solvable linear part; what is left is an integral
of the denoised mean, extrapolated here from the last two evaluations:

    x_s = (sigma_s / sigma_t) x_t + (alpha_s - alpha_t sigma_s / sigma_t) D
    D   = mean_t + (mean_t - mean_u) h / (2 h_last),   h = lambda_s - lambda_t,   h_last = lambda_t - lambda_u

where u > t > s. Order 2, in lambda, for one evaluation a step. Where lambda is infinite, at pure noise and at clean
data, D = mean_t.
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
from makar.samplers._ode import Flow, walk


@dataclass(frozen=True)
class Config:
    steps: int = 20  # evaluations of the model
    guidance: float = 1.0  # strength of classifier-free guidance; 1 is the plain conditional model


class DPMSolver(Sampler):
    """A multistep exponential integrator: the best of the deterministic samplers at 5 to 10 evaluations."""

    Config = Config
    takes = Denoises
    order = 2

    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        memory = _Memory()
        return walk(model, noise, condition, self.config.steps, self.config.guidance, memory.step)


class _Memory:
    """The last denoised mean, and the step in lambda since."""

    def __init__(self) -> None:
        self._last: Tensor | None = None
        self._span = math.inf

    def step(self, flow: Flow, x: Tensor, mean: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """x_s from x_t and the last two means."""
        path = flow.schedule
        span = _log_ratio(flow, s) - _log_ratio(flow, t)
        guess = mean
        if self._last is not None and math.isfinite(span) and math.isfinite(self._span):
            guess = mean + (mean - self._last) * (span / (2.0 * self._span))
        self._last, self._span = mean, span
        fade = path.sigma(s) / path.sigma(t)
        return fade * x + (path.alpha(s) - path.alpha(t) * fade) * guess


def _log_ratio(flow: Flow, t: Tensor) -> float:
    """lambda(t) = log(alpha / sigma), infinite at the ends."""
    return float(flow.schedule.alpha(t).log() - flow.schedule.sigma(t).log())
