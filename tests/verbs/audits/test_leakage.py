"""Leakage: planted overlaps and personal data are found, clean data raise no alarm, values are not repeated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from makar.data import Dataset, Split, load, planted
from makar.verbs.audits.leakage import overlap, personal_data

from .texts import manual


def leaked(data: Dataset, things: list[object]) -> Dataset:
    """The dataset with these among its held-out items."""
    return replace(data, held_out=Split([*data.held_out.things, *things]))


def test_digits_are_clean_and_a_planted_leak_is_not() -> None:
    data = load("digits")
    clean = overlap(data)
    assert clean.finding == "none", clean.why
    assert clean.figure("overlap[exact]").value == 0.0
    brighter = [np.minimum(p.astype(int) + 1, 16).astype(np.uint8) for p in data.train.things[:40]]
    found = overlap(leaked(data, list(brighter)))
    assert found.finding == "alarm"
    assert overlap(leaked(data, [data.train.things[0]])).finding == "alarm"


def test_text_is_clean_and_a_planted_leak_is_not(tmp_path: Path) -> None:
    data = manual(tmp_path)
    assert overlap(data).finding == "none"
    pieces = [f"Someone wrote: {t[40:340]} and so on." for t in data.train.things[:30]]
    found = overlap(leaked(data, list(pieces)))
    assert found.finding == "alarm"
    assert found.figure("overlap[50 characters]").value > 0.4


def test_clean_text_has_no_personal_data_and_planted_ones_are_found(tmp_path: Path) -> None:
    data = manual(tmp_path)
    clean = personal_data(data, outputs=list(data.held_out.things))
    assert clean.finding == "none", clean.why
    assert clean.figure("planted found").low > 0.9
    mail = planted.plants(1, kind="email")[0]
    dirty = replace(data, train=Split([*data.train.things, f"Yours, {mail.text}"]))
    found = personal_data(dirty, outputs=["nothing", f"and {mail.secret} said", "ring +44 20 7946 0958"])
    assert found.finding == "alarm"
    assert found.figure("personal data[outputs;").value == 1 / 3
    assert found.details["repeated"] == [1]
    assert mail.secret not in json.dumps(found.to_json())


def test_a_single_shape_in_much_text_is_no_alarm(tmp_path: Path) -> None:
    data = manual(tmp_path, 200_000, size=2000)
    things = [*data.train.things, "see section 8.2.4.44 of it"]
    found = personal_data(replace(data, train=Split(things)))
    assert found.details["train"]["counts"] == {"ip": 1}
    assert found.finding == "none"


def test_pictures_are_not_read() -> None:
    assert personal_data(load("digits")).finding == "not measurable"
