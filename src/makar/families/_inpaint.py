"""Inpainting with any denoiser (Lugmayr et al. 2022, "RePaint", algorithm 1).

On the way from noise to data, the known part of x_s is replaced by the datum noised to s. One pass leaves the unknown
part in poor agreement with the known; so every step is taken `passes` times, with the forward process from s back to t
in between, which lets the two parts meet.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from makar.core.model import Denoises
from makar.core.noise import Noise
from makar.nets.schedules import ancestral, renoise


def inpaint(
    model: Denoises, known: Tensor, mask: Tensor, noise: Noise, condition: Tensor | None, steps: int, passes: int
) -> Tensor:
    """A clean latent (B, *latent_shape) that agrees with the latent `known` where bool `mask` is True."""
    path = model.schedule
    shape = model.latent_shape
    x = noise.normal(*shape) * path.prior_std
    for t, s in pairwise(path.grid(steps).to(x.device)):
        for i in range(passes):
            mean = model.denoise(x, t.to(x.dtype).expand(len(x)), condition).mean
            free = ancestral(path, x, mean, t, s, 1.0, noise.normal(*shape))
            x_s = torch.where(mask, path.alpha(s) * known + path.sigma(s) * noise.normal(*shape), free)
            x = x_s if i == passes - 1 else renoise(path, x_s, s, t, noise.normal(*shape))
    return x
