"""The pages of the manual as code: which blocks they have and how each is made small enough to run in a test.

The pages state budgets that a reader would use. Here they are made tiny by these rules and no others:

    --budget ANYTHING, budget="…"      five steps
    n=NUMBER, -n of score, stability   64 things
    makar compare …                    two families, one seed, 64 things; made once, and every page is given a copy

A block that is marked `text` is not run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")],
    key=lambda page: str(page.relative_to(ROOT)),
)
KNOWN = {"python", "sh", "text", "toml", "json", "csv"}
BUDGET = "5 steps"
FEW = 64
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page on which its text begins."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, in order."""
    whole = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(whole):
        indent = len(found[1])
        text = "\n".join(line[indent:] for line in found[3].splitlines()) + "\n"
        yield Block(found[2], text, whole.count("\n", 0, found.start()) + 2)


def name(page: Path) -> str:
    """A page's path from the root of the repository."""
    return page.relative_to(ROOT).as_posix()


def small_python(text: str) -> str:
    """Python with its budgets and numbers of things made small."""
    text = re.sub(r"budget=\"[^\"]*\"", f'budget="{BUDGET}"', text)
    return re.sub(r"\bn=\d+", f"n={FEW}", text)


def lines(text: str) -> list[list[str]]:
    """The words of every command of a shell block; a backslash joins lines, and `#` begins a comment."""
    joined = text.replace("\\\n", " ").splitlines()
    return [words for line in joined if (words := shlex.split(line, comments=True))]


def small(words: list[str]) -> list[str]:
    """A command with its budget and numbers of things made small."""
    words = list(words)
    for i, word in enumerate(words[:-1]):
        if word == "--budget":
            words[i + 1] = BUDGET
        elif word == "-n" and words[1] in ("score", "stability"):
            words[i + 1] = str(FEW)
    if words[:2] == ["makar", "score"] and "-n" not in words:
        words += ["-n", str(FEW)]
    return words


def option(words: list[str], flag: str, default: str) -> str:
    """The value that a command gives an option."""
    return words[words.index(flag) + 1] if flag in words else default
