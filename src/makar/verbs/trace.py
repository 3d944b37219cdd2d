"""Trace: from a thing back to its sources, every digest checked on the way.

output → receipt → model → run → dataset → source and licence
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from makar.core.errors import MakarError
from makar.data import Manifest
from makar.data.dataset import Member
from makar.data.manifest import check as check_manifest
from makar.provenance import credentials
from makar.provenance.findings import Finding, holds
from makar.provenance.receipts import Receipt
from makar.verbs import bundle
from makar.verbs.verify import Verifier, find_bundle, is_bundle, look, match, verify_bundle


@dataclass(frozen=True)
class Step:
    """One station on the way back."""

    kind: str  # output, edit, receipt, model, run, dataset, source
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
    if not path.is_file():
        raise MakarError(f"there is no file or bundle at {path} to trace")
    seen = look(path, verifier)
    content = [f for f in seen.findings if not f.what.startswith("receipt")]
    output = Step(
        "output",
        seen.receipt.outputs[0] if seen.receipt and seen.receipt.outputs else bundle.sha256(path.read_bytes()),
        holds(content) if content else None,
        "; ".join(f.why for f in content if f.wrong) or "; ".join(f.why for f in content),
        details={"file": path.name, "signed_by": seen.reading.signer, "credential": seen.reading.state},
    )
    steps = [output, *_edits(seen.reading.history)]
    if seen.receipt is None:
        return steps
    about = next(f for f in seen.findings if f.what.startswith("receipt"))
    steps.append(_receipt(seen.receipt, about))
    place = find_bundle(seen.receipt, path, verifier)
    if place is None:
        why = "the bundle is not here, so nothing beyond the receipt can be checked; give it with --bundle"
        return [*steps, Step("model", seen.receipt.model, None, why, details={"family": seen.receipt.family})]
    named = match(seen.receipt, place)
    found = from_bundle(place, verifier)
    if named.wrong:
        found[0] = Step("model", found[0].id, False, named.why, details=found[0].details)
    return [*steps, *found]


def _edits(history: tuple[credentials.Step, ...]) -> list[Step]:
    """What was done to the file before it came to be as it is, the newest first, without the newest state itself."""
    return [
        Step(
            "edit", step.label, step.state == "holds", f"{', '.join(step.actions)} signed by {step.signer or 'unknown'}"
        )
        for step in reversed(history[:-1])
    ]


def _receipt(receipt: Receipt, about: Finding) -> Step:
    details = {
        "made": receipt.made, "watermark": receipt.watermark.model_dump(), "policy": receipt.policy,
        "recipe": receipt.recipe, "labels": receipt.labels,
    }  # fmt: skip
    if receipt.nearest is not None:
        details["nearest"] = receipt.nearest.model_dump()
    return Step("receipt", receipt.digest(), about.state == "holds", about.why, details=details)


def from_bundle(place: Path, verifier: Verifier) -> list[Step]:
    """The model, its run, its data and the data's sources."""
    found = verify_bundle(place, verifier)
    wrong = [f"{f.what}: {f.why}" for f in found if f.wrong]
    try:
        plain = {name: json.loads((place / name).read_bytes()) for name in ("config.json", "run.json", "data.json")}
        config, run = plain["config.json"], plain["run.json"]
        model_id, family = str(config["id"]), str(config["family"])
        run_id = bundle.sha256((place / "run.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return [Step("model", place.name, False, "; ".join(wrong) or f"{place} cannot be read")]
    signature = next(f for f in found if f.what.startswith("signature"))
    details = {"family": family, "bundle": str(place), "signature": signature.why, "rights": _rights(place)}
    model = Step(
        "model", model_id, not wrong, "; ".join(wrong) or "weights, records and documents match", details=details
    )
    ran = [f for f in found if f.what == "run.json"]
    about = {key: run.get(key) for key in ("made", "steps", "cpu_seconds", "flops", "code", "machine")}
    how = Step("run", run_id, holds(ran), ran[0].why if ran else "digests.json does not list it", details=about)
    return [model, how, *_data(plain["data.json"])]


def _rights(place: Path) -> Any:
    try:
        return json.loads((place / "rights.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _data(plain: Any) -> list[Step]:
    try:
        manifest = Manifest.model_validate(plain)
        check_manifest(manifest)
        count = sum(manifest.counts.values())
        why = f"its digest is that of its content: {count:,} items, each with its sha256"
    except (MakarError, ValueError) as error:
        digest = str(plain.get("digest", "")) if isinstance(plain, dict) else ""
        return [Step("dataset", digest, False, str(error).splitlines()[0])]
    dataset = Step(
        "dataset", manifest.digest, True, why, manifest.licence, manifest.source,
        {"name": manifest.name, "counts": manifest.counts, "attribution": manifest.attribution},
    )  # fmt: skip
    parts: list[Manifest | Member] = [*manifest.members] or [manifest]
    said = "the manifest, whose digest is right, states its source and licence"
    return [dataset, *(Step("source", p.digest, True, said, p.licence, p.source, {"name": p.name}) for p in parts)]


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
        lines.append(f"{head}  {'; '.join([*more, step.why])}")
    return "\n".join(lines)
