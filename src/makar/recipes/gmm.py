"""Gaussian mixture by expectation-maximisation (Dempster, Laird & Rubin 1977).

A few Gaussians for every class, each with a covariance of its own, climbed to by alternating responsibilities and
weighted averages.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"components": 2},
    "laptop": {"components": 4},
    "gpu": {"components": 32},
}


def gmm(size: Size = "laptop") -> Recipe:
    """A full covariance for every component."""
    return Recipe(
        family="mixture",
        settings=_SIZES[size] | {"covariance": "full"},
        paper="Dempster, Laird & Rubin 1977, Maximum likelihood from incomplete data via the EM algorithm, JRSS B 39",
        claim="no iteration lowers the log-posterior that it climbs",
    )
