"""Shannon's approximations to English (1948): each letter depends on the few before it.

The first text generator. At order 3 it is his third-order approximation, by trigrams; his counts were read off a book
and not smoothed, as they are here.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"order": 2},
    "laptop": {"order": 3},
    "gpu": {"order": 5},
}


def shannon(size: Size = "laptop") -> Recipe:
    """Letters that depend on the two before them."""
    return Recipe(
        family="ngram",
        settings=dict(_SIZES[size]),
        codec="symbols",
        sampler="ancestral",
        paper="Shannon 1948, A mathematical theory of communication, Bell System Technical Journal 27, section 3",
        claim="grammar:small: more bits a symbol than kneser_ney, fewer than independent letters",
    )
