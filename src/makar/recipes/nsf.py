"""Neural spline flow (Durkan et al. 2019): couplings by monotone rational-quadratic splines.

Each dimension is bent by a spline with learnt knots instead of being scaled, so that one layer can already make several
modes out of one; the inverse is still exact.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"layers": 2, "width": 32, "depth": 1},
    "laptop": {"layers": 6, "width": 128},
    "gpu": {"layers": 16, "width": 512},
}


def nsf(size: Size = "laptop") -> Recipe:
    """Spline couplings."""
    return Recipe(
        family="flow",
        settings=_SIZES[size] | {"coupling": "spline"},
        paper="Durkan, Bekasov, Murray & Papamakarios 2019, Neural spline flows, https://arxiv.org/abs/1906.04032",
        claim="two-dimensional densities: a smaller gap to the entropy than realnvp at the same budget",
    )
