"""Table gap: how far generated rows are from real ones, between 0 (like fresh real rows) and 1.

It is the mean of four parts, each 0 for fresh real rows up to chance:

    told apart   2 AUC - 1 of boosted trees that tell generated rows from held-out ones (Lopez-Paz & Oquab 2017), at
                 least 0. The trees are grown on generated and on training rows and asked for others: in each of three
                 folds a third of the generated rows, and all held-out ones
    trends       (e - f) / max(c - f, f / 4), its root, at most 1, where e is the squared distance of the correlations
                 of all pairs of columns (see `_pairs`) of the generated rows, f that of training rows, which is
                 chance, and c that of training rows whose columns were shuffled each by itself. 1 is: nothing is kept
                 of how columns hang together. Below 0 the root is taken of the size
    shapes       mean over columns of the largest gap of two distribution functions, or half the sum of the gaps
                 between shares (see `shapes`), less the same of training rows
    lessons      what is lost when every column is predicted from the others by those who learnt from generated rows
                 and not from training rows, over what the latter know beyond guessing (see `_lessons`), at most 1

All that normalises comes from the data: a family's gap does not depend on what other families made. The held-out rows
are the reference throughout, and n = min(generated, training, 4,000) rows of every other set are compared with at most
as many of them. Copies of training rows score 0 here and are caught by `records`.

The interval is a centred bootstrap over the generated and the held-out rows; the training rows, which are the same for
all families, are taken as given, and trees and forests are not grown again. 1,000 against 1,000 rows of 10 columns
cost about 2 CPU seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._columns import column_shapes
from makar.metrics._intervals import NORMAL, Array, centred, label, resamples
from makar.metrics._lessons import Marks, marks
from makar.metrics._pairs import Pairs
from makar.metrics._roc import auc
from makar.metrics._table import Codes, Table, ordinal, some

LIMIT = 4000
FOLDS = 3
LEAST = 20  # rows that each set must have
_RESAMPLES = 40
_CHANCE = 4.0
_POWER = 0.8416212335729143  # 80 % point of the standard normal
_ONE_SIDED = 1.6448536269514722  # 95 % point


@dataclass(frozen=True)
class Verdicts:
    """What the trees say: of every generated row, once, and of every held-out row in each fold."""

    made: Array  # (n,)
    fold: Codes  # (n,) the fold in which it was asked for
    held: Array  # (folds, m)

    def auc(self, made: Codes, held: Codes) -> float:
        """Mean over folds of the area under the ROC curve, of these rows."""
        values = []
        for k, outputs in enumerate(self.held):
            own = self.made[made][self.fold[made] == k]
            if len(own):
                values.append(auc(own, outputs[held])[0])
        return float(np.mean(values))


def tell_apart(train: Table, made: Table, held: Table) -> Verdicts:
    """Grow boosted trees on generated and training rows, and ask them of generated and held-out ones."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    (real, drawn, test), kinds = ordinal(train, made, held)
    fold = np.arange(len(drawn)) % FOLDS
    said, of_held = np.empty(len(drawn)), np.empty((FOLDS, len(test)))
    for k in range(FOLDS):
        x = np.concatenate([drawn[fold != k], real])
        y = np.repeat([1, 0], [len(x) - len(real), len(real)])
        trees = HistGradientBoostingClassifier(
            max_iter=100, max_leaf_nodes=16, early_stopping=False, categorical_features=kinds, random_state=0
        ).fit(x, y)
        said[fold == k] = trees.predict_proba(drawn[fold == k])[:, 1]
        of_held[k] = trees.predict_proba(test)[:, 1]
    return Verdicts(said, fold, of_held)


def shuffled(table: Table) -> Table:
    """The same columns, each in an order of its own: what independent columns would be."""
    chance = np.random.Generator(np.random.Philox(1))
    numeric = {k: v[chance.permutation(table.rows)] for k, v in table.numeric.items()}
    return Table(numeric, {k: v[chance.permutation(table.rows)] for k, v in table.categorical.items()}, table.rows)


def visible(n: int, m: int) -> float:
    """The AUC that n against m rows show as more than 0.5 in 80 % of cases, at 5 % false alarms.

    By the variance of Mann and Whitney's U for equal distributions, (n + m + 1) / (12 n m).
    """
    return 0.5 + (_POWER + _ONE_SIDED) * math.sqrt((n + m + 1) / (12 * n * m))


class Gap(Metric):
    """`table gap`, the headline of rows, and `c2st-boosting`, the AUC in it. Their caveats say what the gap is made of
    and how small a difference these numbers of rows could have shown.
    """

    modalities = ("rows",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        train, held, made = some(LIMIT, reference.train.things, reference.held_out.things, generated.sample.things)
        n = min(train.rows, made.rows)
        name = label("table gap", "trees+trends+shapes+lessons", n, held.rows)
        if min(n, held.rows) < LEAST:
            why = f"{n} rows against {held.rows} held-out ones: at least {LEAST} of each are needed"
            return [Score(name, math.nan, math.nan, math.nan, n, False, (why,))]
        parts = Parts(train.at(np.arange(n)), made.at(np.arange(n)), held)
        everything = [np.arange(n)] * 3
        values, area = parts.measure(np.arange(held.rows), *everything)
        again = [parts.measure(i, j, *everything[1:]) for i, j in resamples(_RESAMPLES, held.rows, n)]
        value = float(values.mean())
        low, high = centred(value, np.array([v.mean() for v, _ in again]))
        power = (
            f"an AUC of {visible(n, held.rows):.2f} would be seen in 4 of 5 cases "
            f"({n} rows against {held.rows}, trees grown on {n - n // FOLDS} + {n})"
        )
        made_of = ", ".join(f"{k} {v:.2f}" for k, v in zip(PARTS, values, strict=True))
        caveats = (f"mean of {made_of}", power, *parts.remarks)
        around_area = centred(area, np.array([a for _, a in again]))
        bounds = max(0.0, around_area[0]), min(1.0, around_area[1])
        return [
            Score(name, value, low, high, n, False, caveats),
            Score(label("c2st-boosting", "columns", n, held.rows, "auc"), area, *bounds, n, False, (power,)),
        ]


PARTS = ("told apart", "trends", "shapes", "lessons")


class Parts:
    """Everything grown and counted once, so that a resample only takes means."""

    def __init__(self, train: Table, made: Table, held: Table) -> None:
        """`train` and `made` have as many rows."""
        self._verdicts = tell_apart(train, made, held)
        self._marks: Marks | None = marks(train, made, held)
        self._sets = (held, made, train)
        self._pairs = Pairs(train, held, (made, train, shuffled(train)))
        width = len(train.numeric) + len(train.categorical)
        self.remarks: tuple[str, ...] = ()
        if width < 2:
            self.remarks = ("one column: there are no trends and no lessons, and both count as 0",)
        elif self._pairs.left_out:
            self.remarks = (f"trends of {self._pairs.columns} of {width} columns",)

    def measure(self, held: Codes, made: Codes, train: Codes, apart: Codes) -> tuple[Array, float]:
        """The four parts, in the order of PARTS, and the AUC, of these rows of each set."""
        area = self._verdicts.auc(made, held)
        e, f, c = self._pairs.squared((held, made, train, apart))
        lost = (e - f) / max(c - f, f / _CHANCE) if e != f else 0.0
        trends = math.copysign(math.sqrt(min(1.0, abs(lost))), lost)
        real, drawn, own = (t.at(i) for t, i in zip(self._sets, (held, made, train), strict=True))
        shapes = column_shapes(real, own) - column_shapes(real, drawn)
        return np.array([max(0.0, 2 * area - 1), trends, shapes, self._lost(held)]), area

    def _lost(self, held: Codes) -> float:
        if self._marks is None:
            return 0.0
        best, made, guess = (m[held] for m in (self._marks.best, self._marks.made, self._marks.guess))
        known = best - guess
        # where nothing can be known beyond guessing, chance is the unit
        unit = max(float(known.mean()), NORMAL * float(known.std()) / math.sqrt(len(known)))
        lost = float((best - made).mean())
        return 0.0 if lost == 0 else max(-1.0, min(1.0, lost / unit)) if unit > 0 else 1.0
