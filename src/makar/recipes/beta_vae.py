"""beta-VAE (Higgins et al. 2017): a variational autoencoder whose KL term weighs more.

With beta > 1 the posterior is pressed harder towards the independent prior, so fewer latents are used and each for one
thing; reconstructions are paid for it. Its loss is no longer a bound on the likelihood, which is reported as before.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"latent": 4, "width": 48, "depth": 1, "weights": 8},
    "laptop": {"latent": 16, "width": 256, "depth": 2},
    "gpu": {"latent": 64, "width": 1024, "depth": 4},
}


def beta_vae(size: Size = "laptop") -> Recipe:
    """A VAE with beta 4."""
    return Recipe(
        family="vae",
        settings=_SIZES[size] | {"beta": 4.0},
        paper="Higgins et al. 2017, beta-VAE: learning basic visual concepts, ICLR",
        claim="fewer active latents than at beta 1, and a looser bound on the same data",
    )
