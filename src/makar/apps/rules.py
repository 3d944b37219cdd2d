"""What the commands of rules print: policies, profiles, licences, and what is let go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import profile
from makar.provenance.home import Home
from makar.provenance.policy import Policy, Use

_COMMENTS = {
    "name": "what this policy is called, as refusals and receipts name it",
    "version": "raise it whenever you change something below",
    "chain": "ledger, receipts, credentials and signatures; false is recorded in cards and receipts",
    "watermark": '"auto", "off", or a name of `makar watermarks`',
    "labels": 'labels that people see, and metadata fields, on what is made: "eu", "cn"',
    "prompt": 'what a record keeps of a prompt: its "digest", or its "text"',
    "copies": 'outputs nearer to a training item than others are: "record", "refuse" or "off"',
    "verbatim": "characters of training text in a row that refuse a text; 0 for no such limit",
    "pii": 'personal data found in generated text: "off" or "refuse"',
    "blocked": "styles, creators, names or tags that are neither trained on, asked for nor released",
    "approvers": "fingerprints (makar keys show), one of which must approve before anything is released",
    "uses": 'what outputs may be released for: "private", "research", "commercial"',
    "profiles": "profiles (makar policy profiles) whose missing evidence blocks a release",
}
"""One line on each setting of a policy."""


def policy_text(policy: Policy) -> str:
    """A policy as TOML, with a line on every setting."""
    plain = policy.model_dump(mode="json")
    lines = ["# The rules of this workspace. Their digest is in every receipt; keep this file under version control."]
    for key, line in _COMMENTS.items():
        lines += ["", f"# {line}", tomli_w.dumps({key: plain[key]}).strip()]
    return "\n".join([*lines, ""])


def begun(names: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Write the workspace's policy, with the settings of profiles switched on."""
    path = Home.here().policy
    if path.exists():
        raise MakarError(f"{path} is there already; edit it, or move it away first")
    policy = Policy()
    for name in names:
        policy = profile.switched_on(profile.load(name), policy)
    files.write_text(path, policy_text(policy))
    facts = {"file": str(path), "digest": policy.digest(), "profiles": policy.profiles}
    asked = f"; a release must then give what {', '.join(names)} asks" if names else ""
    return facts, f"wrote {path} with every setting{asked}; read and change it, then: makar policy show"


def profiles() -> tuple[dict[str, Any], str]:
    """The profiles that come with makar."""
    found = [profile.load(name) for name in profile.names()]
    facts: dict[str, dict[str, Any]] = {
        p.name: {
            "title": p.title, "jurisdiction": p.jurisdiction, "status": p.status, "requirements": len(p.requirements),
            "blocking": [r.id for r in p.requirements if r.blocks_release], "settings": p.settings,
        }
        for p in found
    }  # fmt: skip
    width = max(map(len, facts))
    lines = [
        f"{p.name:<{width}}  {p.title} ({p.jurisdiction}): asks {len(p.requirements)}, "
        f"{len(facts[p.name]['blocking'])} of which block a release"
        for p in found
    ]
    return facts, "\n".join([*lines, profile.NO_ADVICE])


def checked(path: Path, names: Sequence[str], coverage: bool) -> tuple[dict[str, Any], str]:
    """What profiles, by default those of the policy, ask of what is at `path`."""
    from makar.verbs.evidence import gather

    home = Home.here()
    asked = list(names) or Policy.load(home.policy).profiles
    if not asked:
        raise MakarError("the policy has no profile switched on; name one with --profile (see: makar policy profiles)")
    loaded = [profile.load(name) for name in asked]
    found = gather(path, home)
    reports = [profile.check(one, found) for one in loaded]
    blocking = {r.profile.name: [answer.requirement.id for answer in r.blocking] for r in reports}
    plain = {
        "holds": not any(blocking.values()),
        "blocking": blocking,
        "reports": [report.to_json() for report in reports],
    }
    shown = [report.coverage() if coverage else report.words() for report in reports]
    return plain, "\n\n".join([*shown, *(_stop(name, ids) for name, ids in blocking.items())])


def _stop(name: str, ids: Sequence[str]) -> str:
    if not ids:
        return f"{name}: nothing that blocks a release is missing"
    return f"{name}: {len(ids)} that block a release are missing: {', '.join(ids)}"


def verdict_on(what: str, options: dict[str, Any], use: Use | None) -> tuple[dict[str, Any], str]:
    """The verdict on a bundle or on data, and whether training, or the use that was asked for, is allowed ("holds")."""
    from makar.data import load, rights
    from makar.verbs.papers import rights_of
    from makar.verbs.verify import is_bundle

    found = rights_of(Path(what)) if is_bundle(Path(what)) else rights.of(load(what, **options).manifest)
    products: tuple[rights.Product, ...] = ("model", "outputs")
    refusals = {of: found.refusal(use, of) for of in products} if use else {"training": found.training_refusal()}
    facts = found.to_json() | {"words": found.words(), "holds": not any(refusals.values()), "refusals": refusals}
    lines = [found.words(), *(f"- {reason.words()}" for reason in found.reasons)]
    if use is not None:
        lines += [f"{of}, for {use} use: {refusal or 'nothing forbids it'}" for of, refusal in refusals.items()]
    return facts, "\n".join(lines)


def licences() -> tuple[list[dict[str, Any]], str]:
    """What the table of licences says, and this workspace's own."""
    from makar.data.terms import table

    found = table().licence
    lines = []
    for entry in found:
        asked = [
            *(["attribution"] if entry.attribution else []),
            *(["share-alike"] if entry.share_alike else []),
            *(["no derivatives"] if entry.no_derivatives else []),
            *(["non-commercial"] if entry.non_commercial else []),
            *entry.field_limits,
        ]
        permits = f"train {entry.train}, sell the model {entry.model}, sell outputs {entry.outputs}"
        lines.append(f"{', '.join(entry.ids)}\n    {permits}{'; ' if asked else ''}{', '.join(asked)}: {entry.why}")
    return [entry.model_dump(mode="json") for entry in found], "\n".join([*lines, profile.NO_ADVICE])
