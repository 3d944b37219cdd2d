"""The exporters for the EU's forms: filled from records, the rest listed, no advice and no verdict."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from makar.provenance.documents import all_documents, annexes, training_summary
from makar.provenance.documents.annexes import annex_xi, annex_xii
from makar.provenance.documents.bundle import KEYS, flat
from makar.provenance.records import Records
from tests.provenance.documents import records


def summary(case: Records, answers: dict[str, str] | None = None) -> str:
    return training_summary.training_summary(case, answers)[1]


FORMS: list[Callable[..., str]] = [summary, annex_xi, annex_xii]
ANSWERS = {**training_summary.ANSWERS, **annexes.ANSWERS}


@pytest.mark.parametrize("make", FORMS)
@pytest.mark.parametrize("case", [records.make(scored=True), records.mixed(), *map(records.hostile, records.HOSTILE)])
def test_each_begins_with_no_advice_and_says_nothing_of_compliance(make: Callable[..., str], case: Records) -> None:
    text = make(case)
    assert text.startswith("Not legal advice.\n")
    assert "complian" not in text.lower()
    assert [line for line in text.splitlines() if line.startswith("# ")] == [text.splitlines()[2]]


@pytest.mark.parametrize("make", FORMS)
def test_what_is_not_filled_is_listed_and_nothing_else(make: Callable[..., str]) -> None:
    text = make(records.make())
    form, _, listing = text.partition("## Not filled\n")
    empty = [line[2:].removesuffix(": not filled") for line in form.splitlines() if line.endswith(": not filled")]
    assert empty
    assert [line[2:] for line in listing.splitlines() if line] == empty


@pytest.mark.parametrize("make", FORMS)
def test_answers_fill_what_only_the_provider_knows(make: Callable[..., str]) -> None:
    given = {key: f"answer to {label}" for key, label in ANSWERS.items()}
    text = make(records.make(), given)
    for label in make(records.make()).partition("## Not filled\n")[2].splitlines():
        if label[2:] in ANSWERS.values():
            assert f"{label}: answer to {label[2:]}" in text


def test_the_summary_has_the_templates_three_parts_and_all_kinds_of_source() -> None:
    data, text = training_summary.training_summary(records.mixed())
    assert [part["title"] for part in data["parts"]] == [
        "General information",
        "List of data sources",
        "Data processing aspects",
    ]
    fields = {field["label"]: field["value"] for part in data["parts"] for field in part["fields"]}
    for heading in training_summary.KINDS.values():
        assert heading in fields
    assert fields["Publicly available datasets"] == "digits from UCI, licence CC-BY-4.0"
    assert fields["Data crawled or scraped from online sources"] == "art from a museum, licence CC-BY-NC-SA-4.0"
    assert fields["Synthetic data"] == "none by the records"
    assert data["not_filled"] == [label for label, value in fields.items() if value is None]
    assert data["notice"] == "Not legal advice."
    assert json.loads(json.dumps(data)) == data
    assert "robots.txt" in text
    assert "to be taken from the official annex" in text


@pytest.mark.parametrize("origin", ["user", "mixed", None])
def test_where_nobody_has_said_the_kind_of_source_none_is_claimed(origin: str | None) -> None:
    data, _ = training_summary.training_summary(records.make(data={"origin": origin}))
    fields = {field["label"]: field["value"] for field in data["parts"][1]["fields"]}
    assert all(fields[heading] is None for heading in training_summary.KINDS.values())
    assert "UCI" in fields["Data of which nobody has said the kind"]


def test_annex_xi_gives_the_runs_computation_and_energy_only_if_measured() -> None:
    assert "computation in FLOPs, by hand count: 10625024.0" in annex_xi(records.make())
    assert "energy in joules, measured (no estimate is made): not filled" in annex_xi(records.make())
    assert "(no estimate is made): 99.5" in annex_xi(records.make(run={"joules": 99.5}))
    assert "coverage@500 0.875" in annex_xi(records.make(scored=True))
    assert "FLOPs" not in annex_xii(records.make())


def test_all_documents_are_deterministic_and_named() -> None:
    first, second = all_documents(records.mixed()), all_documents(records.mixed())
    assert first == second
    assert list(first) == ["README.md", "datasheet.md", "croissant.json", "bom.cdx.json", "spdx.json"]
    for name in ("croissant.json", "bom.cdx.json", "spdx.json"):
        assert json.loads(first[name])


def test_an_answer_that_nobody_asks_for_is_an_error() -> None:
    from makar.core.errors import MakarError

    with pytest.raises(MakarError, match=r"did you mean 'card.intended_use'"):
        all_documents(records.make(), {"card.intended_uses": "x"})
    with pytest.raises(MakarError, match="answers are text"):
        flat({"motivation": {"purpose": 3}})
    assert flat({"motivation": {"purpose": "a"}, "card": {"users": "b"}}) == {
        "motivation.purpose": "a",
        "card.users": "b",
    }
    assert {"motivation.purpose", "card.users", "provider.name", "annex.tasks"} <= KEYS
