"""What happens to things on their way: re-encoding, resizing, noise; edits of text.

A picture is uint8 (H, W, C) with values below `levels` and stays so; a text stays a text. Every change is determined by
its seed.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

Distortion = Callable[[Any, int, int], Any]
"""(thing, levels, seed) -> thing."""


def _image(picture: np.ndarray, levels: int) -> Image.Image:
    bright = np.rint(picture.astype(np.float64) * (255.0 / (levels - 1))).clip(0, 255).astype(np.uint8)
    return Image.fromarray(bright[..., 0] if bright.shape[-1] == 1 else bright)


def _levels(image: Image.Image | np.ndarray, levels: int) -> np.ndarray:
    bright = np.asarray(image).astype(np.float64)
    found: np.ndarray = np.rint(bright * ((levels - 1) / 255.0)).clip(0, levels - 1).astype(np.uint8)
    return found if found.ndim == 3 else found[..., None]


def jpeg(quality: int) -> Distortion:
    """Stored as JPEG and read again."""

    def changed(picture: np.ndarray, levels: int, seed: int) -> np.ndarray:
        buffer = io.BytesIO()
        _image(picture, levels).save(buffer, format="JPEG", quality=quality)
        with Image.open(buffer) as image:
            return _levels(image, levels)

    return changed


def noise(share: float) -> Distortion:
    """Gaussian noise whose standard deviation is a share of the whole range."""

    def changed(picture: np.ndarray, levels: int, seed: int) -> np.ndarray:
        chance = np.random.Generator(np.random.Philox(seed))
        moved = picture + share * (levels - 1) * chance.standard_normal(picture.shape)
        found: np.ndarray = np.rint(moved).clip(0, levels - 1).astype(np.uint8)
        return found

    return changed


def blur(picture: np.ndarray, levels: int, seed: int) -> np.ndarray:
    """Averaged with weights 1, 2, 1 in both directions."""
    padded = np.pad(picture.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    found: np.ndarray = np.rint((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4).astype(np.uint8)
    return found


def resize(factor: float) -> Distortion:
    """Made smaller or larger and brought back to its size."""

    def changed(picture: np.ndarray, levels: int, seed: int) -> np.ndarray:
        image = _image(picture, levels)
        size = image.size
        between = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
        again = image.resize(between, Image.Resampling.BICUBIC).resize(size, Image.Resampling.BICUBIC)
        return _levels(again, levels)

    return changed


def crop(share: float) -> Distortion:
    """A border of this share cut away, and the rest enlarged to the old size."""

    def changed(picture: np.ndarray, levels: int, seed: int) -> np.ndarray:
        image = _image(picture, levels)
        width, height = image.size
        dx, dy = max(1, round(width * share / 2)), max(1, round(height * share / 2))
        cut = image.crop((dx, dy, width - dx, height - dy)).resize(image.size, Image.Resampling.BICUBIC)
        return _levels(cut, levels)

    return changed


def mirrored(picture: np.ndarray, levels: int, seed: int) -> np.ndarray:
    """Left and right exchanged."""
    return np.ascontiguousarray(picture[:, ::-1])


def shifted(picture: np.ndarray, levels: int, seed: int) -> np.ndarray:
    """Moved by one pixel, its edge repeated."""
    return np.concatenate([picture[:, :1], picture[:, :-1]], 1)


def dimmed(picture: np.ndarray, levels: int, seed: int) -> np.ndarray:
    """At seven tenths of its brightness."""
    found: np.ndarray = np.rint(picture.astype(np.float64) * 0.7).astype(np.uint8)
    return found


def substituted(share: float) -> Distortion:
    """This share of words replaced by other words of the same text."""

    def changed(text: str, levels: int, seed: int) -> str:
        chance = random.Random(seed)
        words = re.findall(r"\w+", text) or [""]
        return re.sub(r"\w+", lambda w: chance.choice(words) if chance.random() < share else w[0], text)

    return changed


def retyped(share: float) -> Distortion:
    """This share of letters exchanged with the one that follows."""

    def changed(text: str, levels: int, seed: int) -> str:
        chance = random.Random(seed)
        letters = list(text)
        for i in range(len(letters) - 1):
            if letters[i].isalpha() and letters[i + 1].isalpha() and chance.random() < share:
                letters[i], letters[i + 1] = letters[i + 1], letters[i]
        return "".join(letters)

    return changed


def unspaced(text: str, levels: int, seed: int) -> str:
    """Every run of white space doubled."""
    return re.sub(r"\s+", "  ", text)


ATTACKS: dict[str, dict[str, Distortion]] = {
    "pictures": {
        "jpeg q75": jpeg(75), "jpeg q50": jpeg(50), "noise 5 %": noise(0.05), "noise 10 %": noise(0.1), "blur": blur,
        "resize 0.5": resize(0.5), "crop 10 %": crop(0.1),
    },
    "text": {
        "substitutions 10 %": substituted(0.1), "substitutions 30 %": substituted(0.3),
        "typing errors 5 %": retyped(0.05),
    },
}  # fmt: skip


def distorted(things: list[Any], how: Distortion, levels: int, seed: int = 0) -> list[Any]:
    """All things, each with a seed of its own."""
    return [how(thing, levels, seed * 1_000_003 + i) for i, thing in enumerate(things)]
