"""Traces: how a thing is made rather than what it shows. What detectors of synthetic media and of styles look at.

pictures   shares of 16 brightness bands; mean products of neighbouring pixels and of neighbouring edges (second moments
           of local filters, wherever they stand: after Gatys et al. 2015, without a network); the logarithm of the
           cosine transform's magnitude in 8 x 8 bands (after Frank et al. 2020); each also by its spread over the rows
texts      square roots of relative frequencies of 512 hashed runs of 2 and 3 characters, of common words and of
           signs, and the mean length of words and of sentences (stylometry since Burrows 2002, "Delta")

All are float64 and none depends on other things, so they can be kept and compared.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from makar.core.errors import MakarError
from makar.metrics._intervals import Array

MODALITIES = ("pictures", "text")
_BANDS, _CELLS, _BUCKETS = 16, 8, 512
_WORDS = (
    "the", "of", "and", "to", "a", "in", "that", "it", "is", "was", "he", "for", "as", "with", "his", "be", "on", "at",
    "by", "i", "this", "had", "not", "but", "from", "or", "they", "which", "you", "she", "we", "an", "all", "so", "her",
    "there", "were", "their", "no", "if", "out", "up", "my", "what", "who", "unto", "shall",
)  # fmt: skip
_SIGNS = ".,;:!?-'\"()"


def traces(modality: str, things: Sequence[Any], levels: int = 256) -> Array:
    """Float64 (n, d) of n things. Raises MakarError for things that leave none."""
    if modality == "pictures":
        return np.stack([_picture(thing, levels) for thing in things])
    if modality == "text":
        return np.stack([_text(thing) for thing in things])
    raise MakarError(f"traces of making are known of {' and '.join(MODALITIES)}, not of {modality}")


def _picture(picture: np.ndarray, levels: int) -> Array:
    """Of uint8 (H, W, C) with values below `levels`."""
    grey = picture.astype(np.float64).mean(2) / max(1, levels - 1)
    bands = np.bincount(np.minimum((grey * _BANDS).astype(np.int64), _BANDS - 1).ravel(), minlength=_BANDS) / grey.size
    padded = np.pad(grey, 2, mode="edge")
    height, width = grey.shape
    moved = {
        (y, x): padded[2 + y : 2 + y + height, 2 + x : 2 + x + width]
        for y, x in ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
    }
    filters = [grey, *(m - grey for place, m in moved.items() if place != (0, 0))]
    filters.append(
        moved[0, 1]
        + moved[1, 0]
        + padded[2 : 2 + height, 1 : 1 + width]
        + padded[1 : 1 + height, 2 : 2 + width]
        - 4 * grey
    )
    stacked = np.stack(filters).reshape(len(filters), -1)
    products = stacked @ stacked.T / stacked.shape[1]
    upper = products[np.triu_indices(len(filters))]
    return np.concatenate(
        [bands, np.sign(upper) * np.sqrt(np.abs(upper)), _spectrum(grey), np.log(np.abs(stacked).mean(1) + 1e-3)]
    )


def _spectrum(grey: Array) -> Array:
    """Log magnitudes of the cosine transform, averaged in 8 x 8 bands."""
    height, width = grey.shape
    magnitude = np.abs(_cosines(height) @ grey @ _cosines(width).T)
    rows, columns = (np.minimum(np.arange(n) * _CELLS // n, _CELLS - 1) for n in (height, width))
    cell = (rows[:, None] * _CELLS + columns).ravel()
    total = np.bincount(cell, magnitude.ravel(), _CELLS**2)
    found: Array = np.log(total / np.maximum(np.bincount(cell, minlength=_CELLS**2), 1) + 1e-3)
    return found


def _cosines(n: int) -> Array:
    """The orthonormal discrete cosine transform (type II) of n numbers, (n, n)."""
    place = np.arange(n)
    basis = np.cos(math.pi * place[:, None] * (2 * place + 1) / (2 * n)) * math.sqrt(2 / n)
    basis[0] /= math.sqrt(2)
    found: Array = basis
    return found


def _text(text: str) -> Array:
    plain = re.sub(r"\s+", " ", text.casefold())
    counts = np.zeros(_BUCKETS)
    for n in (2, 3):
        for i in range(len(plain) - n + 1):
            counts[zlib.crc32(plain[i : i + n].encode("utf-8", "replace")) % _BUCKETS] += 1
    words = re.findall(r"[^\W\d_]+", plain)
    place = {word: i for i, word in enumerate(_WORDS)}
    common = np.bincount([place[w] for w in words if w in place], minlength=len(_WORDS)) / max(1, len(words))
    signs = np.array([plain.count(s) for s in _SIGNS]) / max(1, len(plain))
    sentences = [s for s in re.split(r"[.!?]+", plain) if s.strip()]
    lengths = [sum(map(len, words)) / max(1, len(words)), math.log1p(len(words) / max(1, len(sentences)))]
    parts = (np.sqrt(counts / max(1.0, counts.sum())), np.sqrt(common), np.sqrt(signs), np.array(lengths))
    return np.concatenate(parts)
