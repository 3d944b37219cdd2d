"""DPM-Solver++ (Lu et al. 2022): a diffusion model in ten evaluations.

A multistep exponential integrator solves the linear part of the reverse equation exactly and remembers one step, so
each costs a single evaluation of the network.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"width": 48, "depth": 2, "draws": 8},
    "laptop": {"width": 256, "depth": 4},
    "gpu": {"width": 1024, "depth": 8},
}


def dpm_solver(size: Size = "laptop") -> Recipe:
    """Diffusion drawn from in 10 evaluations."""
    return Recipe(
        family="diffusion",
        settings=dict(_SIZES[size]),
        sampler="dpm_solver",
        sampler_settings={"steps": 10},
        paper="Lu et al. 2022, DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models, https://arxiv.org/abs/2211.01095",
        claim="at 10 evaluations a smaller error than euler and ddim on a known posterior",
    )
