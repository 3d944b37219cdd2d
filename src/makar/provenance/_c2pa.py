"""The only calls to the C2PA library: a manifest's definition in, a signed file out; a file in, its manifests out.

Everything that could reach the network is off, and thumbnails are off: they would multiply a small file's size. The
library's objects are made anew for each call: keeping them saves under a tenth of the time, and they hold the private
key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from types import ModuleType
from typing import Any

from makar.core.errors import MakarError, MissingExtra
from makar.provenance.keys import Anchors, Keys

BYTES = "application/octet-stream"
LONGEST_HISTORY = 64  # steps; the time to read grows with their square

_OFFLINE = {
    "core": {"decode_identity_assertions": False, "allowed_network_hosts": []},
    "verify": {"verify_trust": True, "ocsp_fetch": False, "remote_manifest_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


class Unreadable(Exception):
    """A file or credential is not what it says it is."""


@dataclass(frozen=True)
class Manifest:
    """What is to be signed: a definition in the library's JSON, and what it takes in whole."""

    definition: dict[str, Any]
    ingredient: tuple[dict[str, Any], str, bytes] | None = None  # description, media type, bytes with their credential
    resources: dict[str, bytes] = field(default_factory=dict)


def sign(data: bytes, media_type: str, manifest: Manifest, keys: Keys, embed: bool) -> tuple[bytes, bytes]:
    """The signed file and the bytes of its manifests. Raises MakarError where the library refuses."""
    c2pa = _library()
    key = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, keys.chain, keys.signer_key, None)  # no time-stamp server
    out = BytesIO()
    try:
        with (
            c2pa.Context.from_dict(_settings((keys.root,)), signer=c2pa.Signer.from_info(key)) as context,
            c2pa.Builder(manifest.definition, context=context) as builder,
        ):
            for name, resource in manifest.resources.items():
                builder.add_resource(name, BytesIO(resource))
            if manifest.ingredient is not None:
                description, kind, source = manifest.ingredient
                builder.add_ingredient(description, kind, BytesIO(source))
            if not embed:
                builder.set_no_embed()
            store = builder.sign(media_type if embed else BYTES, BytesIO(data), out)
    except (c2pa.C2paError, ValueError, TypeError) as error:
        raise MakarError(f"the file cannot be signed as {media_type}: {plain(error)}") from None
    return (out.getvalue() if embed else data), store


@dataclass(frozen=True)
class Found:
    """The manifests of a file as the library tells of them."""

    store: Mapping[str, Any]  # all manifests, the newest's label, and the findings
    alone: Mapping[str, Mapping[str, Any]]  # by label: findings on an older manifest that was read by itself

    @property
    def newest(self) -> str:
        """The label of the manifest that was signed last."""
        return str(self.store.get("active_manifest"))

    def manifest(self, label: str) -> Mapping[str, Any]:
        """The manifest of that label; empty where it is not there."""
        return mapping(mapping(self.store.get("manifests")).get(label))


def read(data: bytes, media_type: str, sidecar: bytes | None, anchors: Anchors) -> Found | None:
    """The manifests of a file with the library's findings on them, or None where none are in it or beside it.

    Raises Unreadable for whatever is malformed.
    """
    c2pa = _library()
    if sidecar is not None and sidecar[:4] != b"\0\0\0\1" and int.from_bytes(sidecar[:4], "big") != len(sidecar):
        raise Unreadable("the side-car is cut off, or something was added to it")  # its first box names its length
    try:
        with (
            c2pa.Context.from_dict(_settings(anchors.roots)) as context,
            c2pa.Reader(media_type, BytesIO(data), sidecar, context=context) as reader,
        ):
            found = Found(mapping(json.loads(reader.json())), {})
            older = lineage(found)[1:]
            return Found(found.store, {label: _alone(c2pa, context, reader, label) for label in older})
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError.NotSupported as error:
        if sidecar is None:
            return None  # a kind of file that has no place for one
        raise Unreadable(plain(error)) from None
    except (c2pa.C2paError, ValueError, TypeError, RecursionError) as error:
        if str(error).startswith("Remote:"):
            return None  # it is said to lie at an address, which is not asked
        raise Unreadable(plain(error)) from None


def lineage(found: Found) -> list[str]:
    """Labels from the newest manifest back along `parentOf`. Raises Unreadable past LONGEST_HISTORY."""
    labels = [found.newest]
    while (parent := parent_of(found.manifest(labels[-1]))) and "active_manifest" in parent:
        label = str(parent["active_manifest"])
        if label in labels or len(labels) == LONGEST_HISTORY:
            raise Unreadable(f"its history goes in a circle or has more than {LONGEST_HISTORY} steps")
        labels.append(label)
    return labels


def parent_of(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The ingredient that a manifest's file was made from by editing."""
    return next((i for i in mappings(manifest.get("ingredients")) if i.get("relationship") == "parentOf"), None)


def _alone(c2pa: ModuleType, context: Any, reader: Any, label: str) -> Mapping[str, Any]:
    """Findings on an older manifest as if it were the newest, so that nothing written down later hides any.

    Its file is not there, so a mismatch with the content is always among them. Empty where it cannot be read.
    """
    bytes_of_store = BytesIO()
    try:
        reader.resource_to_stream(label, bytes_of_store)
        with c2pa.Reader("application/c2pa", BytesIO(bytes_of_store.getvalue()), context=context) as older:
            store = mapping(json.loads(older.json()))
    except c2pa.C2paError:
        return {}
    return mapping(store.get("validation_results")) if store.get("active_manifest") == label else {}


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one: what hostile files hold is seldom what it should be."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def plain(text: object) -> str:
    """Text from elsewhere, made fit to print: one line, printable, at most 200 characters."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[:400])
    return " ".join(line.split())[:200]


def _settings(roots: tuple[bytes, ...]) -> dict[str, Any]:
    trust = {"trust": {"user_anchors": b"".join(roots).decode()}} if roots else {}
    return _OFFLINE | trust


def _library() -> ModuleType:
    try:
        import c2pa
    except ImportError:
        raise MissingExtra("c2pa", "provenance") from None
    library: ModuleType = c2pa
    return library
