"""Classifier two-sample test: can a classifier tell generated items from held-out ones? (Lopez-Paz & Oquab 2017)

As many of each are mixed, a classifier is trained on four fifths and its area under the ROC curve on the last fifth is
taken, in turn for every fifth. 0.5 is perfect: nothing tells them apart. 1 means that they differ somewhere, however
slightly: the test is strong and says little about how bad the difference looks. Two classifiers are asked, a linear one
and boosted trees. Rows of tables are asked about by trees that know categories, see `gap`.
"""

from __future__ import annotations

import math

import numpy as np

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, around, label
from makar.metrics._roc import auc

FOLDS = 5


def separability(model: object, made: Array, real: Array) -> tuple[float, float]:
    """Mean over five folds of the held-out AUC of a scikit-learn classifier, and its standard error."""
    from sklearn.base import clone

    x = np.concatenate([made, real])
    y = np.repeat([1, 0], [len(made), len(real)])
    fold = np.concatenate([np.arange(len(made)) % FOLDS, np.arange(len(real)) % FOLDS])
    values, variances = [], []
    for f in range(FOLDS):
        fitted = clone(model).fit(x[fold != f], y[fold != f])
        output = fitted.predict_proba(x[fold == f])[:, 1]
        value, variance = auc(output[y[fold == f] == 1], output[y[fold == f] == 0])
        values.append(value)
        variances.append(variance)
    return float(np.mean(values)), math.sqrt(sum(variances)) / FOLDS


class TwoSample(Metric):
    """`c2st-logistic` and `c2st-boosting`, mean AUC over five folds; normal interval from DeLong's variances."""

    modalities = ("pictures", "points")

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        real, made = reference.held_out.features, generated.sample.features
        n = 0 if real is None or made is None else min(len(real), len(made))
        if real is None or made is None or n < 10 * FOLDS:
            return []
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        # drawn at random: items may come sorted by class
        chance = np.random.Generator(np.random.Philox(0))
        a = made.numpy()[chance.permutation(len(made))[:n]]
        b = real.numpy()[chance.permutation(len(real))[:n]]
        models = {
            "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
            "boosting": HistGradientBoostingClassifier(
                max_iter=40, max_leaf_nodes=8, learning_rate=0.2, early_stopping=False, random_state=0
            ),
        }
        scores = []
        for kind, model in models.items():
            value, error = separability(model, a, b)
            low, high = around(value, error)
            name = label(f"c2st-{kind}", reference.extractor, n, n, "auc")
            scores.append(Score(name, value, max(0.0, low), min(1.0, high), 2 * n, False))
        return scores
