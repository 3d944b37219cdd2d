"""What audits ask of a model about single items: how likely each is, and models of the same recipe on other data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import HasLogProb, Model
from makar.core.noise import Noise
from makar.core.spaces import Tokens
from makar.data import Dataset, Split
from makar.data import manifest as manifests
from makar.data.splits import digests
from makar.metrics._intervals import Array
from makar.verbs.budget import Budget
from makar.verbs.train import Run, deterministic, fit, make_model, settle, training
from makar.verbs.trained import Trained

_ROWS = 64


def spread(count: int, among: int) -> list[int]:
    """At most `count` places, evenly spread; items lie in the order of their hashes, so that is a random choice."""
    return list(range(among)) if count >= among else [i * among // count for i in range(count)]


def chosen(split: Split, places: Sequence[int]) -> Split:
    """Some items of a split."""
    labels = None if split.labels is None else split.labels[list(places)]
    return Split([split.things[i] for i in places], labels)


def encoded(trained: Trained, split: Split) -> tuple[Tensor, Tensor | None]:
    """One row for each thing (of a long document the first), and labels where the model takes them."""
    codec = trained.codec
    if isinstance(codec.space, Tokens):
        firsts = [codec.encode([thing])[0] for thing in split.things]
        firsts = [row[row >= 0] for row in firsts]
        x = torch.full((len(firsts), max(map(len, firsts))), -1, dtype=torch.int64)
        for row, first in zip(x, firsts, strict=True):
            row[: len(first)] = first
    else:
        x = codec.encode(split.things)
    labels = None if split.labels is None or not trained.model.classes else torch.from_numpy(split.labels).long()
    return x, labels


def nats(model: Model, x: Tensor, labels: Tensor | None, seed: int = 0) -> Array:
    """Log-likelihood of each row, or the bound or estimate that the model has; a symbol of text, in the mean.

    Raises MakarError for a model that has none.
    """
    if not isinstance(model, HasLogProb):
        raise MakarError(f"{type(model).__name__} has no likelihood, so no item can be scored by it")
    parts = []
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS]
        noise = Noise.rows(seed, range(start, start + len(rows)))
        with torch.no_grad():
            found = model.log_prob(rows, noise, None if labels is None else labels[start : start + _ROWS])
        parts.append(found.nats.detach().double())
    total = torch.cat(parts)
    if isinstance(model.space, Tokens):
        total = total / (x >= 0).sum(1).clamp(min=1)
    return total.numpy()


def budget_of(trained: Trained, budget: str | Budget | None) -> Budget:
    """The budget given, or the one that the model was trained on."""
    return Budget.parse(budget) if budget is not None else Budget(**trained.record.recipe["budget"])


def shadow(trained: Trained, x: Tensor, labels: Tensor | None, data: Dataset, budget: Budget, seed: int) -> Trained:
    """A model of the same recipe, with the same codec, trained on rows x in place of the training set."""
    recipe = trained.record.recipe
    model = make_model(trained.family, trained.codec.space, trained.model.condition, recipe["settings"], seed)
    run = Run(model, x, labels, budget, seed, recipe | {"seed": seed})
    with deterministic():
        for _ in training(run):
            pass
        return settle(run, trained.codec, data)


def again(trained: Trained, data: Dataset, budget: Budget, seed: int) -> Trained:
    """The same recipe on other data, its codec fitted anew."""
    recipe = trained.record.recipe
    return fit(
        trained.family, data, budget, seed, recipe["settings"],
        codec=recipe["codec"], codec_settings=recipe["codec_settings"],
    )  # fmt: skip


def with_training(data: Dataset, things: Sequence[Any], note: str) -> Dataset:
    """The dataset with other training things, unlabelled, and a manifest that lists them and says why."""
    old = data.manifest
    described = manifests.build(
        name=old.name, modality=old.modality, source=old.source, licence=old.licence, attribution=old.attribution,
        classes=[], items={"train": digests(things), "held_out": old.items["held_out"]}, split=old.split,
        notes=[*old.notes, note],
    )  # fmt: skip
    return replace(data, train=Split(list(things)), held_out=Split(data.held_out.things), manifest=described)


def halves(count: int, pairs: int, seed: int) -> list[np.ndarray]:
    """2 x pairs random halves of `count` places, each pair complementary: every place lies in half of them."""
    chance = np.random.Generator(np.random.Philox(seed))
    found = []
    for _ in range(pairs):
        order = chance.permutation(count)
        found += [np.sort(order[: count // 2]), np.sort(order[count // 2 :])]
    return found
