"""Verify: what holds, what does not, and which key said so.

An output, a folder of outputs, a bundle or a ledger is looked at; nothing is changed and nothing is fetched. A stranger
needs the file, the bundle's directory and the public key, and no workspace: makar verify FILE --bundle DIR --key KEYS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makar.core.errors import MakarError
from makar.provenance import credentials, sealed, signing
from makar.provenance.findings import Finding
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.ledger import Ledger
from makar.provenance.receipts import Receipt
from makar.verbs import bundle
from makar.verbs.chain import HeadChecker
from makar.verbs.export import PREVIEW

_LIMIT = 2**30  # bytes of an output that are read
_LONGEST = 255  # characters of a file's name


@dataclass(frozen=True)
class Verifier:
    """Whom to believe, and where to look for bundles and a ledger."""

    anchors: Anchors
    home: Home | None = None
    bundle: Path | None = None

    @classmethod
    def here(cls, key: Path | None = None, model: Path | None = None) -> Verifier:
        """The workspace's own; or a stranger's, who has only a public key."""
        if key is not None:
            return cls(Anchors.read(key), None, model)
        home = Home.here()
        return cls(Anchors.of(home), home, model)


def verify(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on whatever is at `path`."""
    if is_bundle(path):
        return verify_bundle(path, verifier)
    if path.is_dir() and ((path / "heads.jsonl").exists() or sorted(path.glob("[0-9]*.jsonl"))):
        return verify_ledger(path, verifier)
    if path.is_dir():
        return verify_folder(path, verifier)
    if not path.exists():
        raise MakarError(f"there is nothing at {path} to verify")
    return verify_output(path, verifier)


def is_bundle(path: Path) -> bool:
    """Whether a folder is, or was before somebody removed a part of it, a bundle."""
    return any((path / name).exists() for name in ("digests.json", "config.json", "model.safetensors"))


def verify_ledger(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on a ledger. Where nobody's key is known, that nobody signed it is said and held against nothing."""
    return Ledger(path, None).verify(HeadChecker(verifier.anchors) if verifier.anchors.model_keys else None)


# Outputs


@dataclass(frozen=True)
class Seen:
    """What an output's own evidence says: its credential, its receipt, and how they stand."""

    receipt: Receipt | None
    reading: credentials.Reading
    findings: tuple[Finding, ...]


def look(path: Path, verifier: Verifier) -> Seen:
    """Read an output's credential and receipt, wherever they are."""
    if path.stat().st_size > _LIMIT:
        raise MakarError(f"{path} is larger than {_LIMIT // 2**20} MiB and is not read; verify the parts of it")
    data = path.read_bytes()
    side = path.with_name(f"{path.name}.c2pa")
    media_type = credentials.media_type(path)
    sidecar = side.read_bytes() if side.is_file() else None
    reading = credentials.read(data, media_type, sidecar, verifier.anchors)
    listed = listing(path.parent).get(path.name)
    findings = [Finding(f"credential of {path.name}", *_credential(reading, listed, verifier))]
    findings[0] = Finding(
        findings[0].what, findings[0].state, findings[0].why, required=_expected(reading, listed, verifier)
    )
    receipt = _receipt(path, reading, listed, findings)
    if listed is not None:
        same = bundle.sha256(data) == listed.get("sha256")
        why = (
            "is that of outputs.json" if same else "is another than outputs.json says: the file was changed or replaced"
        )
        findings.append(Finding(f"digest of {path.name}", "holds" if same else "fails", f"its sha256 {why}"))
    if receipt is not None and reading.state == "absent":
        findings.append(_content(path, data, receipt))
    return Seen(receipt, reading, tuple(findings))


def _credential(reading: credentials.Reading, listed: dict[str, Any] | None, verifier: Verifier) -> tuple[Any, str]:
    if reading.state != "absent":
        return reading.state, reading.why
    if verifier.anchors.empty and listed is not None:
        return "absent", "it was made without keys: its receipt is beside it, and nobody has signed it"
    return "absent", (
        "it carries no content credential, so nobody vouches for it; that says nothing about how it was made"
    )


def _expected(reading: credentials.Reading, listed: dict[str, Any] | None, verifier: Verifier) -> bool:
    """An output made without keys may lack a credential; where there are keys, or no receipt, it may not."""
    return reading.state != "absent" or listed is None or not verifier.anchors.empty


def _receipt(
    path: Path, reading: credentials.Reading, listed: dict[str, Any] | None, findings: list[Finding]
) -> Receipt | None:
    what = f"receipt of {path.name}"
    inside, beside = reading.receipt, None if listed is None else listed.get("receipt")
    if inside is None and beside is None:
        findings.append(Finding(what, "absent", "there is no receipt, so where it comes from is not known"))
        return None
    try:
        receipt = Receipt.read(inside if inside is not None else beside, f"the credential of {path.name}")
        if inside is not None and beside is not None and Receipt.read(beside, "outputs.json") != receipt:
            findings.append(Finding(what, "fails", "outputs.json holds another receipt than the signed credential"))
        else:
            where = "inside the credential" if inside is not None else "in outputs.json, unsigned"
            findings.append(Finding(what, "holds", f"it is {where} and names model {receipt.model[:12]}"))
    except MakarError as error:
        findings.append(Finding(what, "fails", str(error)))
        return None
    return receipt


def _content(path: Path, data: bytes, receipt: Receipt) -> Finding:
    same = bundle.sha256(data) == receipt.content
    why = "the file is the one that the receipt names" if same else "the file is not the one that the receipt names"
    return Finding(f"content of {path.name}", "holds" if same else "fails", why)


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """Entries of outputs.json by file name; empty where there is none that can be read."""
    path = folder / "outputs.json"
    if not path.is_file():
        return {}
    try:
        plain = json.loads(path.read_bytes())
        found = {str(item["file"]): item for item in plain if isinstance(item, dict)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {name: item for name, item in found.items() if Path(name).name == name and len(name) <= _LONGEST}


def verify_output(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on one output: its credential, its receipt, the bundle that the receipt names, the ledger's entry."""
    seen = look(path, verifier)
    found = list(seen.findings)
    if seen.receipt is None:
        return found
    place = find_bundle(seen.receipt, path, verifier)
    if place is None:
        found.append(
            Finding("bundle", "unknown", "the model's bundle is not here; give it with --bundle", required=False)
        )
    else:
        found += [match(seen.receipt, place), *verify_bundle(place, verifier)]
    if verifier.home is not None and verifier.home.ledger.is_dir():
        found.append(in_ledger(seen.receipt, path, verifier.home))
    return found


def match(receipt: Receipt, place: Path) -> Finding:
    """Whether the bundle is the one that the receipt names."""
    try:
        said = json.loads((place / "config.json").read_bytes())["id"]
        digest = bundle.sha256((place / "digests.json").read_bytes())
        data = json.loads((place / "data.json").read_bytes())["digest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Finding("receipt and bundle", "fails", f"{place} cannot be read as the bundle that the receipt names")
    for what, theirs, ours in (
        ("model", said, receipt.model),
        ("data", data, receipt.data),
        ("bundle", digest, receipt.bundle),
    ):
        if ours and theirs != ours:
            return Finding(
                "receipt and bundle", "fails", f"the receipt names {what} {ours[:12]}, and {place} holds {theirs[:12]}"
            )
    return Finding("receipt and bundle", "holds", f"{place} is the bundle that the receipt names")


def find_bundle(receipt: Receipt, path: Path, verifier: Verifier) -> Path | None:
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
    digest, written = receipt.digest(), bundle.sha256(path.read_bytes())
    for entry in Ledger(home.ledger, None).entries("output"):
        if entry.body.get("receipt") == digest:
            return Finding("ledger", "holds", f"entry {entry.n} has the receipt of {path.name}", required=False)
        if entry.body.get("sha256") == written:
            return Finding("ledger", "fails", f"entry {entry.n} has {path.name} with another receipt: it was altered")
    return Finding("ledger", "unknown", f"this workspace's ledger has no receipt of {path.name}", required=False)


def verify_folder(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on every output of a folder, on files too many, and on the bundle once."""
    listed = listing(path)
    if not listed:
        raise MakarError(f"{path} is no bundle, no ledger and no folder of outputs (it has no outputs.json)")
    found: list[Finding] = []
    places: dict[Path, None] = {}
    for name in listed:
        if not (path / name).is_file():
            found.append(Finding(name, "fails", "outputs.json lists it and it is not there"))
            continue
        seen = look(path / name, verifier)
        found += seen.findings
        place = None if seen.receipt is None else find_bundle(seen.receipt, path / name, verifier)
        if place is not None and seen.receipt is not None:
            found.append(match(seen.receipt, place))
            places[place] = None
    if (path / PREVIEW).is_file() and not verifier.anchors.empty:
        found += look(path / PREVIEW, verifier).findings
    own = {*listed, *(f"{name}.c2pa" for name in listed), "outputs.json", PREVIEW}
    for extra in sorted(p.name for p in path.iterdir() if p.name not in own):
        found.append(Finding(extra, "unknown", "outputs.json does not list it", required=False))
    for place in places:
        found += verify_bundle(place, verifier)
    return found


# Bundles


def verify_bundle(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on a bundle: every file, what it says it is, its documents, its signature."""
    if (path / sealed.SEAL).is_file():
        why = "it is over the weights too, which are sealed; it can be checked once they are opened"
        return [*sealed.check(path), Finding("signature", "unknown", why, required=False)]
    found = _files(path)
    sound = not any(f.wrong for f in found)
    if sound:
        try:
            trained = bundle.load(path)
            found.append(Finding("identity", "holds", f"weights, recipe and data are those of model {trained.id[:12]}"))
        except MakarError as error:
            found.append(Finding("identity", "fails", str(error)))
    found.append(_signature(path, verifier))
    return found


def _files(path: Path) -> list[Finding]:
    try:
        digests = bundle.read_digests(path)
    except MakarError as error:
        return [Finding("digests.json", "fails", str(error))]
    found = []
    for name, wanted in digests.items():
        place = path / name
        if Path(name).name != name or place.is_symlink():
            found.append(Finding(name, "fails", "a bundle holds only plain files, and no links or paths"))
        elif not place.is_file():
            found.append(Finding(name, "fails", "digests.json lists it and it is not there"))
        else:
            same = bundle.sha256(place.read_bytes()) == wanted
            why = "its sha256 is that of digests.json" if same else "its sha256 is not that of digests.json"
            found.append(Finding(name, "holds" if same else "fails", why))
    own = {*digests, "digests.json", bundle.SIGNATURE}
    present = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_symlink() or not p.is_dir()}
    return found + [Finding(name, "fails", "it does not belong to the bundle") for name in sorted(present - own)]


def _signature(path: Path, verifier: Verifier) -> Finding:
    found = signing.verify(path, verifier.anchors.model_keys)
    if found.state != "absent":
        return found
    try:
        signer = json.loads((path / "chain.json").read_bytes()).get("signer")
    except (OSError, ValueError, AttributeError, RecursionError):
        signer = None
    if signer is not None:
        return Finding("signature", "fails", f"the bundle says that key {signer} signed it, and model.sig is not there")
    if verifier.anchors.empty:
        return Finding("signature", "absent", "the bundle was made without keys; nobody vouches for it", required=False)
    return Finding("signature", "absent", "nobody has signed the bundle, though this workspace knows keys")
