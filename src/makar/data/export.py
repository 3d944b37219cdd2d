"""Writing rows as CSV so that a spreadsheet shows them and runs none of them.

A text cell that begins with = + - @, a tab or a line end would be taken for a formula when the file is opened in a
spreadsheet; a leading apostrophe makes it text (OWASP, "CSV injection"). Numbers are numbers and are left alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError

_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: str | int | float | None) -> str:
    """A value as a CSV cell: nothing for None, the shortest exact form for a number, inactive text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(_ACTIVE) else value
    return repr(value)


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
