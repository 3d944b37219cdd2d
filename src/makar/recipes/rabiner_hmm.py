"""A discrete hidden Markov model trained by Baum-Welch (Rabiner 1989).

Hidden states that follow each other by chance, each with its own distribution over symbols.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"states": 4},
    "laptop": {"states": 12},
    "gpu": {"states": 64},
}


def rabiner_hmm(size: Size = "laptop") -> Recipe:
    """Baum-Welch from a random start."""
    return Recipe(
        family="hmm",
        settings=dict(_SIZES[size]),
        codec="symbols",
        paper="Rabiner 1989, A tutorial on hidden Markov models, Proceedings of the IEEE 77",
        claim="no iteration lowers the likelihood (with smoothing 0)",
    )
