"""Verify: what holds, what does not, and which key said so.

An output, a folder of outputs, a bundle or a ledger is looked at; nothing is changed and nothing is fetched. A stranger
needs the file, the bundle's directory and the public key, and no workspace: makar verify FILE --bundle DIR --key KEYS.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import credentials
from makar.provenance.entries import HEADS, segments
from makar.provenance.findings import Finding
from makar.provenance.home import Home
from makar.provenance.ledger import Ledger
from makar.provenance.media import MEDIA
from makar.provenance.receipts import Receipt
from makar.verbs import bundle
from makar.verbs.chain import HeadChecker
from makar.verbs.export import PREVIEW
from makar.verbs.verify_bundle import Verifier as Verifier
from makar.verbs.verify_bundle import is_bundle as is_bundle
from makar.verbs.verify_bundle import record
from makar.verbs.verify_bundle import verify_bundle as verify_bundle

LARGEST = 2**28  # bytes of an output that are read
_LONGEST = 255  # characters of a file's name
LISTING = "outputs.json"
_NONE = "it carries no content credential, so nobody vouches for it; that says nothing about how it was made"


def verify(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on whatever is at `path`."""
    if is_bundle(path):
        return verify_bundle(path, verifier)
    if os.path.lexists(path / LISTING):
        return verify_folder(path, verifier)
    if path.is_dir() and ((path / HEADS).exists() or segments(path)):
        return verify_ledger(path, verifier)
    if path.is_dir():
        raise MakarError(f"{path} is no bundle, no ledger and no folder of outputs (it has no {LISTING})")
    if not os.path.lexists(path):
        raise MakarError(f"there is nothing at {path} to verify")
    return verify_output(path, verifier)


def verify_ledger(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on a ledger. Where nobody's key is known, that nobody signed it is said and held against nothing."""
    checker = HeadChecker(verifier.anchors) if verifier.anchors.model_keys else None
    found = Ledger(path, None).verify(checker)
    if segments(path):
        return found
    return [replace(f, required=True) if f.state == "absent" else f for f in found]  # there was one, and it is empty


@dataclass(frozen=True)
class Seen:
    """What an output's own evidence says: its credential, its receipt, and how they stand."""

    receipt: Receipt | None
    reading: credentials.Reading
    findings: tuple[Finding, ...]
    inside: bool = False  # whether the receipt is within the credential, and so signed


def look(path: Path, verifier: Verifier, listed: Mapping[str, Any] | None = None) -> Seen:
    """Read an output's credential and receipt, wherever they are; `listed` is its entry in outputs.json."""
    data = files.read(path, LARGEST)
    side = path.with_name(f"{path.name}.c2pa")
    sidecar = files.read(side, LARGEST) if os.path.lexists(side) else None
    reading = credentials.read(data, credentials.media_type(path), sidecar, verifier.anchors)
    made_without_keys = reading.state == "absent" and listed is not None and verifier.anchors.empty
    why = reading.why if reading.state != "absent" else _NONE
    if reading.state in ("fails", "absent") and (wrong := credentials.misnamed(path.name, data)):
        why = f"{wrong}; {why}"
    if made_without_keys:
        why = "it was made without keys: its receipt is beside it, and nobody has signed it"
    found = [Finding(f"credential of {path.name}", reading.state, why, required=not made_without_keys)]
    receipt, said = _receipt(path, reading, listed)
    found.append(said)
    if listed is not None:
        found.append(_listed(path, data, listed, receipt))
    if receipt is not None and reading.state == "absent":
        same = bundle.sha256(data) == receipt.content
        names = "is" if same else "is not"
        why = f"the file {names} the one that the receipt names"
        found.append(Finding(f"content of {path.name}", "holds" if same else "fails", why))
    return Seen(receipt, reading, tuple(found), reading.receipt is not None)


def _receipt(
    path: Path, reading: credentials.Reading, listed: Mapping[str, Any] | None
) -> tuple[Receipt | None, Finding]:
    what = f"receipt of {path.name}"
    inside, beside = reading.receipt, None if listed is None else listed.get("receipt")
    if inside is None and beside is None:
        if reading.ai is False:
            said = "it needs none: whoever signed it says that no model made it"
            return None, Finding(what, "absent", said, required=False)
        return None, Finding(what, "absent", "there is no receipt, so where it comes from is not known")
    try:
        receipt = Receipt.read(inside if inside is not None else beside, f"the credential of {path.name}")
        if inside is not None and beside is not None and Receipt.read(beside, LISTING) != receipt:
            return receipt, Finding(what, "fails", f"{LISTING} holds another receipt than the signed credential")
    except MakarError as error:
        return None, Finding(what, "fails", str(error))
    where = "inside the credential" if inside is not None else f"in {LISTING}, unsigned"
    return receipt, Finding(what, "holds", f"it is {where} and names model {receipt.model[:12]}")


def _listed(path: Path, data: bytes, listed: Mapping[str, Any], receipt: Receipt | None) -> Finding:
    """Whether the entry in outputs.json is of this file and says what the receipt says."""
    what = f"digest of {path.name}"
    if bundle.sha256(data) != listed.get("sha256"):
        return Finding(what, "fails", f"its sha256 is not that of {LISTING}: the file was changed or replaced")
    if receipt is not None:
        other = [key for key, value in receipt.listed().items() if listed.get(key) != value]
        if other:
            return Finding(what, "fails", f"{LISTING} says another {other[0]} of it than its receipt")
    return Finding(what, "holds", f"its sha256 is that of {LISTING}")


def listing(folder: Path) -> list[dict[str, Any]]:
    """The entries of outputs.json; none where there is no such list that can be read."""
    path = folder / LISTING
    if not os.path.lexists(path):
        return []
    try:
        plain = json.loads(files.read(path, LARGEST))
    except (MakarError, ValueError, RecursionError):
        return []
    found = [item for item in plain if isinstance(item, dict)] if isinstance(plain, list) else []
    return [item for item in found if isinstance(item.get("file"), str)]


def entry_of(path: Path) -> dict[str, Any] | None:
    """A file's entry in the outputs.json beside it."""
    return next((item for item in listing(path.parent) if item["file"] == path.name), None)


def verify_output(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on one output: its credential, its receipt, the bundle that the receipt names, the ledger's entry."""
    seen = look(path, verifier, entry_of(path))
    found = list(seen.findings)
    if seen.receipt is None:
        return found
    place = find_bundle(seen.receipt, verifier)
    if place is None:
        why = "the model's bundle is not here; give it with --bundle"
        found.append(Finding("bundle", "unknown", why, required=False))
    else:
        found += [match(seen.receipt, place), *verify_bundle(place, verifier)]
    if verifier.home is not None and verifier.home.ledger.is_dir():
        found.append(in_ledger(seen.receipt, path, verifier.home))
    return found


def match(receipt: Receipt, place: Path) -> Finding:
    """Whether the bundle is the one that the receipt names."""
    what = "receipt and bundle"
    config, data = record(place, "config.json"), record(place, "data.json")
    try:
        digests = bundle.sha256(bundle.read(place / "digests.json"))
    except MakarError as error:
        return Finding(what, "fails", str(error))
    pairs = {
        "model": (config.get("id"), receipt.model), "family": (config.get("family"), receipt.family),
        "data": (data.get("digest"), receipt.data), "bundle": (digests, receipt.bundle or digests),
    }  # fmt: skip
    for name, (theirs, ours) in pairs.items():
        if theirs != ours:
            return Finding(what, "fails", f"the receipt names {name} {ours[:12]}, and {place} holds {str(theirs)[:12]}")
    stated = record(place, "rights.json")
    if stated and stated != receipt.rights:
        return Finding(what, "fails", f"the receipt states other rights than {place}/rights.json")
    return Finding(what, "holds", f"{place} is the bundle that the receipt names")


def find_bundle(receipt: Receipt, verifier: Verifier) -> Path | None:
    """The bundle named, or where the ledger says that the model was saved; None where it is not there."""
    if verifier.bundle is not None:
        bundle.read_digests(verifier.bundle)  # refuses what is no bundle
        return verifier.bundle
    if verifier.home is None or not verifier.home.ledger.is_dir():
        return None
    for entry in Ledger(verifier.home.ledger, None).entries("model"):
        if entry.body.get("id") == receipt.model:
            place = verifier.home.root.parent / str(entry.body.get("place", ""))
            if (place / "digests.json").is_file() and match(receipt, place).state == "holds":
                return place
    return None


def in_ledger(receipt: Receipt, path: Path, home: Home) -> Finding:
    """Whether the workspace's ledger has the output, with this receipt and no other."""
    wanted, written = receipt.digest(), bundle.sha256(files.read(path, LARGEST))
    for entry in Ledger(home.ledger, None).entries("output"):
        if entry.body.get("receipt") == wanted:
            return Finding("ledger", "holds", f"entry {entry.n} has the receipt of {path.name}", required=False)
        if entry.body.get("sha256") == written:
            return Finding("ledger", "fails", f"entry {entry.n} has {path.name} with another receipt: it was altered")
    return Finding("ledger", "unknown", f"this workspace's ledger has no receipt of {path.name}", required=False)


def verify_folder(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on every output of a folder, on files that nobody lists, and on the bundle once."""
    entries = listing(path)
    if not entries:
        return [Finding(LISTING, "fails", "it lists nothing, or is not what makar writes")]
    names = [str(entry["file"]) for entry in entries]
    found = [
        Finding(name, "fails", f"{LISTING} lists it twice") for name in sorted({n for n in names if names.count(n) > 1})
    ]
    places: dict[Path, None] = {}
    for name, entry in zip(names, entries, strict=True):
        if Path(name).name != name or len(name) > _LONGEST:
            found.append(Finding(name[:80], "fails", f"{LISTING} lists what is no plain name of a file"))
            continue
        found += _one(path / name, entry, verifier, places)
    own = {*names, *(f"{name}.c2pa" for name in names), LISTING}
    for extra in sorted(p.name for p in path.iterdir() if p.name not in own):
        found += _unlisted(path / extra, verifier)
    for place in places:
        found += verify_bundle(place, verifier)
    return found


def _one(path: Path, entry: Mapping[str, Any], verifier: Verifier, places: dict[Path, None]) -> list[Finding]:
    """Findings on a listed file; its bundle is added to `places`."""
    if not os.path.lexists(path):
        return [Finding(path.name, "fails", f"{LISTING} lists it and it is not there")]
    try:
        seen = look(path, verifier, entry)
    except MakarError as error:
        return [Finding(path.name, "fails", str(error))]
    place = None if seen.receipt is None else find_bundle(seen.receipt, verifier)
    if place is None or seen.receipt is None:
        return list(seen.findings)
    places[place] = None
    return [*seen.findings, match(seen.receipt, place)]


def _unlisted(path: Path, verifier: Verifier) -> list[Finding]:
    """A file that outputs.json does not list: the preview, notes of people, or something that was put there."""
    media = path.suffix.lower() in MEDIA and path.suffix.lower() not in (".json", ".jsonl", ".md")
    if (path.name == PREVIEW and verifier.anchors.empty) or not media:
        return [Finding(path.name, "unknown", f"{LISTING} does not list it", required=False)]
    try:
        return list(look(path, verifier).findings)
    except MakarError as error:
        return [Finding(path.name, "fails", str(error))]
