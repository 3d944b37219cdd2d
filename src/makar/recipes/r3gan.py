"""R3GAN's objective (Huang et al. 2024): relativistic pairing with penalties on real and made items.

Each real item is judged beside a made one of its class, and the gradient of the discriminator is penalised on both (R1
and R2), for which the authors prove local convergence. Their modern convolutional networks are not part of this recipe:
the players are multi-layer perceptrons, which suit small pictures, points and tables.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"width": 64, "latent": 8},
    "laptop": {"width": 256},
    "gpu": {"width": 1024, "depth": 3, "latent": 64, "batch": 256},
}


def r3gan(size: Size = "laptop") -> Recipe:
    """Relativistic loss, R1 and R2, no tricks beside them."""
    return Recipe(
        family="gan",
        settings=_SIZES[size] | {"loss": "relativistic"},
        paper="Huang et al. 2024, The GAN is dead; long live the GAN! A modern GAN baseline, https://arxiv.org/abs/2501.05441",
        claim="digits, 45 CPU seconds: Frechet distance at most 0.30 in four of five seeds; all 8 modes of toy:ring8",
    )
