"""Text of your own: a file, or a folder of .txt files.

A folder gives one document for each .txt file in it, sub-folders included. A single file is cut into documents:

    by="auto"        lines, where each is an item of its own (molecules, names, tunes, sayings): there are 50 or more of
                     them with hardly a blank one between, none is a page long or holds several sentences, and they are
                     not indented or broken at one width as running text is. Else blocks; where the text is too short
                     for two of them, paragraphs, or else lines.
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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from makar.core.errors import MakarError
from makar.data import creators, optouts, paths
from makar.data.loaded import Loaded

_By = Literal["blocks", "paragraphs", "lines"]

_ITEMS = 50  # lines at least, to be taken for items
_BLANK = 0.01  # share of blank lines at most
_INDENTED = 0.05  # share of lines that begin with a space at most
_LONG = 2000  # characters that 98 of 100 items have at most
_BROKEN = 0.88  # times the 98th percentile: lines broken at one width are mostly longer
_SENTENCES = re.compile(r"[.!?]['\"”’)]*\s+['\"“‘(]?[^\W\d_]|[。！？।]")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff]+")  # scripts without spaces between words


@dataclass(frozen=True)
class Options:
    """How a single file is cut, how long a block is in characters, how bytes become characters, what if they do not."""

    by: Literal["auto", "blocks", "paragraphs", "lines"] = "auto"
    size: int = 2000
    encoding: str = "utf-8"
    skip_bad: bool = False  # of a folder: leave out files that cannot be read


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
    by, documents = _documents(paths.read_text(path, options.encoding), options)
    if len(documents) < 2:
        raise MakarError(_too_few(path, documents, by, options))
    how = f"blocks of about {options.size} characters" if by == "blocks" else by
    told = f"the file was cut into {how}: {len(documents)} documents"
    if options.by == "auto":
        others = [f"--by {other}" for other in ("blocks", "paragraphs", "lines") if other != by]
        told += f" (found by the look of its lines; {' or '.join(others)} cuts it otherwise)"
    return Loaded(
        name=f"text:{path.name}",
        modality="text",
        source=paths.described(path),
        things=documents,
        folder=path.parent,
        notes=[told, *notes],
        origin="crawled" if evidence else "user",
        optouts=evidence,
    )


def _documents(text: str, options: Options) -> tuple[_By, list[str]]:
    """How a text is to be cut, and its documents."""
    if options.by != "auto":
        return options.by, cut(text, options.by, options.size)
    if items(text.splitlines()):
        return "lines", cut(text, "lines", options.size)
    ways: tuple[_By, ...] = ("blocks", "paragraphs", "lines")
    for by in ways:
        documents = cut(text, by, options.size)
        if len(documents) > 1:
            return by, documents
    return "lines", documents


def _too_few(path: Path, documents: list[str], by: _By, options: Options) -> str:
    """Why a file cannot be learnt from, in a sentence with what to do."""
    if not documents:
        return f"{path} holds no text; at least 2 documents are needed, one to learn from and one to test"
    if options.by == "auto":
        return (
            f"{path} holds one line of text ({len(documents[0]):,} characters), and at least 2 documents are needed, "
            f"one to learn from and one to test; give a longer text"
        )
    of = f" of {options.size:,} characters" if by == "blocks" else ""
    return (
        f"{path} cut into {by}{of} gives 1 document, and at least 2 are needed, one to learn from and one to test; "
        f"leave --by (by=) out"
    )


def items(lines: Sequence[str]) -> bool:
    """Whether the lines of a file are items of their own, and not those of running text."""
    full = [line for line in lines if line.strip()]
    if len(full) < _ITEMS or len(lines) - len(full) > _BLANK * len(lines):
        return False
    if sum(line[0].isspace() for line in full) > _INDENTED * len(full):
        return False
    lengths = sorted(map(len, full))
    middle, long = lengths[len(lengths) // 2], lengths[int(0.98 * (len(lengths) - 1))]
    several = sorted(len(_SENTENCES.findall(line)) for line in full)[len(full) // 2]
    if long > _LONG or several >= 2:
        return False
    words = sum(len(line.split()) for line in full) / len(full)
    unspaced = sum(map(len, _UNSPACED.findall("".join(full)))) > 0.5 * sum(lengths)
    broken = middle > _BROKEN * long and long >= 40 and (words >= 5 or unspaced)
    return not broken


def cut(text: str, by: _By = "blocks", size: int = Options.size) -> list[str]:
    """A text as documents."""
    if by == "lines":
        return [line for line in text.splitlines() if line.strip()]
    if by == "paragraphs":
        return [p.strip() for p in _paragraphs(text) if p.strip()]
    documents: list[str] = []
    held = ""
    for paragraph in _paragraphs(text):
        for piece in _pieces(paragraph, size):
            if held and len(held) + len(piece) > size:
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
    texts = _read([(i, files[i]) for i in wanted], options, notes)
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


def _read(files: Sequence[tuple[int, Path]], options: Options, notes: list[str]) -> dict[int, str]:
    """The text of each file by its number; those that cannot be read are left out where that is asked for."""
    texts, bad = {}, []
    for number, file in files:
        try:
            texts[number] = paths.read_text(file, options.encoding)
        except MakarError as error:
            if not options.skip_bad:
                raise MakarError(f"{error}; or leave such files out with --skip-bad (skip_bad=True)") from None
            bad.append(file.name)
    if bad:
        notes.append(f"{len(bad)} files that cannot be read were left out: {', '.join(bad[:3])}{' …' * (len(bad) > 3)}")
    return texts
