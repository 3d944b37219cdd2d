"""Cells as people write them: marks of a missing value, numbers in other dress, odd cells, and dates in usual forms."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from makar.core import dates
from makar.core.errors import MakarError
from makar.data import load, tables
from makar.data.cells import absent, typed
from makar.data.manifest import losses

AMOUNTS = [f"{100 + 3 * i}.{i % 90 + 10}" for i in range(199)]


@pytest.mark.parametrize(
    "mark", ["n/a", "N/a", "-", "\u2013", "#N/A", "#DIV/0!", "none", "NULL", ".", "inf", "-Inf", "?"]
)
def test_a_mark_of_a_missing_value_spoils_no_column_of_numbers(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("amount,n\n" + "".join(f"{cell},{i % 7}\n" for i, cell in enumerate([*AMOUNTS, mark])))
    data = load(f"csv:{path}")
    values = [row["amount"] for row in (*data.train.things, *data.held_out.things)]
    assert values.count(None) == 1
    assert all(value is None or type(value) is float for value in values)


@pytest.mark.parametrize("word", ["none", "-", "na", "Missing", "."])
def test_what_may_be_a_category_stays_one_among_words(word: str) -> None:
    assert typed(["a", word, "b", "a"]) == ["a", word, "b", "a"]


@pytest.mark.parametrize("mark", ["", "NA", "n/a", "N/A", "#N/A", "NULL", "<NA>", "#DIV/0!", "?"])
def test_a_mark_that_nobody_takes_for_a_word_is_no_value_anywhere(mark: str) -> None:
    assert absent(mark)
    assert absent(mark, usual=False) == (not mark)
    assert not absent("a")
    assert absent("a", frozenset({"a"}))


@pytest.mark.parametrize(
    ("cells", "values", "how"),
    [
        (["12,50", "1,5", "0,25"], [12.5, 1.5, 0.25], "decimal commas"),
        (["1.234,50", "12,5"], [1234.5, 12.5], "decimal commas"),
        (["1,234", "12", "1,234,567"], [1234, 12, 1234567], "commas at the thousands"),
        (["1,234.50", "3.25"], [1234.5, 3.25], "commas at the thousands"),
        (["1 234", "12\u00a0345", "7'000"], [1234, 12345, 7000], "spaces at the thousands"),
        (["$3.20", "$1,000.00", "-$4.00", "($5.50)"], [3.2, 1000.0, -4.0, -5.5], "money and commas"),
        (["3,20 €", "4,00 €"], [3.2, 4.0], "money and decimal commas"),
        (["EUR 3", "EUR 12"], [3, 12], "money"),
        (["45%", "7 %", "100%"], [45, 7, 100], "percent"),
        (["45.5%", "7%"], [45.5, 7.0], "percent"),
        (["\u22123,5", "2,5"], [-3.5, 2.5], "decimal commas"),
    ],
)
def test_numbers_in_other_dress_are_numbers(cells: list[str], values: list[Any], how: str) -> None:
    notes: list[str] = []
    found = typed(cells, "x", notes)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]
    assert how in notes[0]
    assert f"'{cells[0]}' is {values[0]:g}" in notes[0]


@pytest.mark.parametrize("cells", [["1,23,4", "2"], ["$3", "4 €"], ["45%", "0.3"], ["12 kg", "3 kg"], ["007", "1,5"]])
def test_what_is_not_surely_a_number_stays_text(cells: list[str]) -> None:
    assert typed(cells) == cells


def test_a_few_odd_cells_are_named_and_many_make_it_text() -> None:
    notes: list[str] = []
    assert typed([*AMOUNTS, "ask Bob"], "amount", notes) == [*map(float, AMOUNTS), None]
    assert notes == ["199 of 200 values of 'amount' are numbers, 1 is not: 'ask Bob'; it was read as missing"]
    notes.clear()
    cells = [*AMOUNTS[:100], *(f"word {i}" for i in range(60))]
    assert typed(cells, "amount", notes) == cells
    assert notes[0].startswith(
        "100 of 160 values of 'amount' are numbers, 60 are not: 'word 0', 'word 1', 'word 2', …;"
    )
    notes.clear()
    codes = ["1", "2", "3", "4"] * 20 + ["N"]
    assert typed(codes, "code", notes) == codes  # few values: a code, and N is one of them
    assert "1 is not: 'N'; the column is kept as text" in notes[0]
    days = [f"{1 + i % 28:02d}.{1 + i % 12:02d}.2022" for i in range(80)]
    assert typed([*days, "soon"], "day", notes) == [*days, None]
    assert "80 of 81 values of 'day' are dates, 1 is not: 'soon'; it was read as missing" in notes[-1]


FORMS = {
    "2022-03-01T08:00:00+02:00": "%Y-%m-%dT%H:%M:%S+02:00", "2022-03-01 08:00Z": "%Y-%m-%d %H:%MZ",
    "31.12.2022": "%d.%m.%Y", "12/31/2022": "%m/%d/%Y", "31/12/2022": "%d/%m/%Y", "31-Dec-22": "%d-%b-%y",
    "31-DEC-2022": "%d-%^b-%Y", "20221231": "%Y%m%d", "1/31/22": "%-m/%-d/%y", "December 31, 2022": "%B %d, %Y",
    "31 Dec 2022": "%d %b %Y", "2022/12/31": "%Y/%m/%d", "12/31/2022 1:05 PM": "%m/%d/%Y %-I:%M %p",
    "2022-03-01 08:00:00.125": "%Y-%m-%d %H:%M:%S.%3f", "31.12.2022 23:59": "%d.%m.%Y %H:%M",
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_dates_are_read_and_written_in_their_form(text: str) -> None:
    form = dates.form_of([text])
    assert form == FORMS[text]
    steps = dates.count(text, form)
    assert steps is not None
    for step in (steps, 0, steps // 2, steps + 1, steps + 40):
        assert dates.count(dates.written(step, form), form) == step
    assert dates.written(steps, form) == text


def test_a_count_of_steps_is_one_of_days_or_seconds() -> None:
    assert dates.count("1970-01-02", "%Y-%m-%d") == 1
    assert dates.count("02.01.1970", "%d.%m.%Y") == 1
    assert dates.count("1970-01-01 01:00", "%Y-%m-%d %H:%M") == 60
    assert dates.count("1970-01-01 12:00:01 AM", "%Y-%m-%d %I:%M:%S %p") == 1
    assert dates.count("1970-01-01T00:00:01.250", "%Y-%m-%dT%H:%M:%S.%3f") == 1250
    day = datetime.date(2022, 12, 31).toordinal() - datetime.date(1970, 1, 1).toordinal()
    assert dates.count("31-Dec-22", "%d-%b-%y") == day


@pytest.mark.parametrize(
    "text", ["20220636", "31.02.2022", "2022-13-01", "12345678", "13/13/2022", "May 2022", "soon", ""]
)
def test_there_is_no_36th_of_june(text: str) -> None:
    assert dates.form_of([text]) is None


def test_compact_dates_with_a_mark_among_them_stay_dates() -> None:
    days = [(datetime.date(2022, 1, 1) + datetime.timedelta(days=i)).strftime("%Y%m%d") for i in range(60)]
    notes: list[str] = []
    assert typed([*days, "99999999"], "day", notes) == [*days, None]
    assert "1 is not: '99999999'" in notes[0]
    assert typed(["20220101", "12345678"]) == [20220101, 12345678]


def test_day_and_month_that_may_be_swapped_and_mixed_zones_are_told_of() -> None:
    notes: list[str] = []
    assert typed(["01/02/2022", "03/04/2022"], "day", notes) == ["01/02/2022", "03/04/2022"]
    assert "may have the day or the month first; they were read as 01/31/2024" in notes[0]
    notes.clear()
    typed(["01/02/2022", "13/04/2022"], "day", notes)
    assert notes == []
    mixed = ["2022-03-01T08:00:00+01:00", "2022-07-01T08:00:00+02:00", "2022-01-05T00:00:00+01:00"]
    assert typed(mixed, "at", notes)[1] == "2022-07-01T07:00:00+01:00"
    assert "2 zones; all were written in one of them, '+01:00'" in notes[0]


def test_dates_are_no_identifiers_and_unknown_ones_are_named() -> None:
    days = [(datetime.date(2022, 1, 1) + datetime.timedelta(days=i)).strftime("%d-%b-%y") for i in range(60)]
    assert tables.unlearnable(list(days)) is None
    odd = [f"2022-{1 + i % 12:02d}-{1 + i % 28:02d} in the {i}th week" for i in range(60)]
    assert "look like dates, such as '2022-01-01 in the 0th week'" in str(tables.unlearnable(list(odd)))


def test_a_number_too_large_to_reckon_with_is_named_before_training(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{1e308 if i == 4 else i / 8},{i}\n" for i in range(30)))
    with pytest.raises(MakarError, match=r"the column 'x' of .*t\.csv holds 1e\+308 in row 5") as caught:
        load(f"csv:{path}")
    assert "\n" not in str(caught.value)
    assert load(f"csv:{path}", missing="1e+308").manifest.counts["train"] == 24
    path.write_text(path.read_text().replace("1e+308", "1E308"))
    assert load(f"csv:{path}", missing="1e+308").manifest.counts["train"] == 24, "what the message says is what helps"


def test_further_marks_and_the_blank_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{i / 8},{'NA' if i % 3 else 'x.'}\n" for i in range(30)))
    assert {row["x"] for row in load(f"csv:{path}", missing="0.125,x.").train.things} >= {0.25}
    both = load(f"csv:{path}", marks="blank")
    assert {row["y"] for row in both.train.things} == {"NA", "x."}
    assert {row["y"] for row in load(f"csv:{path}").train.things} == {None, "x."}


def test_what_a_person_must_hear_is_among_the_losses(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{a},{i},person {i * i},{'ab'[i % 2] if i % 9 else ''},x" for i, a in enumerate([*AMOUNTS, "n.k."])]
    path.write_text("\n".join(["amount,id,name,kind,same", *rows]) + "\n")
    told = losses(load(f"csv:{path}", label="kind", drop="same").manifest)
    for part in ("'amount'", "'id' was dropped", "'name' was dropped", "'same' was dropped", "have no class"):
        assert any(part in note for note in told), part
    assert not any("stated" in note or "is the class" in note for note in told)
    many = load(f"csv:{path}").manifest.model_copy(update={"notes": [f"'{i}' was dropped" for i in range(30)]})
    assert len(losses(many)) == 7
    assert "24 more notes" in losses(many)[-1]
