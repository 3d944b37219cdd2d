"""Detect: what is known of a file's origin, evidence first.

A verdict is "signed", "watermarked" or "unknown". It is never "real": the absence of evidence is not evidence, for
credentials can be stripped and marks washed out. A detector that this workspace keeps may add what it sees in an
unknown file, with its error rate; it changes no verdict.
"""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from makar.core import files, registry
from makar.core.errors import MakarError
from makar.core.watermark import Detection, Watermark
from makar.provenance import credentials
from makar.provenance import keys as keyring
from makar.verbs import bundle
from makar.verbs.audits import detector
from makar.verbs.audits.detector import Detector
from makar.verbs.chain import Chain, make, shape_of
from makar.verbs.sample import default_sampler

MOST_PIXELS = 2**26  # of a picture that is opened
LARGEST = 2**28  # bytes of a file that are read
LEVEL = 1e-6
"""A mark counts as found below this p-value, multiplied by the number of models and marks that were tried."""


@dataclass(frozen=True)
class Verdict:
    """What is known of a file."""

    verdict: Literal["signed", "watermarked", "unknown"]
    why: str
    ai: bool | None  # made by a model, not made by one, or not known
    found: tuple[dict[str, Any], ...] = ()  # every mark looked for, with its p-value

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


def detect(path: Path, chain: Chain, models: tuple[Path, ...] = ()) -> Verdict:
    """The verdict on a file: its credential first, then the marks of this workspace's models.

    `models` are further bundles; marks that need the model to be found are looked for only where its bundle is there.
    To an unknown the workspace's detector, where it keeps one, adds whether it resembles what the models it knows make.
    """
    known = evidence(path, chain, models)
    if known.verdict != "unknown" or not detector.root(chain.home).is_dir():
        return known
    modality, thing = opened(path)
    kept = None if modality is None else detector.kept(chain.home, modality)
    return known if kept is None else resembling(known, thing, kept)


def resembling(known: Verdict, thing: Any, by: Detector) -> Verdict:
    """A verdict with what a detector sees in the thing (as `opened` gives it), and how often it sees so by mistake.

    Resemblance is no evidence of origin, and its absence is evidence of nothing: only words are added.
    """
    if by.levels:
        thing = np.rint(thing.astype(np.float64) * ((by.levels - 1) / 255.0)).astype(np.uint8)
    score = float(by.score([thing])[0])
    rate, n = by.false_positives(score), len(by.clean)
    if rate > detector.RATE:
        words = "a detector sees no resemblance to what the models it knows make, which says nothing"
    else:
        words = (
            f"it resembles what {', '.join(by.families)} make (score {score:.2f}; false-positive rate "
            f"{100 * rate:.2g} % on {n} clean items as they are), and resemblance is no proof"
        )
    seen = {"detector": list(by.families), "score": score, "false positives": rate, "n": n}
    return replace(known, why=f"{known.why}; {words}", found=(*known.found, seen))


def evidence(path: Path, chain: Chain, models: tuple[Path, ...] = ()) -> Verdict:
    """The verdict by credential and marks alone."""
    if not path.is_file():
        raise MakarError(f"there is no file at {path}")
    data = files.read(path, LARGEST)
    side = path.with_name(f"{path.name}.c2pa")
    reading = credentials.read(
        data, credentials.media_type(path), files.read(side, LARGEST) if os.path.lexists(side) else None, chain.anchors
    )
    if reading.state == "holds":
        return Verdict("signed", reading.why, reading.ai)
    said = {"untrusted": "a credential by a signer unknown here", "fails": "a credential that does not fit the file"}
    before = said.get(reading.state, "no credential")
    tried = marks(path, chain, models)
    counted = [(where, d) for where, d in tried if d.p_value is not None]
    plain = tuple({"model": where, **asdict(d)} for where, d in tried)
    best = min(counted, key=lambda pair: pair[1].p_value or 0.0, default=None)
    if best is not None and (best[1].p_value or 0.0) * len(counted) < LEVEL:
        where, found = best
        why = f"{before}, but the mark '{found.name}' of model {where[:12]} is in it (p = {found.p_value:.2g})"
        return Verdict("watermarked", why, True, plain)
    looked = f"{len(counted)} marks were looked for and none was found" if counted else "there was no mark to look for"
    return Verdict("unknown", f"{before}; {looked}; that says nothing about how it was made", None, plain)


def marks(path: Path, chain: Chain, models: tuple[Path, ...]) -> list[tuple[str, Detection]]:
    """Every mark of every model known here, looked for in the file: (model's id, what was found)."""
    keys = chain.keys
    if keys is None:
        return []
    modality, thing = opened(path)
    if modality is None:
        return []
    found = []
    for model, place in known(chain, models).items():
        key = keyring.watermark_key(keys, model)
        for mark in fitting(modality, key, place):
            found.append((model, mark.detect(thing)))
    return found


def known(chain: Chain, models: tuple[Path, ...]) -> dict[str, Path | None]:
    """Models of the ledger, and those given, with the place of their bundle where it is there."""
    found: dict[str, Path | None] = {}
    if chain.home.ledger.is_dir():
        for entry in chain.ledger.entries("model"):
            name, where = entry.body.get("id"), entry.body.get("place")
            if isinstance(name, str) and isinstance(where, str):
                place = chain.home.root.parent / where
                found[name] = place if os.path.isfile(place / "digests.json") else None
    for place in models:
        found[bundle.load(place).id] = place
    return found


def fitting(modality: str, key: bytes, place: Path | None) -> list[Watermark]:
    """Marks of a modality that this model can have put in; those that need the model only where its bundle is there."""
    trained = None if place is None else bundle.load(place)
    kinds = {name: registry.load("watermarks", name) for name in registry.modules("watermarks")}
    fit = [name for name, kind in kinds.items() if kind.modality == modality and (trained or not kind.needs_model)]
    made = [make(name, key, trained) for name in fit]
    if trained is None:
        return made
    sampler = default_sampler(trained)
    return [mark for mark in made if not (mark.needs_model and mark.obstacle(sampler, shape_of(trained)))]


def opened(path: Path) -> tuple[str | None, Any]:
    """The file's modality and the thing in it as a watermark takes it; (None, None) for other kinds of file."""
    media_type = credentials.media_type(path)
    if media_type == "text/plain":
        return "text", files.read(path, LARGEST).decode("utf-8", "replace")
    if media_type.startswith("image/"):
        return "pictures", picture(path)
    if media_type in ("audio/wav", "audio/x-wav"):
        return "sound", sound(path)
    return None, None


def picture(path: Path) -> np.ndarray:
    """A picture file as uint8 (H, W, C)."""
    from PIL import Image, UnidentifiedImageError

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path) as image,
        ):
            if image.width * image.height > MOST_PIXELS:
                raise MakarError(f"{path} has {image.width} x {image.height} pixels; at most {MOST_PIXELS} are read")
            pixels = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, *bombs) as error:
        raise MakarError(f"{path} cannot be read as a picture ({type(error).__name__})") from None
    return pixels if pixels.ndim == 3 else pixels[..., None]


def sound(path: Path) -> np.ndarray:
    """A WAV file of 16-bit samples as float32 (samples, channels) in [-1, 1]."""
    import wave

    try:
        with wave.open(io.BytesIO(files.read(path, LARGEST)), "rb") as file:
            if file.getsampwidth() != 2:
                raise MakarError(f"{path} has {8 * file.getsampwidth()}-bit samples; 16-bit WAV is read")
            channels, frames = file.getnchannels(), file.readframes(file.getnframes())
    except (wave.Error, EOFError, RuntimeError, OSError) as error:
        raise MakarError(f"{path} cannot be read as WAV ({error})") from None
    whole = len(frames) // (2 * channels) * 2 * channels
    samples = np.frombuffer(frames[:whole], "<i2").reshape(-1, channels)
    return (samples / 32768.0).astype(np.float32)
