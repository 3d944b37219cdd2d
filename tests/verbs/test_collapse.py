"""The collapse monitor: it fires on a dead generator and says nothing of a healthy one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import makar
from makar.data import Dataset
from makar.verbs import train
from makar.verbs.budget import Budget
from makar.verbs.collapse import NARROW, Spread, spread
from makar.verbs.trained import Trained

SMALL = {"width": 32}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return makar.data("digits")


def trained_as(family: str, data: Dataset, steps: int, dead: bool) -> Trained:
    """A short training; if `dead`, all weights are zero at its end, so that every output of a class is the same."""
    run, codec = train.prepare(family, data, Budget(steps=steps), seed=0, settings=SMALL)
    for _ in train.training(run):
        pass
    if dead:
        with torch.no_grad():
            for weight in run.model.parameters():
                weight.zero_()
    return train.settle(run, codec, data)


def collapses(trained: Trained) -> list[dict[str, object]]:
    return [event for event in trained.record.events if event["kind"] == "collapse"]


@pytest.mark.parametrize("data", ["digits", "toy:ring8"])
def test_a_dead_generator_is_noticed_and_its_numbers_are_kept(data: str) -> None:
    (event,) = collapses(trained_as("gan", makar.data(data), 2, dead=True))
    assert event["step"] == 2
    assert event["made"] == 0.0
    assert isinstance(event["data"], float)
    assert event["data"] > 0.5
    assert str(event["why"]).startswith("outputs differ by 0 among themselves where training items differ by ")


def test_a_healthy_model_is_not(digits: Dataset) -> None:
    assert not collapses(makar.fit("gaussian", digits, "2 steps").trained)
    assert not collapses(makar.fit("independent", makar.data("grammar:small"), "2 steps").trained)
    assert not collapses(makar.fit("kernel", makar.data("toy:ring8"), "2 steps").trained)


@pytest.mark.slow
def test_a_gan_that_has_learnt_is_not(digits: Dataset) -> None:
    assert not collapses(makar.fit("gan", digits, "12s").trained)


def test_spread_of_a_gaussian_is_near_that_of_its_data(digits: Dataset) -> None:
    trained = makar.fit("gaussian", digits, "2 steps").trained
    x = trained.codec.encode(digits.train.things)
    assert digits.train.labels is not None
    labels = torch.from_numpy(digits.train.labels).long()
    found = spread(trained, x, labels)
    assert 0.8 < found.made / found.data < 1.25
    # one class is narrower than all together, and pairs are taken within classes
    narrow = replace(trained, model=makar.fit("gaussian", replace_labels(digits), "2 steps").trained.model)
    assert spread(narrow, x, None).data > 1.1 * found.data


def replace_labels(data: Dataset) -> Dataset:
    """The same data without classes."""
    return replace(data, train=replace(data.train, labels=None), held_out=replace(data.held_out, labels=None))


def test_the_threshold() -> None:
    assert Spread(0.999 * NARROW, 1.0).collapsed
    assert not Spread(NARROW, 1.0).collapsed
    assert Spread(float("nan"), 1.0).collapsed
    assert not Spread(0.0, 0.0).collapsed, "data that are all alike have nothing to lose"
