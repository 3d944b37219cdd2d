"""Indices of training items on disk: index.safetensors and index.json in MAKAR_HOME/indices/MANIFEST'S DIGEST/NAME/."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from makar.core import files, state
from makar.core.errors import MakarError
from makar.provenance.home import Home

_TENSORS, _PLAIN = "index.safetensors", "index.json"
_LARGEST = 8 << 30  # bytes of an index that are read


def place(home: Home, manifest: str, name: str) -> Path:
    """The folder of one index of a dataset. Raises MakarError where `manifest` is no digest."""
    if not re.fullmatch(r"[0-9a-f]{64}", manifest):
        raise MakarError(f"'{manifest[:20]}' is not the digest of a manifest; give 64 hexadecimal digits")
    return home.indices / manifest / name


def write(folder: Path, tensors: dict[str, Tensor], plain: dict[str, Any]) -> Path:
    """Write an index, whole or not at all; returns the folder."""
    data = state.save_tensors(tensors)
    described = plain | {"sha256": hashlib.sha256(data).hexdigest()}
    files.write_directory(folder, {_TENSORS: data, _PLAIN: files.to_json(described).encode()})
    return folder


def read(folder: Path, wanted: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Tensors and plain data of an index whose fields `wanted` are as given; None where there is no index.

    Raises MakarError where it was altered or is another's.
    """
    if not folder.exists():
        return None
    try:
        data, plain = files.read(folder / _TENSORS, _LARGEST), json.loads(files.read(folder / _PLAIN, _LARGEST))
    except (ValueError, RecursionError):
        raise broken(folder, f"{_PLAIN} is not JSON") from None
    if not isinstance(plain, dict) or any(plain.get(key) != value for key, value in wanted.items()):
        raise broken(folder, "it is of other data or of another format")
    if plain.get("sha256") != hashlib.sha256(data).hexdigest():
        raise broken(folder, f"{_TENSORS} does not match its digest")
    return state.load_tensors(data, f"{folder}/{_TENSORS}"), plain


def broken(folder: Path, why: str) -> MakarError:
    """The error that says what to do with an index that cannot be used."""
    return MakarError(f"the index {folder} cannot be used ({why}); remove it and build it anew")
