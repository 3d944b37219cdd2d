"""Trace: from a thing back to its sources, every digest checked on the way.

output → receipt → model → run → dataset → source and licence
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError, plain
from makar.data import Manifest
from makar.data.dataset import Member
from makar.data.manifest import check as check_manifest
from makar.provenance import authorship, credentials
from makar.provenance.findings import Finding, holds
from makar.provenance.receipts import Receipt
from makar.verbs import bundle
from makar.verbs.verify import (
    LARGEST,
    Seen,
    Verifier,
    entry_of,
    find_bundle,
    in_ledger,
    is_bundle,
    look,
    match,
    verify_bundle,
)
from makar.verbs.verify_bundle import record


@dataclass(frozen=True)
class Step:
    """One station on the way back."""

    kind: str  # output, decision, edit, receipt, model, run, dataset, source
    id: str
    digest_ok: bool | None  # None where there is nothing to check it by
    why: str
    licence: str | None = None
    source: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON data; licence and source only where it has them."""
        return {key: value for key, value in asdict(self).items() if value is not None or key == "digest_ok"}


def trace(path: Path, verifier: Verifier) -> list[Step]:
    """Steps from an output (or a bundle) to its sources. Raises MakarError where the way cannot be begun."""
    if is_bundle(path):
        return from_bundle(path, verifier)
    if not os.path.lexists(path):
        raise MakarError(f"there is no file or bundle at {path} to trace")
    seen = look(path, verifier, entry_of(path))
    content = [f for f in seen.findings if not f.what.startswith("receipt")]
    output = Step(
        "output",
        seen.receipt.outputs[0] if seen.receipt and seen.receipt.outputs else "",
        holds(content) if content else None,
        "; ".join(f.why for f in content if f.wrong) or "; ".join(f.why for f in content),
        details={"file": path.name, "signed_by": seen.reading.signer, "credential": seen.reading.state},
    )
    steps = [output, *_decisions(path), *_edits(seen.reading.history)]
    if seen.receipt is None:
        return steps
    about = next(f for f in seen.findings if f.what.startswith("receipt"))
    steps.append(_receipt(seen.receipt, about, _vouched(seen, about, path, verifier)))
    place = find_bundle(seen.receipt, verifier)
    if place is None:
        why = "the bundle is not here, so nothing beyond the receipt can be checked; give it with --bundle"
        return [*steps, Step("model", seen.receipt.model, None, why, details={"family": seen.receipt.family})]
    named = match(seen.receipt, place)
    return [*steps, *from_bundle(place, verifier, "" if named.state == "holds" else named.why)]


def _vouched(seen: Seen, about: Finding, path: Path, verifier: Verifier) -> bool | None:
    """Whether a receipt is what was signed, or what the ledger entered; None where neither can say."""
    if about.state != "holds" or seen.receipt is None:
        return False
    if seen.inside:
        return seen.reading.state == "holds"
    if verifier.home is None or not verifier.home.ledger.is_dir():
        return None
    return {"holds": True, "fails": False}.get(in_ledger(seen.receipt, path, verifier.home).state)


def _edits(history: tuple[credentials.Step, ...]) -> list[Step]:
    """What was done to the file before it came to be as it is, the newest first, without the newest state itself."""
    return [
        Step(
            "edit", step.label, step.state == "holds", f"{', '.join(step.actions)} signed by {step.signer or 'unknown'}"
        )
        for step in reversed(history[:-1])
    ]


def _decisions(path: Path) -> list[Step]:
    """What people decided on the file, the newest first, as the record of authorship beside it says."""
    record_ = path.with_name(authorship.NAME)
    if not os.path.lexists(record_):
        return []
    stands = authorship.check(record_)[0]
    if stands.state == "fails":
        return [Step("decision", "", False, f"the record of authorship does not hold: {stands.why}")]
    about = [e for e in authorship.read(record_) if e.subject == path.name and e.step not in ("prompt", "propose")]
    now = bundle.sha256(files.read(path, LARGEST))
    found = []
    for e in reversed(about):
        same = "" if e.sha256 in ("", now) else ", of the file as it was then"
        said = f"{e.step} by {e.by} at {e.time}{same}" + (f": {e.text}" if e.text else "")
        found.append(Step("decision", e.digest, True, said, details={"step": e.step, "by": e.by, "time": e.time}))
    return found


def _receipt(receipt: Receipt, about: Finding, vouched: bool | None) -> Step:
    details = {
        "made": receipt.made, "watermark": receipt.watermark.model_dump(), "policy": receipt.policy,
        "recipe": receipt.recipe, "labels": receipt.labels,
    }  # fmt: skip
    if receipt.nearest is not None:
        details["nearest"] = receipt.nearest.model_dump()
    return Step("receipt", receipt.digest(), vouched, about.why, details=details)


def from_bundle(place: Path, verifier: Verifier, other: str = "") -> list[Step]:
    """The model, its run, its data and the data's sources; `other` says why it is not the bundle that was meant."""
    found = verify_bundle(place, verifier)
    wrong = [*([other] if other else []), *(f"{f.what}: {f.why}" for f in found if f.wrong)]
    config, run = record(place, "config.json"), record(place, "run.json")
    signature = next((f.why for f in found if f.what.startswith("signature")), "")
    details = {
        "family": str(config.get("family", "")), "bundle": str(place), "signature": signature,
        "rights": dict(record(place, "rights.json")),
    }  # fmt: skip
    stands = "; ".join(wrong) or "weights, records and documents are as their digests say"
    model = Step("model", str(config.get("id", "")), not wrong, stands, details=details)
    ran = [f for f in found if f.what == "run.json"]
    about = {key: run.get(key) for key in ("made", "steps", "cpu_seconds", "flops", "code", "machine")}
    run_id = bundle.read_digests(place).get("run.json", "") if ran else ""
    how = Step(
        "run", run_id, holds(ran) and not wrong, ran[0].why if ran else "there is no record of it", details=about
    )
    return [model, how, *_data(record(place, "data.json"), not wrong)]


def _data(record_: Mapping[str, Any], sound: bool) -> list[Step]:
    """The dataset and its sources. What it says is checked by its own digest, and believed with the bundle's."""
    try:
        manifest = Manifest.model_validate(record_)
        check_manifest(manifest)
    except (MakarError, ValueError) as error:
        return [Step("dataset", str(record_.get("digest", "")), False, str(error).splitlines()[0])]
    count = sum(manifest.counts.values())
    why = f"its digest is that of its content: {count:,} items, each with its sha256"
    said = "the manifest, whose digest is right, states its source and licence"
    if not sound:
        why = said = "the manifest fits itself; the bundle that it is in does not hold, so it may be anybody's"
    dataset = Step(
        "dataset", manifest.digest, sound, why, manifest.licence, manifest.source,
        {"name": manifest.name, "counts": manifest.counts, "attribution": manifest.attribution},
    )  # fmt: skip
    parts: list[Manifest | Member] = [*manifest.members] or [manifest]
    return [dataset, *(_source(part, sound, said) for part in parts)]


def _source(part: Manifest | Member, sound: bool, said: str) -> Step:
    """A source; of a mix with its share of the items."""
    details: dict[str, Any] = {"name": part.name}
    if isinstance(part, Member):
        details["share"] = part.share
        said = f"{100 * part.share:.3g} % of the items ({part.name}); {said}"
    return Step("source", part.digest, sound, said, part.licence, part.source, details)


def words(steps: list[Step]) -> str:
    """The way back, one line a step."""
    marks = {True: "✓", False: "✗", None: "?"}
    lines = []
    before = sum(step.kind != "source" for step in steps)
    for place, step in enumerate(steps):
        i = min(place, before)  # the sources of a mix stand beside one another
        head = f"{'  ' * i}{'└ ' if i else ''}{marks[step.digest_ok]} {step.kind} {step.id[:12]}"
        more = [f"licence {step.licence}"] if step.licence else []
        more += [step.source] if step.source else []
        lines.append(plain(f"{head}  {'; '.join([*more, step.why])}"))
    return "\n".join(lines)
