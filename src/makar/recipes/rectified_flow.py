"""Rectified flow (Liu et al. 2023) with logit-normal times (Esser et al. 2024).

Straight paths from noise to data, drawn from by Euler's rule, with training times about the middle of the path, where
the velocity is hardest to tell, as in Stable Diffusion 3. No second round of straightening ("reflow").
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"width": 48, "depth": 2},
    "laptop": {"width": 256, "depth": 4},
    "gpu": {"width": 1024, "depth": 8},
}


def rectified_flow(size: Size = "laptop") -> Recipe:
    """Straight paths, logit-normal times of standard deviation 1, Euler's rule."""
    return Recipe(
        family="flow_matching",
        settings=_SIZES[size] | {"t_std": 1.0},
        sampler="euler",
        sampler_settings={"steps": 16},
        paper="Liu, Gong & Liu 2023, Flow straight and fast, https://arxiv.org/abs/2209.03003",
        claim="first order of convergence in the step on a Gaussian, whose velocity is known",
    )
