"""Verify a bundle: every file, what it says it is, whether its records agree, and who signed it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from makar.core.errors import MakarError
from makar.data import Manifest, rights
from makar.provenance import sealed, signing
from makar.provenance.documents import all_documents
from makar.provenance.findings import Finding
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.ledger import Ledger
from makar.verbs import bundle
from makar.verbs.machine import code


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


def is_bundle(path: Path) -> bool:
    """Whether a folder is, or was before somebody removed a part of it, a bundle."""
    return any(os.path.lexists(path / name) for name in ("digests.json", "config.json", "model.safetensors"))


def verify_bundle(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on a bundle."""
    if os.path.lexists(path / sealed.SEAL):
        return _sealed(path, verifier)
    found = list(_files(path))
    if not any(f.wrong for f in found):
        try:
            trained = bundle.load(path)
            found.append(Finding("identity", "holds", f"weights, recipe and data are those of model {trained.id[:12]}"))
            found += _agreement(path, trained.manifest)
        except MakarError as error:
            found.append(Finding("identity", "fails", str(error)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            why = f"its records are not as a bundle's are ({type(error).__name__})"
            found.append(Finding("records", "fails", why))
    return [*found, _signature(path, verifier), *_entered(path, verifier)]


def _files(path: Path) -> list[Finding]:
    """One finding a file: those that digests.json lists, and those that it does not."""
    try:
        digests = bundle.read_digests(path)
    except MakarError as error:
        return [Finding("digests.json", "fails", str(error))]
    found = [_file(path / name, name, wanted) for name, wanted in digests.items()]
    own = {*digests, "digests.json", bundle.SIGNATURE}
    extra = sorted(p.name for p in path.iterdir() if p.name not in own)
    return found + [Finding(name, "fails", "it does not belong to the bundle") for name in extra]


def _file(place: Path, name: str, wanted: str) -> Finding:
    if Path(name).name != name:
        return Finding(name, "fails", "a bundle holds only plain files, and no paths")
    if not os.path.lexists(place):
        return Finding(name, "fails", "digests.json lists it and it is not there")
    try:
        same = bundle.sha256(bundle.read(place)) == wanted
    except MakarError as error:
        return Finding(name, "fails", str(error))
    why = "its sha256 is that of digests.json" if same else "its sha256 is not that of digests.json"
    return Finding(name, "holds" if same else "fails", why)


def _agreement(path: Path, manifest: Manifest) -> list[Finding]:
    """Whether rights and documents are what the other records make them.

    Documents are compared only where this very makar wrote them; of other versions their signature has to do.
    """
    names = bundle.read_digests(path)
    if "rights.json" not in names:
        return []  # format 1
    found = {name: bundle.read(path / name) for name in names}
    stated, ours = json.loads(found["rights.json"]), rights.of(manifest).to_json()
    if stated != ours and "LicenseRef-" in manifest.licence:
        why = "it reads licences of the maker's own, which this workspace does not know"
        return [Finding("rights", "unknown", why, required=False)]
    if stated != ours:
        return [Finding("rights", "fails", "rights.json is not what the licences in data.json allow")]
    if json.loads(found["run.json"]).get("code") != code():
        return [Finding("rights", "holds", "rights.json is what the licences in data.json allow")]
    wrong = [name for name, data in all_documents(bundle.records(found)).items() if found.get(name) != data]
    if wrong:
        return [Finding("documents", "fails", f"{', '.join(wrong)}: not what the records make of it")]
    return [Finding("rights and documents", "holds", "they are what the records make of them")]


def _signature(path: Path, verifier: Verifier) -> Finding:
    found = signing.verify(path, verifier.anchors.model_keys)
    return found if found.state != "absent" else _unsigned(path, verifier)


def _unsigned(path: Path, verifier: Verifier) -> Finding:
    """A missing signature is wrong where the bundle says that there was one, and for whom knows keys."""
    signer = record(path, "chain.json").get("signer")
    if signer is not None:
        return Finding("signature", "fails", f"the bundle says that key {signer} signed it, and model.sig is not there")
    if verifier.anchors.empty:
        return Finding("signature", "absent", "the bundle was made without keys; nobody vouches for it", required=False)
    return Finding("signature", "absent", "nobody has signed the bundle, though this workspace knows keys")


def record(path: Path, name: str) -> Mapping[str, Any]:
    """A JSON object of a bundle; empty where it cannot be read."""
    try:
        plain = json.loads(bundle.read(path / name))
    except (MakarError, ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _sealed(path: Path, verifier: Verifier) -> list[Finding]:
    """Findings on a bundle whose weights are sealed away: the signature names them by their digest."""
    found = list(sealed.check(path))
    try:
        note, digests = sealed.Seal.of(path), bundle.read_digests(path)
    except MakarError as error:
        return [*found, Finding("seal", "fails", str(error))]
    own = {*digests, "digests.json", bundle.SIGNATURE, sealed.SEAL, sealed.SEALED} - {sealed.WEIGHTS}
    extra = sorted(p.name for p in path.iterdir() if p.name not in own)
    found += [Finding(name, "fails", "it does not belong to a sealed bundle") for name in extra]
    hidden = {sealed.WEIGHTS: note.weights}
    signed = signing.verify_sealed(path, verifier.anchors.model_keys, hidden, {sealed.SEAL, sealed.SEALED})
    return [*found, signed if signed.state != "absent" else _unsigned(path, verifier)]


def _entered(path: Path, verifier: Verifier) -> list[Finding]:
    """Whether the workspace's ledger entered another bundle at this place."""
    if verifier.home is None or not verifier.home.ledger.is_dir():
        return []
    last: Any = None
    for entry in Ledger(verifier.home.ledger, None).entries("model"):
        place = entry.body.get("place")
        if isinstance(place, str) and (verifier.home.root.parent / place).absolute() == path.absolute():
            last = entry
    try:
        digests = bundle.sha256(bundle.read(path / "digests.json"))
    except MakarError:
        return []  # said already
    if last is None:
        return []
    if last.body.get("bundle") == digests:
        return [Finding("ledger", "holds", f"entry {last.n} has this bundle", required=False)]
    return [Finding("ledger", "fails", f"entry {last.n} has another bundle at this place: it was replaced")]


def stands(path: Path, anchors: Anchors) -> Finding:
    """How a bundle's signature stands, by its envelope alone: quick, for those who are about to use the bundle."""
    return replace(signing.verify_sealed(path, anchors.model_keys, {}, ()), what=f"signature of {path}")
