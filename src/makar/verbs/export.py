"""Export: artifacts as files that a person can open, and one page to look at them all.

    pictures   000.png, 001.png … and grid.png       text   000.txt, 001.txt …
    rows       rows.csv                              points points.csv and grid.png (a scatter)

`outputs.json` lists every file with its artifact's id, recipe and parents.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from makar.core import files
from makar.core.artifact import Artifact
from makar.data.export import to_csv

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
    sheet = Image.new(images[0].mode, (columns * (width * zoom + 4) + 4, rows * (height * zoom + 4) + 4), color=128)
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


def write(artifacts: Sequence[Artifact], out: Path | str, levels: int = 256) -> list[Path]:
    """Write artifacts of one kind into a folder; returns the files, `outputs.json` last. Each is whole or absent."""
    out = Path(out)
    contents = _contents(artifacts, levels)
    written = []
    for name, data in contents.items():
        files.write_bytes(out / name, data)
        written.append(out / name)
    listing = [
        {
            "file": name,
            "sha256": hashlib.sha256(contents[name]).hexdigest(),
            "id": artifact.id,
            "kind": artifact.kind,
            "recipe": artifact.recipe,
            "parents": list(artifact.parents),
        }
        for artifact, name in zip(artifacts, _names(artifacts), strict=True)
    ]
    files.write_json(out / "outputs.json", listing)
    return [*written, out / "outputs.json"]


def _names(artifacts: Sequence[Artifact]) -> list[str]:
    kind = artifacts[0].kind
    if kind in ("rows", "points"):
        return [f"{kind}.csv"] * len(artifacts)
    ending = "png" if kind == "pictures" else "txt"
    return [f"{i:03d}.{ending}" for i in range(len(artifacts))]


def _contents(artifacts: Sequence[Artifact], levels: int) -> dict[str, bytes]:
    kind = artifacts[0].kind
    things = [a.content for a in artifacts]
    if kind == "pictures":
        own = {name: png(to_image(t, levels)) for name, t in zip(_names(artifacts), things, strict=True)}
        return own | {"grid.png": png(grid(things, levels))}
    if kind == "text":
        return {name: t.encode("utf-8", "replace") for name, t in zip(_names(artifacts), things, strict=True)}
    if kind == "rows":
        return {"rows.csv": to_csv(things).encode("utf-8")}
    points = np.stack(things)
    rows = [{f"x{i}": float(v) for i, v in enumerate(point)} for point in points]
    return {"points.csv": to_csv(rows).encode("utf-8"), "grid.png": scatter(points)}
