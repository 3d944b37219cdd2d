"""How evidence is looked for: files with their digests, and checks that need keys and libraries."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makar.core.digest import short
from makar.core.errors import MakarError
from makar.provenance.findings import Finding
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.media import media_type
from makar.provenance.profile import Evidence, Place
from makar.provenance.receipts import Receipt
from makar.verbs.bundle import sha256 as sha256

_LARGEST = 1 << 30  # bytes of a file that are read


@dataclass(frozen=True)
class Checks:
    """Checks that need keys and libraries: of an output's credential, a bundle's signature, and the ledger."""

    credential: Callable[[Path, Receipt | None], Finding]  # the receipt is the one listed for the file
    signature: Callable[[Path], Finding]
    ledger: Callable[[Path], Sequence[Finding]]

    @classmethod
    def of(cls, home: Home) -> Checks:
        """As this workspace sees them."""
        anchors = Anchors.of(home)
        return cls(
            lambda path, receipt: _credential(path, receipt, anchors),
            lambda path: _signature(path, anchors),
            lambda path: _ledger(path, anchors),
        )


def _credential(path: Path, receipt: Receipt | None, anchors: Anchors) -> Finding:
    """Fails too where outputs.json, which nobody signs, lists another receipt than the credential holds."""
    from makar.provenance import credentials

    what = f"credential of {path.name}"
    side = path.with_name(f"{path.name}.c2pa")
    sidecar = side.read_bytes() if side.is_file() else None
    reading = credentials.read(path.read_bytes(), media_type(path), sidecar, anchors)
    if reading.receipt is not None and not _same(reading.receipt, receipt, what):
        return Finding(what, "fails", "outputs.json lists another receipt than the one that it holds")
    return Finding(what, reading.state, reading.why)


def _same(inside: dict[str, Any], receipt: Receipt | None, what: str) -> bool:
    try:
        return Receipt.read(inside, what) == receipt
    except MakarError:
        return False


def _signature(path: Path, anchors: Anchors) -> Finding:
    from makar.provenance import signing

    return signing.verify(path, anchors.model_keys)


def _ledger(path: Path, anchors: Anchors) -> Sequence[Finding]:
    from makar.provenance.ledger import Ledger
    from makar.verbs.chain import HeadChecker

    return Ledger(path).verify(HeadChecker(anchors) if anchors.model_keys else None)


def read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise MakarError(f"{path} is larger than {_LARGEST >> 20} MiB and is not read")
        return path.read_bytes()
    except OSError as error:
        raise MakarError(f"{path} cannot be read ({error.strerror})") from None


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a log, one a line; none where there is no file. Raises MakarError for another line."""
    if not path.is_file():
        return []
    try:
        found = [json.loads(line) for line in read(path).splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise MakarError(f"{path} holds a line that is not JSON; restore it from a copy") from None
    if not all(isinstance(line, dict) for line in found):
        raise MakarError(f"{path} holds a line that is no JSON object; restore it from a copy")
    return found


def present(key: str, path: Path, root: Path) -> Evidence:
    """Evidence that is a file of people's own writing, and not an empty one."""
    if not path.is_file() or not path.read_bytes().strip():
        return lacks(key, f"there is no {path.relative_to(root)}")
    return Evidence(key, True, f"{path.relative_to(root)}", (place(path, root),))


def place(path: Path, root: Path) -> Place:
    """Where a file lies, and its digest."""
    return Place(str(path.relative_to(root)), sha256(path.read_bytes()))


def lacks(key: str, why: str) -> Evidence:
    return Evidence(key, False, why)


def safety_file(home: Home, model: str) -> Path:
    """Where the signed safety results of a model are kept."""
    return home.root / "safety" / f"{short(model)}.json"
