"""EDM (Karras et al. 2022): preconditioned denoising, and Heun's rule to draw.

The network is scaled so that its input, its target and its loss have unit variance at every noise level, sigma being
drawn from a log-normal. Items are drawn by the deterministic second-order walk over 18 noise levels spaced with rho 7:
35 evaluations of the network.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"width": 48, "depth": 2, "draws": 8},
    "laptop": {"width": 256, "depth": 4},
    "gpu": {"width": 1024, "depth": 8},
}


def edm(size: Size = "laptop") -> Recipe:
    """EDM with its deterministic sampler."""
    return Recipe(
        family="diffusion",
        settings=dict(_SIZES[size]),
        sampler="heun",
        sampler_settings={"steps": 18},
        paper="Karras, Aittala, Aila & Laine 2022, Elucidating the design space of diffusion-based generative models, https://arxiv.org/abs/2206.00364",
        claim="second order of convergence in the step on a Gaussian, whose posterior is known",
    )
