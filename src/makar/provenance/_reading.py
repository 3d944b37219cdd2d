"""What the manifests of a file say, step by step, and how each step stands.

Of older manifests the library reports only what has changed since a newer signer looked: what that signer wrote down
is left out, true or not. So every older manifest is also read by itself, as if it were the newest. Whether its content
was intact is the one thing that only the newer signer could see; a step fails where anybody names a failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from makar.provenance import media
from makar.provenance._c2pa import Found, lineage, mapping, mappings, parent_of, plain
from makar.provenance.receipts import LABEL

State = Literal["holds", "untrusted", "fails", "absent"]

MODEL = "org.makar.model"
"""The metadata of an ingredient that say which model it was."""

_TRUSTED, _UNTRUSTED, _SIGNED = "signingCredential.trusted", "signingCredential.untrusted", "claimSignature.validated"
# Codes of success and information (C2PA specification, standard status codes). The library counts
# `ingredient.manifest.missing` among them; here it is a failure.
_HARMLESS = re.compile(
    r".*\.(validated|insideValidity|trusted|match|accessible|notRevoked|unknownProvenance|deprecated|unreferenced)$"
    r"|.*\.ocsp\.(skipped|inaccessible|unknown)$|timeStamp\..*|cawg\..*|.*\.additionalExclusionsPresent$"
)
_CONTENT = re.compile(r"assertion\.(data|bmff|boxes|collection)Hash\.")
_MISSING = "a step of its history is missing or was replaced"
_REASONS = {
    _CONTENT.pattern: "its content is not what was signed",
    r"claimSignature\.outsideValidity|signingCredential\.expired": "the certificate of its signer has run out",
    r"claimSignature\.": "its signature does not fit what it signs",
    r"signingCredential\.": "the certificate of its signer is not fit for signing",
    r"assertion\.hashedURI\.": "a statement in its credential was altered",
    r"ingredient\.|manifest\.|claim\.missing": _MISSING,
}


@dataclass(frozen=True)
class ModelIngredient:
    """A model that took part: an ingredient `inputTo`, known by its digest."""

    name: str
    id: str
    digest: str  # sha256 of the weights


@dataclass(frozen=True)
class Step:
    """One signed state of a file, from its making or its opening to the next signature."""

    label: str  # of the manifest; "" where the step came without one
    title: str
    actions: tuple[str, ...]  # "c2pa.created", "c2pa.cropped", ...
    source_types: tuple[str, ...]  # as its actions state them
    signer: str | None  # the organisation in the certificate
    time: str | None  # of a time-stamp, or as the signer says
    model: ModelIngredient | None
    state: State
    why: str


def steps(found: Found) -> tuple[Step, ...]:
    """The history of a file, oldest first: the chain of ingredients `parentOf` back from the newest manifest."""
    labels, reports = lineage(found), list(_reports(found))
    history = [_step(label, found.manifest(label), [r for r in reports if r.label == label]) for label in labels]
    origin = parent_of(found.manifest(labels[-1]))
    if origin is not None:
        why = "no credential came with it"
        history.append(Step("", plain(origin.get("title", "")), (), (), None, None, None, "absent", why))
    return tuple(reversed(history))


def receipt(found: Found) -> dict[str, Any] | None:
    """The receipt in the newest manifest, if there is one."""
    held = _assertion(found.manifest(found.newest), LABEL)
    return dict(held) if held else None


def by_model(history: tuple[Step, ...]) -> bool | None:
    """Whether the history says that a trained model took part; None where it does not say."""
    stated = [frozenset(step.source_types) for step in history]
    if any(types & media.BY_MODEL for types in stated):
        return True
    known = bool(stated and stated[0]) and all(types <= media.WITHOUT_MODEL for types in stated)
    return False if known else None


def _step(label: str, manifest: Mapping[str, Any], reports: list[_Report]) -> Step:
    signature = mapping(manifest.get("signature_info"))
    actions = mappings((_assertion(manifest, "c2pa.actions.v2") or _assertion(manifest, "c2pa.actions")).get("actions"))
    times = [signature.get("time"), *(action.get("when") for action in actions)]
    types = [str(action["digitalSourceType"]) for action in actions if "digitalSourceType" in action]
    state, why = _standing(reports)
    signer = signature.get("issuer") or signature.get("common_name")
    return Step(
        label=label,
        title=plain(manifest.get("title", "")),
        actions=tuple(plain(action.get("action", "")) for action in actions),
        source_types=tuple(dict.fromkeys(plain(uri.rsplit("/", 1)[-1]) for uri in types)),
        signer=plain(signer) if signer else None,
        time=next((plain(time) for time in times if time), None),
        model=_model(manifest),
        state=state,
        why=why,
    )


def _standing(reports: list[_Report]) -> tuple[State, str]:
    """How one manifest stands, from all that is reported on it."""
    wrong = [report.code for report in reports if report.wrong and report.code != _UNTRUSTED]
    if wrong:
        return "fails", _reason(wrong[0])
    seen = {report.code for report in reports if report.seen}
    if _SIGNED not in seen:
        return "fails", _MISSING
    if _TRUSTED in seen:
        return "holds", "it is as it was when it was signed, and its signer is known"
    return "untrusted", "it is as it was when it was signed, by a signer whom no trust anchor vouches for"


def _reason(code: str) -> str:
    for pattern, words in _REASONS.items():
        if re.match(pattern, code):
            return words
    return f"its credential is not right ({plain(code)})"


@dataclass(frozen=True)
class _Report:
    """A status code on one manifest."""

    label: str
    code: str
    wrong: bool
    seen: bool  # by the library now, on this manifest itself; otherwise as a newer signer wrote it down


def _reports(found: Found) -> Iterator[_Report]:
    """Every status: found now on the newest, found now on each older one by itself, and written down by signers."""
    yield from _results(mapping(found.store.get("validation_results")), found.newest, seen=True)
    for label, results in found.alone.items():
        for report in _results({"activeManifest": results.get("activeManifest")}, label, seen=True):
            if report.label == label and not _CONTENT.match(report.code):
                yield report
    for manifest in mapping(found.store.get("manifests")).values():
        for ingredient in mappings(mapping(manifest).get("ingredients")):
            label = str(ingredient.get("active_manifest"))
            yield from _results(mapping(ingredient.get("validation_results")), label, seen=False)
            yield from _statuses(ingredient.get("validation_status"), label, failures=False, seen=False)


def _results(results: Mapping[str, Any], label: str, seen: bool) -> Iterator[_Report]:
    deltas = [mapping(delta.get("validationDeltas")) for delta in mappings(results.get("ingredientDeltas"))]
    for kind, statuses in mapping(results.get("activeManifest")).items():
        yield from _statuses(statuses, label, kind == "failure", seen)
    for delta in deltas:  # of older manifests, as far as they differ from what was written down
        for kind, statuses in delta.items():
            yield from _statuses(statuses, label, kind == "failure", seen=False)


def _statuses(statuses: Any, label: str, failures: bool, seen: bool) -> Iterator[_Report]:
    """A status names its manifest by an address; where that is relative, it is the one given."""
    for status in mappings(statuses):
        code = str(status.get("code"))
        named = re.search(r"jumbf=/c2pa/([^/]+)", str(status.get("url")))
        yield _Report(named[1] if named else label, code, failures or not _HARMLESS.match(code), seen)


def _model(manifest: Mapping[str, Any]) -> ModelIngredient | None:
    for ingredient in mappings(manifest.get("ingredients")):
        said = mapping(mapping(ingredient.get("metadata")).get(MODEL))
        if ingredient.get("relationship") == "inputTo" and said:
            return ModelIngredient(plain(ingredient.get("title")), plain(said.get("id")), plain(said.get("digest")))
    return None


def _assertion(manifest: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    held = (a.get("data") for a in mappings(manifest.get("assertions")) if a.get("label") == label)
    return mapping(next(held, None))
