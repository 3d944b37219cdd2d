"""Known answers for learning curves and results over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from makar.metrics._stability import curve, diverged, iqm, over_seeds, rate_tolerance


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    assert iqm([1, 2, 3, 4]) == 2.5
    assert iqm([1000, 1, 2, 3, 4, 5, -1000, 3]) == pytest.approx((2 + 3 + 3 + 4) / 4)
    assert iqm([0, 1, 2, 3, 100]) == pytest.approx((0.75 * 1 + 2 + 0.75 * 3) / 2.5)  # five seeds, weights in parts
    assert iqm([7.0]) == 7.0


def test_divergence() -> None:
    assert diverged(math.nan, [1.0], untrained=2.0)
    assert diverged(1.0, [1.0, math.inf], untrained=2.0)
    assert diverged(2.5, [1.0], untrained=2.0)
    assert not diverged(1.5, [3.0, 1.0], untrained=2.0)
    assert diverged(0.1, [1.0], untrained=0.2, higher_is_better=True)


def test_seeds_never_hide_the_worst() -> None:
    found = over_seeds([1.0, 2.0, 3.0, math.nan], [False, False, False, True], recalls=[0.9, 0.1, 0.8, 0.0])
    assert found.worst == math.inf
    assert found.mean == math.inf
    assert found.iqm == 2.5
    assert found.std == 1.0
    assert found.diverged == 0.25
    assert found.collapsed == 0.5
    assert over_seeds([0.5, 0.9], [False, False], higher_is_better=True).worst == 0.5


def test_spikes_are_counted_once_each() -> None:
    chance = np.random.default_rng(0)
    losses = np.linspace(2, 1, 600) + 0.01 * chance.normal(size=600)
    losses[100] = 9.0  # within the first window there is nothing to compare with
    losses[300:305] += 5.0
    losses[450] += 5.0
    found = curve(losses.tolist(), np.arange(101.0).tolist())
    assert found.spikes == 2
    assert found.recovery == 3.0
    assert (found.gradient_p50, found.gradient_p99) == (50.0, 99.0)
    calm = curve((1 + 0.01 * chance.normal(size=150)).tolist())
    assert calm.spikes == 0
    assert math.isnan(calm.gradient_p50)


def test_the_tolerance_of_the_learning_rate() -> None:
    results = {1e-4: 3.0, 1e-3: 1.05, 2e-3: 1.0, 4e-3: 1.09, 1e-2: math.nan}
    assert rate_tolerance(results) == pytest.approx((4.0, 3 / 5))
    # a good rate beyond a gap does not widen the basin
    assert rate_tolerance({1.0: 1.0, 2.0: 5.0, 4.0: 1.0})[0] == 1.0
    assert rate_tolerance({1.0: 0.5, 2.0: 0.9, 4.0: 0.88}, higher_is_better=True)[0] == 2.0
    assert rate_tolerance({1.0: math.nan}) == (1.0, 0.0)
