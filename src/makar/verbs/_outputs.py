"""A folder of outputs: what of it may be replaced, and what is kept with its receipts.

Only a file that `outputs.json` lists, as it lists it, was made here and may be replaced by another output. Whatever
else has such a name is somebody's own, or was changed by somebody, and is refused before anything is drawn. Outputs of
earlier draws that are not replaced keep their entries.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError
from makar.verbs import export
from makar.verbs.bundle import sha256
from makar.verbs.verify import LARGEST, LISTING, listing

PATIENCE = 30.0  # seconds that a draw waits for another into the same folder


def require_ours(out: Path, names: Collection[str]) -> None:
    """Raises MakarError where a file of another origin would be replaced by one of these names or its side-car."""
    made = {str(entry["file"]): entry.get("sha256") for entry in listing(out)}
    if os.path.lexists(out / LISTING) and not made:
        raise _refused(out / LISTING, "it lists no outputs of makar's")
    for name in names:
        there = [path for path in (out / name, out / f"{name}.c2pa") if os.path.lexists(path)]
        if not there or (name == export.PREVIEW and made):
            continue
        if name not in made:
            raise _refused(there[0], f"{LISTING} does not list it" if made else "it was not made by makar")
        if os.path.lexists(out / name) and _digest(out / name) != made[name]:
            raise _refused(out / name, "it was changed since it was made")


def _digest(path: Path) -> str:
    try:
        return sha256(files.read(path, LARGEST))
    except MakarError:
        return ""  # a link, a folder: nothing that we wrote


def _refused(path: Path, why: str) -> MakarError:
    return MakarError(f"{path} is there and would be replaced, and {why}; give another --out, or move it away")


def kept(out: Path, written: Collection[str]) -> list[dict[str, Any]]:
    """The entries of earlier outputs that are still there and are not among those written now."""
    return [e for e in listing(out) if e["file"] not in written and (out / str(e["file"])).is_file()]


def listed(out: Path, entries: Sequence[dict[str, Any]]) -> Path:
    """Write `outputs.json`: these entries, and those of earlier outputs that are kept. Returns its path."""
    earlier = kept(out, {str(entry["file"]) for entry in entries})
    files.write_json(out / LISTING, sorted([*earlier, *entries], key=lambda entry: str(entry["file"])))
    return out / LISTING


def claimed(out: Path) -> AbstractContextManager[None]:
    """Held while outputs are written, so that two draws into one folder do not lose each other's entries."""
    place = out.absolute()
    taken = f"outputs are being written to {out} by another process; wait until it is done, or give another --out"
    return files.claimed(place.with_name(f".{place.name}.writing"), taken, PATIENCE)
