"""Receipts from elsewhere: what is none is refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from makar.core.errors import MakarError
from makar.provenance.receipts import Mark, Receipt


def receipt(recipe: dict[str, Any]) -> Receipt:
    return Receipt(
        kind="image", media_type="image/png", content="0" * 64, outputs=["1" * 64], recipe=recipe, model="2" * 64,
        family="gan", bundle="", data="3" * 64, rights={}, policy="4" * 64, watermark=Mark(name=None),
        made="2026-11-22T00:00:00Z", makar="0",
    )  # fmt: skip


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("recipe", [{}, {"seed": 2**70, "label": "ü ✓"}, deep(50)], ids=["empty", "odd", "nested"])
def test_what_was_written_is_read(recipe: dict[str, Any]) -> None:
    made = receipt(recipe)
    for form in (made.plain(), made.packed(), json.loads(json.dumps(made.plain()))):
        read = Receipt.read(form, "it")
        assert read == made
        assert read.digest() == made.digest()


@pytest.mark.parametrize(
    "recipe",
    [deep(400), deep(5000), {"x": "\ud800"}],
    ids=["nested", "nested more", "surrogate"],
)
def test_what_has_no_form_as_text_is_refused(recipe: dict[str, Any]) -> None:
    with pytest.raises(MakarError, match="the file holds"):
        Receipt.read(receipt({}).plain() | {"recipe": recipe}, "the file")


@pytest.mark.parametrize(
    "text",
    [5, None, "", "\ud800", "{", "[" * 10**5, '{"recipe":' * 10**5],
    ids=["number", "null", "empty", "surrogate", "torn", "nested", "nested recipes"],
)
def test_packed_junk_is_refused(text: object) -> None:
    with pytest.raises(MakarError, match="the file holds"):
        Receipt.read({"receipt": text}, "the file")
