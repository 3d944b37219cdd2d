"""Evidence: what there is to show, gathered from a bundle or a folder of outputs, and from the workspace.

`KEYS` lists all that is looked for; profiles name these keys and no others. Whatever is looked at yields the keys that
belong to it: a folder of outputs says nothing of a model's card. Nothing is held because a file of that name exists
alone: records are parsed, signatures and digests checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makar.core.digest import short
from makar.core.errors import MakarError
from makar.data.rights import Verdict
from makar.provenance import approvals, authorship, incident, labels, profile, safety, signed
from makar.provenance.findings import Finding, holds
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.media import media_type
from makar.provenance.policy import Policy
from makar.provenance.profile import Evidence, Place
from makar.provenance.receipts import Receipt
from makar.verbs._evidence import audit_evidence, bundle_evidence
from makar.verbs._evidence import registry_entry as registry_entry
from makar.verbs._shown import Checks, lacks, place, present, read, safety_file, sha256

OUTPUT_KEYS = {
    "receipt": "every output has a receipt in outputs.json",
    "credential": "every output carries a content credential that is intact and signed by a key known here",
    "watermark": "every output's receipt names a watermark",
    "label_eu": "every output that people see or read bears the label 'AI' or its leading line",
    "label_cn": "every output that people see or read bears the label 'AI生成' or its leading line",
    "aigc_field": "every picture's metadata hold the field AIGC",
    "kept_marks": "no output was made from an input, or each that was carries a credential with its history",
    "authorship": "authorship.jsonl records what people decided, and its chain holds",
    "approval": "every output was approved by an approver whom the policy names",
}
MODEL_KEYS = {
    "card": "README.md and the digest it has in digests.json",
    "datasheet": "datasheet.md, likewise",
    "croissant": "croissant.json, likewise",
    "bom": "bom.cdx.json, likewise",
    "spdx": "spdx.json, likewise",
    "signature": "model.sig by a key known here",
    "architecture": "config.json names family, settings and number of parameters",
    "run": "run.json records recipe, machine and time",
    "compute": "run.json gives the operations of training",
    "below_systemic": "these are fewer than 1e25 (AI Act, Article 51(2))",
    "energy": "run.json gives joules",
    "data_sources": "data.json names source and licence of all data",
    "opt_outs": "data.json keeps what was found of opting out",
    "chain": "chain.json says that the chain was on",
    "training_summary": "MAKAR_HOME/documents/MODEL/training_summary.md, MODEL being 12 characters of the model's id",
}
BOTH_KEYS = {
    "rights": "the licences of all data are known or accepted by name, and the verdict is there",
    "rights_commercial": "the verdict allows commercial use",
    "audit": "MAKAR_HOME/audits holds results for the model",
    "audit_fresh": "the latest of them are not older than the model",
    "audit_copying": "they have copying among them",
    "audit_extraction": "they have extraction among them",
    "audit_membership": "they have membership among them",
    "audit_leakage": "they have leakage among them",
    "audit_bias": "they have bias among them",
    "safety_report": "MAKAR_HOME/safety holds results for the model, signed by a key known here",
    "policy": "MAKAR_HOME/policy.toml",
    "approvers": "the policy names approvers",
    "moderation": "the policy blocks terms",
    "ledger": "MAKAR_HOME/ledger is there and holds",
    "incidents": "MAKAR_HOME/incidents keeps reports",
    "copyright_policy": "MAKAR_HOME/copyright_policy.md",
}
KEYS = OUTPUT_KEYS | MODEL_KEYS | BOTH_KEYS
_SEEN = ("pictures", "text")  # kinds that people see or read as they are


@dataclass(frozen=True)
class Output:
    """A file that outputs.json lists."""

    path: Path
    sha256: str  # as listed
    data: bytes
    receipt: Receipt | None
    listed: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def kind(self) -> str:
        """Modality."""
        return self.receipt.kind if self.receipt is not None else str(self.listed.get("kind", ""))

    @property
    def text(self) -> str | None:
        """What it says, where it is text."""
        return self.data.decode("utf-8", "replace") if self.kind == "text" else None


def outputs(path: Path) -> list[Output]:
    """The outputs of a folder, or the one that is named. Raises MakarError where outputs.json does not list them."""
    folder = path if path.is_dir() else path.parent
    try:
        listed = json.loads(read(folder / "outputs.json"))
    except (ValueError, RecursionError):
        raise MakarError(f"{folder}/outputs.json is not JSON; it was cut short or altered") from None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise MakarError(f"{folder}/outputs.json is no list of outputs")
    found = {str(entry.get("file", "")): entry for entry in listed}
    if len(found) < len(listed):
        raise MakarError(f"{folder}/outputs.json lists a file twice, and what it says of it cannot be right both times")
    if not path.is_dir():
        if path.name not in found:
            raise MakarError(f"{folder}/outputs.json does not list {path.name}")
        found = {path.name: found[path.name]}
    return [_output(folder, name, entry) for name, entry in found.items()]


def _output(folder: Path, name: str, entry: Mapping[str, Any]) -> Output:
    place = folder / name
    if not name or Path(name).name != name or place.is_symlink():
        raise MakarError(f"{folder}/outputs.json lists '{name}', which is no plain file of that folder")
    plain = entry.get("receipt")
    receipt = Receipt.read(plain, f"{folder}/outputs.json") if plain is not None else None
    if receipt is not None and (other := _other(entry, receipt)):
        raise MakarError(f"{folder}/outputs.json says another '{other}' of {name} than its receipt; it was altered")
    return Output(place, str(entry.get("sha256", "")), read(place), receipt, entry)


def _other(entry: Mapping[str, Any], receipt: Receipt) -> str | None:
    """What an entry of outputs.json says that is not what the receipt says, or nothing that an entry says."""
    said = receipt.listed()
    wrong = [key for key, value in said.items() if entry.get(key) != value]
    return next(iter(wrong + sorted(set(entry) - {*said, "file", "sha256", "receipt"})), None)


def gather(path: Path, home: Home, checks: Checks | None = None) -> dict[str, Evidence]:
    """What there is at a bundle, an outputs folder or one output, and in the workspace, by key.

    Raises MakarError where `path` is none of these, or its records cannot be read.
    """
    checks = checks or Checks.of(home)
    policy = Policy.load(home.policy)
    if (path / "digests.json").is_file():
        found, models = bundle_evidence(path, home, checks)
    else:
        listed = outputs(path)
        found, models = outputs_evidence(listed, home, policy, checks), {o.receipt.model for o in listed if o.receipt}
    found += [*audit_evidence(sorted(models), home), *_home_evidence(home, policy, checks)]
    return {evidence.key: evidence for evidence in found}


def outputs_evidence(listed: Sequence[Output], home: Home, policy: Policy, checks: Checks) -> list[Evidence]:
    """What outputs show."""
    receipts = [(o, o.receipt) for o in listed]
    seen = [o for o in listed if o.kind in _SEEN]
    pictures = [o for o in listed if media_type(o.path).startswith("image/")]
    known = signed.known_to(Anchors.of(home))
    good = approvals.approved(policy, [sha256(o.data) for o in listed], approvals.kept(home), known)
    credential = {o.name: checks.credential(o.path, o.receipt) for o in listed}
    return [
        each("receipt", [(o, r is not None, "it has none") for o, r in receipts]),
        each("credential", [(o, credential[o.name].state == "holds", credential[o.name].why) for o in listed]),
        each("watermark", [(o, _marked(r), r.watermark.why if r else "it has no receipt") for o, r in receipts]),
        each("label_eu", [(o, labelled(o, "eu"), "it bears none") for o in seen]),
        each("label_cn", [(o, labelled(o, "cn"), "it bears none") for o in seen]),
        each("aigc_field", [(o, has_field(o), "its metadata have none") for o in pictures]),
        each("kept_marks", [(o, kept_marks(o, credential[o.name]), "the input's marks are not in it") for o in listed]),
        each(
            "approval", [(o, sha256(o.data) in good, "no approver whom the policy names approved it") for o in listed]
        ),
        _authorship_evidence(listed[0].path.parent) if listed else lacks("authorship", "there are no outputs"),
        each("rights", [(o, *_rights(r, "private")) for o, r in receipts]),
        each("rights_commercial", [(o, *_rights(r, "commercial")) for o, r in receipts]),
    ]


def each(key: str, checked: Sequence[tuple[Output, bool, str]]) -> Evidence:
    """Evidence that every one of some outputs must show."""
    lacking = [f"{o.name}: {why}" for o, held, why in checked if not held]
    places = tuple(Place(o.name, sha256(o.data)) for o, held, _ in checked if held)
    if not checked:
        return Evidence(key, True, "no output is of a kind that it concerns")
    if not lacking:
        return Evidence(key, True, f"all {len(checked)} outputs", places)
    return Evidence(key, False, f"{len(lacking)} of {len(checked)} lack it ({lacking[0]})", places)


def _marked(receipt: Receipt | None) -> bool:
    """Whether it bears a watermark, or is of a kind or size that has no room for one."""
    return receipt is not None and (receipt.watermark.name is not None or not receipt.watermark.room)


def labelled(output: Output, kind: labels.Kind) -> bool:
    """Whether it bears the label that people see: read from a text, said by the receipt of a picture."""
    if output.text is not None:
        return labels.has_visible_text(output.text, kind)
    return output.receipt is not None and labels.VISIBLE[kind] in output.receipt.labels


def has_field(output: Output) -> bool:
    """Whether the file's metadata hold the field AIGC, as read from the file."""
    try:
        return labels.read_metadata(output.data, media_type(output.path)) is not None
    except MakarError:
        return False


def kept_marks(output: Output, credential: Finding) -> bool:
    """Whether it was made from nothing, or carries its history."""
    made_from = output.receipt is not None and output.receipt.recipe.get("input")
    return not made_from or credential.state in ("holds", "untrusted")


def _rights(receipt: Receipt | None, use: Any) -> tuple[bool, str]:
    if receipt is None:
        return False, "it has no receipt"
    refusal = Verdict.from_json(receipt.rights, "the receipt").refusal(use, "outputs")
    return refusal is None, refusal or ""


def _authorship_evidence(folder: Path) -> Evidence:
    path = folder / authorship.NAME
    findings = authorship.check(path)
    if not path.is_file() or not holds(findings):
        return lacks("authorship", findings[0].why)
    return Evidence("authorship", True, findings[0].why, (place(path, folder),))


def _home_evidence(home: Home, policy: Policy, checks: Checks) -> list[Evidence]:
    """What the workspace shows, whatever is looked at."""
    rules = (place(home.policy, home.root),) if home.policy.is_file() else ()
    ledger = checks.ledger(home.ledger) if home.ledger.is_dir() else []
    wrong = [f.why for f in ledger if f.wrong]
    reports = sorted(incident.folder(home).glob("*/incident.json"))
    copyright_policy = home.root / "copyright_policy.md"
    return [
        Evidence(
            "policy", bool(rules), f"{policy.name}, version {policy.version}" if rules else "none is written", rules
        ),
        Evidence("approvers", bool(policy.approvers), f"the policy names {len(policy.approvers)}", rules),
        Evidence("moderation", bool(policy.blocked), f"the policy blocks {len(policy.blocked)} terms", rules),
        Evidence("ledger", holds(ledger), wrong[0] if wrong else "it holds" if ledger else "none is kept"),
        Evidence(
            "incidents",
            bool(reports),
            f"{len(reports)} are kept",
            tuple(place(report, home.root) for report in reports),
        ),
        present("copyright_policy", copyright_policy, home.root),
    ]


def check(path: Path, home: Home, name: str) -> profile.Report:
    """What a profile asks of what is at `path`, and what there is."""
    return profile.check(profile.load(name), gather(path, home))


def share_results(home: Home, model: str, by: signed.Sign) -> Path:
    """Export a model's audits as one signed file into MAKAR_HOME/safety. Raises MakarError where there are none."""
    found = [results for _, results in safety.kept(home, model)]
    if not found:
        raise MakarError(f"there are no audits of model {short(model)}; run: makar audit BUNDLE")
    path = safety_file(home, model)
    safety.export(found, path, by)
    return path
