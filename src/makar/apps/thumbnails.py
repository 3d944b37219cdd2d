"""Thumbnails: a preview's grid of pictures cut into panels that fit a phone, each pixel drawn at least twice as large.

A grid of ten columns of 28 pixels is 289 pixels wide: too small to judge at its natural size, and at twice that wider
than a phone. So it is cut between columns into panels of at most `WIDEST` pixels on the screen, which stand beside each
other where there is room and below each other where there is not. The factor is whole, so that every pixel of a picture
is a square of the same size.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

WIDEST = 320
"""Pixels on the screen that a panel may take: what a phone of 360 pixels leaves inside a card."""

_LARGEST = 5  # times; small pictures need no more


@dataclass(frozen=True)
class Panel:
    """Some columns of a grid: the PNG in base64, its size on the screen, and the classes of its columns."""

    png: str
    width: int
    height: int
    captions: tuple[str, ...]


def panels(png: str | None, columns: int, captions: Sequence[str] = ()) -> list[Panel]:
    """The grid (base64 PNG, cells with gaps of one pixel) as panels; none where it is missing or no picture."""
    sheet = _opened(png)
    if sheet is None:
        return []
    columns = max(1, columns)
    pitch = (sheet.width + 1) / columns  # a picture and the gap after it
    if pitch != int(pitch) or pitch < 2:  # no such grid: shown whole
        columns, pitch, captions = 1, sheet.width + 1, ()
    pitch = int(pitch)
    zoom = max(1 if pitch - 1 > WIDEST // 2 else 2, min(_LARGEST, WIDEST // sheet.width))
    most = max(1, (WIDEST // zoom + 1) // pitch)
    count = -(-columns // most)
    each = -(-columns // count)
    found = []
    for start in range(0, columns, each):
        end = min(columns, start + each)
        part = sheet.crop((start * pitch, 0, end * pitch - 1, sheet.height))
        found.append(Panel(_encoded(part), part.width * zoom, part.height * zoom, tuple(captions[start:end])))
    return found


def _opened(png: str | None) -> Image.Image | None:
    """The picture, or None: results.jsonl may come from elsewhere, and a page is written whatever stands in it."""
    if not png:
        return None
    try:
        image = Image.open(io.BytesIO(base64.b64decode(png, validate=True)), formats=["PNG"])
        image.load()
    except (binascii.Error, UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return image


def _encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
