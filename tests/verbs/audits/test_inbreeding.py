"""Inbreeding: a Gaussian decays as the formula says, real data slows it, and what was bred says where it is from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import makar
from makar.core.errors import MakarError
from makar.data import Dataset, rights
from makar.data.manifest import check
from makar.families.gaussian import Gaussian
from makar.verbs.audits.inbreeding import bred, inbreed
from makar.verbs.sample import draw
from makar.verbs.train import fit
from makar.verbs.trained import Trained

PLAIN: dict[str, Any] = {"shrinkage": 0.0, "floor": 0.0}  # maximum likelihood and nothing else


def points(n: int, held_out: int = 200) -> Dataset:
    return makar.data("toy:moons", n=n + held_out, held_out=held_out)


def log_volume(trained: Trained) -> float:
    """Log-determinant of the fitted covariance in the data's own units."""
    assert isinstance(trained.model, Gaussian)
    own = 2 * trained.model.factor[0].diagonal().log().sum()
    return float(own) + 2 * float(np.log(trained.codec.state()["std"]).sum())


def test_a_gaussian_loses_log_volume_as_wishart_says() -> None:
    """E log |S_ml| / |S| = sum_i digamma((n - i) / 2) + d log(2 / n), i = 1..d: each generation anew."""
    from scipy.special import digamma, polygamma

    n, generations = 8, 40
    current = points(n)
    volumes = []
    for g in range(generations + 1):
        trained = fit("gaussian", current, "1 steps", g, PLAIN)
        volumes.append(log_volume(trained))
        current = bred(current, trained, trained.codec.decode(draw(trained, n, g)), None, 0.0)
    steps = np.diff(volumes)
    halves = (n - np.array([1, 2])) / 2
    expected = float(digamma(halves).sum() + 2 * math.log(2 / n))
    error = math.sqrt(float(polygamma(1, halves).sum()) / generations)
    assert expected < -4 * error, "the test could not tell a decay from none"
    assert abs(float(steps.mean()) - expected) < 4 * error


@pytest.mark.slow
def test_the_variance_of_a_gaussian_falls_by_n_minus_1_over_n() -> None:
    n, generations, chains = 10, 5, 60
    data = points(n)
    ratios = []
    for seed in range(chains):
        result = inbreed("gaussian", data, "1 steps", generations, 0.0, 100 * seed, PLAIN)
        ratios.append(result.figure(f"generation {generations - 1} spread").value / result.figure("floor spread").value)
    expected = ((n - 1) / n) ** generations
    error = float(np.std(ratios, ddof=1)) / math.sqrt(chains)
    assert expected < 1 - 3 * error
    assert abs(float(np.mean(ratios)) - expected) < 4 * error


def test_collapse_is_found_and_real_data_slows_it() -> None:
    data = points(12)
    alone, kept = (
        [inbreed("gaussian", data, "1 steps", 20, share, 1000 * s, PLAIN) for s in range(2)] for share in (0.0, 0.5)
    )
    assert [r.finding for r in alone] == ["alarm"] * 2
    last = [np.mean([r.figure("generation 19 spread").value for r in rs]) for rs in (alone, kept)]
    assert last[1] > 2 * last[0]


def test_many_items_and_few_generations_raise_no_alarm() -> None:
    data = makar.data("toy:moons", n=1600, held_out=600)
    findings = [inbreed("kernel", data, "1 steps", 3, 0.5, 10 * seed).finding for seed in range(4)]
    assert findings == ["none"] * 4


def test_every_generation_has_its_figures_with_intervals() -> None:
    data = makar.data("digits")
    result = inbreed("gaussian", data, "1 steps", 2, 0.2)
    for g in (0, 1):
        assert result.figure(f"generation {g} fd[").low >= 0
        assert result.figure(f"generation {g} classes hit").n == 10
        spread = result.figure(f"generation {g} spread")
        assert spread.low < spread.value < spread.high
    assert result.figure("floor spread").value == pytest.approx(1.0, abs=0.1)
    assert len(result.details["models"]) == 2
    assert result.cpu_seconds > 0


def test_what_was_bred_says_so_and_carries_its_licence() -> None:
    data = makar.data("digits")
    trained = fit("gaussian", data, "1 steps")
    labels = torch.arange(len(data.train)) % 10
    things = trained.codec.decode(draw(trained, len(data.train), 0, labels))
    for share, origin, members in ((0.0, "synthetic", 0), (0.25, "mixed", 2)):
        new = bred(data, trained, things, labels, share)
        manifest = new.manifest
        check(manifest)
        assert manifest.origin == origin
        assert trained.id in manifest.source
        assert manifest.licence == "CC-BY-4.0"
        assert any("CC-BY-4.0" in note for note in manifest.notes)
        assert len(manifest.members) == members
        assert rights.of(manifest).attribution
        assert manifest.counts["train"] == len(new.train) == len(data.train)
        assert new.train.labels is not None
        assert len(new.train.labels) == len(new.train)
        assert new.held_out.things is data.held_out.things
    real = bred(data, trained, things, labels, 1.0)
    assert set(real.manifest.items["train"]) == set(data.manifest.items["train"])


def test_its_arguments_are_checked() -> None:
    with pytest.raises(MakarError, match="at least 2"):
        inbreed("gaussian", points(20), "1 steps", 1)
    with pytest.raises(MakarError, match="from 0 to 1"):
        inbreed("gaussian", points(20), "1 steps", 2, 1.5)
