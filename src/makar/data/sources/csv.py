"""Tables of your own as CSV files: a header line, then rows.

The delimiter is found in the header (comma, semicolon, tab or bar) unless given. Quotes follow RFC 4180: a quoted cell
may hold delimiters, line ends and doubled quotes. Blank space around a cell is not part of it, nor is the apostrophe
that keeps a cell of ours from being run as a formula (`data/export.py`). How cells become values is told in
`data/cells.py`, which columns are dropped in `data/tables.py`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from makar.core.errors import MakarError
from makar.data import cells, export, paths, tables
from makar.data.cells import Value
from makar.data.loaded import Loaded

_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Options:
    """Which column is the class, which are dropped or kept (a tuple, or names with commas), how the file is written.

    `missing` are cells that stand for no value beside the usual ones; with marks="blank" the usual ones are blank
    cells alone. `skip_bad` leaves out lines whose cells are not as many as those of the header.
    """

    label: str | None = None
    drop: str | tuple[str, ...] = ()
    keep: str | tuple[str, ...] = ()
    missing: str | tuple[str, ...] = ()
    marks: Literal["usual", "blank"] = "usual"
    delimiter: str = ""
    encoding: str = "utf-8"
    skip_bad: bool = False


def load(argument: str, options: Options) -> Loaded:
    """Rows of the file that `argument` names."""
    path = paths.existing(argument, "csv")
    if path.is_dir():
        raise MakarError(f"{path} is a folder; name one CSV file in it")
    if len(_plain(options.delimiter)) > 1 or options.delimiter in ('"', "\n", "\r"):
        raise MakarError(f"a delimiter is one character, such as ';' or tab, but '{options.delimiter}' was given")
    notes: list[str] = []
    header, rows = _read(path, options, notes)
    columns = _columns(header, rows, options, notes)
    choice = tables.Choice(options.label, tables.names(options.drop), tables.names(options.keep))
    return tables.of_file(path, "csv", columns, choice, notes)


def _read(path: Path, options: Options, notes: list[str]) -> tuple[list[str], list[list[str]]]:
    text = paths.read_text(path, options.encoding)
    if not text.strip():
        raise MakarError(f"{path} is empty; a table needs a header line and rows")
    delimiter = _plain(options.delimiter) or _delimiter(text.lstrip().partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    bad: list[int] = []
    start = 1
    before = csv.field_size_limit(max(len(text), 1))  # a long cell is a cell; one that never ends is told of as such
    try:
        for row in reader:
            if row and not header:
                header = tables.read_header([export.bare(name.strip()) for name in row], path, notes)
            elif row and len(row) != len(header):
                bad.append(start)
                if not options.skip_bad:
                    raise MakarError(
                        f"{path} line {start}: {len(row)} cells were found where the header has {len(header)}; look "
                        f"for a missing or extra delimiter ('{delimiter}') or quote, or leave such lines out with "
                        f"--skip-bad (skip_bad=True)"
                    )
            elif row:
                rows.append(row)
            start = reader.line_num + 1
    except csv.Error as error:
        raise MakarError(f"{path} line {start}: {_reason(str(error))}") from None
    finally:
        csv.field_size_limit(before)
    if bad:
        shown = ", ".join(map(str, bad[:5])) + (", …" if len(bad) > 5 else "")
        notes.append(f"{len(bad)} lines were left out, for their cells are not {len(header)} as in the header: {shown}")
    return header, rows


def _plain(delimiter: str) -> str:
    """A delimiter by its name, or as it is."""
    return {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)


def _reason(said: str) -> str:
    if "end of data" in said:
        return "a quote is opened and not closed before the file ends"
    return f"the cells cannot be told apart ({said}); a quote within a quoted cell is written twice"


def _delimiter(line: str) -> str:
    bare = "".join(line.split('"')[::2])  # what stands outside quotes
    return max(_DELIMITERS, key=bare.count)


def _columns(header: list[str], rows: list[list[str]], options: Options, notes: list[str]) -> dict[str, list[Value]]:
    further = frozenset(tables.names(options.missing))
    usual = options.marks == "usual"
    columns: dict[str, list[Value]] = {}
    for place, name in enumerate(header):
        found = [row[place].strip() for row in rows]
        absent = {cell for cell in set(found) if cells.absent(cell, further, usual)}
        columns[name] = cells.typed([None if cell in absent else export.bare(cell) for cell in found], name, notes)
    return columns
