"""Modified Kneser-Ney n-grams (Chen & Goodman 1999): what a language model must beat.

Counts, absolute discounts, and lower orders that count in how many contexts a symbol was seen. Seconds to train, exact,
and on a few megabytes of text hard to beat.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"order": 3},
    "laptop": {"order": 5},
    "gpu": {"order": 7},
}


def kneser_ney(size: Size = "laptop") -> Recipe:
    """Interpolated modified Kneser-Ney of order 5."""
    return Recipe(
        family="ngram",
        settings=dict(_SIZES[size]),
        sampler="ancestral",
        paper="Chen & Goodman 1999, Smoothing techniques for language modeling, Computer Speech & Language 13",
        claim="King James Bible, byte pairs: at most 1.28 bits a byte in seconds of training",
    )
