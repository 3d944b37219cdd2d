"""Finding what the user named on the disk, and reading text with errors that say where."""

from __future__ import annotations

import codecs
import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from makar.core.errors import MakarError

_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
TRAIN = ("train", "training")
_LEFT_ABOUT = ("__MACOSX", "__pycache__", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini")
HELD_OUT = ("held_out", "test", "validation", "valid", "val")


def existing(argument: str, source: str) -> Path:
    """The path named, which is there. Raises MakarError, with a near name if its folder has one."""
    if not argument:
        raise MakarError(f"'{source}:' needs a path after the colon")
    path = Path(argument).expanduser()
    if path.exists():
        return path
    folder = path.parent
    if not folder.is_dir():
        raise MakarError(f"there is no '{argument}', nor a folder '{folder}'")
    near = difflib.get_close_matches(path.name, [p.name for p in folder.iterdir()], n=1, cutoff=0.5)
    raise MakarError(f"there is no '{argument}'" + (f" (did you mean '{near[0]}'?)" if near else ""))


def left_about(parts: Sequence[str]) -> bool:
    """Whether a path within a folder is what systems and tools leave about, and nobody's data.

    Hidden files and folders (.DS_Store, .ipynb_checkpoints, ._photo.jpg), __MACOSX of unpacked archives, folders of
    network drives and of Windows, and thumbnails' stores.
    """
    return any(part.startswith((".", "@")) or part in _LEFT_ABOUT for part in parts)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def described(path: Path) -> str:
    """A file's name and digest; not its whole path, which tells of the user's machine and not of the data."""
    return f"{path.name} (sha256 {file_digest(path)})" if path.is_file() else f"folder {path.resolve().name}"


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """A file's text, without a byte order mark. Raises MakarError that names the first byte that cannot be read."""
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise MakarError(f"there is no encoding '{encoding}'; usual are utf-8, latin-1, cp1252 and utf-16") from None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MakarError(f"{path} cannot be read ({error.strerror})") from None
    wide = next((told for mark, told in _WIDE if data.startswith(mark)), None)
    if wide is not None and not name.startswith(("utf-16", "utf-32")):
        raise MakarError(
            f"{path} is {wide.upper()} and not {encoding}, as its first bytes say; give --encoding {wide} "
            f"(encoding='{wide}')"
        )
    if name == "utf-8":
        data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode(name)
    except UnicodeDecodeError as error:
        value = error.object[error.start : error.start + 1].hex()
        raise MakarError(
            f"{path} is not {encoding}: byte 0x{value} at offset {error.start} cannot be read; "
            f"give its own encoding, for instance --encoding cp1252 (encoding='cp1252')"
        ) from None
    if "\0" in text:
        raise MakarError(
            f"{path} holds NUL characters, which no text has: it may be UTF-16 (--encoding utf-16-le) or no text"
        )
    return text


def own_split(folder: Path) -> tuple[Path, Path, list[str]] | None:
    """The folder's training part, its held-out part and names of further parts; None where it has no such two.

    Where there are several held-out parts the first of `HELD_OUT` is taken.
    """
    names = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    train = [names[n] for n in TRAIN if n in names]
    test = [names[n] for n in HELD_OUT if n in names]
    if not train or not test:
        return None
    return train[0], test[0], [p.name for p in test[1:]]


def marks(train: int, held_out: int) -> np.ndarray:
    """Bool (train + held_out,): False for the training items, which come first."""
    return np.arange(train + held_out) >= train
