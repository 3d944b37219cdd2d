"""Picture files become arrays of one shape: what is opened is checked first, and what is changed is said.

A picture's size is read from its header and refused above `MOST_PIXELS` before anything is decoded, since a file of a
few kilobytes can unfold to gigabytes. Cameras' turn marks are obeyed, transparent pixels are laid on white. Pictures of
more than 8 bits are brought to 8 by one scale for all of them, that of the brightest: what is dark among them stays so.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from makar.core.errors import MakarError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
MOST_PIXELS = 64_000_000
Colour = Literal["auto", "grey", "colour"]
_DEEPEST = 65_535
_DIM = 64  # levels; what stays below all through a data set was hardly meant to
_GREY = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L")


class BadPicture(Exception):
    """A file that is no picture, is damaged or is too large; its text says why."""


@dataclass
class Tally:
    """What was changed on the way, to be noted."""

    changed: Counter[str] = field(default_factory=Counter)
    deep: list[tuple[float, float, bool]] = field(default_factory=list)  # of each deep one: least, most, whole numbers

    def scale(self) -> tuple[float, float]:
        """The values that become black and white in all pictures of more than 8 bits.

        Whole numbers from 0 span the least depth that holds them all (4,095 for 12 bits); others span what there is,
        from 0 where none is negative.
        """
        least, most = min(low for low, _, _ in self.deep), max(high for _, high, _ in self.deep)
        if least >= 0 and most <= _DEEPEST and all(whole for _, _, whole in self.deep):
            return 0.0, float(2 ** max(8, int(most).bit_length()) - 1)
        return min(0.0, least), most

    def notes(self) -> list[str]:
        said = [f"{count} pictures {what}" for what, count in sorted(self.changed.items())]
        if not self.deep:
            return said
        low, high = self.scale()
        return [*said, f"{len(self.deep)} pictures were reduced to 8 bits, all on one scale from {low:,g} to {high:,g}"]


def opened(file: Any, tally: Tally) -> Image.Image:
    """A picture in mode "L", "RGB" or, of more than 8 bits, "F" from a path or a binary stream. Raises BadPicture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata and on sizes that are checked below
            with Image.open(file) as picture:
                return _plain(picture, tally)
    except UnidentifiedImageError:
        raise BadPicture("it is not a picture that Pillow can read") from None
    except Image.DecompressionBombError:
        raise BadPicture(f"it has more than {MOST_PIXELS:,} pixels; make it smaller") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise BadPicture(f"it is damaged ({error})") from None


def _plain(picture: Image.Image, tally: Tally) -> Image.Image:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise BadPicture(f"it has {width} x {height} pixels, more than {MOST_PIXELS:,}; make it smaller")
    if _has_second_frame(picture):
        tally.changed["have several frames, of which the first was taken"] += 1
    if picture.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):  # before Pillow obeys it itself, as of TIFF
        tally.changed["were turned as the camera says"] += 1
    picture.load()
    turned = ImageOps.exif_transpose(picture)
    if turned.mode in ("I", "F", "I;16", "I;16B", "I;16L"):
        return _deep(turned, tally)
    if turned.has_transparency_data:
        tally.changed["have transparent parts, which were laid on white"] += 1
        grey = turned.mode in _GREY
        clear = turned.convert("RGBA")
        ground = Image.new("RGBA", clear.size, "white")
        laid = Image.alpha_composite(ground, clear)
        return laid.convert("L" if grey else "RGB")
    return turned.convert("L" if turned.mode in _GREY else "RGB")


def _has_second_frame(picture: Image.Image) -> bool:
    try:
        picture.seek(1)
    except EOFError:
        return False
    picture.seek(0)
    return True


def _deep(picture: Image.Image, tally: Tally) -> Image.Image:
    values = np.asarray(picture, np.float64)
    if not np.isfinite(values).all():
        raise BadPicture("it holds values that are not finite")
    tally.deep.append((float(values.min()), float(values.max()), picture.mode != "F"))
    return Image.fromarray(values.astype(np.float32))


def shallow(picture: Image.Image, tally: Tally) -> Image.Image:
    """A picture as it was opened, in mode "L" or "RGB": where it has more than 8 bits, on the scale of all opened."""
    if picture.mode != "F":
        return picture
    low, high = tally.scale()
    values = np.asarray(picture, np.float64)
    scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def refusal(name: str, reason: BadPicture) -> MakarError:
    """The error that names a bad picture and how to do without it."""
    return MakarError(f"{name} cannot be used: {reason}; to leave such files out give skip_bad=True")


def left_out(names: list[str]) -> list[str]:
    """A note on bad pictures that were left out, if there were any."""
    if not names:
        return []
    return [f"{len(names)} files that cannot be read were left out: {', '.join(names[:5])}{', …' if names[5:] else ''}"]


def resized(picture: Image.Image, size: int | None) -> Image.Image:
    """The middle square of a picture at size x size; the picture itself where `size` is None."""
    if size is None:
        return picture
    return ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)


def arrays(images: list[Image.Image], colour: Colour, names: list[str], tally: Tally) -> list[np.ndarray]:
    """Pictures uint8 (H, W, C) of one shape, grey if all are or if asked; `tally` is that with which they were opened.

    Raises MakarError for mixed sizes.
    """
    pictures = [shallow(image, tally) for image in images]
    sizes = Counter(picture.size for picture in pictures)
    if len(sizes) > 1:
        shown = ", ".join(f"{n} of {w} x {h}" for (w, h), n in sizes.most_common(3))
        odd = next(name for name, p in zip(names, pictures, strict=True) if p.size != sizes.most_common(1)[0][0])
        raise MakarError(
            f"pictures of {len(sizes)} sizes ({shown}{', …' if len(sizes) > 3 else ''}; {odd} for one) cannot be "
            f"learnt together; give a size, for instance --size 32 (size=32), to crop and resample them"
        )
    grey = colour == "grey" or (colour == "auto" and all(picture.mode == "L" for picture in pictures))
    mode = "L" if grey else "RGB"
    found = [np.asarray(picture.convert(mode), np.uint8) for picture in pictures]
    return [a[..., None] if a.ndim == 2 else a for a in found]


def dim(things: list[np.ndarray]) -> list[str]:
    """A note where all pictures use a small part of the 256 levels, as those of 12 bits in a file of 16 colours do."""
    most = max((int(thing.max()) for thing in things), default=255)
    return [f"no picture is brighter than {most} of 255: few of the 256 levels are used"] if most < _DIM else []


def is_picture(path: Path) -> bool:
    """Whether a file's name says that it is a picture."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
