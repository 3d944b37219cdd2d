"""Explanation of outputs: what they are near to in the training data, what moved the model, what the model looks at.

    nearest      the training item that the index finds nearest, with its distance and the threshold of copies, and the
                 nearest few in the features of the scores
    influence    training items along whose gradient of the loss, in all parameters, that of the output lies:
                 the cosine of the two: TracIn (Pruthi et al. 2020) at the last step, without the gradients' length
    attribution  occlusion (Zeiler & Fergus 2014): how many nats of log-likelihood a part of the output is worth, that
                 is log p(x) - log p(x with the part replaced by the commonest or mean value of the training data)

An attribution that does not change when the model's weights are replaced by random ones explains the picture and not
the model (Adebayo et al. 2018, "Sanity checks for saliency maps", the model parameter randomisation test). So each is
made again with a fresh model of the same recipe, and Spearman's rank correlation of the two is reported: an alarm
unless it surely lies below 1/2. Only parts that the occlusion changes at all are ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from makar.core.learner import Batch, Descent
from makar.core.model import HasLogProb, Model
from makar.core.noise import Noise, seed_from
from makar.core.score import Score
from makar.core.spaces import Categorical, Columns, Tokens
from makar.data import Dataset, Split
from makar.metrics._intervals import Array, of_mean
from makar.metrics._neighbours import nearest as nearest_places
from makar.provenance.nearest import Index
from makar.verbs.audits._items import chosen, encoded, spread
from makar.verbs.audits._result import Result, timed
from makar.verbs.audits.indices import comparable, index_of
from makar.verbs.score import yardstick
from makar.verbs.train import make_model
from makar.verbs.trained import Trained

SAME = 0.5  # rank correlation with a random model's attribution
PARTS = 64  # an output is cut into at most so many
LEAST = 4  # parts that can be ranked
_TAUGHT = 200  # training items whose gradients are taken
_SHOWN = 5
_DRAWS = 4  # of a loss that has chance in it

Attribution = Callable[[Model, Tensor, Tensor | None, Tensor, Tensor], Array]
"""(model, item (1, ...), label (1,) or None, filling (...), parts (P, ...) bool) -> worth of each part, (P,)."""


@timed
def explain(
    trained: Trained,
    data: Dataset,
    things: Sequence[Any],
    labels: np.ndarray | None = None,
    index: Index | None = None,
    attribution: Attribution | None = None,
    seed: int = 0,
) -> Result:
    """Explain outputs of a model; the figure is the sanity check over all of them, the rest is in `details`.

    `labels` are the classes that they were asked for with. `index` is that of the workspace, or is made.
    """
    codec = trained.codec
    index = index or index_of(data, codec)
    x, asked = encoded(trained, Split(list(things), labels))
    train_x = encoded(trained, data.train)[0]
    explained: list[dict[str, Any]] = [
        {"nearest": {"item": j.item, "distance": j.distance, "threshold": j.threshold, "measure": j.measure}}
        for j in index.judge(comparable(data.modality, things, codec))
    ]
    for one, near in zip(explained, _neighbours(data, trained, things), strict=True):
        one["alike"] = near
    for one, found in zip(explained, influence(trained, data, x, asked), strict=True):
        one["influence"] = found
    if not isinstance(trained.model, HasLogProb):
        why = "the model has no likelihood: its outputs have neighbours and no attribution"
        return Result("explanation", "not measurable", why, details={"outputs": explained})
    other = make_model(
        trained.family, codec.space, trained.model.condition, trained.record.recipe["settings"],
        seed_from(trained.record.recipe["seed"], "sanity", seed),
    ).eval()  # fmt: skip
    filling = commonest(codec.space, train_x)
    parts = cut(codec.space, x)
    how = attribution or occlusion
    correlations = []
    for i, one in enumerate(explained):
        item, label = x[i : i + 1], None if asked is None else asked[i : i + 1]
        ours, theirs = (how(model, item, label, filling, parts) for model in (trained.model, other))
        one["attribution"] = ours.tolist()
        changed = ((item != filling) & parts).flatten(1).any(1).numpy()
        if changed.sum() >= LEAST and np.isfinite(ours).all() and np.isfinite(theirs).all():
            correlations.append(spearman(ours[changed], theirs[changed]))
    details = {"outputs": explained, "parts": parts.flatten(1).nonzero().tolist() if len(parts) < PARTS else len(parts)}
    return _judged(np.array(correlations), len(things), details)


def _judged(correlations: Array, n: int, details: dict[str, Any]) -> Result:
    bars = {"rank correlation": SAME}
    if len(correlations) < 2:
        why = "fewer than two outputs have an attribution that can be compared with a random model's"
        return Result("explanation", "not measurable", why, thresholds=bars, details=details)
    low, high = of_mean(correlations)
    value = float(correlations.mean())
    name = f"rank correlation[attribution;random weights]@{len(correlations)}"
    figure = Score(name, value, max(-1.0, low), min(1.0, high), len(correlations), None)
    if figure.high < SAME:
        why = f"the attribution is the model's own: a random model's has a rank correlation of {value:.2f} with it"
        return Result("explanation", "none", why, (figure,), bars, details)
    why = (
        f"a random model has much the same attribution (rank correlation {value:.2f}), so it does not explain the model"
    )
    return Result("explanation", "alarm", why, (figure,), bars, details)


# Parts


def commonest(space: Any, train: Tensor) -> Tensor:
    """What stands for a part left out: the mean of numbers, the commonest code; of text the commonest symbol, ()."""
    if isinstance(space, Tokens):
        symbols = train[train >= 0]
        return symbols.bincount().argmax()
    mean = train.double().mean(0)
    if isinstance(space, Columns):
        for i, column in enumerate(space.columns):
            if isinstance(column, Categorical):
                mean[i] = float(train[:, i].long().bincount().argmax())
    return mean.round().to(train.dtype) if not train.is_floating_point() else mean.to(train.dtype)


def cut(space: Any, x: Tensor) -> Tensor:
    """Parts of an item, bool (P, *item's shape), P <= 64: squares of a picture, runs of symbols, single numbers."""
    shape = x.shape[1:]
    if len(shape) == 3:
        height, width = shape[1:]
        rows, columns = (torch.arange(n) * min(8, n) // n for n in (height, width))
        cell = rows[:, None] * min(8, width) + columns
        numbers = cell.expand(shape)
    else:
        size = int(np.prod(shape))
        numbers = (torch.arange(size) * min(PARTS, size) // size).reshape(shape)
    return torch.stack([numbers == part for part in range(int(numbers.max()) + 1)])


def occlusion(model: Model, item: Tensor, label: Tensor | None, filling: Tensor, parts: Tensor) -> Array:
    """Nats of log-likelihood that each part is worth; the same random numbers for each."""
    assert isinstance(model, HasLogProb), "only a model with a likelihood is asked"
    changed = torch.where(parts & (item >= 0) if isinstance(model.space, Tokens) else parts, filling, item)
    rows = torch.cat([item, changed])
    found = []
    for part in rows.split(PARTS // 2):
        condition = None if label is None else label.expand(len(part))
        with torch.no_grad():
            found.append(model.log_prob(part, Noise.rows(0, [0] * len(part)), condition).nats.double())
    nats = torch.cat(found)
    worth: Array = (nats[0] - nats[1:]).numpy()
    return worth


def spearman(a: Array, b: Array) -> float:
    """Rank correlation, ties sharing their mean rank; 0 where one side is all alike."""
    ranks = [_ranks(v) - (len(v) - 1) / 2 for v in (a, b)]
    lengths = [float(np.linalg.norm(r)) for r in ranks]
    return float(ranks[0] @ ranks[1] / (lengths[0] * lengths[1])) if min(lengths) > 0 else 0.0


def _ranks(values: Array) -> Array:
    ordered = np.sort(values)
    found: Array = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") - 1) / 2
    return found


# Training items


def _neighbours(data: Dataset, trained: Trained, things: Sequence[Any]) -> list[list[dict[str, Any]]]:
    """The nearest few training items in the features of the scores."""
    stick = yardstick(data)
    known = stick.reference.train.features
    assert known is not None, "a yardstick has features"
    if len(known) != len(data.train):  # packed text: rows are no items
        return [[] for _ in things]
    far, places = nearest_places(stick.extract(stick.codec.encode(things)), known, _SHOWN)
    items = data.manifest.items["train"]
    return [
        [{"item": items[p], "distance": d} for p, d in zip(row.tolist(), distances.tolist(), strict=True)]
        for row, distances in zip(places, far, strict=True)
    ]


Objective = Callable[[Tensor, Tensor | None], Tensor]
"""(one item (1, ...), label (1,) or None) -> a number with a gradient in the model's parameters."""


def objective(model: Model, item: Tensor, label: Tensor | None) -> Objective | None:
    """Minus the log-likelihood where it has a gradient at this item, else the loss that training descends, or None."""

    def likelihood(x: Tensor, condition: Tensor | None) -> Tensor:
        assert isinstance(model, HasLogProb), "it is asked only of a model with a likelihood"
        return -model.log_prob(x, Noise.rows(0, [0]), condition).nats.sum()

    if isinstance(model, HasLogProb) and any(p.requires_grad for p in model.parameters()):
        with torch.enable_grad():
            if likelihood(item, label).requires_grad:
                return likelihood
    learner = model.learner()
    if not isinstance(learner, Descent):
        return None

    def loss(x: Tensor, condition: Tensor | None) -> Tensor:
        several = x.expand(_DRAWS, *x.shape[1:])
        batch = Batch(several, None if condition is None else condition.expand(_DRAWS), 1.0)
        return learner.loss(batch, Noise.step(0, 0, _DRAWS)).mean()

    return loss


def influence(trained: Trained, data: Dataset, x: Tensor, labels: Tensor | None) -> list[list[dict[str, Any]]]:
    """For each row of x the training items, of 200 at most, whose gradient points the same way, by its cosine.

    Empty for a model that has neither parameters nor an objective with a gradient.
    """
    aim = objective(trained.model, x[:1], None if labels is None else labels[:1])
    if aim is None:
        return [[] for _ in x]
    places = spread(_TAUGHT, len(data.train))
    taught, taught_labels = encoded(trained, chosen(data.train, places))
    ours = torch.stack([_direction(trained.model, aim, x, labels, i) for i in range(len(x))])
    theirs = (_direction(trained.model, aim, taught, taught_labels, j) for j in range(len(taught)))
    cosines = torch.stack([ours @ direction for direction in theirs], 1)
    items = data.manifest.items["train"]
    best = cosines.topk(min(_SHOWN, len(taught)), 1)
    return [
        [{"item": items[places[j]], "cosine": c} for j, c in zip(top.tolist(), values.tolist(), strict=True)]
        for top, values in zip(best.indices, best.values, strict=True)
    ]


def _direction(model: Model, aim: Objective, x: Tensor, labels: Tensor | None, i: int) -> Tensor:
    """The gradient at an item in all parameters, of length 1; the same random numbers for every item."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    with torch.enable_grad():
        value = aim(x[i : i + 1], None if labels is None else labels[i : i + 1])
        found = torch.autograd.grad(value, wanted, allow_unused=True)
    flat = torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(wanted, found, strict=True)])
    direction: Tensor = flat / flat.norm().clamp(min=1e-30)
    return direction
