"""Text from elsewhere, made visible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makar.core.errors import plain


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_what_is_made_plain_is_one_printable_line(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert plain(shown) == shown
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a name, 名, ü ✓", "a name, 名, ü ✓"),
        ("a\n✓ all of it holds", r"a\n✓ all of it holds"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b8m", r"\x9b8m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_seen(text: str, shown: str) -> None:
    assert plain(text) == shown
