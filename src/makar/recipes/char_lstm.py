"""A character-level LSTM (Graves 2013, section 3).

Two layers of long short-term memory over single characters: nothing is told about words, which it learns to spell.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"width": 32, "depth": 1},
    "laptop": {"width": 320, "depth": 2},
    "gpu": {"width": 1024, "depth": 3},
}


def char_lstm(size: Size = "laptop") -> Recipe:
    """Two layers of LSTM over characters."""
    return Recipe(
        family="recurrent",
        settings=_SIZES[size] | {"cell": "lstm"},
        codec="symbols",
        sampler="ancestral",
        paper="Graves 2013, Generating sequences with recurrent neural networks, https://arxiv.org/abs/1308.0850",
        claim="grammar:small: within 5 % of the exact entropy",
    )
