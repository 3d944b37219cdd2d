"""Planted sets of rows rank as they should, copies are found, and honest rows are never called copies."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from makar.core.score import Generated, Reference, Score
from makar.metrics._lessons import marks
from makar.metrics._pairs import Pairs
from makar.metrics._roc import auc
from makar.metrics._table import ordinal, tables
from makar.metrics.gap import shuffled as apart
from makar.metrics.gap import visible

from .sets import answers_of, by_content, noised, of_rows, one_cell, people, scores, shuffled, things

Rows = list[dict[str, Any]]
N = 400


def measured(metric: str, reference: Reference, rows: Rows) -> dict[str, Score]:
    return scores(metric, reference, Generated(things(rows)))


def alarms(found: dict[str, Score], word: str) -> list[str]:
    return [c for s in found.values() for c in s.caveats if c.startswith(f"{word}: ")]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_headline_ranks_planted_sets(seed: int) -> None:
    train, fresh = people(N, 10 * seed), people(N, 10 * seed + 1)
    reference = of_rows(train, people(N // 2, 10 * seed + 2))
    planted = {
        "good": fresh,
        "blurred": noised(fresh, 0.3, seed),
        "more blurred": noised(fresh, 1.0, seed),
        "independent": shuffled(fresh, seed),
        "one row": fresh[:1] * N,
    }
    found = {k: measured("gap", reference, rows)["table gap"] for k, rows in planted.items()}
    assert found["good"].low < 0.04
    assert -0.05 < found["good"].value < 0.06
    in_order = list(found.values())
    assert all(a.high < b.low for a, b in pairwise(in_order)), found
    assert all(s.higher_is_better is False and s.high - s.low < 0.25 for s in in_order)
    copied = measured("gap", reference, train)["table gap"]
    assert copied.value < 0.06  # a distance does not see copies: `records` does


def test_the_headline_says_what_it_is_made_of_and_what_it_could_have_seen() -> None:
    reference = of_rows(people(N, 1), people(N // 2, 2))
    found = measured("gap", reference, shuffled(people(N, 3), 3))
    parts, power = found["table gap"].caveats
    values = [float(p.split()[-1]) for p in parts.removeprefix("mean of ").split(", ")]
    assert found["table gap"].value == pytest.approx(np.mean(values), abs=0.005)
    assert values[1] > 0.9 < values[3]  # of independent columns nothing is kept of how they hang together,
    assert abs(values[2]) < 0.05  # and everything of their shapes
    assert found["c2st-boosting"].value == pytest.approx((1 + values[0]) / 2, abs=0.005)
    assert f"{visible(N, N // 2):.2f} would be seen" in power
    # 80 % of one-sided tests at 5 % see a shift that moves the AUC there
    chance = np.random.default_rng(0)
    shift = 0.178  # Phi(shift / sqrt 2) = 0.55
    area, error = 0.55, (visible(300, 300) - 0.5) / (0.8416 + 1.6449)
    assert visible(300, 300) == pytest.approx(0.5 + 2.4865 * math.sqrt(601 / (12 * 300 * 300)), abs=1e-4)
    seen = [auc(chance.normal(size=300) + shift, chance.normal(size=300))[0] for _ in range(300)]
    assert np.mean(seen) == pytest.approx(area, abs=0.005)
    assert np.std(seen) == pytest.approx(error, rel=0.12)


@pytest.mark.parametrize("kind", ["numbers", "categories", "missing", "one column", "few", "constant", "huge"])
def test_the_headline_is_there_for_tables_of_every_kind(kind: str) -> None:
    size = 160 if kind == "few" else 240
    sets = [people(size, 1), people(size // 4, 2), people(size, 3)]
    if kind == "numbers":
        sets = [[{k: r[k] for k in ("age", "pay", "rent")} for r in rows] for rows in sets]
    elif kind == "categories":
        sets = [[{k: r[k] for k in ("kind", "owns")} for r in rows] for rows in sets]
    elif kind == "missing":
        sets = [[r | {"pay": None, "owns": None if r["owns"] == "no" else "yes"} for r in rows] for rows in sets]
    elif kind == "one column":
        sets = [[{"pay": r["pay"]} for r in rows] for rows in sets]
    elif kind == "constant":
        sets = [[r | {"owns": "no", "age": 7} for r in rows] for rows in sets]
    elif kind == "huge":
        sets = [[r | {"pay": 1e308 if r["pay"] > 5 else -1e308} for r in rows] for rows in sets]
    train, held, made = sets
    for metric in ("gap", "shapes", "records", "coverage"):
        found = measured(metric, of_rows(train, held), made)
        assert all(math.isfinite(s.value) for k, s in found.items() if k != "dcr ratio"), found
        assert not alarms(found, "COPYING")
        assert not alarms(found, "COLLAPSE")
    gap = measured("gap", of_rows(train, held), made)["table gap"]
    assert gap.low < 0.1
    assert ("count as 0" in " ".join(gap.caveats)) == (kind == "one column")


def test_too_few_rows_have_no_headline_and_are_told_so() -> None:
    found = measured("gap", of_rows(people(30, 1), people(10, 2)), people(30, 3))["table gap"]
    assert math.isnan(found.value)
    assert "at least 20 of each" in found.caveats[0]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_copies_of_rows_are_found_through_noise_and_a_changed_cell(seed: int) -> None:
    chance = np.random.default_rng(seed)
    train = people(N, 10 * seed)
    reference = of_rows(train, people(200, 10 * seed + 1))
    some = [train[i] for i in chance.permutation(N)[:300]]
    fresh = people(300, 10 * seed + 2)
    planted = {
        "copied": some,
        "a third copied": some[:100] + fresh[:200],
        "copied, noise": noised(some, 0.01, seed),
        "copied, a cell changed": one_cell(some, seed),
        "memorised ten": some[:10] * 30,
    }
    found = {k: measured("records", reference, rows) for k, rows in planted.items()}
    for name in ("copied", "a third copied", "copied, noise", "copied, a cell changed"):
        assert alarms(found[name], "COPYING"), (name, found[name])
    assert found["copied"]["duplicates"].value == 1
    assert found["copied"]["row copies"].value > 0.9
    for rows in (fresh, noised(fresh, 0.3, seed), shuffled(fresh, seed), fresh[:1] * 300, people(300, 5)):
        assert not alarms(measured("records", reference, rows), "COPYING")


@pytest.mark.parametrize("split", ["by content", "at random"])
def test_rows_that_repeat_by_nature_are_no_copies(split: str) -> None:
    for seed in (1, 2):
        rows = answers_of(2000, seed)
        train, held = by_content(rows) if split == "by content" else (rows[:1600], rows[1600:])
        reference = of_rows(train, held)
        honest = measured("records", reference, answers_of(800, 100 + seed))
        assert not alarms(honest, "COPYING"), honest
        assert not alarms(measured("records", reference, shuffled(train, seed)[:800]), "COPYING")
        # how often fresh rows repeat is known from more rows of the same source, however the data were split
        known = {tuple(r.values()) for r in rows[:1600]}
        truth = np.mean([tuple(r.values()) in known for r in answers_of(4000, 200 + seed)])
        said = float(honest["duplicates"].caveats[-1].removeprefix("fresh rows: "))
        assert 0.2 < truth < 0.7
        assert said == pytest.approx(truth, abs=0.07)
        assert alarms(measured("records", reference, train[:800]), "COPYING")


@pytest.mark.parametrize("seed", [1, 2])
def test_coverage_sees_what_is_missing_and_calls_collapse(seed: int) -> None:
    rows = people(4 * N, 10 * seed)
    reference = of_rows(rows[:1500], rows[1500:])
    fresh = people(N, 10 * seed + 1)
    good = measured("coverage", reference, fresh)
    assert good["mode coverage"].value > 0.95
    assert good["value coverage"].value > 0.95
    assert not alarms(good, "COLLAPSE")
    assert not alarms(measured("coverage", reference, noised(fresh, 0.3, seed)), "COLLAPSE")
    assert not alarms(measured("coverage", reference, shuffled(fresh, seed)), "COLLAPSE")
    two = [r for r in people(4 * N, 10 * seed + 2) if r["kind"] in "ad"]
    half = [r for r in people(N, 10 * seed + 3) if r["kind"] in "abcd"]
    assert alarms(measured("coverage", reference, two), "COLLAPSE")
    (alike,) = set(alarms(measured("coverage", reference, fresh[:1] * N), "COLLAPSE"))
    assert "hold 1 distinct" in alike
    missing = measured("coverage", reference, half)
    assert missing["mode coverage"].high < 0.75
    assert missing["value coverage"].value < 0.9


def test_correlations_of_pairs_by_hand() -> None:
    rows = [
        {"a": x, "b": y}
        for x, y, n in (("u", "v", 40), ("u", "w", 10), ("z", "v", 20), ("z", "w", 30))
        for _ in range(n)
    ]
    (real,) = tables(rows)
    independent = [{"a": x, "b": y} for x in "uz" for y in "vw" for _ in range(25)]
    train, other = tables(rows, independent)
    everything = np.arange(100)
    found = Pairs(train, real, (other, real)).squared([everything] * 3)
    phi2 = (40 * 30 - 10 * 20) ** 2 / (50 * 50 * 60 * 40)
    assert found == pytest.approx([2 * phi2, 0.0])
    assert sorted(apart(train).categorical["a"]) == sorted(train.categorical["a"])


def test_lessons_are_marked_by_brier_on_the_held_out_rows() -> None:
    sets = [[{"a": "xy"[i % 2], "b": "pq"[i % 2]} for i in range(n)] for n in (200, 200, 60)]
    found = marks(*tables(*sets))
    assert found is not None
    assert found.best == pytest.approx(np.ones(60), abs=0.01)
    assert found.made == pytest.approx(np.ones(60), abs=0.01)
    wrong = [[{"a": "xy"[i % 2], "b": "pq"[(i + k) % 2]} for i in range(200)] for k in (0, 1, 0)]
    fooled = marks(*tables(*wrong))
    assert fooled is not None
    assert fooled.made == pytest.approx(np.zeros(200), abs=0.01)
    assert fooled.best == pytest.approx(np.ones(200), abs=0.01)
    assert found.guess == pytest.approx(np.full(60, 1 - (0.25 + 0.25) / 2))
    # where nothing is to be learnt, knowing the training rows by heart is of no use for others
    chance = np.random.default_rng(0)
    luck = [[{"a": float(chance.random()), "b": "pq"[chance.integers(2)]} for _ in range(n)] for n in (400, 400, 400)]
    found = marks(*tables(*luck))
    assert found is not None
    assert found.best.mean() < found.guess.mean() + 0.02


def test_columns_for_trees() -> None:
    train, made = tables([{"n": 1.5, "c": "a"}, {"n": None, "c": "b"}, {"n": 2.0, "c": "b"}], [{"n": 9.0, "c": "new"}])
    (x, y), kinds = ordinal(train, made)
    assert kinds.tolist() == [False, True]
    assert x[:, 1].tolist() == [1, 0, 0]
    assert y.tolist() == [[9.0, 254.0]]
    assert np.isnan(x[1, 0])
