"""Paths between data and noise: x_t = alpha(t) x + sigma(t) eps, with eps ~ N(0, I).

VarianceExploding   alpha = 1,      sigma = t   on [least, most]   (Karras et al. 2022, "Elucidating the design space of
                                                                    diffusion-based generative models", section 3)
StraightPath        alpha = 1 - t,  sigma = t   on [0, 1]          (Lipman et al. 2022, "Flow matching for generative
                                                                    modeling"; Liu et al. 2022, rectified flow)

Two moves hold on any such path, and samplers and inpainting are made of them: a draw at an earlier time given the clean
datum (`ancestral`), and a draw at a later time given the present (`renoise`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from makar.core.model import Schedule


class VarianceExploding(Schedule):
    """Noise is added and the datum is left as it is; sigma itself is the time."""

    def __init__(self, least: float = 0.02, most: float = 20.0, rho: float = 7.0) -> None:
        self.start = most
        self.end = least
        self._rho = rho

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def slope(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(t), torch.ones_like(t)

    def grid(self, steps: int) -> Tensor:
        """Equal steps in sigma^(1/rho) from `most` to `least`, then 0 (Karras et al. eq. 5)."""
        root = torch.linspace(self.start ** (1 / self._rho), self.end ** (1 / self._rho), steps, dtype=torch.float64)
        times = root**self._rho
        times[0] = self.start  # to the last bit
        return torch.cat([times, times.new_zeros(1)])

    @property
    def prior_std(self) -> float:
        return self.start


class StraightPath(Schedule):
    """The datum fades as the noise grows, so that paths are straight lines of velocity eps - x."""

    start = 1.0
    end = 0.0

    def alpha(self, t: Tensor) -> Tensor:
        return 1.0 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def slope(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(t), torch.ones_like(t)

    def grid(self, steps: int) -> Tensor:
        """Equal steps from 1 to 0."""
        return torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)

    @property
    def prior_std(self) -> float:
        return 1.0


def predicted_noise(schedule: Schedule, x: Tensor, mean: Tensor, t: Tensor) -> Tensor:
    """The eps that x_t = `x` holds if the clean datum is `mean`; float64 scalar t with sigma(t) > 0."""
    eps: Tensor = (x - schedule.alpha(t) * mean) / schedule.sigma(t)
    return eps


def ancestral(schedule: Schedule, x: Tensor, mean: Tensor, t: Tensor, s: Tensor, eta: float, fresh: Tensor) -> Tensor:
    """x_s from x_t = `x`, s < t, with the clean datum taken to be `mean` (Song et al. 2020, DDIM, eq. 12 and 16).

    x_s = alpha_s mean + sqrt(sigma_s^2 - tau^2) eps + tau fresh, where tau is eta times the standard deviation of
    q(x_s | x_t, x): eta = 0 is the deterministic DDIM, eta = 1 the ancestral draw of Ho et al. 2020.
    """
    sigma_s = schedule.sigma(s)
    kept = schedule.alpha(t) * sigma_s / (schedule.alpha(s) * schedule.sigma(t))
    tau = eta * sigma_s * (1.0 - kept.square()).clamp(min=0.0).sqrt()
    direction = (sigma_s.square() - tau.square()).clamp(min=0.0).sqrt()
    moved = schedule.alpha(s) * mean + direction * predicted_noise(schedule, x, mean, t)
    return moved if eta == 0.0 else moved + tau * fresh


def renoise(schedule: Schedule, x: Tensor, s: Tensor, t: Tensor, fresh: Tensor) -> Tensor:
    """x_t drawn from q(x_t | x_s = x), s < t: the forward process, by which the marginals stay what they are."""
    fade = schedule.alpha(t) / schedule.alpha(s)
    grown = (schedule.sigma(t).square() - (fade * schedule.sigma(s)).square()).clamp(min=0.0).sqrt()
    return fade * x + grown * fresh
