"""What the commands of governance print, gathered from the verbs: decisions, consents, authorship, seals, incidents."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from makar.apps.office import own_keys
from makar.core import files
from makar.core.clock import now
from makar.core.digest import short
from makar.core.errors import MakarError, did_you_mean
from makar.provenance import access, approvals, authorship, consent, incident, safety, signed
from makar.provenance.authorship import Authorship
from makar.provenance.moderation import Blocklist
from makar.verbs import bundle, evidence
from makar.verbs._shown import safety_file
from makar.verbs.chain import Chain
from makar.verbs.papers import model_id
from makar.verbs.permit import revoked
from makar.verbs.verify import Verifier, entry_of, find_bundle, is_bundle, listing, look

Said = tuple[dict[str, Any], str]
"""Facts as JSON data, and the same in words."""


def moment() -> datetime:
    """Now, with its zone."""
    return signed.moment(now(), "the time")


# Approvals


def decided(path: Path, by: str, reject: bool, note: str) -> Said:
    """Sign a decision on a file, or on every output of a folder."""
    chain, own = Chain.here(), own_keys()
    if path.is_dir():
        digests = {o.name: bundle.sha256(o.data) for o in evidence.outputs(path)}
    elif path.is_file():
        digests = {path.name: bundle.sha256(path.read_bytes())}
    else:
        raise MakarError(f"there is nothing at {path} to decide on")
    decision: approvals.Decision = "reject" if reject else "approve"
    kept = []
    for digest in digests.values():
        plain = approvals.decide(digest, decision, by, moment(), signed.by(own), note)
        kept.append(approvals.save(chain.home, plain))
    chain.record_all(("approval", {"what": d, "decision": decision, "by": own.fingerprint}) for d in digests.values())
    facts = {"decision": decision, "by": by, "key": own.fingerprint, "files": digests, "kept": [str(p) for p in kept]}
    lines = [f"{'rejected' if reject else 'approved'} by {by}, key {own.fingerprint}: {', '.join(digests)}"]
    approvers = chain.policy.approvers
    if approvers and own.fingerprint not in approvers:
        lines.append(f"it counts for nothing here: the policy '{chain.policy.name}' names only {', '.join(approvers)}")
    elif not approvers:
        lines.append(f"nothing waits for it: the policy '{chain.policy.name}' names no approver")
    return facts, "\n".join(lines)


# Consent


def granted(subject: str, kind: consent.Kind, scope: dict[str, Any], grantor: str) -> Said:
    """Sign a consent and keep it."""
    chain = Chain.here()
    plain = consent.grant(subject, kind, scope, grantor or subject, moment(), signed.by(own_keys()))
    path = consent.save(chain.home.consent, plain)
    token = consent.Token.read(plain, "the token")
    chain.record("consent", {"token": token.id, "subject": subject, "what": kind})
    facts = {"token": token.id, "file": str(path)} | plain
    return facts, f"{_of(token)}\nkept as {path}; take it back with: makar consent revoke {token.id}"


def _of(token: consent.Token) -> str:
    scope = token.scope
    return (
        f"{token.id}  {token.kind} of {token.subject}, permitted by {token.grantor} to {', '.join(scope.uses)} "
        f"with {', '.join(scope.of)} until {scope.until}"
    )


def consents() -> tuple[list[dict[str, Any]], str]:
    """The tokens that are kept, and how each stands."""
    chain = Chain.here()
    check, taken_back, time = signed.known_to(chain.anchors), revoked(chain), moment()
    facts, lines = [], []
    for plain in consent.tokens(chain.home.consent):
        token = consent.Token.read(plain, "a file of MAKAR_HOME/consent")
        if signed.signer(plain, consent.PURPOSE, check) is None:
            state = "not signed by a key known here, or altered"
        elif token.id in taken_back:
            state = "revoked"
        else:
            held = signed.moment(token.scope.until, "the token's end") > time
            state = "in force" if held else "run out"
        facts.append({"token": token.id, "state": state} | token.model_dump(mode="json"))
        lines.append(f"{_of(token)}: {state}")
    return facts, "\n".join(lines) or "no consent is kept here"


def taken_back(start: str, why: str) -> Said:
    """Revoke a token, named by its id or the start of it."""
    chain = Chain.here()
    known = [consent.Token.read(plain, "a file of MAKAR_HOME/consent") for plain in consent.tokens(chain.home.consent)]
    meant = sorted({token.id for token in known if start and token.id.startswith(start)})
    if len(meant) != 1:
        several = f"{len(meant)} tokens begin with '{start}'" if meant else f"there is no token '{start}'"
        raise MakarError(f"{several}{'; give more of it' if meant else did_you_mean(start, [t.id for t in known])}")
    line = {"token": meant[0], "time": now(), "why": why}
    files.append_line(chain.home.withdrawn, json.dumps(line, ensure_ascii=False))
    chain.record("withdrawal", {"token": meant[0], "why": why})
    return line, f"token {meant[0]} is revoked: from now on nothing is trained, sampled or released by it"


# Authorship


def prompted(folder: Path, text: str, by: str) -> Said:
    """Record a prompt. Raises MakarError where the policy blocks what it asks for."""
    record = _record(folder)
    refused = Blocklist(tuple(record.policy.blocked)).refusal(text, "prompt")
    if refused is not None:
        raise MakarError(f"{refused}; ask for something else")
    entry = record.prompt(text, by, moment())
    kept = "as it is, as the policy says" if entry.text else "as its digest alone"
    return entry.model_dump(mode="json"), f"entry {entry.n}: a prompt by {by} is kept {kept}"


def proposed(folder: Path) -> Said:
    """Record that the machine made the outputs of a folder."""
    record = _record(folder)
    known = authorship.decisions(record.path)
    names = [name for name in (str(entry["file"]) for entry in listing(folder)) if name not in known]
    if not names and not known:
        raise MakarError(f"{folder} lists no outputs (it has no outputs.json)")
    for name in names:
        _propose(record, name)
    return {"proposed": names}, f"{len(names)} outputs are recorded as the machine's"


def judged(paths: Sequence[Path], decision: Literal["accept", "reject"], by: str) -> Said:
    """Record that a person accepted or rejected files, each recorded first as the machine's."""
    for path in paths:
        record = _record(path.parent)
        if path.name not in authorship.decisions(record.path):
            _propose(record, path.name)
        record.decide(path.name, decision, by, moment())
    return _done(decision, paths, by)


def reworked(path: Path, by: str, what: str) -> Said:
    """Record that a person changed a file that the machine made."""
    record = _record(path.parent)
    if path.name not in authorship.decisions(record.path):
        raise MakarError(
            f"nothing says what {path} was before it was edited; run makar author propose {path.parent} before editing"
        )
    record.edit(path.name, by, moment(), what)
    return _done("edit", [path], by)


def chosen(paths: Sequence[Path], by: str) -> Said:
    """Record that a person chose files for the work."""
    for path in paths:
        _record(path.parent).select([path.name], by, moment())
    return _done("select", paths, by)


def _done(step: str, paths: Sequence[Path], by: str) -> Said:
    names = [str(path) for path in paths]
    return {"step": step, "by": by, "files": names}, f"recorded: {by}, {step}, {', '.join(names)}"


def _record(folder: Path) -> Authorship:
    if not folder.is_dir():
        raise MakarError(f"there is no folder {folder}")
    return Authorship(folder, Chain.here().policy)


def _propose(record: Authorship, name: str) -> None:
    """What the machine made is what outputs.json says: a file that was changed since is not taken for it."""
    path = record.folder / name
    listed = entry_of(path)
    if listed is None:
        raise MakarError(f"{record.folder}/outputs.json does not list {name}, so it is not known to be the machine's")
    if not path.is_file() or bundle.sha256(path.read_bytes()) != listed.get("sha256"):
        raise MakarError(f"{path} is not the file that outputs.json names; it was changed before it was recorded")
    record.propose(name, moment())


def authored(folder: Path) -> tuple[dict[str, Any], str]:
    """The record of a folder, and whether its chain holds."""
    path = _record(folder).path
    findings = authorship.check(path)
    held = all(f.state == "holds" for f in findings)  # that nothing was recorded is no record
    facts: dict[str, Any] = {"holds": held, "findings": [f.to_json() for f in findings]}
    if not held:
        return facts, findings[0].why
    entries = authorship.read(path)
    count, digest = authorship.head(path)
    facts |= {"entries": [e.model_dump(mode="json") for e in entries], "decisions": authorship.decisions(path)}
    facts["head"] = {"entries": count, "digest": digest}
    lines = [f"{e.n:>4}  {e.time}  {e.step:<8} {e.by}  {e.subject} {e.text}".rstrip() for e in entries]
    return facts, "\n".join([*lines, f"{findings[0].why}; last digest {digest}"])


# Incidents


def reported(path: Path, what: str, prompt: str | None, model: Path | None) -> Said:
    """Keep a report on an output."""
    if not path.is_file():
        raise MakarError(f"there is no output {path}")
    chain, verifier = Chain.here(), Verifier.here(None, model)
    receipt = look(path, verifier, entry_of(path)).receipt
    place = model if receipt is None else find_bundle(receipt, verifier)
    head = Chain.here(on=True).ledger.head() if chain.home.ledger.is_dir() else None
    ledger = {} if head is None else {"entries": head.size, "root": head.root, "signed by": head.key or "nobody"}
    found = incident.report(what, path, moment(), chain.policy, receipt, prompt, ledger, place)
    folder = incident.save(found, chain.home)
    chain.record("incident", {"id": found.id, "sha256": found.output["sha256"]})
    facts = {"folder": str(folder)} | found.to_json()
    return facts, f"{found.words()}\nkept in {folder}; it holds digests and your words, no prompt and no content"


# Safety results


def shared(model: Path, to: Path | None) -> Said:
    """Write a model's audits as one signed file, by default where profiles look for it."""
    chain, own = Chain.here(), own_keys()
    found = [results for _, results in safety.kept(chain.home, _id(model))]
    if not found:
        raise MakarError(f"there are no audits of model {short(_id(model))}; run: makar audit {model}")
    place = to or safety_file(chain.home, _id(model))
    if to is None and place.is_file():
        files.remove(place)  # an earlier one of ours, which newer audits replace
    plain = safety.export(found, place, signed.by(own))
    facts = {"file": str(place), "key": own.fingerprint, "figures": len(plain["results"])}
    return facts, f"wrote {place}: {len(plain['results'])} figures, signed by {own.fingerprint}"


def _id(model: Path) -> str:
    """The id of a bundle's model, or the word itself where it is an id."""
    if is_bundle(model):
        return model_id(model)
    if not re.fullmatch("[0-9a-f]{64}", str(model)):
        raise MakarError(f"{model} is neither a bundle nor a model's id")
    return str(model)


def received(path: Path, key: Path | None) -> tuple[dict[str, Any], str]:
    """The results in a file, their verdicts, and who signed them."""
    results, signer = safety.read(path, signed.known_to(Verifier.here(key).anchors))
    verdicts = results.verdicts()
    sound = signer is not None and "fails" not in verdicts.values()
    facts = {"holds": sound, "signer": signer, "verdicts": verdicts} | results.plain()
    who = f"signed by {signer}" if signer else "signed by nobody whom this workspace knows, or altered since"
    return facts, f"{results.words()}\n{who}"


# Access


def admitted(name: str, role: access.Role, a_minute: int) -> Said:
    """Give somebody a key for whatever serves others."""
    chain = Chain.here()
    _, key = access.Access.of(chain.home).admit(name, role, a_minute)
    chain.record("access", {"name": name, "role": role, "what": "granted"})
    acts = ", ".join(access.ALLOWED[role])
    facts = {"name": name, "role": role, "a_minute": a_minute, "key": key}
    return facts, f"{key}\n{name} may {acts}, {a_minute} times a minute; the key is shown this once and kept nowhere"


def dismissed(name: str) -> Said:
    """Take somebody's key away."""
    chain = Chain.here()
    access.Access.of(chain.home).dismiss(name)
    chain.record("access", {"name": name, "what": "revoked"})
    return {"name": name}, f"{name} has no access any more"


def members() -> tuple[list[dict[str, Any]], str]:
    """Who has a key, without anything of it."""
    found = access.Access.of(Chain.here().home).members
    facts = [member.model_dump(mode="json", exclude={"key"}) for member in found]
    lines = [f"{m.name}  {m.role}: {', '.join(access.ALLOWED[m.role])}; {m.a_minute} times a minute" for m in found]
    return facts, "\n".join(lines) or "nobody but you: no key was given out"
