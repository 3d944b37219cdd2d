"""What the picture codecs share: the shape of pictures, and pictures as one checked array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from makar.core.errors import MakarError


def shape_of(things: Sequence[Any]) -> tuple[int, int, int]:
    """(C, H, W) of pictures uint8 (H, W, C), which must agree. Raises MakarError where they do not."""
    shapes = sorted({np.shape(picture) for picture in things})
    if len(shapes) != 1 or len(shapes[0]) != 3:
        raise MakarError(f"pictures must have one shape (height, width, channels), but these have {shapes[:4]}")
    height, width, channels = shapes[0]
    return channels, height, width


def checked(things: Sequence[Any], shape: tuple[int, ...], levels: int) -> np.ndarray:
    """Pictures as one array uint8 (B, C, H, W), channels first, every value below `levels`.

    Raises MakarError for another shape or a larger value.
    """
    if not things:
        return np.zeros((0, *shape), np.uint8)
    found = shape_of(things)
    if found != shape:
        raise MakarError(f"pictures of (channels, height, width) {shape} were learnt, but these have {found}")
    values = np.stack(things)
    top = int(values.max())
    if values.dtype != np.uint8 or top >= levels:
        raise MakarError(
            f"a picture holds {values.dtype} values up to {top}, but uint8 values below {levels} were expected; "
            f"set the codec's levels to those of the data"
        )
    return values.transpose(0, 3, 1, 2)
