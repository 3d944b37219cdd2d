"""Outputs, a bundle and a workspace, made up, for tests of evidence and release."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from makar.core import files
from makar.data import Manifest, rights
from makar.data.dataset import Evidence
from makar.data.manifest import Past, build
from makar.provenance import labels
from makar.provenance.findings import Finding, State
from makar.provenance.home import Home
from makar.provenance.receipts import Mark, Receipt
from makar.verbs._shown import Checks

MODEL = "1" * 64
ITEM = "a" * 64


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def checks(credential: State = "holds", signature: State = "holds", ledger: State = "holds") -> Checks:
    """Checks that find what they are told to find."""
    return Checks(
        lambda path, receipt: Finding(path.name, credential, f"it {credential}"),
        lambda path: Finding("signature", signature, f"it {signature}"),
        lambda path: [Finding("ledger", ledger, f"it {ledger}")],
    )


def data(**past: Any) -> Manifest:
    """The manifest of made-up data."""
    said = Evidence(kind="robots.txt", url="harbour/robots.txt", time="", sha256="", verdict="silent", why="", items=[])
    return build(
        name="boats", modality="pictures", source="harbour", licence="CC0-1.0", attribution="", classes=[],
        items={"train": [ITEM, "b" * 64], "held_out": ["c" * 64]}, split="by content", notes=[],
        past=Past(optouts=[said], **past),
    )  # fmt: skip


DATA = data().digest


def manifest(home: Home, **past: Any) -> str:
    """The data's manifest, as the workspace keeps it; returns its digest."""
    made = data(**past)
    files.write_json(home.root / "data" / f"{made.digest}.json", made.model_dump())
    return made.digest


def receipt(data: bytes, kind: str, /, licence: str = "CC0-1.0", **changes: Any) -> Receipt:
    media = {"pictures": "image/png", "text": "text/plain", "rows": "text/csv"}[kind]
    fields: dict[str, Any] = {
        "kind": kind, "media_type": media, "content": sha256(data), "outputs": [sha256(data)], "recipe": {"seed": 0},
        "model": MODEL, "family": "vae", "bundle": "3" * 64, "data": DATA,
        "rights": rights.verdict({"boats": licence}).to_json(), "policy": "4" * 64,
        "watermark": Mark(name="dct", key="ab"), "made": "2026-11-22T09:00:00Z", "makar": "0.1.0",
    }  # fmt: skip
    return Receipt(**fields | changes)


def picture(side: int = 64, shade: int = 0) -> bytes:
    """A PNG of one shade."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), shade, np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def labelled(data: bytes) -> bytes:
    """A PNG with both labels on."""
    with Image.open(io.BytesIO(data)) as image:
        done = labels.visible(np.asarray(image), "cn")
    assert not isinstance(done, str)
    buffer = io.BytesIO()
    Image.fromarray(done).save(buffer, format="PNG")
    fields = labels.aigc_fields(receipt(data, "pictures"))
    return labels.with_metadata(buffer.getvalue(), "image/png", fields)


def folder(path: Path, contents: dict[str, bytes], **changes: Any) -> Path:
    """A folder of outputs with receipts; side-cars for what is not a picture."""
    kinds = {".png": "pictures", ".txt": "text", ".csv": "rows"}
    listing = []
    for name, data in contents.items():
        kind = kinds[Path(name).suffix]
        made = receipt(data, kind, **changes)
        listing.append({"file": name, "sha256": sha256(data), "id": made.outputs[0], "kind": kind,
                        "recipe": made.recipe, "parents": [MODEL], "receipt": made.plain()})  # fmt: skip
    written = dict(contents)
    written |= {f"{name}.c2pa": b"credential of " + name.encode() for name in contents if not name.endswith(".png")}
    files.write_directory(path, written | {"outputs.json": files.to_json(listing).encode()})
    return path


def bundle(path: Path, **records: Any) -> Path:
    """A bundle with its records and documents; `None` for one leaves it out."""
    plain: dict[str, Any] = {
        "config": {"id": MODEL, "family": "vae", "settings": {}, "parameters": 7},
        "data": data().model_dump(),
        "run": {"recipe": {"family": "vae"}, "machine": {"cores": 2}, "seconds": 1.0, "flops": 1e9, "joules": 3.5},
        "rights": rights.verdict({"boats": "CC0-1.0"}).to_json(),
        "chain": {"on": True},
    } | records  # fmt: skip
    contents = {f"{name}.json": files.to_json(value).encode() for name, value in plain.items() if value is not None}
    names = ("README.md", "datasheet.md", "croissant.json", "bom.cdx.json", "spdx.json", "model.safetensors")
    contents |= {name: name.encode() for name in names}
    digests = {name: sha256(data) for name, data in contents.items()}
    files.write_directory(path, contents | {"digests.json": files.to_json(digests).encode(), "model.sig": b"{}"})
    return path
