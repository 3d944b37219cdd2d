"""Chance that belongs to an item: uniform numbers that are a function of its content.

A codec that fills the cells of discrete data with noise must still be a function, so that encoding twice gives the
same. The numbers come from SHAKE-256 (FIPS 202) of the item's bytes, an extendable hash whose output is a stream of
as many bits as are wanted. They are known to nobody's model, and equal items get equal numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np


def uniforms(content: bytes, count: int) -> np.ndarray:
    """`count` numbers, float64, on the midpoints of 65,536 equal cells of (0, 1), a function of `content`."""
    words = np.frombuffer(hashlib.shake_256(content).digest(2 * count), "<u2")
    return (words + 0.5) / 65536.0
