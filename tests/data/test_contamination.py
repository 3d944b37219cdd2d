"""Contamination: exact and near forms of training items among the held-out ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from makar.data import Dataset, Split, load
from makar.data.contamination import Check, contamination, difference_hash


def checks(data: Dataset, *things: object) -> dict[str, Check]:
    """The checks by name, with more held-out things."""
    more = replace(data, held_out=Split([*data.held_out.things, *things]))
    return {c.name: c for c in contamination(more)}


def test_what_digits_have_is_real_and_no_more_than_among_training_items() -> None:
    found = checks(load("digits"))
    assert not found["exact"].matches
    picture = found["picture"]
    assert 0.005 < picture.share < 0.03
    assert abs(picture.share - picture.usual) < 0.02
    data = load("digits")
    for i, j in picture.matches.items():
        assert np.corrcoef(data.held_out.things[i].ravel(), data.train.things[j].ravel())[0, 1] > 0.97


@pytest.mark.parametrize("change", ["none", "noise", "brightness"])
def test_planted_pictures_are_found(change: str) -> None:
    data = load("digits")
    chance = np.random.default_rng(0)
    places = list(range(0, 1200, 12))
    originals = np.stack([data.train.things[i] for i in places]).astype(int)
    added = {"none": 0, "noise": chance.integers(-1, 2, originals.shape), "brightness": 2}[change]
    planted = list(np.clip(originals + added, 0, 16).astype(np.uint8))
    found = checks(data, *planted)
    first = len(data.held_out)
    hits = [found["picture"].matches.get(first + k) == i for k, i in enumerate(places)]
    assert np.mean(hits) >= {"none": 0.97, "noise": 0.6, "brightness": 0.9}[change]
    assert len(found["exact"].matches) == (100 if change == "none" else 0)


def test_the_difference_hash_sees_neither_brightness_nor_size() -> None:
    ramp = np.tile(np.arange(0, 90, 10, dtype=np.uint8), (8, 1))[..., None]
    assert difference_hash(ramp, 256).tolist() == [255] * 8
    assert difference_hash(ramp[:, ::-1], 256).tolist() == [0] * 8
    large = ramp.repeat(5, 0).repeat(5, 1)
    assert difference_hash(large + 50, 256).tolist() == [255] * 8


@pytest.fixture
def prose(tmp_path: Path) -> Dataset:
    chance = np.random.default_rng(0)
    words = ["".join(chance.choice(list("aeioulnrst"), 6)) for _ in range(500)]
    text = "\n\n".join(" ".join(chance.choice(words, 60)) for _ in range(100))
    (tmp_path / "t.txt").write_text(text, encoding="utf-8")
    return load(f"text:{tmp_path / 't.txt'}", by="paragraphs", licence="CC0-1.0")


def test_thirteen_words_are_a_match_and_twelve_are_none(prose: Dataset) -> None:
    train = prose.train.things[5].split()
    unlike = " ".join(["zzz"] * 5)
    thirteen, twelve = (f"{unlike} {' '.join(train[10 : 10 + n]).upper()}, {unlike}" for n in (13, 12))
    clean = checks(prose)
    assert not any(c.matches or c.twins for c in clean.values())
    found = checks(prose, thirteen, twelve)["13 words"]
    assert found.matches == {len(prose.held_out): 5}


def test_fifty_characters_are_a_match_whatever_the_white_space(prose: Dataset) -> None:
    piece = prose.train.things[7][30:85].replace(" ", "\n  ")
    found = checks(prose, f"###{piece}###")["50 characters"]
    assert found.matches == {len(prose.held_out): 7}


def test_twins_among_training_documents_are_counted(prose: Dataset) -> None:
    twin = prose.train.things[0][:200] + " and an ending of its own"
    more = replace(prose, train=Split([*prose.train.things, twin]))
    assert [c.twins for c in contamination(more)] == [0, 2, 2]


def test_rows_match_within_a_hundredth_of_the_range(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    rows = [f"{x:.4f},{y:.4f},{z:.4f},{k}" for x, y, z, k in zip(*chance.random((3, 300)), "abc" * 100, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,z,k", *rows]), encoding="utf-8")
    data = load(f"csv:{tmp_path / 't.csv'}", licence="CC0-1.0")
    row = dict(data.train.things[3])
    near, far, other = row | {"x": row["x"] + 0.005}, row | {"x": row["x"] + 0.05}, row | {"k": "z"}
    found = checks(data, row, near, far, other)
    first = len(data.held_out)
    assert found["exact"].matches == {first: 3}
    assert {i: j for i, j in found["row"].matches.items() if i >= first} == {first: 3, first + 1: 3}


def test_points_match_within_a_ten_thousandth() -> None:
    data = load("toy:moons", n=400)
    point = data.train.things[2]
    found = checks(data, point, point + np.float32(1e-5), point + np.float32(0.01))["row"]
    first = len(data.held_out)
    assert {i for i in found.matches if i >= first} == {first, first + 1}


def test_gaps_in_rows_match_gaps_only(tmp_path: Path) -> None:
    lines = [f"{i % 20 + 0.5},{'' if i % 2 else i * 3 % 40 + 0.25}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *lines]), encoding="utf-8")
    data = load(f"csv:{tmp_path / 't.csv'}", licence="CC0-1.0")
    gap = next(r for r in data.train.things if r["y"] is None)
    found = checks(data, gap, gap | {"y": 0.25})["row"]
    assert sorted(i for i in found.matches if i >= len(data.held_out)) == [len(data.held_out)]
