"""Euler's method on the probability-flow ODE: x_s = x_t + (s - t) dx/dt. One evaluation a step, order 1."""

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
    steps: int = 32  # evaluations of the model
    guidance: float = 1.0  # strength of classifier-free guidance; 1 is the plain conditional model


class Euler(Sampler):
    """The simplest solver: straight to where the present slope points."""

    Config = Config
    takes = Denoises
    order = 1

    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        return walk(model, noise, condition, self.config.steps, self.config.guidance, _step)


def _step(flow: Flow, x: Tensor, mean: Tensor, t: Tensor, s: Tensor) -> Tensor:
    return x + (s - t) * flow.slope(x, mean, t)
