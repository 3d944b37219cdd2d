"""Text for the audits' tests: the reference manual of Python, every line once, since its topics repeat each other."""

from __future__ import annotations

import pydoc_data.topics
from pathlib import Path

from makar.data import Dataset, load


def manual(folder: Path, characters: int = 60_000, size: int = 400) -> Dataset:
    """So many characters of it in documents of about `size`."""
    lines = dict.fromkeys(line for topic in pydoc_data.topics.topics.values() for line in topic.splitlines())
    path = folder / "manual.txt"
    path.write_text("\n".join(lines)[:characters], encoding="utf-8")
    return load(f"text:{path}", licence="PSF-2.0", size=size)
