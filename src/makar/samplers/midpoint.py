"""The midpoint method on the probability-flow ODE.

    x_s = x_t + (s - t) f(x_t + (m - t) f(x_t, t), m),     m = (t + s) / 2

Order 2, two evaluations a step; it never asks for the slope at sigma = 0. On straight paths four steps do.
"""

from __future__ import annotations

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
    steps: int = 4  # twice as many evaluations of the model
    guidance: float = 1.0  # strength of classifier-free guidance; 1 is the plain conditional model


class Midpoint(Sampler):
    """A whole step with the slope found half-way."""

    Config = Config
    takes = Denoises
    order = 2

    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        return walk(model, noise, condition, self.config.steps, self.config.guidance, _step)


def _step(flow: Flow, x: Tensor, mean: Tensor, t: Tensor, s: Tensor) -> Tensor:
    middle = 0.5 * (t + s)
    half = x + (middle - t) * flow.slope(x, mean, t)
    return x + (s - t) * flow.slope(half, flow.mean(half, middle), middle)
