"""Classifier-free guidance (Ho & Salimans 2022, "Classifier-free diffusion guidance", eq. 6).

    E_w[x | x_t, c] = E[x | x_t] + w (E[x | x_t, c] - E[x | x_t])

w = 1 is the plain conditional model; w > 1 trades variety for agreement with the class. It is a denoiser that wraps a
denoiser, so every sampler takes it unchanged.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from makar.core.model import Denoises, Posterior, Schedule
from makar.core.noise import Noise


class Guided(Denoises):
    """A denoiser pushed towards its condition with strength `scale`."""

    default_sampler = "euler"

    def __init__(self, model: Denoises, scale: float) -> None:
        self._model = model
        self._scale = scale

    @property
    def schedule(self) -> Schedule:
        return self._model.schedule

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self._model.latent_shape

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Posterior:
        asked = self._model.denoise(x, t, condition)
        if condition is None:
            return asked
        plain = self._model.denoise(x, t, None)
        return Posterior(plain.mean + self._scale * (asked.mean - plain.mean))

    def finish(self, x: Tensor, noise: Noise) -> Tensor:
        return self._model.finish(x, noise)


def guided(model: Any, scale: float) -> Denoises:
    """The model itself at scale 1, else the model guided."""
    assert isinstance(model, Denoises), "verbs/sample pairs these samplers with denoisers only"
    return model if scale == 1.0 else Guided(model, scale)
