"""Text of your own: a file, or a folder of .txt files.

A folder gives one document for each .txt file in it, sub-folders included. A single file is cut into documents:

    by="blocks"      paragraphs (what blank lines part) are packed in order until a document has `size` characters; a
                     longer paragraph is cut at the last line end or space. Joined up again the documents are the file.
    by="paragraphs"  one document for each paragraph, its surrounding blank space removed
    by="lines"       one document for each line that is not blank

A document's place in the file is not kept: it is the unit that is split by content and that a model continues within.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from makar.core.errors import MakarError
from makar.data import paths
from makar.data.loaded import Loaded


@dataclass(frozen=True)
class Options:
    """How a single file is cut, how long a block is in characters, and how bytes become characters."""

    by: Literal["blocks", "paragraphs", "lines"] = "blocks"
    size: int = 2000
    encoding: str = "utf-8"


def load(argument: str, options: Options) -> Loaded:
    """Documents of a file or folder."""
    path = paths.existing(argument, "text")
    if options.size < 1:
        raise MakarError(f"size is {options.size}, but a block has at least 1 character")
    if path.is_dir():
        return _folder(path, options)
    documents = cut(paths.read_text(path, options.encoding), options)
    if len(documents) < 2:
        raise MakarError(
            f"{path} gives {len(documents)} documents of {options.size} characters, but at least 2 are needed; "
            f"set by='lines' or a smaller size"
        )
    how = f"blocks of about {options.size} characters" if options.by == "blocks" else options.by
    return Loaded(
        name=f"text:{path.name}",
        modality="text",
        source=paths.described(path),
        things=documents,
        folder=path.parent,
        notes=[f"the file was cut into {how}: {len(documents)} documents"],
    )


def cut(text: str, options: Options) -> list[str]:
    """A text as documents."""
    if options.by == "lines":
        return [line for line in text.splitlines() if line.strip()]
    if options.by == "paragraphs":
        return [p.strip() for p in _paragraphs(text) if p.strip()]
    documents: list[str] = []
    held = ""
    for paragraph in _paragraphs(text):
        for piece in _pieces(paragraph, options.size):
            if held and len(held) + len(piece) > options.size:
                documents.append(held)
                held = ""
            held += piece
    if held:
        documents.append(held)
    return documents


def _paragraphs(text: str) -> list[str]:
    """Paragraphs, each with the blank lines that follow it."""
    ends = [m.end() for m in re.finditer(r"\n[^\S\n]*\n\s*", text)]
    bounds = [0, *ends, len(text)]
    return [text[a:b] for a, b in pairwise(bounds) if b > a]


def _pieces(paragraph: str, size: int) -> Iterator[str]:
    while len(paragraph) > size:
        place = paragraph.rfind("\n", 0, size) + 1 or paragraph.rfind(" ", 0, size) + 1 or size
        yield paragraph[:place]
        paragraph = paragraph[place:]
    if paragraph:
        yield paragraph


def _documents(folder: Path, encoding: str) -> tuple[list[str], int]:
    files = sorted(p for p in folder.rglob("*.txt") if p.is_file() and p.stem.upper() not in ("LICENSE", "LICENCE"))
    texts = [paths.read_text(p, encoding) for p in files]
    kept = [text for text in texts if text.strip()]
    return kept, len(texts) - len(kept)


def _folder(path: Path, options: Options) -> Loaded:
    notes = ["each .txt file is one document"]
    own = paths.own_split(path)
    if own is None:
        documents, empty = _documents(path, options.encoding)
        held = None
    else:
        train, first = _documents(own[0], options.encoding)
        test, second = _documents(own[1], options.encoding)
        documents, empty = train + test, first + second
        held = paths.marks(len(train), len(test))
        notes += [f"the folder '{name}' was left out" for name in own[2]]
    if empty:
        notes.append(f"{empty} empty files were dropped")
    if not documents:
        raise MakarError(f"the folder {path} holds no .txt file with text in it")
    return Loaded(
        name=f"text:{path.resolve().name}",
        modality="text",
        source=paths.described(path),
        things=documents,
        folder=path,
        held=held,
        notes=notes,
    )
