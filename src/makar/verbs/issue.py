"""Issue: outputs as files that say where they come from.

Every file gets a receipt. Where there are keys the receipt travels in the file's content credential, or for kinds of
file that have no place for one, in FILE.c2pa beside it; signing is the last write. `outputs.json` lists the outputs
with their receipts, and the ledger gets every receipt's digest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from makar.core import files
from makar.core.artifact import Artifact
from makar.core.clock import now
from makar.core.errors import MakarError
from makar.core.watermark import Watermark
from makar.data import rights
from makar.provenance import credentials, labels, receipts
from makar.provenance.credentials import Claim, ModelIngredient
from makar.provenance.receipts import Mark, Nearness, Receipt
from makar.verbs import _outputs, export
from makar.verbs.bundle import sha256
from makar.verbs.chain import Chain, signs
from makar.verbs.export import File
from makar.verbs.machine import installed
from makar.verbs.trained import Trained

_TABLES = ("rows", "points")


@dataclass(frozen=True)
class Origin:
    """What outputs come from: the model, the digest of the bundle it was read from, and the mark that was put in."""

    trained: Trained
    bundle: str  # sha256 of its digests.json; "" where it was never saved
    mark: Watermark | None
    said: Mark

    @classmethod
    def of(cls, trained: Trained, path: Path | None, mark: Watermark | None, said: Mark) -> Origin:
        """`path` is the bundle that the model was read from."""
        found = "" if path is None else sha256((path / "digests.json").read_bytes())
        return cls(trained, found, mark, said)


def issue(
    chain: Chain, origin: Origin, artifacts: Sequence[Artifact], out: Path, nearest: Sequence[Nearness | None] = ()
) -> list[Path]:
    """Write artifacts of one kind into a folder with their receipts; returns the files, `outputs.json` last.

    `nearest` says of each artifact how near it is to the training data, where that is known. Earlier outputs in the
    folder are replaced by those of the same name and else keep their receipts; raises MakarError where a file of
    another origin would be replaced.
    """
    if not artifacts:
        raise MakarError("there is nothing to write: no output was made, or all were withheld")
    with _outputs.claimed(out):
        _outputs.require_ours(out, export.names(artifacts[0].kind, len(artifacts)))
        return _issue(chain, origin, artifacts, out, nearest)


def _issue(
    chain: Chain, origin: Origin, artifacts: Sequence[Artifact], out: Path, nearest: Sequence[Nearness | None]
) -> list[Path]:
    near = {a.id: n for a, n in zip(artifacts, nearest, strict=False) if n is not None}
    written: list[Path] = []
    listing: list[dict[str, Any]] = []
    entries: list[tuple[str, dict[str, Any]]] = []
    for plain in export.encoded(artifacts, origin.trained.levels, lambda p: finished(chain, origin, p)):
        nearness = near.get(plain.artifacts[0].id) if len(plain.artifacts) == 1 else None
        file, receipt = described(chain, origin, plain, nearness)
        signed = sign(chain, origin, file, receipt)
        for name, data in signed.items():
            files.write_bytes(out / name, data)
            written.append(out / name)
        listed = entry(file, sha256(signed[file.name]), receipt)
        if file.name != export.PREVIEW:
            listing.append(listed)
        entries.append(("output", recorded(listed, receipt)))
    written.append(_outputs.listed(out, listing))
    chain.record_all(entries)
    return written


def described(chain: Chain, origin: Origin, file: File, nearest: Nearness | None) -> tuple[File, Receipt]:
    """The file with what the policy asks to be written into it, and its receipt."""
    file, put_on = labelled(chain, file)
    receipt = receipt_for(chain, origin, file, put_on, nearest)
    if "cn" not in chain.policy.labels or file.media_type not in labels.FIELD_TYPES:
        return file, receipt
    data = labels.with_metadata(file.data, file.media_type, labels.aigc_fields(receipt))
    file = replace(file, data=data)
    return file, receipt_for(chain, origin, file, [*put_on, labels.FIELD], nearest)


def finished(chain: Chain, origin: Origin, picture: np.ndarray) -> np.ndarray:
    """A picture uint8 (H, W, C) with the labels that the policy asks for and the watermark's stamp, where they fit."""
    for kind in chain.policy.labels:
        labelled = labels.visible(picture, kind)
        picture = picture if isinstance(labelled, str) else labelled
    if origin.mark is None or origin.mark.modality != "pictures" or origin.mark.obstacle(None, picture.shape):
        return picture
    stamped: np.ndarray = origin.mark.stamp(picture)
    return stamped


def labelled(chain: Chain, file: File) -> tuple[File, list[str]]:
    """The file with the visible words that the policy asks for, and which visible labels are on."""
    put_on: list[str] = []
    data = file.data
    for kind in chain.policy.labels:
        if file.media_type == "text/plain":
            data = labels.visible_text(data.decode("utf-8"), kind).encode("utf-8")
            put_on.append(labels.VISIBLE[kind])
        elif file.media_type == "image/png" and not isinstance(labels.visible(pixels(data), kind), str):
            put_on.append(labels.VISIBLE[kind])  # it had room for it, so `finished` drew it
    return replace(file, data=data), put_on


def pixels(data: bytes) -> np.ndarray:
    """A picture file as uint8 (H, W, C)."""
    from io import BytesIO

    from PIL import Image

    with Image.open(BytesIO(data)) as image:
        found = np.asarray(image)
    return found if found.ndim == 3 else found[..., None]


def receipt_for(chain: Chain, origin: Origin, file: File, put_on: list[str], nearest: Nearness | None) -> Receipt:
    """What this file is, where it comes from and what it may be used for."""
    trained = origin.trained
    first, prompt = without_prompt(chain, origin, file.artifacts[0].recipe)
    made, recipe = [a.id for a in file.artifacts], first
    if len(made) > 1:
        index, label = ([a.recipe[key] for a in file.artifacts] for key in ("index", "label"))
        recipe = first | {"index": receipts.indices(index), "label": receipts.classes(label)}
        made = [receipts.together(made)]
    return Receipt(
        kind=file.artifacts[0].kind,
        media_type=file.media_type,
        content=sha256(file.data),
        outputs=made,
        recipe=recipe,
        model=trained.id,
        family=trained.family,
        bundle=origin.bundle,
        data=trained.manifest.digest,
        rights=rights.of(trained.manifest).to_json(),
        policy=chain.policy.digest(),
        prompt=prompt,
        watermark=origin.said,
        nearest=nearest,
        labels=put_on,
        made=now(),
        makar=installed("makar") or "unknown",
    )


def without_prompt(chain: Chain, origin: Origin, recipe: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A recipe whose prompt is left out unless the policy keeps it, and the prompt's sha256; "" where there was none.

    A prompt stands there in words or, set by hand, as symbols. What the codec itself puts before every text is no
    prompt of anybody's.
    """
    kept = chain.policy.prompt == "text"
    if words := recipe.get("prompt"):
        plain = {key: value for key, value in recipe.items() if kept or key != "prompt"}
        return plain, sha256(words.encode())
    settings = dict(recipe.get("sampler_settings") or {})
    prompt = list(settings.get("prompt") or [])
    if not prompt or prompt == list(origin.trained.codec.prompt()):
        return recipe, ""
    if not kept:
        settings.pop("prompt")
    return recipe | {"sampler_settings": settings}, sha256(json.dumps(prompt).encode())


def sign(chain: Chain, origin: Origin, file: File, receipt: Receipt) -> dict[str, bytes]:
    """The file, and its side-car where it has one, by name; as it was where nothing is signed."""
    if chain.keys is None or not signs():
        return {file.name: file.data}
    trained = origin.trained
    claim = Claim(
        title=file.name,
        media_type=file.media_type,
        source_type="trainedAlgorithmicData" if receipt.kind in _TABLES else "trainedAlgorithmicMedia",
        receipt=receipt.packed(),
        model=ModelIngredient(f"{trained.family} on {trained.manifest.name}", trained.id, trained.weights_digest),
        watermark=origin.said.name,
    )
    signed = credentials.sign(file.data, claim, chain.keys)
    if signed.sidecar is None:
        return {file.name: signed.data}
    return {file.name: signed.data, f"{file.name}.c2pa": signed.sidecar}


def entry(file: File, written: str, receipt: Receipt) -> dict[str, Any]:
    """A file in outputs.json."""
    return {"file": file.name, "sha256": written} | receipt.listed() | {"receipt": receipt.plain()}


def recorded(listed: dict[str, Any], receipt: Receipt) -> dict[str, Any]:
    """A file in the ledger."""
    return {key: listed[key] for key in ("file", "sha256", "id")} | {
        "receipt": receipt.digest(),
        "model": receipt.model,
    }
