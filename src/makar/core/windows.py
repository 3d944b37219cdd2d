"""Hashes of all windows of a sequence of symbols: how passages that two texts share are found.

    h(c_1 ... c_w) = mix(sum_k a_k c_k mod 2^64)

with fixed odd weights a_k. Windows that differ in one symbol have unlike sums; others agree with a chance near 2^-60.
`mix` is the finaliser of SplitMix64 (Steele, Lea & Flood 2014), so that the low bits may be used to sample windows.
Weights are computed and not drawn, since hashes are stored and must be the same under any version of any library.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Hashes = NDArray[np.uint64]


def mix(x: Hashes) -> Hashes:
    """A bijection of 64-bit words in which every bit depends on all."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = x ^ (x >> np.uint64(31))
    return mixed


def windows(symbols: Codes, width: int) -> Hashes:
    """One hash for every window of `width` symbols, (n - width + 1,); none where there are fewer symbols."""
    count = len(symbols) - width + 1
    if count < 1:
        return np.empty(0, dtype=np.uint64)
    words = symbols.astype(np.uint64)
    weights = mix(np.arange(1, width + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
    total = np.zeros(count, dtype=np.uint64)
    for k in range(width):
        total += words[k : k + count] * weights[k]
    return mix(total)


def code_points(text: str) -> Codes:
    """The characters of a text as numbers."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
