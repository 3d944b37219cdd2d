"""Splits by content, licences and manifests: the past of a dataset, held to what they promise."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.data import Dataset, Manifest, Split, licences, load, manifest, splits


def test_digits_are_split_as_promised() -> None:
    from sklearn.datasets import load_digits

    raw = load_digits()
    pictures = raw.images.astype(np.uint8)[..., None]
    order = sorted(range(1797), key=lambda i: hashlib.sha256(pictures[i].tobytes()).hexdigest())
    data = load("digits")
    assert (len(data.train), len(data.held_out), data.levels, data.modality) == (1297, 500, 17, "pictures")
    assert all(
        (pictures[i] == p).all() for i, p in zip(order, [*data.held_out.things, *data.train.things], strict=True)
    )
    assert data.held_out.labels is not None
    assert data.held_out.labels.tolist() == raw.target[order[:500]].tolist()
    assert data.manifest.licence == "CC-BY-4.0"
    assert "Alpaydin" in data.manifest.attribution
    assert data.classes == tuple("0123456789")


def test_importing_data_does_not_import_what_is_heavy() -> None:
    heavy = {"torch", "sklearn", "datasets", "pyarrow"}
    code = f"import sys, makar.data; makar.data.load('digits'); sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=40), st.floats(0.05, 0.95))
def test_no_item_is_on_both_sides(items: list[str], share: float) -> None:
    hashes = splits.digests(items)
    if len(set(items)) == 1:
        with pytest.raises(MakarError, match="identical"):
            splits.by_content(hashes, share)
        return
    try:
        train, held_out = splits.by_content(hashes, share)
    except MakarError:
        assert round(share * len(items)) in (0, len(items))
        return
    assert sorted(train + held_out) == list(range(len(items)))
    assert train
    assert held_out
    assert not {items[i] for i in train} & {items[i] for i in held_out}
    assert [hashes[i] for i in held_out + train] == sorted(hashes)


def test_the_split_does_not_depend_on_the_order_of_items() -> None:
    items = [f"item {i}" for i in range(50)]
    one = splits.by_content(splits.digests(items), 0.2)[1]
    two = splits.by_content(splits.digests(items[::-1]), 0.2)[1]
    assert [items[i] for i in one] == [items[::-1][i] for i in two]
    assert len(one) == 10


def test_an_item_of_both_given_splits_is_taken_from_training() -> None:
    hashes = ["a", "b", "c", "b", "d"]
    train, held_out, dropped = splits.given(hashes, np.array([False, False, False, True, True]))
    assert ([hashes[i] for i in train], [hashes[i] for i in held_out], dropped) == (["a", "c"], ["b", "d"], 1)


@pytest.mark.parametrize("share", [0.0, -1.0, 1797.0, 5000.0])
def test_a_split_with_an_empty_side_is_refused(share: float) -> None:
    with pytest.raises(MakarError, match="both sides of 1797"):
        load("digits", held_out=share)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mit", "MIT"),
        ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
        ("(mit or Apache-2.0) and CC0-1.0", "(MIT OR Apache-2.0) AND CC0-1.0"),
        ("GPL-2.0-only with classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-house", "LicenseRef-house"),
        ("unknown", "unknown"),
    ],
)
def test_licences_are_spelt_as_spdx_does(given: str, expected: str) -> None:
    assert licences.expression(given) == expected


@pytest.mark.parametrize("given", ["", "MIT Apache-2.0", "MIT OR", "(MIT", "MIT)", "AND MIT", "MIT WITH MIT AND"])
def test_what_is_no_expression_is_refused(given: str) -> None:
    with pytest.raises(MakarError, match="is not an SPDX"):
        licences.expression(given)


def test_a_misspelt_licence_gets_a_hint() -> None:
    with pytest.raises(MakarError, match=r"did you mean 'CC-BY-4\.0'"):
        licences.expression("ccby-4.0")
    with pytest.raises(MakarError, match="LicenseRef-"):
        licences.expression("ours")


def test_a_licence_file_beside_the_data_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(f"line {i}" for i in range(20)))
    unstated = load(f"text:{tmp_path / 'a.txt'}", by="lines").manifest
    assert unstated.licence == "unknown"
    assert any("unknown" in note and "licence=" in note for note in unstated.notes)
    (tmp_path / "LICENSE").write_text("Permission is granted …\n")
    assert load(f"text:{tmp_path / 'a.txt'}", by="lines").manifest.licence == "unknown"
    (tmp_path / "LICENCE").write_text("SPDX-License-Identifier: odbl-1.0\n")
    assert load(f"text:{tmp_path / 'a.txt'}", by="lines").manifest.licence == "ODbL-1.0"
    stated = load(f"text:{tmp_path / 'a.txt'}", by="lines", licence="MIT", attribution="A. Maker").manifest
    assert (stated.licence, stated.attribution) == ("MIT", "A. Maker")


def test_the_licence_of_known_data_cannot_be_changed() -> None:
    with pytest.raises(MakarError, match=r"CC-BY-4\.0"):
        load("digits", licence="MIT")


def test_manifests_are_written_read_and_checked(tmp_path: Path) -> None:
    data = load("toy:ring8", n=50)
    path = tmp_path / "manifest.json"
    manifest.write_manifest(data.manifest, path)
    assert manifest.read_manifest(path) == data.manifest
    path.write_text(path.read_text().replace("CC0-1.0", "MIT"))
    with pytest.raises(MakarError, match="altered"):
        manifest.read_manifest(path)
    path.write_text("{}")
    with pytest.raises(MakarError, match="not a manifest"):
        manifest.read_manifest(path)


def test_the_digest_depends_on_every_field() -> None:
    base = load("toy:ring8", n=50).manifest
    fields = base.model_dump()
    changes: dict[str, Callable[[Manifest], object]] = {
        "name": lambda m: m.name + "x",
        "licence": lambda m: "MIT",
        "notes": lambda m: [*m.notes, "x"],
        "items": lambda m: {"train": m.items["train"][::-1], "held_out": m.items["held_out"]},
        "counts": lambda m: {"train": 0},
        "split": lambda m: "",
    }
    for key, change in changes.items():
        assert manifest.digest_of({**fields, key: change(base)}) != base.digest, key
    assert manifest.digest_of(fields) == base.digest


def test_the_summary_says_what_matters() -> None:
    text = manifest.summary(load("digits").manifest)
    for part in ("1297 train", "500 held out", "CC-BY-4.0", "Alpaydin", "10: 0, 1", "sha"):
        assert part.lower() in text.lower()


def test_the_contact_sheet_shows_the_pictures() -> None:
    data: Dataset = load("digits")
    sheet = manifest.contact_sheet(data.train, data.levels, columns=5, rows=2, cell=16)
    assert (sheet.mode, sheet.size) == ("L", (5 * 18 + 2, 2 * 18 + 2))
    shown = np.asarray(sheet)[2:18:2, 2:18:2]
    assert (shown == np.rint(data.train.things[0][..., 0] * (255 / 16))).all()
    with pytest.raises(MakarError, match="pictures"):
        manifest.contact_sheet(Split(["text"]))


def test_specs_and_options_are_checked(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for spec, options, message in (
        ("digit", {}, "did you mean 'digits'"),
        ("digits:8", {}, "takes no argument"),
        ("digits", {"sise": 3}, "no setting 'sise'"),
        ("toy:rings8", {}, "did you mean 'ring"),
        ("toy:ring8", {"n": "many"}, "'n' was given 'many'"),
        ("grammar:smal", {}, "did you mean 'small'"),
        ("csv:", {}, "needs a path"),
        (f"folder:{tmp_path}/photo", {}, "did you mean 'photos'"),
        (f"{tmp_path}/photo.csv", {}, "there is no file or folder"),
        (f"text:{tmp_path}/nowhere/a.txt", {}, "nor a folder"),
    ):
        with pytest.raises(MakarError, match=message):
            load(spec, **options)


def test_data_other_than_what_was_asked_for_is_refused() -> None:
    digest = load("digits").manifest.digest
    assert load("digits", digest=digest[:12]).manifest.digest == digest
    for wrong in ("0" * 64, digest[:11], digest[:-1] + ("0" if digest[-1] != "0" else "1")):
        with pytest.raises(MakarError, match="not the same data"):
            load("digits", digest=wrong)


def survey(count: int = 500) -> list[dict[str, object]]:
    chance = np.random.default_rng(0)
    return [
        {"grade": str(chance.choice(list("ABC"), p=[0.6, 0.3, 0.1])), "passed": str(chance.choice(["yes", "no"]))}
        for _ in range(count)
    ]


def test_rows_that_repeat_naturally_are_split_by_row_and_both_sides_have_their_shares() -> None:
    rows = survey()
    hashes = splits.digests(rows)
    assert splits.repeat_naturally(rows, hashes)
    train, held_out = splits.by_row(hashes, 0.2)
    assert sorted(train + held_out) == list(range(500))
    assert len(held_out) == 100
    for sha in set(hashes):
        assert abs(sum(hashes[i] == sha for i in held_out) - hashes.count(sha) / 5) <= 1.5
    turned = splits.by_row(hashes[::-1], 0.2)[1]
    assert [hashes[i] for i in held_out] == [hashes[::-1][i] for i in turned]
    more = splits.digests([*rows, {"grade": "D", "passed": "no"}])
    moved = set(held_out) ^ set(splits.by_row(more, 0.2)[1])
    assert len(moved) <= 3
    unique = splits.digests([f"item {i}" for i in range(50)])
    assert splits.by_row(unique, 0.2) == splits.by_content(unique, 0.2)


def test_a_few_identical_rows_fall_as_by_chance() -> None:
    """Pairs both of which are held out: at a share of 0.2 one in 25, were they independent; none if spread evenly."""
    hashes = splits.digests([f"row {i // 2}" for i in range(4000)])
    held = {hashes[i] for i in splits.by_row(hashes, 0.2)[1]}
    both = 800 - len(held)
    assert 50 < both < 115  # 80 +- 9


def test_copies_of_records_are_no_natural_repeats() -> None:
    chance = np.random.default_rng(0)
    records = [{"x": float(chance.normal()), "kind": "ab"[i % 2]} for i in range(200)]
    for rows in (records, [*records, *records], [records[i] for i in chance.integers(0, 200, 300)]):
        assert not splits.repeat_naturally(rows, splits.digests(rows))
    rare = [*records, *records[:1]]
    assert not splits.repeat_naturally(rare, splits.digests(rare))
    wide = [{name: int(chance.integers(0, 3)) for name in "abcd"} for _ in range(200)]  # 81 kinds of rows
    assert splits.repeat_naturally(wide, splits.digests(wide))
    ages = [{"age": int(chance.normal(40, 12))} for _ in range(400)]
    assert splits.repeat_naturally(ages, splits.digests(ages))


def test_each_class_is_held_out_in_its_share(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    rows = [f"{chance.normal():.4f},{'rare' if i % 25 == 0 else 'often'}" for i in range(500)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,y", *rows, "1.5,alone"]) + "\n")
    data = load(f"csv:{path}", label="y")
    held, train = ([row["y"] for row in split.things] for split in (data.held_out, data.train))
    assert (held.count("rare"), held.count("often"), held.count("alone"), train.count("alone")) == (4, 96, 0, 1)
    assert "each class in its share" in data.manifest.split
    assert any("1 of the 3 classes have one row only" in note for note in data.manifest.notes)
    everything = [splits.digests([row])[0] for row in data.train.things]
    assert everything == data.manifest.items["train"]
    by_row = tmp_path / "s.csv"
    by_row.write_text("\n".join(["grade,passed", *(",".join(map(str, r.values())) for r in survey())]) + "\n")
    both = load(f"csv:{by_row}", label="passed")
    assert both.manifest.split.startswith("by row")
    share = [np.mean([row["passed"] == "yes" for row in split.things]) for split in (both.train, both.held_out)]
    assert abs(share[0] - share[1]) < 0.01
    assert any("identical ones may be on both sides" in note for note in both.manifest.notes)


def test_a_label_counts_in_the_digest_only_where_there_is_one(tmp_path: Path) -> None:
    base = load("toy:ring8", n=50).manifest
    fields = base.model_dump()
    old = {key: value for key, value in fields.items() if key != "label"}
    assert manifest.digest_of(old) == base.digest
    assert manifest.digest_of({**fields, "label": "y"}) != base.digest
