"""Tables of your own as CSV files: a header line, then rows.

The delimiter is found in the header (comma, semicolon, tab or bar) unless given. Quotes follow RFC 4180: a quoted cell
may hold delimiters, line ends and doubled quotes. Blank space around a cell is not part of it. How columns get their
types, and which are dropped, is told in `data/tables.py`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from makar.core.errors import MakarError
from makar.data import paths, tables
from makar.data.loaded import Loaded
from makar.data.tables import Value

_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Options:
    """Which column is the class, which are dropped or kept (a tuple, or names with commas), how the file is written.

    `missing` are the cells that stand for no value.
    """

    label: str | None = None
    drop: str | tuple[str, ...] = ()
    keep: str | tuple[str, ...] = ()
    delimiter: str = ""
    encoding: str = "utf-8"
    missing: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?")


def load(argument: str, options: Options) -> Loaded:
    """Rows of the file that `argument` names."""
    path = paths.existing(argument, "csv")
    if path.is_dir():
        raise MakarError(f"{path} is a folder; name one CSV file in it")
    if len(options.delimiter) > 1:
        raise MakarError(f"a delimiter is one character, but '{options.delimiter}' was given")
    notes: list[str] = []
    header, rows = _read(path, options, notes)
    columns = _columns(header, rows, options)
    choice = tables.Choice(options.label, tables.names(options.drop), tables.names(options.keep))
    return tables.of_file(path, "csv", columns, choice, notes)


def _read(path: Path, options: Options, notes: list[str]) -> tuple[list[str], list[list[str]]]:
    text = paths.read_text(path, options.encoding)
    if not text.strip():
        raise MakarError(f"{path} is empty; a table needs a header line and rows")
    delimiter = options.delimiter or _delimiter(text.lstrip().partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    start = 1
    try:
        for cells in reader:
            if cells and not header:
                header = tables.read_header(cells, path, notes)
            elif cells:
                if len(cells) != len(header):
                    raise MakarError(
                        f"{path} line {start}: {len(cells)} cells were found where the header has {len(header)}; "
                        f"look for a missing or extra delimiter ('{delimiter}') or quote"
                    )
                rows.append(cells)
            start = reader.line_num + 1
    except csv.Error as error:
        raise MakarError(f"{path} line {start}: {_reason(str(error))}") from None
    return header, rows


def _reason(said: str) -> str:
    if "field limit" in said:
        return f"a cell has more than {csv.field_size_limit()} characters; look for a quote that is not closed"
    if "end of data" in said:
        return "a quote is opened and not closed before the file ends"
    return f"the cells cannot be told apart ({said}); a quote within a quoted cell is written twice"


def _delimiter(line: str) -> str:
    bare = "".join(line.split('"')[::2])  # what stands outside quotes
    return max(_DELIMITERS, key=bare.count)


def _columns(header: list[str], rows: list[list[str]], options: Options) -> dict[str, list[Value]]:
    missing = set(options.missing)
    columns: dict[str, list[Value]] = {}
    for place, name in enumerate(header):
        cells = [row[place].strip() for row in rows]
        columns[name] = tables.typed([None if cell in missing else cell for cell in cells])
    return columns
