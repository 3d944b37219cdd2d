"""State: what goes in comes out to the last bit, and hostile files are refused in one sentence."""

from __future__ import annotations

import json

import pytest
import torch

from makar.core import state
from makar.core.errors import MakarError


def test_nested_state_survives() -> None:
    value = {
        "optimiser": {"state": {0: {"step": torch.tensor(3.0), "m": torch.randn(2, 3, generator=torch.Generator())}}},
        "lists": [1, 2.5, None, True, "words", (1, [torch.arange(3)])],
        "empty": torch.empty(0, 4, dtype=torch.int64),
    }
    back = state.unpack(*state.pack(value))
    assert back["optimiser"]["state"][0]["step"] == 3.0
    assert torch.equal(back["optimiser"]["state"][0]["m"], value["optimiser"]["state"][0]["m"])  # type: ignore[index]
    assert back["lists"][:5] == [1, 2.5, None, True, "words"]
    assert isinstance(back["lists"][5], tuple)
    assert back["empty"].shape == (0, 4)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(TypeError):
        state.pack({"f": len})


def good() -> bytes:
    return state.save_tensors({"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(4)})


def test_every_truncation_is_refused() -> None:
    data = good()
    for cut in range(len(data)):
        with pytest.raises(MakarError):
            state.load_tensors(data[:cut], "it")


def header(text: str, body: bytes = b"") -> bytes:
    return len(text.encode()).to_bytes(8, "little") + text.encode() + body


ENTRY = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        (2**40).to_bytes(8, "little") + b"{}",
        header("{" * 5000),
        header("[" * 100_000),
        header(f"{{{ENTRY},{ENTRY}}}", b"1234"),
        header('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', b"1234"),
        header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"12345678"),
        header(json.dumps({f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(70_000)})),
    ],
    ids=["empty", "giant", "oversized", "braces", "deep", "twice", "short", "trailing", "many"],
)  # fmt: skip
def test_hostile_files_are_refused(data: bytes) -> None:
    with pytest.raises(MakarError) as caught:
        state.load_tensors(data, "it")
    assert "\n" not in str(caught.value)
