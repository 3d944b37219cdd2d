"""Mixes: several sources as one dataset, bound by all their licences, with nothing held out that was taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from makar.core.errors import MakarError
from makar.data import load, manifest, rights


def photos(folder: Path, count: int = 12, start: int = 0, licence: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(start, start + count):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (4, 4), dtype=np.uint8)).save(folder / f"{i}.png")
    if licence:
        (folder / "LICENSE").write_text(licence + "\n")
    return folder


def test_a_mix_is_bound_by_all_its_members(tmp_path: Path) -> None:
    a = photos(tmp_path / "a", licence="CC-BY-SA-4.0")
    b = photos(tmp_path / "b", start=20, licence="MIT OR CC-BY-NC-4.0")
    data = load(f"mix:folder:{a}//folder:{b}", attribution="the makers")
    found = data.manifest
    assert found.name == "mix:folder:a//folder:b"
    assert found.licence == "CC-BY-SA-4.0 AND (MIT OR CC-BY-NC-4.0)"
    assert [(m.name, m.licence, m.share) for m in found.members] == [
        ("folder:a", "CC-BY-SA-4.0", 0.5),
        ("folder:b", "MIT OR CC-BY-NC-4.0", 0.5),
    ]
    assert sum(m.counts["train"] for m in found.members) == len(data.train) == found.counts["train"]
    assert sum(m.counts["held_out"] for m in found.members) == len(data.held_out)
    verdict = rights.of(found)
    assert verdict.share_alike == "CC-BY-SA-4.0"
    assert verdict.refusal("commercial", "outputs") is None
    assert {due.source for due in verdict.attribution} == {"folder:a", "folder:b"}
    assert found.origin == "user"
    manifest.check(found)
    assert manifest.summary(found).count("\nmember ") == 2


def test_what_may_not_be_sold_is_dropped_and_said_so(tmp_path: Path) -> None:
    a = photos(tmp_path / "a", licence="CC-BY-4.0")
    b = photos(tmp_path / "b", start=20, licence="CC-BY-NC-4.0")
    c = photos(tmp_path / "c", start=40)
    spec = f"mix:folder:{a}//folder:{b}//folder:{c}"
    whole = load(spec).manifest
    assert whole.licence == "unknown"  # who does not know a part does not know the whole
    said = rights.of(whole).refusal("private", "model")
    assert said is not None
    assert "folder:c" in said
    free = load(spec, allow="commercial")
    assert [m.name for m in free.manifest.members] == ["folder:a"]
    assert len(free.train) + len(free.held_out) == 12
    notes = " ".join(free.manifest.notes)
    assert "'folder:b' was left out" in notes
    assert "CC-BY-NC-4.0 in folder:b" in notes
    assert "'folder:c' was left out" in notes
    assert rights.of(free.manifest).refusal("commercial", "model") is None
    research = load(spec, allow="research", accept="folder:c").manifest
    assert len(research.members) == 3
    assert research.accepted == ["folder:c"]
    assert rights.require_trainable(research).train == "yes"
    with pytest.raises(MakarError, match=r"nothing here may be used as allow='commercial'.*folder:b.*folder:c"):
        load(f"mix:folder:{b}//folder:{c}", allow="commercial")


def test_what_one_member_holds_out_is_taught_by_none(tmp_path: Path) -> None:
    a = photos(tmp_path / "a", count=40)
    b = photos(tmp_path / "b", count=40, start=20)  # 20 pictures are in both
    (b / "train").mkdir()
    (b / "test").mkdir()
    for i in range(20, 60):
        (b / f"{i}.png").rename(b / ("test" if i < 30 else "train") / f"{i}.png")
    alone = {name: load(f"folder:{p}").manifest.items for name, p in (("a", a), ("b", b))}
    mixed = load(f"mix:folder:{a}//folder:{b}").manifest
    held = set(mixed.items["held_out"])
    assert held == {*alone["a"]["held_out"], *alone["b"]["held_out"]}
    assert not held & set(mixed.items["train"])
    assert any("were dropped because they are among the held-out ones" in note for note in mixed.notes)
    total = load(f"mix:folder:{a}//folder:{b}", held_out=0.5)
    assert not set(total.manifest.items["held_out"]) & set(total.manifest.items["train"])
    assert abs(len(total.held_out) - 40) <= 1


def test_the_order_of_members_changes_no_split(tmp_path: Path) -> None:
    a, b = photos(tmp_path / "a"), photos(tmp_path / "b", start=6)
    one = load(f"mix:folder:{a}//folder:{b}").manifest
    two = load(f"mix:folder:{b}//folder:{a}").manifest
    assert one.items == two.items
    assert {m.name: m.digest for m in one.members} == {m.name: m.digest for m in two.members}


def test_classes_are_joined_by_name(tmp_path: Path) -> None:
    for place, (name, first) in enumerate((("cats", "dogs"), ("birds", "cats"))):
        photos(tmp_path / str(place) / name, start=100 * place)
        photos(tmp_path / str(place) / first, start=100 * place + 50)
    data = load(f"mix:folder:{tmp_path / '0'}//folder:{tmp_path / '1'}")
    assert data.classes == ("cats", "dogs", "birds")
    known = {}
    for file in tmp_path.rglob("*.png"):
        known[np.asarray(Image.open(file)).tobytes()] = file.parent.name
    for split in (data.train, data.held_out):
        assert split.labels is not None
        for thing, label in zip(split.things, split.labels, strict=True):
            assert data.classes[label] == known[thing.tobytes()]
    plain = photos(tmp_path / "2" / "x", start=200).parent / "x"
    half = load(f"mix:folder:{tmp_path / '0'}//folder:{plain}")
    assert half.train.labels is None
    assert half.classes == ()
    assert any("the mix has no classes, for folder:x has none" in note for note in half.manifest.notes)


def test_points_and_texts_mix_too(tmp_path: Path) -> None:
    data = load("mix:toy:ring8//toy:moons", n=60)
    assert (len(data.train) + len(data.held_out), data.entropy, data.manifest.origin) == (120, None, "synthetic")
    assert data.manifest.licence == "CC0-1.0"
    assert rights.of(data.manifest).zero_data
    (tmp_path / "a.txt").write_text("\n".join(f"line {i}" for i in range(30)))
    text = load(f"mix:text:{tmp_path / 'a.txt'}//grammar:small", by="lines", n=20, licence="LicenseRef-own")
    assert text.manifest.licence == "LicenseRef-own AND CC0-1.0"
    assert text.manifest.origin == "mixed"
    assert [m.origin for m in text.manifest.members] == ["user", "synthetic"]
    folder = photos(tmp_path / "photos")
    resized = load(f"mix:folder:{folder}//folder:{photos(tmp_path / 'more', start=30)}", size=3)
    assert resized.train.things[0].shape == (3, 3, 1)


def test_two_members_of_one_name_are_told_apart(tmp_path: Path) -> None:
    a, b = photos(tmp_path / "1" / "same"), photos(tmp_path / "2" / "same", start=30, licence="MIT")
    found = load(f"mix:folder:{a}//folder:{b}").manifest
    assert {m.name: m.licence for m in found.members} == {"folder:same": "unknown", "folder:same (2)": "MIT"}


def test_what_does_not_mix_is_refused(tmp_path: Path) -> None:
    folder = photos(tmp_path / "a")
    for spec, options, message in (
        ("mix:digits", {}, "two or more"),
        ("mix:toy:ring8//mix:toy:moons//digits", {}, "no other mix"),
        ("mix:toy:ring8//digits", {}, "kind differs"),
        (f"mix:digits//folder:{folder}", {}, "number of levels differs"),
        ("mix:toy:ring8//toy:moon", {}, "did you mean 'moons'"),
        ("mix:toy:ring8//toy:moons", {"size": 8}, "no member of the mix has the setting 'size'"),
        ("mix:toy:ring8//toy:moons", {"licence": "MIT"}, r"under CC0-1\.0"),
        ("mix:toy:ring8//toy:moons", {"seeds": 1}, "no setting 'seeds'"),
    ):
        with pytest.raises(MakarError, match=message):
            load(spec, **options)
    other = tmp_path / "b"
    other.mkdir()
    for i in range(4):
        Image.fromarray(np.full((5, 5), i, np.uint8)).save(other / f"{i}.png")
    with pytest.raises(MakarError, match=r"shape or columns differs.*size=32"):
        load(f"mix:folder:{folder}//folder:{other}")
