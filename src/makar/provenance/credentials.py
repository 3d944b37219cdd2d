"""Content credentials (C2PA): what a file is and how it came to be, signed into the file or beside it.

A credential says what its signer claims, and that the file has not changed since. It does not say that the claim is
true: of a file whose credential holds we know who answers for it, and of a file without one we know nothing.

What is written follows the C2PA specification 2.4: the action `c2pa.created` or `c2pa.opened` first, the digital source
type, the model as ingredient `inputTo`, the file as it was before as ingredient `parentOf`, and where there are
such, `c2pa.ai-disclosure`, `cawg.training-mining` and a `c2pa.soft-binding` for the watermark. No time-stamp server is
asked, so a signature is good for as long as the signer's certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import makar
from makar.core import clock
from makar.core.errors import MakarError
from makar.provenance import _c2pa, _holes, _reading
from makar.provenance._reading import ModelIngredient as ModelIngredient
from makar.provenance._reading import State as State
from makar.provenance._reading import Step as Step
from makar.provenance.keys import Anchors, Keys
from makar.provenance.media import MEDIA as MEDIA
from makar.provenance.media import SOURCE_TYPES
from makar.provenance.media import embeds as embeds
from makar.provenance.media import media_type as media_type
from makar.provenance.media import misnamed as misnamed
from makar.provenance.receipts import LABEL

SourceType = Literal[
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicData",
    "algorithmicallyEnhanced",
    "algorithmicMedia",
    "dataDrivenMedia",
    "digitalCapture",
    "computationalCapture",
    "screenCapture",
    "digitalCreation",
    "humanEdits",
    "composite",
]
Permission = Literal["allowed", "notAllowed", "constrained"]
MINING = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")

_MODEL_TYPE = "c2pa.types.model.pytorch"


@dataclass(frozen=True)
class Parent:
    """The file as it was before, with its credential inside or beside it."""

    data: bytes
    media_type: str
    sidecar: bytes | None = None
    title: str = ""


@dataclass(frozen=True)
class Claim:
    """What is said of a file."""

    title: str
    media_type: str
    source_type: SourceType
    receipt: Mapping[str, Any] | None = None
    model: ModelIngredient | None = None
    parent: Parent | None = None
    actions: tuple[str, ...] = ()  # what was done after the file was made or opened: "c2pa.cropped", ...
    agent: str = "makar"  # the software that did it
    watermark: str | None = None  # the name of the mark that is in the content
    oversight: str | None = None  # level of human oversight: "prompt_guided", "human_validated", ...
    training_mining: Mapping[str, Permission] | None = None
    """What others may do with the file, by the names in MINING. By default nothing is said: that is for whoever holds
    the rights to decide, and silence is no permission."""


@dataclass(frozen=True)
class Signed:
    """A signed file, and its side-car where the credential is not inside."""

    data: bytes
    sidecar: bytes | None


@dataclass(frozen=True)
class Reading:
    """How a file's credential stands and what it says.

    holds      nothing changed since it was signed, by someone whom an anchor vouches for
    untrusted  nothing changed since it was signed, by someone whom no anchor vouches for
    fails      file or credential, or a step of the history, is not what was signed
    absent     there is none, which says nothing of where the file comes from

    An earlier step by an unknown signer leaves the whole as it is: whoever signed last answers for having taken it up.
    """

    state: State
    why: str
    signer: str | None = None
    time: str | None = None  # of a time-stamp, or as the signer says
    receipt: dict[str, Any] | None = None  # None too where the credential fails
    history: tuple[Step, ...] = ()  # oldest first; the last is the file as it is
    ai: bool | None = None  # whether a trained model took part, as the credential says; None where it does not say


def sign(data: bytes, claim: Claim, keys: Keys) -> Signed:
    """Sign a file. Nothing may be written into it afterwards.

    Raises MakarError where the file is not of its media type, where the certificate has run out, or where the file has
    a credential already and no parent is given: that one would be lost.
    """
    embed = embeds(claim.media_type)
    if embed and claim.parent is None:
        before = read(data, claim.media_type, None, Anchors())
        if before.state == "fails" and not before.history:
            raise MakarError(f"{claim.title} cannot be signed as {claim.media_type}: {before.why}")
        if before.state != "absent":
            raise MakarError(
                f"{claim.title} has a credential already; give it as the parent, so that its history is kept"
            )
    signed, store = _c2pa.sign(data, claim.media_type, _manifest(claim, keys), keys, embed)
    return Signed(signed, None if embed else store)


def read(data: bytes, media_type: str, sidecar: bytes | None, anchors: Anchors) -> Reading:
    """Check a file against its credential. Raises for no bytes at all, however hostile."""
    try:
        found = _c2pa.read(data, media_type, sidecar, anchors)
    except _c2pa.Unreadable as error:
        return Reading("fails", f"the file or its credential is malformed ({error})")
    if found is None:
        return Reading("absent", "no credential is in it or beside it, which says nothing of where the file comes from")
    history = _reading.steps(found)
    newest = history[-1]
    state, why = _verdict(newest, history, str(found.store.get("validation_state")))
    if state != "fails" and (loose := _holes.altered(data, sidecar)) is not None:
        state, why = "fails", f"it is not as it was when it was signed: {loose}"
    if state == "fails":
        return Reading(state, why, newest.signer, newest.time, history=history)
    return Reading(state, why, newest.signer, newest.time, _reading.receipt(found), history, _reading.by_model(history))


def _verdict(newest: Step, history: tuple[Step, ...], official: str) -> tuple[State, str]:
    """How the whole stands: as the newest step does, unless an older one fails or the library has found a fault."""
    if newest.state == "fails":
        return "fails", newest.why
    broken = next((step for step in history if step.state == "fails"), None)
    if broken is not None:
        return "fails", f"an earlier step of its history fails: {broken.why}"
    if official not in ("Trusted", "Valid"):
        return "fails", "its credential does not pass the checks of the C2PA library"
    unknown = sum(step.state != "holds" for step in history[:-1])
    older = f"; {unknown} of {len(history) - 1} earlier steps are by signers who are not known" if unknown else ""
    return newest.state, f"{newest.why}: {newest.signer}{older}"


def _manifest(claim: Claim, keys: Keys) -> _c2pa.Manifest:
    """A claim as the library takes it."""
    ingredients: list[dict[str, Any]] = []
    if claim.model is not None:
        ingredients.append(_model(claim.model))
    whole: tuple[dict[str, Any], str, bytes] | None = None
    resources: dict[str, bytes] = {}
    if claim.parent is not None:
        parent = claim.parent
        described = {"title": parent.title or claim.title, "relationship": "parentOf", "label": "parent"}
        if parent.sidecar is not None:
            ingredients.append(described | _beside(parent, parent.sidecar, keys))
            resources["parent.c2pa"] = parent.sidecar
        elif embeds(parent.media_type):
            whole = described, parent.media_type, parent.data
        else:
            ingredients.append(described | {"format": parent.media_type})
    definition = {
        "claim_generator_info": [{"name": "makar", "version": makar.__version__}],
        "title": claim.title,
        "format": claim.media_type,
        "ingredients": ingredients,
        "assertions": _assertions(claim),
    }
    return _c2pa.Manifest(definition, whole, resources)


def _model(model: ModelIngredient) -> dict[str, Any]:
    return {
        "title": model.name,
        "format": "application/octet-stream",
        "relationship": "inputTo",
        "label": "model",
        "data_types": [{"type": _MODEL_TYPE}],
        "metadata": {_reading.MODEL: {"id": model.id, "digest": model.digest}},
    }


def _beside(parent: Parent, sidecar: bytes, keys: Keys) -> dict[str, Any]:
    """A parent whose credential lies beside it: the library reads such ones only from a definition."""
    try:
        found = _c2pa.read(parent.data, parent.media_type, sidecar, Anchors((keys.root,)))
    except _c2pa.Unreadable as error:
        raise MakarError(
            f"the credential beside the parent cannot be read ({error}); an edit would hide that"
        ) from None
    if found is None:
        raise MakarError("the side-car of the parent holds no credential; give the one that belongs to it, or none")
    return {
        "format": parent.media_type,
        "active_manifest": found.newest,
        "validation_results": found.store.get("validation_results"),
        "manifest_data": {"format": "application/c2pa", "identifier": "parent.c2pa"},
    }


def _assertions(claim: Claim) -> list[dict[str, Any]]:
    held: dict[str, Any] = {"c2pa.actions.v2": {"actions": _actions(claim)}}
    if claim.receipt is not None:
        held[LABEL] = dict(claim.receipt)
    if claim.model is not None:
        disclosed = {"modelType": _MODEL_TYPE, "modelName": claim.model.name, "modelIdentifier": claim.model.id}
        profile = {"contentProfile": {"humanOversightLevel": claim.oversight}} if claim.oversight else {}
        held["c2pa.ai-disclosure"] = disclosed | profile
    if claim.watermark is not None:
        value = claim.model.id if claim.model else ""  # whose key finds the mark; never the key
        held["c2pa.soft-binding"] = {
            "alg": f"org.makar.{claim.watermark}",
            "blocks": [{"scope": {}, "value": value}],
        }
    if claim.training_mining is not None:
        held["cawg.training-mining"] = {"entries": {name: {"use": use} for name, use in claim.training_mining.items()}}
    return [{"label": label, "data": data} for label, data in held.items()]


def _actions(claim: Claim) -> list[dict[str, Any]]:
    """The first says how the file came to be here; those after it, what was done to it."""
    source = {"digitalSourceType": SOURCE_TYPES[claim.source_type] + claim.source_type}
    done = {"when": clock.now(), "softwareAgent": {"name": claim.agent}}
    model = {"parameters": {"ingredientIds": ["model"]}} if claim.model else {}
    marked = ("c2pa.watermarked.bound",) if claim.watermark else ()
    if claim.parent is None:
        first = {"action": "c2pa.created"} | done | source | model
        return [first, *({"action": name} | done for name in (*claim.actions, *marked))]
    opened = {"action": "c2pa.opened", "when": done["when"], "parameters": {"ingredientIds": ["parent"]}}
    edits = [{"action": name} | done | source for name in (claim.actions or ("c2pa.edited",))]
    edits[0] |= model
    return [opened, *edits, *({"action": name} | done for name in marked)]
