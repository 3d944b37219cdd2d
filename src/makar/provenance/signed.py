"""Signed statements: small JSON objects such as consents and approvals, with one signature over all their fields.

What is signed is the object without its entry `signature`, as JSON with sorted keys and no spaces, in UTF-8. The
purpose goes into the signature, so that an approval can never pass for a consent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import keys as keyring

Sign = Callable[[str, bytes], str]
"""(purpose, data) to a signature, by a key that the signer holds."""

Check = Callable[[str, bytes, str], str | None]
"""(purpose, data, signature) to the fingerprint of the key that made it; None where no known key did."""


def by(keys: keyring.Keys) -> Sign:
    """Signing with a workspace's key for models and records."""
    return partial(keyring.sign, keys)


def known_to(anchors: keyring.Anchors) -> Check:
    """Checking against the public keys that somebody believes."""
    return partial(keyring.check, anchors)


_LARGEST = 1 << 20  # bytes of a statement that are read


def canonical(body: Mapping[str, Any]) -> bytes:
    """The bytes that are signed. Raises MakarError for what JSON has no form for."""
    plain = {key: value for key, value in body.items() if key != "signature"}
    try:
        text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise MakarError("the statement holds something that is not plain JSON and cannot be signed") from None


def sign(body: Mapping[str, Any], purpose: str, by: Sign) -> dict[str, Any]:
    """The object with its signature."""
    return dict(body) | {"signature": by(purpose, canonical(body))}


def signer(body: Mapping[str, Any], purpose: str, check: Check) -> str | None:
    """Fingerprint of the known key that signed the object; None where none did, or where a field was altered."""
    signature = body.get("signature")
    return check(purpose, canonical(body), signature) if isinstance(signature, str) else None


def read(path: Path) -> dict[str, Any]:
    """A statement from a file. Raises MakarError where the file holds no JSON object."""
    data = files.read(path, _LARGEST)
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        raise MakarError(f"{path} is not JSON") from None
    if not isinstance(plain, dict):
        raise MakarError(f"{path} holds no JSON object")
    return plain


def moment(text: str, what: str) -> datetime:
    """A time from ISO 8601, in UTC. Raises MakarError for another form or a time without a zone."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise MakarError(f"{what} '{text}' is no time with its zone; write one such as 2026-11-22T09:00:00Z")
    return time.astimezone(UTC)


def stamp(time: datetime) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    if time.tzinfo is None:
        raise MakarError("a time needs its zone; take datetime.now(UTC)")
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
