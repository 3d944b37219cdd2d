"""A language model of LLaMA's blocks (Touvron et al. 2023).

Decoder-only transformer: RMS normalisation before each block, rotary positions, SwiGLU, and keys and values shared by
groups of heads; byte pairs for symbols.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"width": 32, "depth": 1, "heads": 4, "kv_heads": 2},
    "laptop": {"width": 192, "depth": 5, "heads": 6, "kv_heads": 2},
    "gpu": {"width": 512, "depth": 12, "heads": 8, "kv_heads": 4},
}


def llama(size: Size = "laptop") -> Recipe:
    """LLaMA's blocks, small."""
    return Recipe(
        family="transformer",
        settings=dict(_SIZES[size]),
        sampler="ancestral",
        paper="Touvron et al. 2023, LLaMA: open and efficient foundation language models, https://arxiv.org/abs/2302.13971",
        claim="grammar:small: within 3 % of the exact entropy",
    )
