"""The estimate before a training: steps for those that descend, and no first pass paid for twice."""

from __future__ import annotations

import pytest

import makar
from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.verbs.estimate import estimate
from makar.verbs.train import prepare


def test_a_family_that_passes_over_all_items_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = prepare("gaussian", makar.data("toy:ring8", n=200), "1s")

    def forbidden(batch: Batch, noise: Noise) -> dict[str, float]:
        raise AssertionError("the estimate took a step")

    monkeypatch.setattr("makar.verbs.estimate.make_model", lambda *_: pytest.fail("the estimate built a copy"))
    monkeypatch.setattr(run.learner, "step", forbidden)
    found = estimate(run)
    assert (found.steps, found.items) == (None, len(run.x))
    assert "passes over all" in found.words()


def test_steps_are_those_that_the_budget_names() -> None:
    run, _ = prepare("vae", makar.data("toy:ring8", n=200), "37 steps")
    found = estimate(run)
    assert found.steps == 37
    assert run.pace.step == 0, "the run itself is not touched"
    assert "about 37 steps" in found.words()
