"""DDIM (Song, Meng & Ermon 2021): few deterministic jumps through a diffusion model.

The sampler, which needs no other training than diffusion's, here on a network trained as EDM is. Every latent noise has
one picture, whatever the number of jumps.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"width": 48, "depth": 2, "draws": 8},
    "laptop": {"width": 256, "depth": 4},
    "gpu": {"width": 1024, "depth": 8},
}


def ddim(size: Size = "laptop") -> Recipe:
    """Diffusion drawn from in 25 deterministic jumps."""
    return Recipe(
        family="diffusion",
        settings=dict(_SIZES[size]),
        sampler="ddim",
        sampler_settings={"steps": 25, "eta": 0.0},
        paper="Song, Meng & Ermon 2021, Denoising diffusion implicit models, https://arxiv.org/abs/2010.02502",
        claim="first order of convergence in the step on a Gaussian, whose posterior is known",
    )
