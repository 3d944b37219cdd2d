"""Parzen's window (1962): every training item, blurred.

No model at all, and hard to beat at small n; it makes near-copies of training items, which the copying check must say.
"""

from __future__ import annotations

from makar.core.recipe import Recipe, Size


def parzen(size: Size = "laptop") -> Recipe:
    """A Gaussian kernel whose bandwidth the leave-one-out likelihood chooses."""
    return Recipe(
        family="kernel",
        paper="Parzen 1962, Estimation of a probability density function and mode, Ann. Math. Statist. 33",
        claim="digits: nearer to the training set than fresh digits are: C_T far below 0",
    )
