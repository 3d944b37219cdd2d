"""The datasheet: every question of Gebru et al. is there, answered from records or a person, or shown unanswered."""

from __future__ import annotations

import re

import pytest

from makar.core.errors import MakarError
from makar.provenance.documents.datasheet import KEYS, NOT_ANSWERED, SECTIONS, datasheet
from tests.provenance.documents import records


def answered(text: str, question: str) -> str:
    return text.partition(f"**{question}**\n\n")[2].partition("\n\n**")[0].partition("\n\n##")[0]


def test_all_seven_sections_and_57_questions() -> None:
    assert list(SECTIONS) == [
        "motivation",
        "composition",
        "collection",
        "preprocessing",
        "uses",
        "distribution",
        "maintenance",
    ]
    assert [len(questions) for questions in SECTIONS.values()] == [4, 16, 12, 4, 6, 7, 8]
    assert len(set(KEYS)) == len(KEYS) == 57


def test_every_question_is_shown_with_an_answer_or_without() -> None:
    text = datasheet(records.make(), {})
    for section, questions in SECTIONS.items():
        assert f"## {section.capitalize()}\n" in text
        for _, question in questions:
            assert answered(text, question).strip(), question
    assert answered(text, SECTIONS["motivation"][0][1]) == NOT_ANSWERED


def test_records_answer_what_they_can() -> None:
    text = datasheet(records.mixed(), {})
    questions = dict(SECTIONS["composition"]) | dict(SECTIONS["distribution"])
    assert answered(text, questions["count"]) == "- train: 3 items\n- held\\_out: 2 items".replace("\\_", "_")
    assert "zero, one" in answered(text, questions["labels"])
    assert "art: commercial use of the model no" in answered(text, questions["restrictions"])
    assert "part art from a museum" in text


@pytest.mark.parametrize("key", KEYS)
def test_an_answer_stands_under_its_question(key: str) -> None:
    section, _, name = key.partition(".")
    text = datasheet(records.make(), {key: "As of 1987 | <b>nobody</b>\nknows."})
    assert "As of 1987 \\| &lt;b&gt;nobody&lt;/b&gt; knows." in answered(text, dict(SECTIONS[section])[name])


def test_a_missing_field_is_named() -> None:
    with pytest.raises(MakarError, match=r"data\.json holds no split"):
        datasheet(records.make(data={"split": ""}), {})


@pytest.mark.parametrize("text", records.HOSTILE)
def test_hostile_words_add_no_heading_and_no_markup(text: str) -> None:
    shown = datasheet(records.hostile(text), dict.fromkeys(KEYS, text))
    assert [line for line in shown.splitlines() if line.startswith("## ")] == [f"## {s.capitalize()}" for s in SECTIONS]
    assert "<" not in shown
    assert not re.search(r"(?<!\\)\]\(", shown)
    assert not [line for line in shown.splitlines()[1:] if re.match(r"(---|===|# |> |\d+[.)] )", line)]
