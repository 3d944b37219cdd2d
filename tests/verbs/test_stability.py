"""Stability over rates and seeds: a known grid, tiny trainings, and a family that has no rate."""

from __future__ import annotations

import sys

import pytest

import makar
from makar.apps import cli
from makar.core.errors import MakarError
from makar.data import Dataset
from makar.verbs import train
from makar.verbs.stability import Trial, _at, _rates, stability


@pytest.fixture(scope="module")
def ring() -> Dataset:
    return makar.data("toy:ring8")


def test_a_grid_known_by_hand() -> None:
    values = (1.0, 3.0, None)
    trials = [Trial(rate=2.0, seed=i, value=v, diverged=v is None, collapsed=i == 0) for i, v in enumerate(values)]
    found = _at(2.0, 1.0, trials, higher=False)
    assert (found.factor, found.median, found.worst) == (2.0, 2.0, None), "a seed without a score is the worst"
    assert found.std == pytest.approx(2**0.5)
    assert (found.diverged, found.collapsed) == pytest.approx((1 / 3, 1 / 3))
    assert _at(2.0, 1.0, trials[:2], higher=False).worst == 3.0
    assert _at(2.0, 1.0, trials[:2], higher=True).worst == 1.0


@pytest.mark.parametrize("family", ["gan", "vae", "flow", "flow_matching", "diffusion"])
def test_every_family_that_descends_says_its_rate(family: str, ring: Dataset) -> None:
    run, _ = train.prepare(family, ring, "1 steps")
    own, at = _rates(run)
    assert own > 0
    other, _ = _rates(train.prepare(family, ring, "1 steps", settings=at(2 * own))[0])
    assert other == 2 * own


@pytest.mark.parametrize("family", ["transformer", "recurrent"])
def test_a_rate_that_is_left_to_the_space_is_found_too(family: str) -> None:
    rows = makar.data("grammar:small")
    own, at = _rates(train.prepare(family, rows, "1 steps", settings={"width": 48, "depth": 1})[0])
    settings = at(0.5 * own)
    assert settings["optimiser"]["rate"] == 0.5 * own


@pytest.mark.slow
def test_a_small_grid(ring: Dataset) -> None:
    found = stability("vae", ring, "30 steps", seeds=2, n=60, settings={"width": 16})
    assert [r.factor for r in found.rates] == [0.5, 1.0, 2.0]
    assert [(t.rate, t.seed) for t in found.trials] == [(r.rate, s) for r in found.rates for s in (0, 1)]
    assert len({t.value for t in found.trials}) == 6, "every rate and seed is another training"
    assert found.headline.startswith("energy[")
    assert not found.higher_is_better
    assert 1 / 3 <= found.basin <= 1.0
    assert found.diverged == sum(t.diverged for t in found.trials) / 6
    said = found.words().splitlines()
    assert said[0].startswith("vae on toy:ring8: 30 steps each, 2 seeds; energy[")
    assert len(said) == 6


def test_a_rate_far_too_large_diverges(ring: Dataset) -> None:
    found = stability("gan", ring, "30 steps", seeds=1, n=60, settings={"width": 16, "rate": 1e4})
    assert found.diverged + found.collapsed > 0


def test_a_family_without_a_rate_is_told_so(
    ring: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MakarError, match="'gaussian' has no learning rate"):
        stability("gaussian", ring, "1 steps")
    monkeypatch.setattr(sys, "argv", ["makar", "stability", "kernel", "toy:ring8", "--budget", "1 steps"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "'kernel' has no learning rate" in capsys.readouterr().err
