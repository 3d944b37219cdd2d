"""Release: the gate that outputs pass before they leave. All that stands in the way is said at once.

Looked at, in this order: the use against the policy; every file against its digest and its credential, or where there
are no keys the ledger; the licences of the data; what the policy says of copies, personal data and blocked terms;
withdrawals; consent of those whose likeness, voice or style the data hold; approvers; labels that the policy demands;
limits on text in bulk; and what the policy's profiles ask of every release.

What is let go is copied byte for byte, so that credentials stay valid, with `release.json` (signed where there are
keys) and `marking_report.json`, which says for every file which measures of the Code of Practice on Transparency of
AI-Generated Content it meets. Nothing that is there is overwritten. Releases and refusals are entered in the ledger.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.digest import short
from makar.core.errors import MakarError
from makar.data import Manifest, optouts, pii
from makar.data.manifest import read_manifest
from makar.data.rights import Verdict
from makar.provenance import approvals, authorship, consent, keys, labels, merkle, moderation, nearest, profile, signed
from makar.provenance.findings import Finding, holds
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.ledger import Ledger
from makar.provenance.media import media_type
from makar.provenance.policy import Policy, Use
from makar.verbs import evidence
from makar.verbs._shown import Checks, json_lines, sha256
from makar.verbs.evidence import Output
from makar.verbs.withdraw import items_of

PURPOSE = "release"
_SUMMARY = "release.json"
_MARKING = "marking_report.json"
_HOUR = timedelta(hours=1)


class Refused(MakarError):
    """A release that does not take place, with every reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        listed = "".join(f"\n- {reason}" for reason in reasons)
        super().__init__(f"nothing is released, for {len(reasons)} reason{'s'[: len(reasons) > 1]}:{listed}")


@dataclass(frozen=True)
class Released:
    """What was let go."""

    folder: Path
    files: tuple[str, ...]
    use: Use
    reports: tuple[profile.Report, ...]

    def words(self) -> str:
        """For people."""
        asked = "".join(f"\n{report.words()}\n" for report in self.reports)
        return f"{len(self.files)} outputs are in {self.folder}, for {self.use} use\n{asked}".rstrip()


@dataclass(frozen=True)
class Gate:
    """A workspace's rules, and what is asked of them."""

    home: Home
    policy: Policy
    use: Use
    now: datetime
    checks: Checks
    bundle: Path | None
    manifests: dict[str, Manifest | None] = field(default_factory=dict)  # what was read of them

    def manifest(self, digest: str) -> Manifest | None:
        """The manifest of the data with this digest; None where it is not at hand. Raises MakarError if altered."""
        if digest not in self.manifests:
            self.manifests[digest] = self._read(digest)
        return self.manifests[digest]

    def _read(self, digest: str) -> Manifest | None:
        if merkle.digests([digest]) is None:  # a receipt may say anything
            return None
        places = [self.home.root / "data" / f"{digest}.json"]
        places += [self.bundle / "data.json"] if self.bundle is not None else []
        for place in places:
            if place.is_file() and (manifest := read_manifest(place)).digest == digest:
                return manifest
        return None

    def logged(self) -> dict[str, str]:
        """The sha256 of every output by its receipt's digest, as a ledger has them that holds; none of another."""
        if not holds(self.checks.ledger(self.home.ledger)):
            return {}
        entries = Ledger(self.home.ledger).entries("output")
        return {str(entry.body.get("receipt")): str(entry.body.get("sha256")) for entry in entries}


def release(
    source: Path,
    to: Path,
    use: Use,
    home: Home,
    now: datetime,
    bundle: Path | None = None,
    checks: Checks | None = None,
) -> Released:
    """Let a folder of outputs, or one of them, go to the folder `to`.

    `bundle` is the model's, needed only where this workspace does not know the data's manifest. Raises Refused with
    every reason, and MakarError for a source that is no output or a place where something is already.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise MakarError(f"{to} is there already; choose another place to release to")
    gate = Gate(home, Policy.load(home.policy), use, now, checks or Checks.of(home), bundle)
    found = evidence.outputs(source)
    if not found:
        raise MakarError(f"{source} holds no outputs to release")
    shown = evidence.gather(source, home, gate.checks)
    reports = tuple(profile.check(profile.load(name), shown) for name in gate.policy.profiles)
    credentials = {o.name: gate.checks.credential(o.path, o.receipt) for o in found}
    logged = gate.logged()
    reasons = _reasons(gate, found, credentials, logged, reports)
    entry = {"use": use, "from": source.name, "policy": gate.policy.digest(), "time": signed.stamp(now)}
    if reasons:
        _enter(gate, "refusal", entry | {"reasons": reasons})
        raise Refused(reasons)
    contents = _contents(gate, source, found, _marking(found, credentials, logged), reports)
    files.write_directory(to, contents)
    _remember(gate, found)
    digests = {o.name: sha256(o.data) for o in found}
    _enter(gate, "release", entry | {"files": digests, "summary": sha256(contents[_SUMMARY])})
    return Released(to, tuple(digests), use, reports)


def _reasons(
    gate: Gate,
    found: Sequence[Output],
    credentials: Mapping[str, Finding],
    logged: Mapping[str, str],
    reports: Sequence[profile.Report],
) -> list[str]:
    """Everything that stands in the way, each once."""
    reasons: list[str] = []
    if gate.use not in gate.policy.uses:
        allowed = ", ".join(gate.policy.uses) or "no use"
        reasons.append(f"the policy '{gate.policy.name}' releases for {allowed}, not for {gate.use} use")
    vouching = {} if keys.load(gate.home) is not None else logged  # who has keys signs all that leaves
    for output in found:
        reasons += _intact(output, credentials[output.name], vouching)
    reasons += _together(found, [_licence(gate, o) for o in found])
    reasons += _together(found, [_guarded(gate, o) for o in found])
    reasons += _together(found, [_blocked(gate, o) for o in found])
    gone = {data: _withdrawn(gate, data) for data in {o.receipt.data for o in found if o.receipt is not None}}
    reasons += _together(found, [gone[o.receipt.data] if o.receipt is not None else [] for o in found])
    reasons += _together(found, [_consent(gate, o) for o in found])
    known = signed.known_to(Anchors.of(gate.home))
    digests = {o.name: sha256(o.data) for o in found}
    reasons += approvals.lacking(gate.policy, digests, approvals.kept(gate.home), known)
    reasons += [reason for o in found for reason in _labels(gate.policy, o)]
    texts = [o.text for o in found if o.text is not None]
    if texts:
        reasons += moderation.Limits().refusals(texts, _within_the_hour(gate))
    reasons += [f"{r.profile.name}: {answer.lacking}" for r in reports for answer in r.blocking]
    return list(dict.fromkeys(reasons))


def _together(found: Sequence[Output], each: Sequence[Sequence[str]]) -> list[str]:
    """Reasons that several outputs share, said once with their number."""
    counted = Counter(reason for reasons in each for reason in reasons)
    first = {reason: o.name for o, reasons in zip(reversed(found), reversed(each), strict=True) for reason in reasons}
    return [f"{first[reason]}{f' and {n - 1} more' if n > 1 else ''}: {reason}" for reason, n in counted.items()]


def _intact(output: Output, credential: Finding, logged: Mapping[str, str]) -> list[str]:
    """Whether file and receipt are those that were made: as the credential says, or else a ledger that holds."""
    reasons = []
    if sha256(output.data) != output.sha256:
        reasons.append(f"{output.name} is not the file that outputs.json names; it was changed")
    if output.receipt is None:
        reasons.append(f"{output.name} has no receipt, so where it comes from is not known")
    if credential.state == "fails":
        reasons.append(f"{output.name}: its credential does not hold: {credential.why}")
    elif credential.state != "holds" and not _in_ledger(output, logged):
        reasons.append(f"{output.name}: neither a credential of a known key nor the ledger has this receipt of it")
    return reasons


def _in_ledger(output: Output, logged: Mapping[str, str]) -> bool:
    return output.receipt is not None and logged.get(output.receipt.digest()) == sha256(output.data)


def _licence(gate: Gate, output: Output) -> list[str]:
    if output.receipt is None:
        return []
    refusal = Verdict.from_json(output.receipt.rights, "the receipt").refusal(gate.use, "outputs")
    return [refusal] if refusal else []


def _guarded(gate: Gate, output: Output) -> list[str]:
    """What the policy refuses now, though it may not have when the output was drawn: copies and personal data."""
    reasons = []
    if output.receipt is not None and output.receipt.nearest is not None:
        reasons.append(nearest.objection(output.receipt.nearest, gate.policy.copies))
    if gate.policy.pii == "refuse" and output.text is not None and (found := pii.find(output.text)):
        kinds = ", ".join(sorted({each.kind for each in found}))
        reasons.append(f"it holds what looks like personal data ({kinds})")
    return [reason for reason in reasons if reason]


def _withdrawn(gate: Gate, data: str) -> list[str]:
    """Sources, makers and items of the data with this digest that were withdrawn since."""
    manifest = gate.manifest(data)
    if manifest is None:
        return []  # which `_consent` says
    register = optouts.withdrawn(gate.home.withdrawn)
    kinds = {"source": register.sources, "creator": register.creators, "item": register.items}
    named = [(kind, name) for kind, names in kinds.items() for name in names]
    return [
        f"the model learnt from the {kind} {name}, which was withdrawn; train it again without"
        for kind, name in named
        if items_of({kind: name}, manifest)
    ]


def _blocked(gate: Gate, output: Output) -> list[str]:
    """Terms that the policy blocks: in a text, in what the output was made by, and in the data's tags and makers."""
    terms = moderation.Blocklist(tuple(gate.policy.blocked))
    reasons = []
    if output.text is not None:
        reasons.append(terms.refusal(output.text, "text"))
    if output.receipt is None:
        return [r for r in reasons if r]
    reasons.append(terms.refusal(json.dumps(output.receipt.recipe, ensure_ascii=False), "recipe"))
    manifest = gate.manifest(output.receipt.data)
    if manifest is not None:
        said = [manifest.name, manifest.source, *manifest.creators.values()]
        tagged = terms.tagged(consent.tags_of({"tags": manifest.tags}) + said)
        reasons.append(f"the model learnt from data that the policy blocks: {', '.join(tagged)}" if tagged else None)
    return [r for r in reasons if r]


def _consent(gate: Gate, output: Output) -> list[str]:
    if output.receipt is None:
        return []
    manifest = gate.manifest(output.receipt.data)
    if manifest is None:
        return [
            f"the manifest of the data {short(output.receipt.data)} is not in this workspace, so whether anybody's "
            f"consent is needed cannot be told; give the model's bundle"
        ]
    of = {output.receipt.data, output.receipt.model, manifest.name}
    held = consent.tokens(gate.home.consent)
    revoked = consent.revocations(json_lines(gate.home.withdrawn))
    known, tags = signed.known_to(Anchors.of(gate.home)), {"tags": manifest.tags}
    return consent.lacking(tags, gate.use, of, held, known, revoked, gate.now)


def _labels(policy: Policy, output: Output) -> list[str]:
    """Labels that the policy demands and the output lacks. Tables and points bear none that people would see."""
    kind = media_type(output.path)
    reasons = [
        f"{output.name} lacks the label '{label}', which people see and the policy demands"
        for label in policy.labels
        if output.kind in ("pictures", "text") and not evidence.labelled(output, label)
    ]
    if "cn" in policy.labels and kind in labels.FIELD_TYPES and not evidence.has_field(output):
        reasons.append(f"{output.name} lacks the metadata field AIGC, which the policy's label 'cn' demands")
    return reasons


def _contents(
    gate: Gate,
    source: Path,
    found: Sequence[Output],
    marking: bytes,
    reports: Sequence[profile.Report],
) -> dict[str, bytes]:
    """All files of the release."""
    folder = source if source.is_dir() else source.parent
    contents = {o.name: o.data for o in found}
    beside = [folder / f"{o.name}.c2pa" for o in found] + [folder / authorship.NAME]
    contents |= {path.name: path.read_bytes() for path in beside if path.is_file() and not path.is_symlink()}
    contents["outputs.json"] = files.to_json([dict(o.listed) for o in found]).encode()
    contents[_MARKING] = marking
    policy = {"name": gate.policy.name, "version": gate.policy.version, "digest": gate.policy.digest()}
    summary: dict[str, Any] = {
        "version": 1,
        "time": signed.stamp(gate.now),
        "use": gate.use,
        "policy": policy,
        "files": {name: sha256(data) for name, data in sorted(contents.items())},
        "profiles": {report.profile.name: report.counts() for report in reports},
        "note": profile.NO_ADVICE,
    }
    own = keys.load(gate.home)
    if own is not None:
        summary = signed.sign(summary, PURPOSE, signed.by(own))
    return contents | {_SUMMARY: files.to_json(summary).encode()}


_CODE = "Code of Practice on Transparency of AI-Generated Content (10 June 2026), section 1"


def _marking(found: Sequence[Output], credentials: Mapping[str, Finding], logged: Collection[str]) -> bytes:
    """The marking report."""
    marking = {o.name: marking_of(o, credentials[o.name], logged) for o in found}
    return files.to_json({"note": profile.NO_ADVICE, "source": _CODE, "files": marking}).encode()


def marking_of(output: Output, credential: Finding, logged: Collection[str]) -> dict[str, dict[str, str]]:
    """For each measure of the Code: whether the output meets it ("yes", "in part", "no") and why.

    `logged` are digests of receipts that the ledger has.
    """
    receipt = output.receipt
    signed_here = credential.state in ("holds", "untrusted")
    mark = receipt.watermark if receipt is not None else None
    logs = receipt is not None and receipt.digest() in logged
    kept = evidence.kept_marks(output, credential)
    chain = receipt is not None and bool(receipt.model and receipt.data)
    answers = {
        "1.1.1 signed metadata with a time-stamp": (
            "in part" if signed_here else "no",
            "signed, with this machine's time and no third party's" if signed_here else credential.why,
        ),
        "1.1.2 imperceptible watermark": (
            ("yes", f"{mark.name}, as the receipt says")
            if mark is not None and mark.name
            else ("no", mark.why if mark is not None else "it has no receipt")
        ),
        "1.1.3 fingerprint or log (optional)": (
            ("yes", "its receipt is in the ledger") if logs else ("no", "its receipt is not in this ledger")
        ),
        "1.2 marks of inputs kept": (
            ("yes", "it was made from no input, or carries the input's history")
            if kept
            else ("no", "it was made from an input whose history it does not carry")
        ),
        "1.3 chain of provenance (optional)": (
            ("yes", "its receipt names model, data and licences") if chain else ("no", "it has no receipt")
        ),
    }
    return {measure: {"met": met, "why": why} for measure, (met, why) in answers.items()}


def _enter(gate: Gate, kind: str, body: Mapping[str, Any]) -> None:
    """Into the ledger, unless the policy has turned the chain off."""
    if not gate.policy.chain:
        return
    from makar.verbs.chain import HeadSigner

    own = keys.load(gate.home)
    Ledger(gate.home.ledger, HeadSigner(own) if own is not None else None).append(kind, body)


def _remember(gate: Gate, found: Sequence[Output]) -> None:
    """How many texts have left and when, for the limit an hour."""
    texts = sum(o.text is not None for o in found)
    if texts:
        line = json.dumps({"time": signed.stamp(gate.now), "texts": texts})
        files.append_line(_releases(gate.home), line)


def _within_the_hour(gate: Gate) -> int:
    left = [
        int(line["texts"])
        for line in json_lines(_releases(gate.home))
        if isinstance(line.get("texts"), int)
        and abs(gate.now - signed.moment(str(line.get("time")), "the time of a release")) < _HOUR
    ]
    return sum(left)


def _releases(home: Home) -> Path:
    return home.root / "releases.jsonl"
