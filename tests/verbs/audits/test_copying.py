"""Copying: each modality's scores, and the index beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from makar.data import load
from makar.provenance import nearest
from makar.provenance.home import Home
from makar.verbs.audits import indices
from makar.verbs.audits._items import with_training
from makar.verbs.audits.copying import copying
from makar.verbs.sample import sample
from makar.verbs.train import fit

from .texts import manual


def test_a_copier_of_pictures_is_caught_and_a_gaussian_is_not() -> None:
    data = load("digits")
    caught = copying(fit("kernel", data, "1s", settings={"bandwidth": 0.02}), data)
    assert caught.finding == "alarm"
    assert caught.figure("near copies").low > 0.9
    assert caught.figure("c_t").high < -5
    assert caught.figure("authenticity").high < 0.2
    assert caught.details["nearest"][0]["item"] in data.manifest.items["train"]
    clean = copying(fit("gaussian", data, "1s"), data)
    assert clean.finding == "none", clean.why
    assert clean.figure("near copies").high < 0.03


@pytest.mark.parametrize(("order", "finding"), [(3, "none"), (12, "alarm")])
def test_text(order: int, finding: str, tmp_path: Path) -> None:
    """Text that stands ten times in the training set is learnt by heart by a model of long contexts."""
    data = manual(tmp_path, 12_000, size=100)
    data = with_training(data, [*data.train.things] * 10, "everything ten times")
    found = copying(fit("ngram", data, "2s", settings={"order": order}, codec="symbols"), data, n=60)
    assert found.finding == finding, found.why


def test_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    chance = np.random.default_rng(0)
    lines = [
        f"{x:.3f},{y:.3f},{'abc'[k]}" for x, y, k in zip(*chance.normal(size=(2, 600)), [0, 1, 2] * 200, strict=True)
    ]
    path.write_text("\n".join(["x,y,z", *lines]), encoding="utf-8")
    data = load(f"csv:{path}", licence="CC0-1.0")
    assert copying(fit("kernel", data, "1s", settings={"bandwidth": 0.001, "swap": 0.001}), data).finding == "alarm"
    assert copying(fit("independent", data, "1s"), data).finding == "none"


def test_the_workspace_keeps_indices_that_a_gate_reads(home: Path) -> None:
    data = load("digits")
    trained = fit("kernel", data, "1s", settings={"bandwidth": 0.02})
    place = Home(home)
    things = [a.content for a in sample(trained, 20)]
    digest = data.manifest.digest
    assert indices.judge(place, digest, "pictures", things, trained.codec) is None
    first = indices.keep(data, trained.codec, place)
    judged = indices.judge(place, digest, "pictures", things, trained.codec)
    assert judged is not None
    assert all(nearest.is_copy(j) and j.attribution == data.manifest.attribution for j in judged)
    assert all("near copy" in nearest.objection(j, "refuse") for j in judged)
    assert indices.keep(data, trained.codec, place).threshold == first.threshold


def test_of_text_passages_are_kept_too(home: Path, tmp_path: Path) -> None:
    from makar.provenance import verbatim

    data = manual(tmp_path, 10_000)
    trained = fit("ngram", data, "1s", codec="symbols")
    indices.keep(data, trained.codec, Home(home))
    quotes = verbatim.load(Home(home), data.manifest.digest)
    assert quotes is not None
    quoted = data.train.things[3][40:140]
    passage = quotes.guard(f"It says: {quoted}", len(" ".join(quoted.split())))
    assert passage is not None
    assert passage.item == data.manifest.items["train"][3]
