"""Bias: planted skew, a planted blur and planted ties are found, and clean draws raise no alarm."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import makar
from makar.core.errors import MakarError
from makar.core.score import Sample
from makar.verbs.audits import _shares, bias
from makar.verbs.audits._words import words
from makar.verbs.audits.bias import Grouped, Target
from makar.verbs.score import Yardstick, yardstick
from makar.verbs.train import fit

NAMES = [str(i) for i in range(10)]
REPETITIONS = 200


@cache
def stick() -> Yardstick:
    return yardstick(makar.data("digits"))


def grouped(sample: Sample) -> Grouped:
    assert sample.features is not None
    assert sample.labels is not None
    return Grouped(sample.features, sample.labels.numpy())


def skewed() -> np.ndarray:
    """Class 3 a tenth as often as it should be."""
    shares = np.ones(10)
    shares[3] = 0.1
    skew: np.ndarray = shares / shares.sum()
    return skew


def test_planted_skew_is_found_and_clean_draws_raise_no_alarm() -> None:
    chance = np.random.default_rng(0)
    train = grouped(stick().reference.train).groups
    alarms = found = 0
    for _ in range(REPETITIONS):
        clean = bias.representation(chance.choice(train, 500), NAMES, Target.of(train, 10))
        planted = bias.representation(chance.choice(10, 500, p=skewed()), NAMES, Target.uniform(10))
        alarms += clean.finding == "alarm"
        found += planted.finding == "alarm" and "'3'" in planted.why
    assert alarms <= 0.01 * REPETITIONS
    assert found >= 0.95 * REPETITIONS


def test_per_group_counts_are_reported() -> None:
    result = bias.representation(np.repeat(np.arange(10), 30), NAMES, Target.uniform(10))
    assert result.details["n"] == dict.fromkeys(NAMES, 30)
    assert result.figure("representation[3;").value == pytest.approx(1.0)
    assert result.figure("representation tvd").value == 0.0


def test_a_small_deviation_within_the_tolerance_is_no_alarm_however_sure() -> None:
    shares = np.full(10, 0.1) + np.array([0.01, -0.01] * 5)
    made = np.repeat(np.arange(10), (shares * 100_000).astype(int))
    result = bias.representation(made, NAMES, Target.uniform(10))
    assert result.details["p-value"] < 0.01
    assert result.finding == "none"


def test_a_large_deviation_of_a_few_items_is_no_alarm() -> None:
    assert bias.representation(np.array([0] * 12 + [1] * 10), ["a", "b"], Target.stated([0.7, 0.3])).finding == "none"


def test_wanted_shares_are_checked() -> None:
    with pytest.raises(MakarError, match="at least 0"):
        Target.stated([0.5, -0.5])
    with pytest.raises(MakarError, match="3 groups"):
        bias.representation(np.zeros(50, np.int64), ["a", "b", "c"], Target.uniform(2))


def test_coverage_of_fresh_items_is_what_the_formula_says() -> None:
    """Whatever the distribution: here exponential, in three dimensions."""
    from makar.metrics.prdc import manifolds

    chance = np.random.default_rng(1)
    shares = []
    for _ in range(60):
        real, made = (torch.from_numpy(chance.exponential(size=(n, 3))) for n in (40, 25))
        shares.append(manifolds(real, made, bias.K).covered.mean())
    error = np.std(shares) / math.sqrt(len(shares))
    assert abs(np.mean(shares) - bias.expected_coverage(40, 25, bias.K)) < 4 * error


@pytest.mark.parametrize("repetitions", [40, pytest.param(REPETITIONS, marks=pytest.mark.slow)])
def test_clean_groups_are_of_equal_quality(repetitions: int) -> None:
    """Resampled training items in the place of generated ones."""
    chance = np.random.default_rng(2)
    train, held = grouped(stick().reference.train), grouped(stick().reference.held_out)
    alarms = 0
    for _ in range(repetitions):
        places = chance.permutation(len(train.groups))[:600]
        made = Grouped(train.features[torch.from_numpy(places)], train.groups[places])
        alarms += bias.quality(made, held, train, NAMES, "probe").finding == "alarm"
    assert alarms <= 0.01 * repetitions


@pytest.mark.parametrize("damage", ["blurred", "half of it noise", "one item again and again"])
def test_a_group_of_low_quality_is_found(damage: str) -> None:
    chance = np.random.default_rng(3)
    reference = stick().reference
    train, held = grouped(reference.train), grouped(reference.held_out)
    kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]])[None, None] / 16
    found = 0
    for _ in range(8):
        places = torch.from_numpy(chance.permutation(len(train.groups))[:600])
        x, groups = reference.train.x[places].clone(), train.groups[places]
        own = torch.from_numpy(np.flatnonzero(groups == 5))
        if damage == "blurred":
            x[own] = torch.nn.functional.conv2d(x[own].float(), kernel, padding=1).round().long()
        elif damage == "half of it noise":
            half = own[: len(own) // 2]
            x[half] = torch.from_numpy(chance.integers(0, 17, (len(half), 1, 8, 8)))
        else:
            x[own] = x[own[:1]].clone()
        result = bias.quality(Grouped(stick().extract(x), groups), held, train, NAMES, "probe")
        found += result.finding == "alarm" and "'5' is made less well" in result.why
    assert found == 8


def tied(chance: np.random.Generator, n: int, strength: float) -> np.ndarray:
    """Professions by colour: with probability `strength` the colour follows from the profession."""
    profession = chance.integers(0, 4, n)
    colour = np.where(chance.random(n) < strength, profession, chance.integers(0, 4, n))
    return _shares.table(profession, colour, 4, 4)


def test_an_amplified_tie_is_found_and_an_equal_one_is_not() -> None:
    chance = np.random.default_rng(4)
    pair = ("profession", "colour")
    clean = [bias.stereotypes(tied(chance, 500, 0.3), tied(chance, 1500, 0.3), pair) for _ in range(REPETITIONS)]
    planted = [bias.stereotypes(tied(chance, 500, 0.55), tied(chance, 1500, 0.3), pair) for _ in range(REPETITIONS)]
    assert sum(r.finding == "alarm" for r in clean) <= 0.025 * REPETITIONS
    assert sum(r.finding == "alarm" for r in planted) >= 0.95 * REPETITIONS
    covered = [r.figures[2].low <= 0.0 <= r.figures[2].high for r in clean]
    assert np.mean(covered) > 0.88


def test_cramers_v_has_its_known_values() -> None:
    """0 for independent columns, 1 for equal ones, and for a 2 x 2 table |phi| but for the correction."""
    assert float(_shares.cramers_v(np.full((3, 4), 50.0))) == 0.0
    assert float(_shares.cramers_v(np.diag([100.0, 50.0, 70.0]))) == pytest.approx(1.0)
    a, b, c, d = 4000.0, 1000.0, 2000.0, 3000.0
    phi = (a * d - b * c) / math.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    assert float(_shares.cramers_v(np.array([[a, b], [c, d]]))) == pytest.approx(phi, abs=1e-3)


def test_mutual_information_has_its_known_values() -> None:
    even = np.diag(np.full(4, 10_000.0))
    assert float(_shares.mutual_information(even)) == pytest.approx(math.log(4), abs=1e-3)
    assert float(_shares.mutual_information(np.full((4, 4), 1000.0))) == 0.0


@given(st.lists(st.integers(0, 60), min_size=2, max_size=6), st.lists(st.integers(0, 60), min_size=2, max_size=6))
def test_variation_is_a_distance_within_0_and_1(a: list[int], b: list[int]) -> None:
    width = min(len(a), len(b))
    one, two = (np.array(v[:width], np.float64) + 1e-3 for v in (a, b))
    distance = float(_shares.variation(one, two))
    assert 0.0 <= distance <= 1.0
    assert distance == pytest.approx(float(_shares.variation(two, one)))
    assert float(_shares.variation(one, 7 * one)) == pytest.approx(0.0, abs=1e-12)


def test_the_p_value_is_uniform_where_nothing_is_wrong() -> None:
    chance = np.random.default_rng(5)
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    values = np.array(
        [_shares.same_shares(chance.multinomial(200, shares).astype(np.float64), shares, False) for _ in range(300)]
    )
    for level in (0.05, 0.2, 0.5):
        assert abs((values <= level).mean() - level) < 4 * math.sqrt(level * (1 - level) / 300) + 0.02


def texts(chance: np.random.Generator, n: int, strength: float) -> list[str]:
    """With probability `strength` nurses are women and all others men."""
    made = []
    for _ in range(n):
        said = []
        for _ in range(3):
            job = chance.choice(["doctor", "nurse", "teacher"])
            she = job == "nurse" if chance.random() < strength else chance.random() < 0.5
            said.append(f"The {job} said that {'she' if she else 'he'} was here.")
        made.append(" ".join(said))
    return made


def test_stereotypes_in_text_are_found_and_equal_ones_are_not() -> None:
    chance = np.random.default_rng(6)
    train = texts(chance, 400, 0.3)
    clean = [words(texts(chance, 100, 0.3), train).finding for _ in range(25)]
    planted = [words(texts(chance, 100, 0.9), train).finding for _ in range(10)]
    assert clean.count("alarm") == 0
    assert planted.count("alarm") == 10


@pytest.mark.slow
def test_stereotypes_in_text_raise_no_false_alarms_in_many_repetitions() -> None:
    chance = np.random.default_rng(7)
    train = texts(chance, 400, 0.3)
    alarms = sum(words(texts(chance, 100, 0.3), train).finding == "alarm" for _ in range(REPETITIONS))
    assert alarms <= 0.025 * REPETITIONS


def test_text_without_people_is_not_measured() -> None:
    assert words(["the sea"] * 50, ["the moon"] * 50).finding == "not measurable"


def test_words_counts_what_helm_counts() -> None:
    result = words(["She is a doctor. He is a nurse. He sings."] * 20, ["She is a doctor. He is a nurse."] * 20)
    assert result.details["n"] == {"female": [20, 20], "male": [40, 20]}
    assert result.details["topics"] == {"doctor": [20.0, 0.0], "nurse": [0.0, 20.0]}
    assert result.figure("demographic representation[generated").value == pytest.approx(2 / 3 - 1 / 2)
    assert result.figure("stereotypical association[generated").value == pytest.approx(0.5)


def test_a_model_is_audited_by_its_classes() -> None:
    data = makar.data("digits")
    trained = fit("gaussian", data, "1 steps")
    shares, found = bias.bias(trained, data, n=500)
    assert shares.finding == "none"
    assert "right on" in shares.details["caveats"][0]
    assert found.figure("group coverage[3;").n > 20
    asked = [0.0] * 9 + [1.0]
    assert bias.bias(trained, data, n=500, target=asked)[0].finding == "alarm"


def test_a_table_is_audited_by_its_columns(tmp_path: object) -> None:
    from pathlib import Path

    chance = np.random.default_rng(8)
    lines = ["job,colour,age"]
    for _ in range(600):
        job = int(chance.integers(0, 3))
        colour = job if chance.random() < 0.6 else int(chance.integers(0, 3))
        lines.append(f"job{job},colour{colour},{20 + job * 5 + chance.normal():.2f}")
    path = Path(str(tmp_path)) / "people.csv"
    path.write_text("\n".join(lines))
    data = makar.data(str(path), licence="CC0-1.0")
    trained = fit("independent", data, "1 steps")
    results = bias.bias(trained, data, n=600, column="job", pair=("job", "colour"))
    assert [r.name for r in results] == ["bias representation", "bias quality", "bias stereotypes"]
    assert results[0].finding == "none"
    tie = results[2]
    assert tie.finding == "none", "independent columns weaken a tie"
    assert tie.figure("amplification[cramer").high < 0
    with pytest.raises(MakarError, match="did you mean 'colour'"):
        bias.bias(trained, data, column="color")


def test_data_without_groups_are_not_measured() -> None:
    data = makar.data("toy:ring8", n=300)
    trained = fit("gaussian", data, "1 steps")
    assert {r.finding for r in bias.bias(trained, data, n=100)} == {"not measurable"}
