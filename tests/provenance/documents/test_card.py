"""The model card: sections, required fields, Hub front matter, what it says of chain, licences, energy and scores."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub import parse_eval_result_entries as parse_entries
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from makar.core.errors import MakarError
from makar.provenance.documents._hub import eval_results
from makar.provenance.documents._quoted import read
from makar.provenance.documents.card import ANSWERS, FIELDS, card, completeness
from tests.provenance.documents import records

MITCHELL = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)


def front(text: str) -> dict[str, Any]:
    data: dict[str, Any] = ModelCard(text, ignore_metadata_errors=False).data.to_dict()  # type: ignore[no-untyped-call]
    return data


@pytest.mark.parametrize("section", MITCHELL)
def test_every_section_of_mitchell_2019_is_there_and_says_something(section: str) -> None:
    text = card(records.make())
    body = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    assert body.strip()


def test_figures_are_the_records() -> None:
    text = card(records.make(scored=True))
    for figure in (
        "41,674 numbers",
        "steps: 1,234;",
        "CPU seconds: 2.35;",
        "FLOPs by hand count: 1.06e+07",
        "seed 5",
        "12.346",
        "13.25",
    ):
        assert figure in text


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("config", "id"),
        ("config", "family"),
        ("config", "parameters"),
        ("config", "space"),
        ("data", "name"),
        ("data", "modality"),
        ("data", "source"),
        ("data", "licence"),
        ("data", "split"),
        ("data", "digest"),
        ("data", "counts"),
        ("run", "made"),
        ("run", "steps"),
        ("run", "cpu_seconds"),
        ("run", "flops"),
        ("run", "recipe"),
        ("run", "machine"),
        ("run", "code"),
    ],
)
def test_a_missing_field_fails_the_build_and_is_named(file: str, key: str) -> None:
    changes: dict[str, Any] = {file: {key: None}}
    with pytest.raises(MakarError, match=rf"{file}\.json holds no {key}"):
        card(records.make(**changes))


def test_what_only_a_person_can_answer_is_shown_as_not_stated_until_they_do() -> None:
    assert "- use: not stated" in card(records.make())
    text = card(records.make(), {"card.intended_use": "To show *digits* of 1925 in class."})
    assert "- use: To show \\*digits\\* of 1925 in class." in text


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ({"on": False}, "The chain was off"),
        ({"on": True, "signer": None}, "This bundle is unsigned"),
        ({"on": True, "signer": "ab12cd34"}, "Signed with the key `ab12cd34`"),
        ({"on": None}, "It is not recorded whether the chain was on"),
    ],
)
def test_the_chain_is_stated_plainly(chain: dict[str, Any], said: str) -> None:
    sentences = ("The chain was off", "is unsigned", "Signed with", "not recorded whether")
    text = card(records.make(chain=chain))
    assert said in text
    assert sum(sentence in text for sentence in sentences) == 1


def test_energy_is_measured_or_said_not_to_be() -> None:
    assert "energy: not measured" in card(records.make())
    text = card(records.make(run={"joules": 1234.56}))
    assert "energy: 1,234.6 joules" in text
    assert "not measured" not in text


def test_a_mix_says_which_licence_limits_what_and_which_opt_outs_were_read() -> None:
    text = card(records.mixed())
    assert "commercial use of the model: no" in text
    assert "CC-BY-NC-SA-4.0 in art: commercial use of the model no, for it allows no commerce" in text
    assert "- art is under CC-BY-NC-SA-4.0" in text
    assert "evidence of opt-outs that was read: 1" in text
    assert "no evidence was recorded" in card(records.make())


def test_unknown_licences_that_were_accepted_are_shown() -> None:
    text = card(records.make(rights={"accepted": ["digits"]}))
    assert "accepted by name: digits" in text


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("GPL-3.0-only", {"license": "gpl-3.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("unknown", {"license": "unknown"}),
        ("CC-BY-ND-2.0", {"license": "other", "license_name": "cc-by-nd-2.0", "license_link": "rights.json"}),
        ("MIT OR Zlib", {"license": "other", "license_name": "mit-or-zlib", "license_link": "rights.json"}),
        ("LicenseRef-own", {"license": "other", "license_name": "licenseref-own", "license_link": "rights.json"}),
    ],
)
def test_licences_follow_the_hubs_rules(licence: str, expected: dict[str, str]) -> None:
    data = front(card(records.make(data={"licence": licence}, rights={"licences": {"digits": licence}})))
    assert {key: value for key, value in data.items() if key.startswith("license")} == expected


def test_the_front_matter_is_what_the_hubs_own_class_makes_of_it() -> None:
    data = front(card(records.make(scored=True)))
    assert data["library_name"] == "makar"
    assert data["datasets"] == ["digits"]
    again = ModelCardData(**{k: v for k, v in data.items() if k != "model-index"}).to_dict()  # type: ignore[no-untyped-call]
    assert again == {key: value for key, value in data.items() if key != "model-index"}
    name, results = model_index_to_eval_results(data["model-index"])
    assert name == "gaussian on digits"
    assert [(r.metric_name, r.metric_value) for r in results] == [(s["name"], s["value"]) for s in records.SCORES]
    index = eval_results_to_model_index(name, results)
    assert index[0]["results"][0]["metrics"][0]["value"] == records.SCORES[0]["value"]


def test_without_scores_or_a_task_of_the_hub_there_is_no_model_index() -> None:
    assert "model-index" not in front(card(records.make()))
    assert "model-index" not in front(card(records.make(scored=True, data={"modality": "points"})))


def test_eval_results_are_read_by_the_hubs_parser() -> None:
    entries = parse_entries(yaml.safe_load(eval_results(records.make(scored=True))))
    assert [entry.value for entry in entries] == [score["value"] for score in records.SCORES]
    assert entries[0].dataset_id == "digits"
    assert yaml.safe_load(eval_results(records.make())) == []


@pytest.mark.parametrize("text", records.HOSTILE)
def test_hostile_names_break_neither_yaml_nor_markdown_nor_html(text: str) -> None:
    shown = card(records.hostile(text))
    assert set(front(shown)) == {
        "license",
        "license_name",
        "license_link",
        "library_name",
        "tags",
        "datasets",
        "model-index",
    }
    assert front(shown)["license"] == "other"
    body = shown.split("\n---\n", 1)[1]
    expected = [
        line for line in card(records.make(scored=True)).split("\n---\n", 1)[1].splitlines() if line[:2] == "##"
    ]
    assert [line for line in body.splitlines() if line[:2] == "##"] == expected
    assert [line for line in body.splitlines() if line[:2] == "# "] == [body.splitlines()[1]]
    assert not re.search(r"<(?!/?details)", body)
    assert not re.search(r"(?<!\\)\]\(", body)
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert "\u202e" not in shown
    assert "\x1b" not in shown


def test_hostile_text_is_shown_whole() -> None:
    shown = card(records.hostile("<b>a|b</b> [x](y)"))
    assert "<b>a|b</b> [x](y)" in read(shown)


def test_completeness_counts_what_is_filled() -> None:
    share, missing = completeness(records.make(scored=True, run={"joules": 5.0}), dict.fromkeys(ANSWERS, "yes"))
    assert (share, missing) == (1.0, [])
    share, missing = completeness(records.make())
    assert set(missing) == {"run.json: joules", "score.json: scores", *ANSWERS}
    assert share == pytest.approx(1 - len(missing) / (len(FIELDS) + len(ANSWERS)))
    assert "data.json: licence" in completeness(records.make(data={"licence": "unknown"}))[1]
    assert "chain.json: on" not in completeness(records.make(chain={"on": False}))[1]


def test_the_same_records_give_the_same_bytes() -> None:
    assert card(records.mixed()) == card(records.mixed())
