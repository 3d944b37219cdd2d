"""What can be learnt from rows: every column in turn is predicted from the others, and the answers are marked.

A forest is grown on real rows and another on generated ones, and both say for the same held-out rows how likely each
value is. A category keeps its 20 commonest values and "another", a number is asked for by its quarter of the training
rows, so that a table of any kind has lessons, with a label or without. Up to six columns are asked for, at even steps,
the first and the last among them. A mark is 1 - Brier's score / 2, in [0, 1]: 1 for the certain and right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from makar.metrics._intervals import Array
from makar.metrics._table import Codes, Table, ordinal

ASKED = 6
_COMMON = 20
_TREES = 20
_LEAF = 5


@dataclass(frozen=True)
class Marks:
    """Marks for each held-out row, (m,), the mean over the columns asked for.

    `best` is of those who learnt from real rows, `made` from generated ones, `guess` of the real rows' shares.
    """

    best: Array
    made: Array
    guess: Array


def marks(train: Table, made: Table, held: Table) -> Marks | None:
    """The marks of the answers for the held-out rows; None where there are fewer than two columns."""
    matrices, kinds = ordinal(train, made, held)
    width = len(kinds)
    if width < 2:
        return None
    found = []
    for column in np.unique(np.linspace(0, width - 1, min(width, ASKED)).round().astype(int)):
        rest = np.arange(width) != column
        inputs = [m[:, rest] for m in matrices]
        real, drawn, test = (_target(matrices[0][:, column], m[:, column], bool(kinds[column])) for m in matrices)
        shares = np.bincount(real, minlength=_COMMON + 1) / len(real)
        answers = [
            _answer(inputs[0], real, inputs[2]),
            _answer(inputs[1], drawn, inputs[2]),
            np.tile(shares, (len(test), 1)),
        ]
        found.append([_mark(a, test) for a in answers])
    return Marks(*np.mean(found, 0))


def _target(train: Array, values: Array, category: bool) -> Codes:
    """Codes of one column: categories by rank, numbers by the training rows' quarters, what is missing by itself."""
    if category:
        return np.minimum(values, _COMMON).astype(np.int64)
    present = train[~np.isnan(train)]
    edges = np.quantile(present, [0.25, 0.5, 0.75]) if len(present) else np.zeros(3)
    return np.where(np.isnan(values), 4, np.searchsorted(edges, values, "left")).astype(np.int64)


def _answer(x: Array, y: Codes, test: Array) -> Array:
    """Probabilities (m, 21) by a forest grown on (x, y). Rows of one class teach to name it."""
    from sklearn.ensemble import RandomForestClassifier

    said = np.zeros((len(test), _COMMON + 1))
    if len(np.unique(y)) < 2:
        said[:, y[0]] = 1.0
        return said
    forest = RandomForestClassifier(_TREES, min_samples_leaf=_LEAF, random_state=0).fit(x, y)
    said[:, forest.classes_] = forest.predict_proba(test)
    return said


def _mark(said: Array, right: Codes) -> Array:
    """1 - sum (p - y)^2 / 2 for each row."""
    marks: Array = 1.0 - ((said**2).sum(1) - 2.0 * said[np.arange(len(right)), right] + 1.0) / 2
    return marks
