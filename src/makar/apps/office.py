"""What the chain's commands print, gathered from the verbs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError, plain
from makar.provenance.findings import Finding, holds
from makar.provenance.home import Home
from makar.provenance.keys import Keys
from makar.provenance.ledger_check import entry_holds
from makar.verbs.chain import Chain, HeadChecker
from makar.verbs.verify import Verifier, verify, verify_ledger

_MARKS = {"holds": "✓", "fails": "✗", "absent": "–", "untrusted": "!", "unknown": "?"}
_LARGEST = 1 << 20  # bytes of a proof that are read


def own_keys() -> Keys:
    """The workspace's keys. Raises MakarError where there are none."""
    chain = Chain.here(on=True)
    if chain.keys is None:
        raise MakarError(f"there are no keys in {chain.home.keys}; make them with: makar keys init")
    return chain.keys


def keys_facts() -> tuple[dict[str, Any], str]:
    """Who signs here and whom this workspace believes."""
    chain = Chain.here(on=True)
    own = chain.keys.fingerprint if chain.keys else None
    believed = sorted(chain.anchors.model_keys)
    roots = len(chain.anchors.roots)
    facts = {"home": str(chain.home.root), "fingerprint": own, "believes": believed, "roots": roots}
    words = f"signs as {own}" if own else "signs nothing: there are no keys; make them with: makar keys init"
    return (
        facts,
        f"{words}\nbelieves {len(believed)} signing keys and {facts['roots']} root certificates: {', '.join(believed)}",
    )


def verified(path: Path, bundle: Path | None, key: Path | None) -> tuple[dict[str, Any], str]:
    """Findings on a path; the word 'ledger' always is the workspace's own, whatever lies here under that name."""
    verifier = Verifier.here(key, bundle)
    if str(path) == "ledger":
        ledger = Home.here().ledger
        if not ledger.is_dir():
            raise MakarError(f"there is no ledger in {ledger.parent}; it begins with the first model trained here")
        findings = verify_ledger(ledger, verifier)
    else:
        findings = verify(path, verifier)
    return told(findings)


def told(findings: list[Finding]) -> tuple[dict[str, Any], str]:
    """Findings as JSON data and in words."""
    whole = holds(findings)
    facts = {"holds": whole, "findings": [f.to_json() for f in findings]}
    lines = [plain(f"{_MARKS[f.state]} {f.what}: {f.why}") for f in findings]
    wrong = sum(f.wrong for f in findings)
    lines.append("all of it holds" if whole else f"{wrong} of {len(findings)} do not hold")
    return facts, "\n".join(lines)


def ledger_entries(kind: str | None, last: int) -> tuple[list[dict[str, Any]], str]:
    """The newest entries of the workspace's ledger."""
    chain = Chain.here(on=True)
    if not chain.home.ledger.is_dir():
        return [], "the ledger is empty"
    newest = list(chain.ledger.entries(kind))[-last:]
    facts = [{"n": e.n, "time": e.time, "kind": e.kind, "body": e.body} for e in newest]
    lines = [plain(f"{e.n:>6}  {e.time}  {e.kind:<10} {_short(e.body)}") for e in newest]
    return facts, "\n".join(lines) or "the ledger is empty"


def _short(body: dict[str, Any]) -> str:
    known = ("name", "file", "family", "place", "licence", "what", "why")
    said = [f"{key} {body[key]}" for key in known if body.get(key)]
    return ", ".join([*([str(body["id"])[:12]] if "id" in body else []), *said])


def ledger_head() -> dict[str, Any]:
    """The newest head. Raises MakarError where there is none."""
    head = Chain.here(on=True).ledger.head()
    if head is None:
        raise MakarError("the ledger has no head yet; it begins with the first model trained here")
    facts: dict[str, Any] = head.to_json()
    return facts


def edited(path: Path, out: Path, crop: str | None, resize: str | None, using: Path | None, note: str) -> Path:
    """One edit of a file, as the options say."""
    from makar.provenance.credentials import media_type
    from makar.verbs import edit

    if [crop, resize, using].count(None) != 2:
        raise MakarError("give exactly one of --crop, --resize and --with")
    if not path.is_file():
        raise MakarError(f"there is no file at {path}")
    data, kind = path.read_bytes(), media_type(path)
    if crop is not None:
        step = edit.crop(data, kind, *_numbers(crop, ",", 4, "--crop", "LEFT,TOP,WIDTH,HEIGHT"))
    elif resize is not None:
        step = edit.resize(data, kind, *_numbers(resize.lower(), "x", 2, "--resize", "WIDTHxHEIGHT"))
    else:
        assert using is not None, "exactly one is given"
        step = edit.replaced(using)
    return edit.edit(path, step, out, Chain.here(), note)


def _numbers(text: str, between: str, count: int, option: str, form: str) -> list[int]:
    parts = text.split(between)
    if len(parts) != count or not all(re.fullmatch(r"\s*\d{1,9}\s*", part) for part in parts):
        raise MakarError(f"{option} was given '{text}'; write it as {form}")
    return [int(part) for part in parts]


def vouched(path: Path, out: Path, kind: str) -> Path:
    """Sign a file that no model made."""
    from makar.verbs import edit

    if not path.is_file():
        raise MakarError(f"there is no file at {path}")
    return edit.vouch(path, kind, out, Chain.here())


def proved(path: Path, key: Path | None) -> Finding:
    """Whether an entry is in the ledger whose head somebody believed has signed."""
    anchors = Verifier.here(key).anchors
    try:
        held = json.loads(files.read(path, _LARGEST))
        line, proof = str(held["entry"]), held["proof"]
    except (MakarError, ValueError, KeyError, TypeError, RecursionError):
        raise MakarError(f"{path} is not what `makar ledger prove` prints: an entry and its proof") from None
    return entry_holds(proof, line, HeadChecker(anchors))


def audited(model: Path, spec: str | None, only: str | None) -> tuple[list[dict[str, Any]], str, bool]:
    """A model's audits, kept in the workspace: as JSON data, in words, and whether one raised an alarm."""
    from makar.verbs import audit, bundle

    chain = Chain.here()
    trained = bundle.load(model)
    names = audit.chosen(only)
    results = audit.audit(trained, audit.reopened(trained, chain, spec), names)
    place = audit.keep(trained, results, chain, model)
    lines: list[str] = []
    for result in results:
        lines.append(f"{result.name}: {result.finding}; {result.why} ({result.cpu_seconds:.1f} CPU s)")
        lines += [f"    {s.name:<44} {s.value:.4g}  ({s.low:.4g} to {s.high:.4g}, n = {s.n})" for s in result.figures]
    alarm = any(result.finding == "alarm" for result in results)
    return [r.to_json() for r in results], "\n".join([*lines, f"kept in {place}"]), alarm


def audited_again(model: Path, spec: str | None) -> tuple[dict[str, Any], str]:
    """Whether the kept audits of a model give the same figures when they are run again."""
    from makar.verbs import audit, bundle

    chain = Chain.here()
    trained = bundle.load(model)
    return told(audit.replayed(trained, audit.reopened(trained, chain, spec), chain))
