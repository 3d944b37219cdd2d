"""Canaries: exposure by its definition, what a memoriser shows, what redaction takes away."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from scipy.stats import gamma

from makar.data import load, pii
from makar.verbs.audits.canaries import _exposure, _tail, canaries, redaction
from makar.verbs.train import fit
from makar.verbs.trained import Trained

from .texts import manual


@pytest.mark.parametrize(("total", "count"), [(0.0, 1), (3.0, 1), (8.0, 8), (30.0, 8)])
def test_the_tail_is_that_of_the_gamma_distribution(total: float, count: int) -> None:
    assert _tail(total, count) == pytest.approx(gamma.sf(total, count), rel=1e-9)


@pytest.mark.parametrize(("rank", "bits"), [(1, 10.0), (2, 9.0), (4, 8.0), (1024, 0.0)])
def test_exposure_is_by_its_definition(monkeypatch: pytest.MonkeyPatch, rank: int, bits: float) -> None:
    """log2 |R| - log2 rank (Carlini et al. 2019): all bits for the likeliest of all candidates, none for the least."""
    nats = np.arange(1024.0)
    order = np.concatenate([[rank - 1.0], np.delete(nats, rank - 1)])
    monkeypatch.setattr("makar.verbs.audits.canaries.encoded", lambda *_: (torch.zeros(1024, 1), None))
    monkeypatch.setattr("makar.verbs.audits.canaries.nats", lambda *_: -order)
    trained = cast(Trained, SimpleNamespace(model=None))
    assert _exposure(trained, "it is {}", "it is 7", 1024, random.Random(0)) == pytest.approx(bits)


def test_exposure_grows_with_repetition_and_the_control_has_none(tmp_path: Path) -> None:
    data = manual(tmp_path, 20_000)
    found = canaries(fit("ngram", data, "2s", settings={"order": 2}, codec="symbols"), data, candidates=256)
    assert found.finding == "alarm"
    control, *planted = [f.value for f in found.figures]
    assert control < 3.0
    assert planted[-1] > 6.0 > planted[0]
    assert found.details["p-values"]["0"] > 1e-3


def test_a_model_without_memory_raises_no_alarm(tmp_path: Path) -> None:
    """Single symbols know which digits are frequent and nothing of their order."""
    data = manual(tmp_path, 20_000)
    trained = fit("ngram", data, "2s", settings={"order": 1}, codec="symbols")
    found = [canaries(trained, data, repeats=(1,), candidates=128, each=6, seed=seed) for seed in range(6)]
    assert {f.finding for f in found} == {"none"}
    values = [f.value for result in found for f in result.figures]
    assert 0.7 < np.mean(values) < 2.4  # 1.44 bits in expectation


def test_what_is_extracted_before_redaction_is_not_after_it(tmp_path: Path) -> None:
    data = manual(tmp_path, 20_000)
    trained = fit("ngram", data, "2s", settings={"order": 12}, codec="symbols")
    found = redaction(trained, data)
    assert found.finding == "none", found.why
    assert found.figure("extracted[greedy;as it is").low > 0.5
    assert found.figure("extracted[greedy;redacted").value == 0.0
    assert found.figure("stopped by the output scanner").value >= 0.9


def test_redaction_that_does_not_redact_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = manual(tmp_path, 20_000)
    trained = fit("ngram", data, "2s", settings={"order": 12}, codec="symbols")
    monkeypatch.setattr(pii, "redact", lambda text: text)
    assert redaction(trained, data, each=6).finding == "alarm"


def test_what_is_no_text_gives_no_verdict() -> None:
    data = load("toy:moons", n=200)
    trained = fit("gaussian", data, "1s")
    assert canaries(trained, data).finding == "not measurable"
    assert redaction(trained, data).finding == "not measurable"
