"""The first variational autoencoder (Kingma & Welling 2013).

Fully connected encoder and decoder, one Gaussian latent, trained on the evidence lower bound itself. The observation
model is that of the data's space and not their Bernoulli, and the blocks are residual.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"latent": 4, "width": 48, "depth": 1, "weights": 8},
    "laptop": {"latent": 16, "width": 256, "depth": 2},
    "gpu": {"latent": 64, "width": 1024, "depth": 4},
}


def kingma_vae(size: Size = "laptop") -> Recipe:
    """The bound itself (beta 1), as Kingma and Welling train it."""
    return Recipe(
        family="vae",
        settings=_SIZES[size] | {"beta": 1.0},
        paper="Kingma & Welling 2013, Auto-encoding variational Bayes, https://arxiv.org/abs/1312.6114",
        claim="digits, 45 CPU seconds: Frechet distance over the digits probe at most 0.45",
    )
