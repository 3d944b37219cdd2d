"""Text of your own: a file, or a folder of .txt files.

A folder gives one document for each .txt file in it, sub-folders included. A single file is cut into documents:

    by="blocks"      paragraphs (what blank lines part) are packed in order until a document has `size` characters; a
                     longer paragraph is cut at the last line end or space. Joined up again the documents are the file.
    by="paragraphs"  one document for each paragraph, its surrounding blank space removed
    by="lines"       one document for each line that is not blank

A document's place in the file is not kept: it is the unit that is split by content and that a model continues within.

Files whose makers opted out are left out (`data/optouts.py`), and `creators.csv` in a folder tells who wrote them
(`data/creators.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from makar.core.errors import MakarError
from makar.data import creators, optouts, paths
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
    notes: list[str] = []
    wanted, evidence = optouts.honoured(path.parent, [path], notes)
    if not wanted:
        raise MakarError(
            f"the maker of {path} opted out, as {optouts.NAME} beside it says; nothing may be learnt from it"
        )
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
        notes=[f"the file was cut into {how}: {len(documents)} documents", *notes],
        origin="crawled" if evidence else "user",
        optouts=evidence,
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


def _within(folder: Path, aside: set[Path]) -> list[Path]:
    """The .txt files in a folder and below that are data."""
    files = sorted(p for p in folder.rglob("*.txt") if p.is_file() and p.stem.upper() not in ("LICENSE", "LICENCE"))
    return [file for file in files if file not in aside]


def _folder(path: Path, options: Options) -> Loaded:
    notes = ["each .txt file is one document"]
    own = paths.own_split(path)
    aside = optouts.aside(path)
    if own is None:
        files, held = _within(path, aside), None
    else:
        train, test = _within(own[0], aside), _within(own[1], aside)
        files, held = train + test, paths.marks(len(train), len(test))
        notes += [f"the folder '{name}' was left out" for name in own[2]]
    wanted, evidence = optouts.honoured(path, files, notes)
    texts = {i: paths.read_text(files[i], options.encoding) for i in wanted}
    kept = [i for i, text in texts.items() if text.strip()]
    if len(kept) < len(texts):
        notes.append(f"{len(texts) - len(kept)} empty files were dropped")
    if not kept:
        raise MakarError(f"the folder {path} holds no .txt file with text in it: {'; '.join(notes)}")
    return Loaded(
        name=f"text:{path.resolve().name}",
        modality="text",
        source=paths.described(path),
        things=[texts[i] for i in kept],
        folder=path,
        held=None if held is None else held[kept],
        notes=notes,
        origin="crawled" if optouts.crawled(path) else "user",
        tagged=creators.read(path, [files[i] for i in kept], notes),
        optouts=evidence,
    )
