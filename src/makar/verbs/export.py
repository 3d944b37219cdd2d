"""Export: artifacts as files that a person can open, and one page to look at them all.

pictures   000.png, 001.png … and grid.png       text   000.txt, 001.txt …
rows       rows.csv                              points points.csv and grid.png (a scatter)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from makar.core.artifact import Artifact
from makar.data.export import to_csv

PREVIEW = "grid.png"
"""A look at all pictures or points at once, which is no output of its own."""

_GRID_SIDE = 96  # pixels on screen for one small picture


def to_image(picture: np.ndarray, levels: int) -> Image.Image:
    """A picture uint8 (H, W, C) with values below `levels` as an image of 256 levels."""
    bright = (picture.astype(np.float64) * (255.0 / (levels - 1))).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(bright[..., 0] if bright.shape[-1] == 1 else bright)


def png(image: Image.Image) -> bytes:
    """The image as PNG bytes, the same on every machine for the same library."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def grid(pictures: Sequence[np.ndarray], levels: int, columns: int | None = None) -> Image.Image:
    """Pictures of one size side by side, enlarged by a whole factor so that small ones can be seen."""
    images = [to_image(p, levels) for p in pictures]
    width, height = images[0].size
    zoom = max(1, _GRID_SIDE // max(width, height))
    columns = columns or min(len(images), max(1, round(len(images) ** 0.5)))
    rows = -(-len(images) // columns)
    grey = 128 if images[0].mode == "L" else (128, 128, 128)
    size = (columns * (width * zoom + 4) + 4, rows * (height * zoom + 4) + 4)
    sheet = Image.new(images[0].mode, size, color=grey)
    for i, image in enumerate(images):
        place = (4 + i % columns * (width * zoom + 4), 4 + i // columns * (height * zoom + 4))
        sheet.paste(image.resize((width * zoom, height * zoom), Image.Resampling.NEAREST), place)
    return sheet


def scatter(points: np.ndarray) -> bytes:
    """Points (n, 2 or more) as a PNG of their first two coordinates."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.scatter(points[:, 0], points[:, -1] if points.shape[1] == 1 else points[:, 1], s=6, alpha=0.6)
    axes.set_aspect("equal")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


@dataclass(frozen=True)
class File:
    """A file to be: its name, its bytes, and the artifacts that are in it."""

    name: str
    data: bytes
    media_type: str
    artifacts: tuple[Artifact, ...]


def names(kind: str, n: int) -> list[str]:
    """The files that n artifacts of a kind become."""
    if kind in ("pictures", "text"):
        suffix = "png" if kind == "pictures" else "txt"
        return [*(f"{i:03d}.{suffix}" for i in range(n)), *([PREVIEW] if kind == "pictures" else [])]
    return ["rows.csv"] if kind == "rows" else ["points.csv", PREVIEW]


def encoded(
    artifacts: Sequence[Artifact], levels: int = 256, finish: Callable[[np.ndarray], np.ndarray] = lambda p: p
) -> list[File]:
    """Artifacts of one kind as files. `finish` is done to each picture of 256 levels, uint8 (H, W, C)."""
    kind = artifacts[0].kind
    things = [a.content for a in artifacts]
    if kind == "pictures":
        shown = [(f"{i:03d}.png", to_image(t, levels), artifacts[i : i + 1]) for i, t in enumerate(things)]
        shown.append((PREVIEW, grid(things, levels), artifacts))
        return [File(name, png(_finished(image, finish)), "image/png", tuple(within)) for name, image, within in shown]
    if kind == "text":
        texts = [t.encode("utf-8", "replace") for t in things]
        return [
            File(f"{i:03d}.txt", text, "text/plain", (a,))
            for i, (a, text) in enumerate(zip(artifacts, texts, strict=True))
        ]
    if kind == "rows":
        return [File("rows.csv", to_csv(things).encode("utf-8"), "text/csv", tuple(artifacts))]
    points = np.stack(things)
    rows = [{f"x{i}": float(v) for i, v in enumerate(point)} for point in points]
    table = File("points.csv", to_csv(rows).encode("utf-8"), "text/csv", tuple(artifacts))
    return [table, File(PREVIEW, scatter(points), "image/png", tuple(artifacts))]


def _finished(image: Image.Image, finish: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    pixels = np.asarray(image)
    return to_image(finish(pixels if pixels.ndim == 3 else pixels[..., None]), 256)
