"""Media types: what a file is by its name, and whether a credential goes into it or beside it."""

from __future__ import annotations

from pathlib import Path

EMBEDDED = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
}
"""Kinds of file with a place for a credential inside, by suffix."""

BESIDE = {
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".smi": "chemical/x-daylight-smiles",
    ".mid": "audio/midi",
    ".midi": "audio/midi",
    ".npy": "application/octet-stream",
}
"""Kinds of file without one: their credential is FILE.c2pa. So is that of every kind not named here."""

MEDIA = EMBEDDED | BESIDE


def media_type(path: Path | str) -> str:
    """The media type that a file's suffix stands for; application/octet-stream where it stands for none we know."""
    return MEDIA.get(Path(path).suffix.lower(), "application/octet-stream")


def embeds(media_type: str) -> bool:
    """Whether a file of this type carries its credential inside."""
    return media_type in EMBEDDED.values()


_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "a PNG", ("image/png",)),
    (b"\xff\xd8\xff", "a JPEG", ("image/jpeg",)),
    (b"GIF8", "a GIF", ("image/gif",)),
    (b"II*\0", "a TIFF", ("image/tiff",)),
    (b"MM\0*", "a TIFF", ("image/tiff",)),
    (b"BM", "a BMP", ()),
    (b"%PDF", "a PDF", ()),
    (b"PK\x03\x04", "a ZIP archive", ()),
    (b"fLaC", "a FLAC", ("audio/flac",)),
    (b"ID3", "an MP3", ("audio/mpeg",)),
)


_MP4 = ("audio/mp4", "video/mp4", "image/avif")
_CERTAIN = ("image/png", "image/jpeg", "image/gif", "image/tiff", "image/webp")  # always begin as said above


def kind_of(data: bytes) -> tuple[str, tuple[str, ...]] | None:
    """What a file is by its first bytes, in words, and the media types that this can be; None where they do not say."""
    if data[4:8] == b"ftyp":
        return ("an AVIF", ("image/avif",)) if data[8:12] in (b"avif", b"avis") else ("an MP4", _MP4)
    if data[:4] == b"RIFF":
        return {b"WEBP": ("a WebP", ("image/webp",)), b"WAVE": ("a WAV", ("audio/wav",))}.get(data[8:12])
    return next(((words, types) for start, words, types in _BEGINNINGS if data.startswith(start)), None)


def misnamed(name: str, data: bytes) -> str | None:
    """Why a file's bytes are not what its name says, in a clause; None where they are, or do not say."""
    if not data:
        return "it is empty"
    wanted, found = media_type(name), kind_of(data)
    if not embeds(wanted) or wanted == "image/svg+xml":
        return None
    if found is None:
        return f"it is not the {Path(name).suffix.lower()} file that its name says" if wanted in _CERTAIN else None
    return None if wanted in found[1] else f"it is {found[0]} named {Path(name).suffix.lower()}"


_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"

SOURCE_TYPES = {
    "trainedAlgorithmicMedia": _IPTC,  # made by a trained model
    "compositeWithTrainedAlgorithmicMedia": _IPTC,  # something else, with parts or edits by a trained model
    "trainedAlgorithmicData": "http://c2pa.org/digitalsourcetype/",  # tables, molecules: no medium of IPTC's
    "algorithmicallyEnhanced": _IPTC,
    "algorithmicMedia": _IPTC,  # by an algorithm that was not trained on media
    "dataDrivenMedia": _IPTC,
    "digitalCapture": _IPTC,  # by a camera or a microphone
    "computationalCapture": _IPTC,
    "screenCapture": _IPTC,
    "digitalCreation": _IPTC,  # by a person with digital tools
    "humanEdits": _IPTC,
    "composite": _IPTC,
}
"""Digital source types that we write, and the vocabulary of each (IPTC NewsCodes; C2PA specification)."""

BY_MODEL = frozenset({"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicData"})
WITHOUT_MODEL = frozenset(
    {
        "algorithmicMedia",
        "dataDrivenMedia",
        "digitalCapture",
        "computationalCapture",
        "compositeCapture",
        "screenCapture",
        "virtualRecording",
        "digitalCreation",
        "humanEdits",
        "minorHumanEdits",
        "negativeFilm",
        "positiveFilm",
        "print",
    }
)
"""Source types that say that a trained model took part, and those that say that none did. Others say neither."""
