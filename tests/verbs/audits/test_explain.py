"""Explanations: known attributions, known neighbours, and the sanity check that finds a map of the picture alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import makar
from makar.core.model import Model
from makar.core.spaces import Levels, Reals, Tokens
from makar.data import Dataset
from makar.families.gaussian import Gaussian
from makar.metrics._intervals import Array
from makar.verbs.audits import explain
from makar.verbs.sample import sample
from makar.verbs.train import fit
from makar.verbs.trained import Trained


@cache
def digits() -> Dataset:
    return makar.data("digits")


@cache
def model(family: str, budget: str = "1 steps") -> Trained:
    return fit(family, digits(), budget)


def explained(family: str, n: int = 6, **options: Any) -> Any:
    made = sample(model(family), n, 0)
    labels = np.array([a.recipe["label"] for a in made])
    return explain.explain(model(family), digits(), [a.content for a in made], labels, **options)


@pytest.mark.parametrize("family", ["gaussian", "kernel"])
def test_a_trained_models_attribution_is_its_own(family: str) -> None:
    result = explained(family)
    assert result.finding == "none", result.why
    assert result.figure("rank correlation").n == 6
    assert len(result.details["outputs"][0]["attribution"]) == 64


def test_a_map_that_only_sees_the_picture_is_found() -> None:
    """An edge detector: it looks like an explanation and knows no model (Adebayo et al. 2018, section 1)."""

    def edges(model: Model, item: Tensor, label: Tensor | None, filling: Tensor, parts: Tensor) -> Array:
        around = torch.nn.functional.pad(item.double(), (1, 1, 1, 1), mode="replicate")
        found = (around[..., 1:-1, 2:] - around[..., 1:-1, :-2]).abs() + (
            around[..., 2:, 1:-1] - around[..., :-2, 1:-1]
        ).abs()
        return np.array([float(found[0][part].sum()) for part in parts])

    result = explained("gaussian", attribution=edges)
    assert result.finding == "alarm"
    assert result.figure("rank correlation").value == pytest.approx(1.0)


def test_occlusion_of_independent_columns_is_the_change_of_each_columns_nats() -> None:
    """For a product of densities a column's worth is log p(x_i) - log p(filling_i): here a Gaussian with a diagonal."""
    data = makar.data("toy:rings", n=400)
    trained = fit("gaussian", data, "1 steps", 0, {"shrinkage": 1.0, "floor": 0.0})
    x = trained.codec.encode(data.held_out.things[:1])
    filling = explain.commonest(trained.codec.space, trained.codec.encode(data.train.things))
    worth = explain.occlusion(trained.model, x, None, filling, explain.cut(trained.codec.space, x))
    assert isinstance(trained.model, Gaussian)
    mean, factor = (t[0].double() for t in (trained.model.mean, trained.model.factor))
    z, z0 = ((v.double() - mean) / factor.diagonal() for v in (x[0], filling))
    assert worth == pytest.approx((0.5 * (z0**2 - z**2)).numpy(), abs=1e-4)


def test_the_nearest_training_item_of_a_training_item_is_itself() -> None:
    places = [3, 100, 700, 901]
    labels = digits().train.labels
    assert labels is not None
    result = explain.explain(model("gaussian"), digits(), [digits().train.things[i] for i in places], labels[places])
    for place, one in zip(places, result.details["outputs"], strict=True):
        item = digits().manifest.items["train"][place]
        assert one["nearest"]["item"] == item
        assert one["alike"][0] == {"item": item, "distance": pytest.approx(0.0, abs=1e-5)}
        distances = [near["distance"] for near in one["alike"]]
        assert distances == sorted(distances)


def test_a_training_item_has_most_influence_on_itself() -> None:
    trained = model("vae", "30 steps")
    places = [len(digits().train) * i // 200 for i in (0, 7, 150)]  # among those whose gradients are taken
    labels = digits().train.labels
    assert labels is not None
    x = trained.codec.encode([digits().train.things[i] for i in places])
    found = explain.influence(trained, digits(), x, torch.from_numpy(labels[places]))
    for place, top in zip(places, found, strict=True):
        assert top[0]["item"] == digits().manifest.items["train"][place]
        assert top[0]["cosine"] == pytest.approx(1.0, abs=1e-4)
        assert top[1]["cosine"] < 0.999


def test_a_model_without_likelihood_has_neighbours_and_no_attribution() -> None:
    result = explained("gan")
    assert result.finding == "not measurable"
    assert result.details["outputs"][0]["nearest"]["item"] in digits().manifest.items["train"]
    assert "attribution" not in result.details["outputs"][0]


def test_text_is_explained_symbol_by_symbol() -> None:
    data = makar.data("grammar:small", n=200, rounds=3)
    trained = fit("ngram", data, "1 steps")
    texts = [a.content for a in sample(trained, 4, 0)]
    result = explain.explain(trained, data, texts)
    assert result.finding in ("none", "not measurable")
    assert len(result.details["outputs"][0]["attribution"]) > 1


@pytest.mark.parametrize(
    ("space", "shape", "count"),
    [(Levels((1, 8, 8), 17), (1, 8, 8), 64), (Levels((3, 20, 33), 256), (3, 20, 33), 64), (Reals((5,)), (5,), 5),
     (Tokens(9, 300), (300,), 64), (Levels((1, 4, 5), 2), (1, 4, 5), 20)],
)  # fmt: skip
def test_parts_cover_an_item_once(space: Any, shape: tuple[int, ...], count: int) -> None:
    parts = explain.cut(space, torch.zeros(1, *shape))
    assert parts.shape == (count, *shape)
    assert bool((parts.sum(0) == 1).all())


def test_rank_correlation_has_its_known_values() -> None:
    from scipy.stats import spearmanr

    chance = np.random.default_rng(0)
    a, b = chance.integers(0, 6, (2, 40)).astype(float)
    assert explain.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert explain.spearman(a, 3 * a + 1) == pytest.approx(1.0)
    assert explain.spearman(a, -a) == pytest.approx(-1.0)
    assert explain.spearman(a, np.zeros(40)) == 0.0
