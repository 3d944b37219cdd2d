"""DDIM (Song, Meng & Ermon 2020, "Denoising diffusion implicit models", eq. 12), from deterministic to ancestral.

    x_s = alpha_s E[x | x_t] + sqrt(sigma_s^2 - tau^2) eps + tau z,     z ~ N(0, I)

tau is `eta` times the standard deviation of q(x_s | x_t, x). eta = 0 solves the probability-flow ODE to order 1 and
equals Euler's method wherever alpha and sigma are linear in t; eta = 1 is the ancestral sampler of DDPM (Ho, Jain &
Abbeel 2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import Denoises
from makar.core.noise import Noise
from makar.core.sampler import Sampler
from makar.nets.schedules import ancestral
from makar.samplers._ode import Flow, walk


@dataclass(frozen=True)
class Config:
    steps: int = 25  # evaluations of the model
    eta: float = 0.0  # 0 is deterministic, 1 ancestral
    guidance: float = 1.0  # strength of classifier-free guidance; 1 is the plain conditional model


class DDIM(Sampler):
    """Jump to the clean estimate and back to the next noise level, with old noise, fresh noise or some of both."""

    Config = Config
    takes = Denoises
    order = 1  # at eta = 0

    def __init__(self, config: Any) -> None:
        if not 0.0 <= config.eta <= 1.0:
            raise MakarError(f"the sampler 'ddim' was given eta={config.eta}; give a number from 0 to 1")
        super().__init__(config)

    def partials(self, model: Any, noise: Noise, condition: Tensor | None = None) -> Iterator[Tensor]:
        eta: float = self.config.eta

        def step(flow: Flow, x: Tensor, mean: Tensor, t: Tensor, s: Tensor) -> Tensor:
            fresh = noise.normal(*x.shape[1:]) if eta else x
            return ancestral(flow.schedule, x, mean, t, s, eta, fresh)

        return walk(model, noise, condition, self.config.steps, self.config.guidance, step)
