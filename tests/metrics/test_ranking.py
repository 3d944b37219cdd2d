"""The law of metrics: a good, a blurred, a collapsed and a copied set are ranked as they should be."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from makar.core.model import LogProb
from makar.core.registry import load, modules
from makar.core.score import Generated, Reference, Score

from .pictures import judged, shapes
from .sets import answers, of_rows, of_text, points, scores, table, things

REFERENCE = points()
ANSWERS = answers()


def on_points(metric: str, score: str) -> dict[str, Score]:
    return {name: scores(metric, REFERENCE, generated)[score] for name, generated in ANSWERS.items()}


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("frechet", "fd"),
        ("kernel", "kd"),
        ("energy", "energy"),
        ("twosample", "c2st-logistic"),
        ("twosample", "c2st-boosting"),
    ],
)
def test_distances_tell_good_from_collapsed(metric: str, score: str) -> None:
    found = on_points(metric, score)
    assert found["good"].high < found["collapsed"].low
    assert found["good"].higher_is_better is False
    # a distance does not see copies: that is why it is never shown alone
    assert found["copied"].value < found["collapsed"].low


@pytest.mark.parametrize(("metric", "score"), [("kernel", "kd"), ("energy", "energy"), ("twosample", "c2st-boosting")])
def test_distances_tell_good_from_blurred(metric: str, score: str) -> None:
    found = on_points(metric, score)
    assert found["good"].high < found["blurred"].low


def test_frechet_tells_good_from_blurred() -> None:
    found = on_points("frechet", "fd")
    assert found["good"].value < 0.02 < found["blurred"].value


def test_precision_sees_blur_and_recall_sees_collapse() -> None:
    precision, recall = on_points("prdc", "precision"), on_points("prdc", "recall")
    assert precision["good"].value > 0.9
    assert precision["blurred"].high < precision["good"].low
    assert precision["collapsed"].value > 0.9
    assert recall["good"].value > 0.9
    assert recall["collapsed"].high < 0.2


def test_density_and_coverage() -> None:
    density, coverage = on_points("prdc", "density"), on_points("prdc", "coverage")
    assert density["good"].low < 1.0 + 0.05
    assert density["blurred"].high < density["good"].low
    assert coverage["collapsed"].high < 0.2 < 0.9 < coverage["good"].value


def test_energy_p_value_is_small_only_for_the_bad() -> None:
    found = on_points("energy", "energy p-value")
    assert found["good"].value > 0.05
    assert found["blurred"].value < 0.01
    assert found["collapsed"].value < 0.01


def test_copying_fires_for_copies_and_for_a_kernel_density_but_not_for_the_good() -> None:
    for name in ("copied", "kernel"):
        found = scores("copying", REFERENCE, ANSWERS[name])
        assert found["nn ratio"].high < 0.5
        assert found["copies"].low > 0.4
        assert found["authenticity"].high < 0.25
        assert found["c_t"].high < -3
        assert all(any(c.startswith("COPYING") for c in s.caveats) for s in found.values())
    found = scores("copying", REFERENCE, ANSWERS["good"])
    assert found["nn ratio"].low < 1 < found["nn ratio"].high
    assert -3 < found["c_t"].value < 3
    assert not any(c.startswith("COPYING") for s in found.values() for c in s.caveats)
    blurred = scores("copying", REFERENCE, ANSWERS["blurred"])
    assert blurred["c_t"].low > 3


def test_modes_are_counted() -> None:
    hit, on, even = (on_points("modes", s) for s in ("modes hit", "on the data", "mode balance"))
    assert hit["good"].value == 1.0
    assert hit["collapsed"].value == pytest.approx(1 / 8)
    assert on["good"].low < 0.99 < on["good"].high + 0.01
    assert on["blurred"].high < 0.9
    assert even["good"].value > 0.95
    assert even["collapsed"].value == pytest.approx(1 / 8)


def test_modes_are_counted_where_nobody_labelled_them() -> None:
    """EVA-7: toy:ring8 has no labels, and its eight modes can be seen."""
    bare = replace(REFERENCE, train=replace(REFERENCE.train, labels=None))
    for name, expected in (("good", 1.0), ("collapsed", 1 / 8)):
        hit = scores("modes", bare, ANSWERS[name])["modes hit"]
        assert hit.value == pytest.approx(expected)
        assert hit.n == 8
        assert hit.caveats == ("8 components, read from the data",)
    cloud = torch.randn(800, 2, generator=torch.Generator().manual_seed(0))
    one = replace(bare, train=replace(bare.train, x=cloud))
    assert scores("modes", one, ANSWERS["good"]) == {}


def test_agreement_and_utility_need_the_class_that_was_asked_for() -> None:
    found = on_points("agreement", "agreement")
    assert found["good"].value > 0.98
    assert found["blurred"].high < found["good"].low
    assert found["collapsed"].high < 0.2
    utility = on_points("utility", "tstr")
    assert utility["good"].value > 0.95
    assert utility["collapsed"].high < utility["good"].low
    gap = on_points("utility", "tstr gap")
    assert gap["good"].low <= 0.01
    assert gap["collapsed"].low > 0.5


def test_bits_rank_models_and_name_their_kind() -> None:
    held = torch.linspace(-3.0, -1.0, 480)
    found: dict[str, Score] = {}
    for likelihood in (LogProb(held, "exact"), LogProb(held, "lower"), LogProb(held, "estimate")):
        found |= scores("bits", REFERENCE, Generated(ANSWERS["good"].sample, likelihood, units=960))
    assert set(found) == {"bits/dim (exact)@480", "bits/dim (upper bound)@480", "bits/dim (estimate)@480"}
    worse = scores("bits", REFERENCE, Generated(ANSWERS["good"].sample, LogProb(held - 1, "exact"), units=960))
    assert worse["bits/dim (exact)@480"].low > found["bits/dim (exact)@480"].high


def test_tables_by_shapes_trends_and_utility() -> None:
    reference = of_rows(table(600, 1), table(500, 2))
    good = scores("shapes", reference, Generated(things(table(500, 3))))
    blurred = scores("shapes", reference, Generated(things(table(500, 4, noise=2.0))))
    apart = scores("shapes", reference, Generated(things(table(500, 5, apart=True))))
    one = scores("shapes", reference, Generated(things(table(500, 6)[:1] * 500)))
    assert good["column shapes"].value > max(blurred["column shapes"].high, one["column shapes"].high)
    assert apart["column shapes"].low > 0.9  # every column by itself is right: shapes cannot see it, trends can
    assert good["pair trends"].low > apart["pair trends"].high
    assert good["pair trends (strong)"].low > apart["pair trends (strong)"].high
    taught = scores("utility", reference, Generated(things(table(500, 3))))
    fooled = scores("utility", reference, Generated(things(table(500, 5, apart=True))))
    assert taught["tstr"].low > fooled["tstr"].high


def test_copied_rows_are_found() -> None:
    train, held = table(600, 1), table(500, 2)
    reference = of_rows(train, held)
    good = scores("records", reference, Generated(things(table(500, 3))))
    copied = scores("records", reference, Generated(things(train[:500])))
    assert good["dcr ratio"].low < 1 < good["dcr ratio"].high
    assert good["closer to train"].low < 0.5 < good["closer to train"].high
    assert good["duplicates"].value == 0
    assert copied["duplicates"].value == 1
    assert copied["closer to train"].low > 0.7
    assert copied["dcr ratio"].caveats[0].startswith("COPYING")
    assert not any(c.startswith("COPYING") for s in good.values() for c in s.caveats)


def written(texts: int, words: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    known = ["".join(chance.choice("abcdefg") for _ in range(4)) for _ in range(300)] if seed < 0 else WORDS
    return [" ".join(chance.choice(known) for _ in range(words)) for _ in range(texts)]


WORDS = [a + b for a in "bcdfghjklm" for b in ("an", "er", "ol", "it", "us", "ab")]


def test_text_repetition_sameness_and_copies() -> None:
    corpus = written(40, 120, 1)
    reference: Reference = of_text(corpus, written(10, 120, 2))
    good = scores("text", reference, Generated(things(written(20, 60, 3))))
    looped = scores("text", reference, Generated(things(["to be or not to be " * 12] * 20)))
    copied = scores("text", reference, Generated(things([t[5:250] for t in corpus[:20]])))
    assert looped["distinct-2"].high < good["distinct-2"].low
    assert looped["repetition"].value > 0.9 > 0.1 > good["repetition"].value
    assert looped["shared phrases"].value == 1
    assert good["shared phrases"].value < 0.1
    assert copied["seen 50 chars"].value == 1
    assert copied["longest match"].value == 245
    assert copied["seen 50 chars"].caveats[0].startswith("COPYING")
    assert good["seen 50 chars"].value == 0
    assert not any(c.startswith("COPYING") for s in good.values() for c in s.caveats)


@pytest.mark.parametrize("metric", sorted(modules("metrics")))
def test_metrics_are_pure(metric: str) -> None:
    """The same answer twice, and no global generator is touched."""
    if "text" in load("metrics", metric).modalities and "points" not in load("metrics", metric).modalities:
        reference, generated = of_text(written(30, 60, 1), written(20, 60, 2)), Generated(things(written(12, 60, 3)))
    elif "points" in load("metrics", metric).modalities:
        likelihood = LogProb(torch.linspace(-3.0, -1.0, 480), "exact")
        reference, generated = REFERENCE, Generated(ANSWERS["good"].sample, likelihood, units=960)
    elif "pictures" in load("metrics", metric).modalities and "rows" not in load("metrics", metric).modalities:
        reference, sets = judged(shapes(60, 1)[0], shapes(40, 2)[0], {"fresh": shapes(40, 3)[0]})
        generated = sets["fresh"]
    else:
        reference, generated = of_rows(table(200, 1), table(150, 2)), Generated(things(table(150, 3)))
    before = torch.get_rng_state(), _numpy_s()
    first = scores(metric, reference, generated)
    assert first
    assert scores(metric, reference, generated) == first
    assert torch.equal(torch.get_rng_state(), before[0])
    assert _numpy_s() == before[1]


def _numpy_s() -> tuple[list[int], int]:
    state = np.random.get_state(legacy=False)["state"]
    return state["key"].tolist(), state["pos"]


def test_a_metric_without_what_it_needs_says_nothing() -> None:
    bare = Generated(things(table(60, 1)))
    reference = Reference(REFERENCE.space, "rows", things(table(60, 2)), things(table(60, 3)))
    for metric in ("frechet", "kernel", "prdc", "twosample", "energy", "agreement", "bits"):
        assert scores(metric, reference, bare) == {}
