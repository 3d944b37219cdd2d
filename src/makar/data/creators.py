"""Who made what: `creators.csv` or `metadata.csv` in a folder of data, with a header line.

    file,creator,tags,licence
    cats/1.png,A. Maker,"watercolour; cats",CC-BY-4.0

`file` (or `file_name`, as the imagefolder layout has it) is a name within the folder; the rest may be left out. Tags
are parted by semicolons or commas. An item's own licence takes the place of the folder's.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from makar.core.errors import MakarError
from makar.data import licences, paths
from makar.data.loaded import Tag

NAMES = ("creators.csv", "metadata.csv")
_COLUMNS = {
    "file": ("file", "file_name", "filename"),
    "creator": ("creator", "author", "artist"),
    "tags": ("tags",),
    "licence": ("licence", "license"),
}


def read(folder: Path, files: Sequence[Path], notes: list[str]) -> list[Tag] | None:
    """What the folder's list says of each file; None where there is no such list. Raises MakarError for a bad one."""
    path = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        return None
    rows = list(csv.reader(io.StringIO(paths.read_text(path), newline="")))
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    places = {what: next((header.index(n) for n in names if n in header), None) for what, names in _COLUMNS.items()}
    if places["file"] is None:
        if path.name == "creators.csv":
            raise MakarError(f"{path} has no column 'file'; its header names file, creator, tags and licence")
        return None  # a metadata.csv of another kind
    known: dict[str, Tag] = {}
    for number, row in enumerate(rows[1:], 2):
        cells = {what: row[i].strip() if i is not None and i < len(row) else "" for what, i in places.items()}
        known[cells["file"]] = Tag(cells["creator"], _tags(cells["tags"]), _licence(cells["licence"], path, number))
    found = [known.get(file.relative_to(folder).as_posix(), Tag()) for file in files]
    listed = {file.relative_to(folder).as_posix() for file in files} & known.keys()
    notes.append(f"{path.name} tells of {len(listed)} of {len(files)} items")
    return found


def makers(named: str) -> tuple[str, ...]:
    """Whom "A. Maker; B. Maker" names, casefolded: the whole, which may be one name, and each."""
    parts = [part.strip().casefold() for part in named.split(";")]
    return tuple(dict.fromkeys(part for part in (named.strip().casefold(), *parts) if part))


def _tags(cell: str) -> tuple[str, ...]:
    return tuple(tag.strip() for tag in re.split(r"[;,]", cell) if tag.strip())


def _licence(cell: str, path: Path, number: int) -> str | None:
    if not cell:
        return None
    try:
        return licences.expression(cell)
    except MakarError as error:
        raise MakarError(f"{path} line {number}: {error}") from None
