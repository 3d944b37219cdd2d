"""The law of cited numbers: what no record holds fails the build, and what a record holds does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.provenance.documents import _quoted, card
from makar.provenance.documents._quoted import Quoted, check, clean, letters, markdown, need, quote, read, say, words
from tests.provenance.documents import records


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1,234 steps", "the record's figure with a comma"),
        ("2.35 CPU seconds", "rounded to two digits"),
        ("2.3457 CPU seconds", "rounded to four"),
        ("1.06e+07 FLOPs", "three significant digits"),
        ("AMD EPYC 7742", "a word of a string"),
        ("digits (1998), 10.24432/C50P49", "words of the attribution"),
        ("made at 2026-11-22T00:19:00Z", "a time"),
        ("2 classes", "the length of a list that is counted"),
        ("a 95 % interval, sha256", "names that are fixed"),
        (f"id {records.CONFIG['id']}", "a digest"),
    ],
)
def test_what_a_record_holds_may_be_cited(text: str, why: str) -> None:
    assert check(text, records.make()) == text, why


@pytest.mark.parametrize(
    "text",
    [
        "1,235 steps",
        "2.34 CPU seconds",
        "2.346 CPU seconds and 99 %",
        "accuracy 0.97",
        "EPYC 7743",
        "in 1999",
        "1.07e+07 FLOPs",
        f"id {records.CONFIG['id'][:-1]}0",
        f"item {records.DATA['items']['train'][0]}",
        "sha512",
        "\u0667\u0668\u0669 steps",
    ],
)
def test_what_no_record_holds_fails(text: str) -> None:
    with pytest.raises(MakarError, match="no record"):
        check(text, records.make())


def test_long_lists_vouch_for_no_figure_but_their_last_entry() -> None:
    history = [{"step": step, "loss": step + 0.5} for step in range(2000, 3000)]
    run = records.make(run={"history": history})
    assert check("loss 2999.5", run)
    with pytest.raises(MakarError, match="2500"):
        check("loss 2500.5", run)


@pytest.mark.parametrize("template", ["90 % accurate", "about {} and 3", "version 1.2"])
def test_literal_text_holds_no_figure(template: str) -> None:
    with pytest.raises(MakarError, match="quoted from a record"):
        say(template, Quoted("x"))


def test_a_figure_that_is_planted_in_the_code_of_the_card_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "_caveats", lambda *_: ["It is right in 97 of a hundred cases."])
    with pytest.raises(MakarError, match="97"):
        card.card(records.make())


def test_a_quotation_names_what_is_missing_or_no_figure() -> None:
    bare = records.make(run={"steps": None})
    with pytest.raises(MakarError, match=r"run\.json holds no steps"):
        quote(bare, "run.json", "/steps")
    with pytest.raises(MakarError, match="finite number"):
        quote(records.make(run={"steps": float("nan")}), "run.json", "/steps")
    with pytest.raises(MakarError, match="finite number"):
        quote(records.make(), "run.json", "/made")
    assert need(records.make(), "run.json", "/recipe/seed") == 5


def test_pointers_follow_rfc_6901() -> None:
    odd = records.make(run={"environment": {"a/b": "1", "c~d": "2"}, "list": [[10, 20]]})
    assert _quoted.find(odd, "run.json", "/environment/a~1b") == "1"
    assert _quoted.find(odd, "run.json", "/environment/c~0d") == "2"
    assert _quoted.find(odd, "run.json", "/list/0/1") == 20
    assert _quoted.find(odd, "run.json", "/list/0/2") is None
    assert _quoted.find(odd, "score.json", "/scores") is None


@given(st.floats(min_value=1e-6, max_value=1e12), st.sampled_from([".0f", ".3f", ".2e", ",.1f", ".5g", "", ",.0f"]))
def test_every_rounding_of_a_figure_is_held(value: float, form: str) -> None:
    run = records.make(run={"cpu_seconds": value})
    check(f"{quote(run, 'run.json', '/cpu_seconds', form).text} seconds", run)


@given(st.text())
def test_cleaned_text_is_one_line_that_can_be_encoded(text: str) -> None:
    plain = clean(text)
    plain.encode("utf-8")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", plain)
    assert plain == clean(plain)


@given(st.text())
def test_escaped_text_reads_as_the_text_and_holds_no_markup(text: str) -> None:
    escaped = markdown(text)
    assert read(escaped) == clean(text)
    assert "<" not in escaped
    assert not re.search(r"(?<!\\)(\\\\)*[`*\[\]|]", re.sub(r"\\.", "", escaped))


def test_words_of_json_values() -> None:
    assert words(True).text == "yes"
    assert words(None).text == "not stated"
    assert words({"a": [1, 8], "b": None}).text == "a (1, 8), b none"
    assert words("- item").text == "\\- item"
    assert words("7. item").text == "7\\. item"


def test_letters_are_different_and_without_digits() -> None:
    names = letters(800)
    assert len(set(names)) == 800
    assert all(name.isalpha() for name in names)
    assert names[:2] + names[26:28] == ["a", "b", "aa", "ab"]


def test_the_check_is_fast_on_long_words() -> None:
    check("x" * 300_000, records.make(data={"notes": ["y" * 300_000]}))
