"""Release: the gate that outputs pass before they leave. All that stands in the way is said at once.

Looked at, in this order: the use against the policy; every file against its digest and its credential; the licences of
the data; the policy's blocked terms; consent of those whose likeness, voice or style the data hold; approvers; labels
that the policy demands; limits on text in bulk; and what the policy's profiles ask of every release.

What is let go is copied byte for byte, so that credentials stay valid, with `release.json` (signed where there are
keys) and `marking_report.json`, which says for every file which measures of the Code of Practice on Transparency of
AI-Generated Content it meets. Nothing that is there is overwritten. Releases and refusals are entered in the ledger.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.digest import short
from makar.core.errors import MakarError
from makar.data.rights import Verdict
from makar.provenance import approvals, authorship, consent, keys, labels, moderation, profile, signed
from makar.provenance.findings import Finding
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.ledger import Ledger
from makar.provenance.media import media_type
from makar.provenance.policy import Policy, Use
from makar.verbs import evidence
from makar.verbs._shown import Checks, sha256
from makar.verbs.evidence import Output

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

    def manifest(self, digest: str) -> Mapping[str, Any] | None:
        """The manifest of the data with this digest; None where it is not at hand."""
        places = [self.home.root / "data" / f"{digest}.json"]
        places += [self.bundle / "data.json"] if self.bundle is not None else []
        for place in places:
            if place.is_file():
                try:
                    plain = json.loads(place.read_bytes())
                except (ValueError, RecursionError):
                    raise MakarError(f"{place} is not JSON; it was cut short or altered") from None
                if isinstance(plain, dict) and plain.get("digest") == digest:
                    return plain
        return None


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
    reasons = _reasons(gate, found, credentials, reports)
    entry = {"use": use, "from": source.name, "policy": gate.policy.digest(), "time": signed.stamp(now)}
    if reasons:
        _enter(gate, "refusal", entry | {"reasons": reasons})
        raise Refused(reasons)
    contents = _contents(gate, source, found, credentials, reports)
    files.write_directory(to, contents)
    _remember(gate, found)
    digests = {o.name: sha256(o.data) for o in found}
    _enter(gate, "release", entry | {"files": digests, "summary": sha256(contents[_SUMMARY])})
    return Released(to, tuple(digests), use, reports)


def _reasons(
    gate: Gate, found: Sequence[Output], credentials: Mapping[str, Finding], reports: Sequence[profile.Report]
) -> list[str]:
    """Everything that stands in the way, each once."""
    reasons: list[str] = []
    if gate.use not in gate.policy.uses:
        allowed = ", ".join(gate.policy.uses) or "no use"
        reasons.append(f"the policy '{gate.policy.name}' releases for {allowed}, not for {gate.use} use")
    logged = _logged(gate)
    for output in found:
        reasons += _intact(output, credentials[output.name], logged)
    reasons += _together(found, [_licence(gate, o) for o in found])
    reasons += _together(found, [_blocked(gate, o) for o in found])
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


def _intact(output: Output, credential: Finding, logged: Mapping[str, str] | None) -> list[str]:
    """Whether file and receipt are those that were made: as the credential says, or else the ledger."""
    reasons = []
    if sha256(output.data) != output.sha256:
        reasons.append(f"{output.name} is not the file that outputs.json names; it was changed")
    if output.receipt is None:
        reasons.append(f"{output.name} has no receipt, so where it comes from is not known")
    if credential.state == "fails":
        reasons.append(f"{output.name}: its credential does not hold: {credential.why}")
    elif credential.state != "holds" and logged is not None and not _in_ledger(output, logged):
        reasons.append(f"{output.name}: neither a credential of a known key nor the ledger has this receipt of it")
    return reasons


def _in_ledger(output: Output, logged: Mapping[str, str]) -> bool:
    return output.receipt is not None and logged.get(output.receipt.digest()) == sha256(output.data)


def _licence(gate: Gate, output: Output) -> list[str]:
    if output.receipt is None:
        return []
    refusal = Verdict.from_json(output.receipt.rights, "the receipt").refusal(gate.use, "outputs")
    return [refusal] if refusal else []


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
        makers = manifest.get("creators") or {}
        said = [manifest.get("name"), manifest.get("source"), *(makers.values() if isinstance(makers, dict) else [])]
        words = consent.tags_of(manifest) + [text for text in said if isinstance(text, str)]
        tagged = terms.tagged(words)
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
    of = {output.receipt.data, output.receipt.model, str(manifest.get("name"))}
    held = consent.tokens(gate.home.consent)
    revoked = consent.revocations(_lines(gate.home.withdrawn))
    return consent.lacking(manifest, gate.use, of, held, signed.known_to(Anchors.of(gate.home)), revoked, gate.now)


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
    credentials: Mapping[str, Finding],
    reports: Sequence[profile.Report],
) -> dict[str, bytes]:
    """All files of the release."""
    folder = source if source.is_dir() else source.parent
    contents = {o.name: o.data for o in found}
    beside = [folder / f"{o.name}.c2pa" for o in found] + [folder / authorship.NAME]
    contents |= {path.name: path.read_bytes() for path in beside if path.is_file() and not path.is_symlink()}
    contents["outputs.json"] = (
        (folder / "outputs.json").read_bytes()
        if source.is_dir()
        else files.to_json([dict(o.listed) for o in found]).encode()
    )
    logged = _logged(gate) or {}
    marking = {o.name: marking_of(o, credentials[o.name], logged) for o in found}
    contents[_MARKING] = files.to_json({"note": profile.NO_ADVICE, "source": _CODE, "files": marking}).encode()
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


def _logged(gate: Gate) -> dict[str, str] | None:
    """The sha256 of every output by its receipt's digest, as the ledger has them; None where there is no ledger."""
    if not gate.home.ledger.is_dir():
        return None
    entries = Ledger(gate.home.ledger).entries("output")
    return {str(entry.body.get("receipt")): str(entry.body.get("sha256")) for entry in entries}


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
        for line in _lines(_releases(gate.home))
        if isinstance(line.get("texts"), int)
        and abs(gate.now - signed.moment(str(line.get("time")), "the time of a release")) < _HOUR
    ]
    return sum(left)


def _releases(home: Home) -> Path:
    return home.root / "releases.jsonl"


def _lines(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a log, one a line; none where there is no file. Raises MakarError for another line."""
    if not path.is_file():
        return []
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise MakarError(f"{path} holds a line that is not JSON; restore it from a copy") from None
    if not all(isinstance(line, dict) for line in found):
        raise MakarError(f"{path} holds a line that is no JSON object; restore it from a copy")
    return found
