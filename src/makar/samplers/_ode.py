"""The probability-flow ODE of a denoiser, and the walk down its schedule that every solver shares.

    dx/dt = alpha'(t) E[x | x_t] + sigma'(t) eps,     eps = (x_t - alpha E[x | x_t]) / sigma

has the same marginals as the noising process (Song et al. 2020, "Score-based generative modeling through SDEs",
eq. 13, written for a denoiser), so its solution from N(0, prior_std^2 I) at `start` is a draw of the data. Times are
float64 scalars, states float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import Denoises, Schedule
from makar.core.noise import Noise
from makar.nets.schedules import predicted_noise
from makar.samplers._guidance import guided


@dataclass(frozen=True)
class Flow:
    """A denoiser with its condition, as the right-hand side of an ODE."""

    model: Denoises
    condition: Tensor | None

    @property
    def schedule(self) -> Schedule:
        return self.model.schedule

    def mean(self, x: Tensor, t: Tensor) -> Tensor:
        """E[x | x_t] for float64 scalar t."""
        return self.model.denoise(x, t.to(x.dtype).expand(len(x)), self.condition).mean

    def slope(self, x: Tensor, mean: Tensor, t: Tensor) -> Tensor:
        """dx/dt at x_t = `x`, whose denoised mean is `mean`; sigma(t) > 0."""
        d_alpha, d_sigma = self.schedule.slope(t)
        return d_alpha * mean + d_sigma * predicted_noise(self.schedule, x, mean, t)


def begin(
    model: Any, noise: Noise, condition: Tensor | None, steps: int, guidance: float
) -> tuple[Flow, Tensor, list[tuple[Tensor, Tensor]]]:
    """The flow, pure noise at the schedule's start, and the (t, s) of every step from there to the clean end."""
    if steps < 1:
        raise MakarError(f"a sampler was given steps={steps}; give at least 1")
    flow = Flow(guided(model, guidance), condition)
    x = noise.normal(*flow.model.latent_shape) * flow.schedule.prior_std
    return flow, x, list(pairwise(flow.schedule.grid(steps).to(x.device)))


Step = Callable[[Flow, Tensor, Tensor, Tensor, Tensor], Tensor]
"""(flow, x_t, its denoised mean, t, s) to x_s."""


def walk(
    model: Any, noise: Noise, condition: Tensor | None, steps: int, guidance: float, step: Step
) -> Iterator[Tensor]:
    """From noise to data: yields the denoised mean at every time, and at last x at the clean end."""
    flow, x, spans = begin(model, noise, condition, steps, guidance)
    for t, s in spans:
        mean = flow.mean(x, t)
        yield mean
        x = step(flow, x, mean, t, s)
    yield x


def heun_step(flow: Flow, x: Tensor, mean: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """x_s from x_t by Heun's rule, by Euler's where sigma(s) is 0."""
    first = flow.slope(x, mean, t)
    guess = x + (s - t) * first
    if float(flow.schedule.sigma(s)) == 0.0:
        return guess
    return x + (s - t) * 0.5 * (first + flow.slope(guess, flow.mean(guess, s), s))
