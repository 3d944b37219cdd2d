"""Spread spectrum: what marks made of many keyed signs share.

A key gives signs s_1 ... s_n, each +1 or -1 with equal chance. A thing gives numbers c_1 ... c_n, whatever it is and
however they are computed, as long as the key has no part in them. Under another key than the one that it was marked
with, t = sum s_i c_i / sqrt(sum c_i^2) is then a weighted sum of random signs, and for every thing

    P(t >= x) <= c P(Z >= x),     Z ~ N(0, 1),     c = 1 / (4 P(Z >= sqrt 2)) = 3.178...

(Bentkus & Dzindzalieta 2015, "A tight Gaussian bound for weighted sums of Rademacher random variables", theorem 1). So
a p-value needs no model of clean things: it is valid for each of them, the chance being that of the key.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Signs = NDArray[np.float32]


def _beyond(x: float) -> float:
    """P(Z >= x) of a standard normal Z."""
    return 0.5 * math.erfc(x / math.sqrt(2.0))


_CONSTANT = 1.0 / (4.0 * _beyond(math.sqrt(2.0)))
_EXACT = 4096


def signs(key: bytes, purpose: str, *shape: int) -> Signs:
    """Float32 signs of this shape, from the key and the purpose by SHAKE-256 (FIPS 202) as the source of bits."""
    count = math.prod(shape)
    name = purpose.encode()
    data = hashlib.shake_256(len(key).to_bytes(4, "big") + key + name).digest(-(-count // 8))
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count)
    return (2.0 * bits.astype(np.float32) - 1.0).reshape(shape)


def tail(t: float) -> float:
    """Bound on the chance that a weighted sum of random signs, its squared weights summing to 1, is at least t."""
    return min(1.0, _CONSTANT * _beyond(t))


def strongest(found: Iterable[tuple[float, float]]) -> tuple[float, int]:
    """The p-value of several looks (t, share), and which look gave it.

    The shares of the false-positive rate sum to at most 1, so that P(min_i tail(t_i) / share_i <= p) <= p, whatever the
    looks have in common (Bonferroni, weighted).
    """
    values = [tail(t) / share for t, share in found]
    best = min(range(len(values)), key=values.__getitem__)
    return min(1.0, values[best]), best


def agreement_tail(weights: NDArray[np.int64], agreement: int) -> float:
    """The chance that sum w_i s_i, with weights w_i >= 0 and random signs s_i, is at least `agreement`.

    Exact up to 4,096 weights, whose sums are enumerated by convolution; above, the bound of `tail`.
    """
    weights = weights[weights > 0]
    total = int(weights.sum())
    if total == 0:
        return 1.0
    if len(weights) > _EXACT:
        return tail(agreement / math.sqrt(float(np.square(weights).sum())))
    chances = np.zeros(2 * total + 1)  # of the sums from -total to total
    chances[total] = 1.0
    for weight in weights:
        grown = np.zeros_like(chances)
        grown[weight:] += 0.5 * chances[:-weight]
        grown[:-weight] += 0.5 * chances[weight:]
        chances = grown
    return min(1.0, float(chances[agreement + total :].sum()))
