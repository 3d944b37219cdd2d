"""Membership: a memoriser is caught, a model that cannot remember is not accused, a biased split is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from makar.core.model import HasLogProb
from makar.data import Dataset, load
from makar.verbs.audits.membership import _closeness, membership
from makar.verbs.train import fit

from .texts import manual


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.mark.parametrize(
    ("family", "settings"), [("kernel", {"bandwidth": 0.02}), ("ngram", {})], ids=["narrow kernel", "n-gram of pixels"]
)
def test_a_memoriser_is_caught(family: str, settings: dict[str, float], digits: Dataset) -> None:
    found = membership(fit(family, digits, "1s", settings=settings), digits)
    assert found.finding == "alarm"
    assert found.figure("membership auc[loss]").low > 0.95
    assert found.figure("membership tpr[loss;fpr=1%]").low > 0.9
    assert found.details["not resolvable"] == ["0.1 %"]
    assert not [f for f in found.figures if "0.1%" in f.name]


@pytest.mark.parametrize("family", ["independent", "gaussian"])
def test_a_model_of_few_parameters_raises_no_alarm(family: str, digits: Dataset) -> None:
    found = membership(fit(family, digits, "1s"), digits)
    assert found.finding == "none", found.why
    blind = found.figure("blind auc")
    assert blind.low <= 0.5 <= blind.high


def test_no_false_alarms_where_nothing_can_be_remembered() -> None:
    """A Gaussian of 40 points on the plane, over and over: alarms would be the attack's own."""
    for seed in range(10):
        data = load("toy:moons", n=800, seed=seed, held_out=400)
        found = membership(fit("gaussian", data, "1s"), data)
        assert found.finding == "none", found.why


def test_reference_models_find_what_the_loss_does_not(digits: Dataset) -> None:
    found = membership(fit("gaussian", digits, "1s"), digits, shadows=4)
    assert found.figure("membership tpr[lira").low > 4 * found.figure("membership tpr[loss").high
    assert found.finding == "alarm"


def test_reference_models_raise_no_alarm_of_their_own() -> None:
    data = load("toy:moons", n=1600, held_out=800)
    for shadows in (2, 4):
        found = membership(fit("gaussian", data, "1s"), data, shadows=shadows)
        assert found.finding == "none", found.why
        assert found.figure("membership auc[lira").high < 0.6


def test_without_a_likelihood_the_distance_to_what_is_made_is_used(digits: Dataset) -> None:
    untrained = fit("gan", digits, "1 steps")
    assert not isinstance(untrained.model, HasLogProb)
    found = membership(untrained, digits, draws=100)
    assert found.details["attacks"] == ["distance"]
    assert found.finding == "none", found.why
    copier = fit("kernel", digits, "1s", settings={"bandwidth": 0.02})
    codec = copier.codec
    near = [_closeness(copier, codec.encode(s.things[:300]), 2000, 0) for s in (digits.train, digits.held_out)]
    assert np.median(near[0]) > np.quantile(near[1], 0.95)


def test_text_by_symbols(tmp_path: Path) -> None:
    data = manual(tmp_path, 40_000, size=250)
    remembers = membership(fit("ngram", data, "2s", settings={"order": 8}, codec="symbols"), data)
    assert remembers.finding == "alarm"
    forgets = membership(fit("ngram", data, "2s", settings={"order": 1}, codec="symbols"), data)
    assert forgets.finding == "none", forgets.why


def test_a_split_that_is_not_random_gives_no_verdict(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for side, centre in (("train", 0.0), ("test", 2.0)):
        (tmp_path / side).mkdir()
        for i in range(60):
            words = " ".join("old" if u + centre / 4 < 0.6 else "new" for u in chance.random(30))
            (tmp_path / side / f"{i}.txt").write_text(f"{words} {i}", encoding="utf-8")
    data = load(f"text:{tmp_path}", licence="CC0-1.0")
    found = membership(fit("ngram", data, "1s", settings={"order": 8}, codec="symbols"), data)
    assert found.finding == "not measurable"
    assert found.figure("blind auc").low > 0.55


def test_a_thousandth_of_false_positives_takes_three_thousand_items() -> None:
    data = load("toy:moons", n=6200, held_out=3100)
    found = membership(fit("kernel", data, "1s", settings={"bandwidth": 1e-4}), data, n=3100)
    assert found.figure("membership tpr[loss;fpr=0.1%]").low > 0.9
    assert found.details["not resolvable"] == []


def test_too_few_items_give_no_verdict() -> None:
    data = load("toy:moons", n=40, held_out=10)
    assert membership(fit("gaussian", data, "1s"), data).finding == "not measurable"
