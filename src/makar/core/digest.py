"""Digests: one sha256 for any plain value, array or tensor, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


_PLAIN = {kind: kind.__name__.encode() for kind in (type(None), bool, int, float)}


def digest(*parts: Any) -> str:
    """Sha256 in hexadecimal of all `parts`: None, bool, int, float, str, bytes, arrays, tensors and nests of them.

    Every value is written with its type and length before it, so that no two different values share their bytes.
    """
    state = hashlib.sha256()
    for part in parts:
        _feed(state, part)
    return state.hexdigest()


def short(full: str) -> str:
    """The first 12 characters: what people read; never what is compared."""
    return full[:12]


def _tagged(state: _Hash, tag: str, data: bytes) -> None:
    state.update(f"{tag}{len(data)}:".encode())
    state.update(data)


def _feed(state: _Hash, value: Any) -> None:
    kind = type(value)
    if kind is str:
        data = value.encode()
        state.update(b"str%d:%b" % (len(data), data))
    elif kind in _PLAIN:
        data = repr(value).encode()
        state.update(b"%b%d:%b" % (_PLAIN[kind], len(data), data))
    elif kind is dict:
        state.update(b"map%d:" % len(value))
        for key in sorted(value, key=str):
            _feed(state, str(key))
            _feed(state, value[key])
    elif kind is list or kind is tuple:
        state.update(b"list%d:" % len(value))
        for item in value:
            _feed(state, item)
    else:
        _feed_other(state, value)


def _feed_other(state: _Hash, value: Any) -> None:
    """The same for what is rarer, and for types of others that behave like the above."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous()
        _tagged(
            state, f"tensor {value.dtype} {tuple(value.shape)} ", value.reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    elif isinstance(value, np.ndarray):
        _tagged(state, f"array {value.dtype.str} {value.shape} ", np.ascontiguousarray(value).tobytes())
    elif isinstance(value, bytes):
        _tagged(state, "bytes", value)
    elif isinstance(value, Mapping):
        state.update(f"map{len(value)}:".encode())
        for key in sorted(value, key=str):
            _feed(state, str(key))
            _feed(state, value[key])
    elif isinstance(value, str):
        _tagged(state, "str", value.encode())
    elif value is None or isinstance(value, bool | int | float | np.integer | np.floating):
        plain = value.item() if isinstance(value, np.generic) else value
        _tagged(state, type(plain).__name__, repr(plain).encode())
    elif isinstance(value, Sequence):
        state.update(f"list{len(value)}:".encode())
        for item in value:
            _feed(state, item)
    else:
        raise TypeError(f"no digest is defined for {type(value).__name__}")
