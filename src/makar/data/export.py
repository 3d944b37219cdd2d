"""Writing rows as CSV so that a spreadsheet shows them and runs none of them.

A text cell that begins with = + - @, a tab or a line end may be run as a formula when the file is opened in a
spreadsheet; a leading apostrophe makes it text (OWASP, "CSV injection"), and `bare` takes it off again. Numbers are
numbers, and so no formula is text such as "-1 year" or "-": a minus, and then a number with words behind it and no
sign that a spreadsheet could reckon with.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError

_ACTIVE = re.compile(r"[=+\-@\t\r\n]")
_INERT = re.compile(r"-|-[0-9.,]+%?( *[^\W\d_]+\.?)*")
_ESCAPED = re.compile(r"'+[=+\-@\t\r\n]")


def cell(value: str | int | float | None) -> str:
    """A value as a CSV cell: nothing for None, the shortest exact form for a number, inactive text."""
    if value is None:
        return ""
    if isinstance(value, str):
        runs = _ACTIVE.match(value) and not _INERT.fullmatch(value)
        return "'" + value if runs or _ESCAPED.match(value) else value
    return repr(value)


def bare(text: str) -> str:
    """The inverse of `cell` for text: without the apostrophe that makes it inactive."""
    return text[1:] if _ESCAPED.match(text) else text


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows, which must have the same columns, as the text of a CSV file."""
    if not rows:
        raise MakarError("there are no rows to write")
    names = list(rows[0])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([cell(name) for name in names])
    for row in rows:
        if row.keys() != set(names):
            raise MakarError(f"rows must have the columns {', '.join(names)}, but one has {', '.join(row)}")
        writer.writerow([cell(row[name]) for name in names])
    return out.getvalue()


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path | str) -> None:
    """Write rows as a CSV file, whole or not at all."""
    files.write_text(path, to_csv(rows))
