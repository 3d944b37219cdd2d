"""Evidence that a bundle and the workspace's audits of its model show. See `evidence` for the keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from makar.core.digest import short
from makar.core.errors import MakarError
from makar.data.rights import Verdict
from makar.provenance import safety, signed
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.profile import Evidence, Place
from makar.verbs._shown import Checks, lacks, place, present, read, safety_file, sha256

SYSTEMIC = 1e25  # operations in training from which systemic risk is presumed: AI Act, Article 51(2)
_AUDITS = ("copying", "extraction", "membership", "leakage", "bias")

_DOCUMENTS = {
    "card": "README.md",
    "datasheet": "datasheet.md",
    "croissant": "croissant.json",
    "bom": "bom.cdx.json",
    "spdx": "spdx.json",
}


def bundle_evidence(path: Path, home: Home, checks: Checks) -> tuple[list[Evidence], set[str]]:
    """What a bundle shows, and the id of its model."""
    digests = _record(path, "digests.json")
    config, run = _record(path, "config.json"), _record(path, "run.json")
    data, chain = _record(path, "data.json"), _record(path, "chain.json")
    model = str(config.get("id", ""))
    signature = checks.signature(path)
    found = [_document(key, path, name, digests) for key, name in _DOCUMENTS.items()]
    found += [
        Evidence("signature", signature.state == "holds", signature.why, _there(path, "model.sig")),
        _says("architecture", path, "config.json", _lacking(config, ("family", "settings", "parameters"))),
        _says("run", path, "run.json", _lacking(run, ("recipe", "machine", "seconds"))),
        *_compute(path, run),
        _energy(path, run),
        _sources(path, data),
        Evidence(
            "opt_outs",
            bool(data.get("optouts")),
            _counted(data.get("optouts"), "signals kept"),
            _there(path, "data.json"),
        ),
        Evidence("chain", chain.get("on") is True, str(chain.get("why") or "it was on"), _there(path, "chain.json")),
        *_verdict(path),
        present("training_summary", home.root / "documents" / short(model) / "training_summary.md", home.root),
    ]
    return found, {model}


def audit_evidence(models: Sequence[str], home: Home) -> list[Evidence]:
    """What the workspace's audits show of some models: each must have been audited."""
    kept = {model: safety.kept(home, model) for model in models}
    places = tuple(place(path, home.root) for found in kept.values() for path, _ in found)
    without = [short(model) for model, found in kept.items() if not found]
    there = bool(models) and not without
    made = _made(home)
    stale = [short(m) for m, found in kept.items() if m in made and safety.latest_before(found, made[m])]
    why = f"none of model {without[0]}" if without else f"{len(places)} files" if models else "no model is known"
    found = [
        Evidence("audit", there, why, places),
        Evidence(
            "audit_fresh", there and not stale, f"those of {stale[0]} are older than it" if stale else why, places
        ),
    ]
    for audit in _AUDITS:
        lacking = [short(m) for m, files in kept.items() if audit not in {r.audit for _, f in files for r in f.results}]
        held = bool(models) and not lacking
        found.append(
            Evidence(f"audit_{audit}", held, f"none of model {lacking[0]}" if lacking else why, places if held else ())
        )
    return [*found, _shared(models, home)]


def _made(home: Home) -> dict[str, Any]:
    """When models were made, as the ledger says."""
    from makar.provenance.ledger import Ledger

    made = {}
    if home.ledger.is_dir():
        for entry in Ledger(home.ledger).entries("model"):
            if isinstance(entry.body.get("made"), str) and entry.body["made"]:
                made[str(entry.body.get("id"))] = signed.moment(entry.body["made"], "the time in the ledger")
    return made


def _shared(models: Sequence[str], home: Home) -> Evidence:
    known = signed.known_to(Anchors.of(home))
    places = []
    for model in models:
        path = safety_file(home, model)
        if not path.is_file():
            return lacks("safety_report", f"none of model {short(model)} is written")
        results, signer = safety.read(path, known)
        if signer is None or results.model != model:
            return lacks("safety_report", f"{path.name} is not of model {short(model)}, or signed by nobody known here")
        places.append(place(path, home.root))
    return Evidence("safety_report", bool(places), f"{len(places)} signed", tuple(places))


def _record(path: Path, name: str) -> dict[str, Any]:
    if not (path / name).is_file():
        return {}
    try:
        plain = json.loads(read(path / name))
    except (ValueError, RecursionError):
        raise MakarError(f"{path / name} is not JSON; the bundle is truncated or altered") from None
    if not isinstance(plain, dict):
        raise MakarError(f"{path / name} holds no JSON object; the bundle is altered")
    return plain


def _there(path: Path, name: str) -> tuple[Place, ...]:
    return (place(path / name, path),) if (path / name).is_file() else ()


def _document(key: str, path: Path, name: str, digests: dict[str, Any]) -> Evidence:
    if not (path / name).is_file():
        return lacks(key, f"there is no {name}")
    found = sha256(read(path / name))
    if digests.get(name) != found:
        return lacks(key, f"{name} is not the one that digests.json names")
    return Evidence(key, True, name, (Place(name, found),))


def _lacking(record: dict[str, Any], wanted: tuple[str, ...]) -> str:
    missing = [name for name in wanted if record.get(name) in (None, "")]
    return f"it does not say {', '.join(missing)}" if missing else ""


def _says(key: str, path: Path, name: str, lacking: str) -> Evidence:
    return Evidence(key, not lacking, f"{name}: {lacking}" if lacking else name, _there(path, name))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compute(path: Path, run: dict[str, Any]) -> list[Evidence]:
    flops, where = run.get("flops"), _there(path, "run.json")
    if not _number(flops) or flops is None:
        return [lacks(key, "run.json gives no operations") for key in ("compute", "below_systemic")]
    why = f"{flops:.3g} operations, {flops / SYSTEMIC:.2g} of the {SYSTEMIC:.0e} from which systemic risk is presumed"
    return [Evidence("compute", True, why, where), Evidence("below_systemic", flops < SYSTEMIC, why, where)]


def _energy(path: Path, run: dict[str, Any]) -> Evidence:
    joules = run.get("joules")
    if not _number(joules):
        return lacks("energy", "the machine showed no energy counter, and no figure is invented")
    return Evidence("energy", True, f"{joules:.4g} J of the whole processor", _there(path, "run.json"))


def _sources(path: Path, data: dict[str, Any]) -> Evidence:
    parts = data.get("members") or [data]
    good = all(isinstance(p, dict) and p.get("source") and p.get("licence") not in (None, "", "unknown") for p in parts)
    why = f"{len(parts)} with source and licence" if good else "a source or a licence is not stated"
    return Evidence("data_sources", good, why, _there(path, "data.json"))


def _verdict(path: Path) -> list[Evidence]:
    plain, where = _record(path, "rights.json"), _there(path, "rights.json")
    if not plain:
        return [lacks(key, "there is no rights.json") for key in ("rights", "rights_commercial")]
    verdict = Verdict.from_json(plain, f"{path}/rights.json")
    refusals = (verdict.refusal("private", "model"), verdict.refusal("commercial", "model"))
    return [
        Evidence(key, refusal is None, refusal or "the verdict allows it", where)
        for key, refusal in zip(("rights", "rights_commercial"), refusals, strict=True)
    ]


def _counted(items: Any, what: str) -> str:
    return f"{len(items)} {what}" if isinstance(items, list) and items else f"no {what}"


def registry_entry(path: Path) -> dict[str, Any]:
    """What China's algorithm registry asks of a generative service, as far as a bundle's records answer it.

    Source: Provisions on Algorithm Recommendation (2022), Article 24; Interim Measures (2023), Article 17. What only
    people know is "not answered". Filing it is for people.
    """
    config, data, run = (_record(path, name) for name in ("config.json", "data.json", "run.json"))
    unknown = "not answered"
    return {
        "provider": unknown,
        "service": unknown,
        "field of application": unknown,
        "type": "生成合成类 (generation and synthesis)",
        "algorithm": config.get("family", unknown),
        "model": config.get("id", unknown),
        "parameters": config.get("parameters", unknown),
        "modality": data.get("modality", unknown),
        "training data": {key: data.get(key, unknown) for key in ("name", "source", "licence", "counts", "digest")},
        "operations of training": run.get("flops", unknown),
        "labels": 'explicit and implicit, where the policy has labels = ["cn"]',
        "self-assessment report": unknown,
        "security assessment": unknown,
        "note": "Not legal advice.",
    }
