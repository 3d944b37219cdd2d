"""Utility: train on synthetic, test on real (Esteban et al. 2017).

A learner is trained on the generated items and tested on the held-out ones (TSTR); the same learner is trained on as
many real training items (TRTR) and, at the other end, the most frequent class is always guessed. TSTR near TRTR means
that the generated items teach what the real ones do. It forgives what the task does not need.

Pictures and points are read by a support vector machine with a Gaussian kernel and predict their label. Rows are read
by boosted trees; they predict their label, or the last categorical column where
there is none. A column that is the label under another name is taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, label, of_mean, wilson
from makar.metrics._table import Codes, design, tables


@dataclass(frozen=True)
class Task:
    """What to predict from what: inputs (n, d) and targets (n,) of the real, the generated and the held-out items."""

    real: tuple[Array, Codes]
    made: tuple[Array, Codes]
    test: tuple[Array, Codes]


class Utility(Metric):
    """`tstr` (accuracy, Wilson's interval) and `tstr gap` (TRTR minus TSTR; normal interval of paired differences)."""

    modalities = ("pictures", "points", "rows")

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        task = _row_task(reference, generated) if reference.modality == "rows" else _item_task(reference, generated)
        if task is None:
            return []
        scores = []
        frequent = np.bincount(task.made[1]).argmax()
        dummy = float((task.test[1] == frequent).mean())
        for kind, model in _learners(reference.modality).items():
            right = _correct(model, task.made, task.test)
            best = _correct(model, task.real, task.test)
            n, m = len(task.made[1]), len(right)
            value, real = float(right.mean()), float(best.mean())
            caveats = (f"trained on real items {real:.3f}, always the most frequent class {dummy:.3f}",)
            tstr = wilson(float(right.sum()), m)
            scores += [
                Score(label("tstr", kind, n, m), value, *tstr, m, True, caveats),
                Score(label("tstr gap", kind, n, m), real - value, *of_mean(best - right), m, False, caveats),
            ]
        return scores


def _learners(modality: str) -> Mapping[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.svm import SVC

    if modality != "rows":
        return {"svm": SVC(C=10.0, gamma="scale", random_state=0)}
    boosting = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, early_stopping=False, random_state=0)
    return {"boosting": boosting}


def _correct(model: Any, train: tuple[Array, Codes], test: tuple[Array, Codes]) -> Array:
    """1 where a fresh copy of the learner, trained on `train`, is right on `test`."""
    from sklearn.base import clone

    if len(np.unique(train[1])) < 2:  # a model that makes one class only teaches to guess it
        guess = np.full(len(test[1]), train[1][0])
    else:
        guess = clone(model).fit(*train).predict(test[0])
    right: Array = np.equal(guess, test[1]).astype(np.float64)
    return right


def _some(n: int, count: int) -> Codes:
    return np.random.Generator(np.random.Philox(0)).permutation(n)[:count]


def _item_task(reference: Reference, generated: Generated) -> Task | None:
    train, held, made = reference.train, reference.held_out, generated.sample
    if train.labels is None or held.labels is None or made.labels is None or bool((made.labels < 0).any()):
        return None

    def flat(x: Tensor) -> Array:
        return x.double().flatten(1).numpy()

    rows = _some(len(train.x), len(made.x))
    return Task(
        (flat(train.x)[rows], train.labels.numpy()[rows]),
        (flat(made.x), made.labels.numpy()),
        (flat(held.x), held.labels.numpy()),
    )


def _row_task(reference: Reference, generated: Generated) -> Task | None:
    samples = (reference.train, reference.held_out, generated.sample)
    train, held, made = tables(*(s.things for s in samples))
    labels = [s.labels for s in samples if s.labels is not None]
    if len(labels) == 3 and not bool((labels[2] < 0).any()):
        targets = [y.numpy() for y in labels]
        for name in [k for k, v in train.categorical.items() if _same(v, targets[0])]:
            train, held, made = (t.without(name) for t in (train, held, made))
    elif train.categorical:
        name = list(train.categorical)[-1]
        targets = [t.categorical[name] for t in (train, held, made)]
        train, held, made = (t.without(name) for t in (train, held, made))
    else:
        return None
    if not train.numeric and not train.categorical:
        return None
    every, test, drawn = design(train, held, made)
    rows = _some(train.rows, made.rows)
    return Task((every[rows], targets[0][rows]), (drawn, targets[2]), (test, targets[1]))


def _same(a: Codes, b: Codes) -> bool:
    """Whether two codings cut the rows into the same classes."""
    pairs = len({*zip(a.tolist(), b.tolist(), strict=True)})
    return pairs == len(np.unique(a)) == len(np.unique(b))
