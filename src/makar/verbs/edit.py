"""Edit: what people and tools do to a file afterwards, kept in its credential as a chain of signed steps.

The file as it was becomes the ingredient `parentOf` of the file as it is, so its history and its receipt stay with it.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from PIL import Image

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import credentials
from makar.provenance.credentials import Claim, Parent
from makar.verbs.bundle import sha256
from makar.verbs.chain import Chain

Vouched = Literal["digitalCapture", "humanEdits", "digitalCreation"]

MOST_PIXELS = 2**26  # of a picture that is opened

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


@dataclass(frozen=True)
class Edit:
    """One step: the bytes as they are now, and the C2PA action that made them so."""

    data: bytes
    action: str


def crop(data: bytes, media_type: str, left: int, top: int, width: int, height: int) -> Edit:
    """A part of a picture."""
    image = _opened(data, media_type)
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > image.width or top + height > image.height:
        raise MakarError(
            f"the part {width}x{height} at {left},{top} does not lie within the picture of {image.width}x{image.height}"
        )
    return Edit(_saved(image.crop((left, top, left + width, top + height)), media_type), "c2pa.cropped")


def resize(data: bytes, media_type: str, width: int, height: int) -> Edit:
    """A picture of another size."""
    if not (1 <= width <= 16384 and 1 <= height <= 16384):
        raise MakarError(f"a size of {width}x{height} is not possible; give 1 to 16384 pixels a side")
    image = _opened(data, media_type)
    return Edit(_saved(image.resize((width, height), Image.Resampling.LANCZOS), media_type), "c2pa.resized")


def replaced(path: Path) -> Edit:
    """What a person made of it in a tool of their own."""
    if not path.is_file():
        raise MakarError(f"there is no file at {path}")
    return Edit(path.read_bytes(), "c2pa.edited")


def edit(source: Path, step: Edit, out: Path, chain: Chain, note: str = "") -> Path:
    """Sign what became of `source` and write it to `out`. Raises MakarError where there are no keys."""
    keys = chain.keys
    if keys is None:
        raise MakarError("an edit is recorded by signing it, and there are no keys; make them with: makar keys init")
    if out.exists():
        raise MakarError(f"{out} is there already; choose another name")
    data, media_type = _honest(source), credentials.media_type(source)
    side = source.with_name(f"{source.name}.c2pa")
    sidecar = side.read_bytes() if side.is_file() else None
    before = credentials.read(data, media_type, sidecar, chain.anchors)
    if before.state == "fails":
        raise MakarError(f"{source} does not fit its credential ({before.why}); an edit of it would hide that")
    made = before.ai is not False and before.state != "absent"
    claim = Claim(
        title=out.name,
        media_type=media_type,
        source_type="compositeWithTrainedAlgorithmicMedia" if made else "humanEdits",
        receipt=before.receipt if before.state == "holds" else None,  # of strangers we pass on the file, not the word
        model=None,
        parent=Parent(data, media_type, sidecar),
        actions=(step.action,),
    )
    signed = credentials.sign(step.data, claim, keys)
    chain.record("edit", {"from": sha256(data), "to": sha256(signed.data), "action": step.action, "note": note})
    _write(out, signed)  # after the entry: what the ledger refuses is not left lying there
    return out


def vouch(source: Path, kind: str, out: Path, chain: Chain) -> Path:
    """Sign something that no model made: a photograph, a recording, a drawing. Who signs vouches for the kind."""
    keys = chain.keys
    if keys is None:
        raise MakarError("there are no keys to sign with; make them with: makar keys init")
    if out.exists():
        raise MakarError(f"{out} is there already; choose another name")
    if kind not in get_args(Vouched):
        raise MakarError(f"'{kind}' is no kind of origin; there is: {', '.join(get_args(Vouched))}")
    data, media_type = _honest(source), credentials.media_type(source)
    claim = Claim(title=out.name, media_type=media_type, source_type=cast(Vouched, kind), receipt=None, model=None)
    signed = credentials.sign(data, claim, keys)
    chain.record("vouch", {"of": sha256(data), "to": sha256(signed.data), "kind": kind})
    _write(out, signed)
    return out


def _honest(source: Path) -> bytes:
    """The bytes of a file that are what its name says."""
    data = source.read_bytes()
    if why := credentials.misnamed(source.name, data):
        raise MakarError(f"{source} cannot be signed: {why}; give the file itself under its right name")
    return data


def _write(out: Path, signed: credentials.Signed) -> None:
    files.write_bytes(out, signed.data)
    if signed.sidecar is not None:
        files.write_bytes(out.with_name(f"{out.name}.c2pa"), signed.sidecar)


def _opened(data: bytes, media_type: str) -> Image.Image:
    if media_type not in _FORMATS:
        raise MakarError(
            f"a file of type {media_type} is not cropped or resized here; give the edited file with --with"
        )
    bomb = Image.DecompressionBombWarning
    try:
        with warnings.catch_warnings(action="error", category=bomb), Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise MakarError(f"a picture of {image.width} x {image.height} is too large to be edited here")
            image.load()
            return image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, bomb) as error:
        raise MakarError(f"the file cannot be read as a picture ({type(error).__name__})") from None


def _saved(image: Image.Image, media_type: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=_FORMATS[media_type])
    return buffer.getvalue()
