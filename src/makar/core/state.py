"""Nested state (dicts, lists, numbers, tensors) as safetensors and JSON, and back: no pickle anywhere."""

from __future__ import annotations

import json
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from makar.core.errors import MakarError

_TENSOR = "\x00tensor"
_HEADER_LIMIT = 8 * 2**20
_TENSOR_LIMIT = 65_536


def pack(state: Any) -> tuple[bytes, bytes]:
    """(safetensors bytes, JSON bytes): the tensors of a nested state, and its skeleton with their names in place."""
    tensors: dict[str, Tensor] = {}
    skeleton = _strip(state, tensors)
    return save_tensors(tensors), json.dumps(skeleton).encode()


def unpack(tensor_bytes: bytes, skeleton_bytes: bytes) -> Any:
    """The inverse of `pack`."""
    tensors = load_tensors(tensor_bytes, "the checkpoint")
    return _fill(json.loads(skeleton_bytes), tensors)


def save_tensors(tensors: dict[str, Tensor]) -> bytes:
    """Named tensors in the safetensors format."""
    data: bytes = safetensors.torch.save({name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()})
    return data


def load_tensors(data: bytes, what: str) -> dict[str, Tensor]:
    """Named tensors from safetensors bytes; refuses, in one sentence, what is cut, altered or oversized in header."""
    size = int.from_bytes(data[:8], "little") if len(data) >= 8 else -1
    if not 0 < size <= _HEADER_LIMIT or size + 8 > len(data):
        raise MakarError(f"{what} is not a whole safetensors file (its header says {size} bytes); it may be truncated")
    try:
        header = json.loads(data[8 : 8 + size], object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise MakarError(f"{what} has a broken header ({error}); it may be altered") from None
    if len(header) > _TENSOR_LIMIT:
        raise MakarError(f"{what} lists {len(header)} tensors; at most {_TENSOR_LIMIT} are read")
    try:
        loaded: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise MakarError(f"{what} cannot be read ({error}); it may be truncated or altered") from None
    return loaded


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _strip(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value
        return {_TENSOR: name}
    if isinstance(value, dict):
        # JSON turns keys into strings; torch's optimisers use integers, so keys travel as pairs.
        return {"dict": [[key, _strip(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_strip(item, tensors) for item in value], "tuple": isinstance(value, tuple)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a state cannot hold {type(value).__name__}")


def _fill(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    if "dict" in value:
        return {key: _fill(item, tensors) for key, item in value["dict"]}
    items = [_fill(item, tensors) for item in value["list"]]
    return tuple(items) if value["tuple"] else items


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two sets of named tensors are equal to the last bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
