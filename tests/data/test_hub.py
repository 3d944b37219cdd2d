"""Datasets in the hub's layout, from local folders: no test here opens a connection."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from makar.core.errors import MakarError
from makar.data import load
from tests.data.test_pictures import classes_of

ALLOWED = [True]


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if not ALLOWED[0] and event in ("socket.connect", "socket.getaddrinfo"):
        raise AssertionError(f"the network was reached for: {event} {arguments}")


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def _offline() -> Iterator[None]:
    ALLOWED[0] = False
    yield
    ALLOWED[0] = True


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    known = classes_of(folder / "train")
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Pets\n")
    data = load(f"hub:{folder}", cache=str(tmp_path / "cache"))
    assert (data.name, data.modality, data.classes) == ("hub:pets", "pictures", ("cats", "dogs"))
    assert data.manifest.licence == "CC-BY-4.0"
    assert data.train.labels is not None
    for thing, label in zip(data.train.things, data.train.labels, strict=True):
        assert known[thing.tobytes()] == data.classes[label]
    small = load(f"hub:{folder}", cache=str(tmp_path / "cache"), size=3, colour="grey")
    assert small.train.things[0].shape == (3, 3, 1)
    same = {*data.manifest.items["train"], *data.manifest.items["held_out"]}
    direct = load(f"folder:{folder / 'train'}").manifest.items
    assert same == {*direct["train"], *direct["held_out"]}


def test_tables_with_splits(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    lines = [f"{i * i},{'ab'[i % 2]},{i % 4}" for i in range(30)]
    (folder / "train.csv").write_text("x,y,z\n" + "\n".join(lines[:20]) + "\n")
    (folder / "test.csv").write_text("x,y,z\n" + "\n".join(lines[20:]) + "\n")
    cache = str(tmp_path / "cache")
    data = load(f"hub:{folder}", cache=cache)
    assert (data.modality, len(data.train), len(data.held_out)) == ("rows", 20, 10)
    assert {row["x"] for row in data.held_out.things} == {i * i for i in range(20, 30)}
    alone = load(f"hub:{folder}", cache=cache, split="train", label="y")
    assert (len(alone.train), len(alone.held_out), alone.classes) == (16, 4, ("a", "b"))
    with pytest.raises(MakarError, match=r"no split 'tran'.*did you mean 'train'"):
        load(f"hub:{folder}", cache=cache, split="tran")
    with pytest.raises(MakarError, match="no column 'w'"):
        load(f"hub:{folder}", cache=cache, label="w")


def test_texts(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "train.txt").write_text("one\ntwo\n\nthree\nfour\n")
    data = load(f"hub:{folder}", cache=str(tmp_path / "cache"), licence="MIT")
    assert data.modality == "text"
    assert {*data.train.things, *data.held_out.things} == {"one", "two", "three", "four"}
    assert "1 empty texts were dropped" in data.manifest.notes


def test_bad_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MakarError, match="cannot be loaded"):
        load(f"hub:{tmp_path}/empty", cache=str(tmp_path / "cache"))
    with pytest.raises(MakarError, match="did you mean 'empty'"):
        load(f"hub:{tmp_path}/emptie")
    with pytest.raises(MakarError, match="needs a dataset's name"):
        load("hub:")
    broken = tmp_path / "broken" / "train" / "a"
    broken.mkdir(parents=True)
    for i in range(4):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(broken / f"{i}.png")
    (broken / "x.png").write_bytes(b"no")
    with pytest.raises(MakarError, match=r"x\.png cannot be used"):
        load(f"hub:{tmp_path}/broken", cache=str(tmp_path / "cache"))
    data = load(f"hub:{tmp_path}/broken", cache=str(tmp_path / "cache"), skip_bad=True)
    assert len(data.train) + len(data.held_out) == 4
