"""Conditional flow matching (Lipman et al. 2023): regress the velocity of straight paths.

A network learns the mean velocity x_1 - x_0 of all straight lines from noise to data that pass a place at a time; the
ordinary differential equation that it defines is solved by the midpoint rule.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"width": 48, "depth": 2},
    "laptop": {"width": 256, "depth": 4},
    "gpu": {"width": 1024, "depth": 8},
}


def cfm(size: Size = "laptop") -> Recipe:
    """Straight paths, midpoint rule."""
    return Recipe(
        family="flow_matching",
        settings=dict(_SIZES[size]),
        sampler="midpoint",
        sampler_settings={"steps": 4},
        paper="Lipman, Chen, Ben-Hamu, Nickel & Le 2023, Flow matching for generative modeling, https://arxiv.org/abs/2210.02747",
        claim="digits, 45 CPU seconds: Frechet distance at most 0.25 with 8 evaluations of the network",
    )
