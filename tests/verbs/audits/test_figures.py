"""Intervals and areas against what other people's libraries say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from makar.verbs.audits import _figures


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 30), (1, 30), (15, 30), (29, 30), (30, 30), (7, 2000), (9, 1297)])
def test_clopper_pearson_is_the_exact_interval(hits: int, n: int) -> None:
    exact = binomtest(hits, n).proportion_ci(method="exact")
    assert _figures.clopper_pearson(hits, n) == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("digits", [0, 3])
def test_auc_is_the_usual_one(digits: int) -> None:
    chance = np.random.default_rng(0)
    a, b = chance.normal(0.5, 1, 80).round(digits), chance.normal(0, 1, 60).round(digits)
    expected = roc_auc_score([1] * 80 + [0] * 60, np.concatenate([a, b]))
    found = _figures.auc("auc", a, b)
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.low < found.value < found.high


def test_the_interval_of_the_auc_covers() -> None:
    """P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2) = 0.7602."""
    chance = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        found = _figures.auc("auc", chance.normal(1, 1, 60), chance.normal(0, 1, 40))
        inside += found.low <= 0.76025 <= found.high
    assert 0.91 <= inside / 400 <= 0.98


def test_a_perfect_separation_still_has_an_interval() -> None:
    found = _figures.auc("auc", np.arange(10.0) + 100, np.arange(20.0))
    assert found.value == 1.0
    assert 0.6 < found.low < 1.0


def test_true_positives_are_counted_above_the_allowed_false_ones() -> None:
    members, others = np.arange(1000.0) + 950, np.arange(1000.0)
    found = _figures.true_positives("tpr", members, others, 0.01)  # 10 others lie above 989
    assert (others > 989).sum() == 10
    assert found.value == pytest.approx((members > 989).mean())
    assert found.low < found.value < found.high
    # ties at the threshold count for nobody
    assert _figures.true_positives("tpr", np.zeros(50), np.zeros(300), 0.01).value == 0.0


def test_what_n_cannot_resolve() -> None:
    assert _figures.resolvable(300, 0.01)
    assert not _figures.resolvable(299, 0.01)
    assert not _figures.resolvable(500, 0.001)
