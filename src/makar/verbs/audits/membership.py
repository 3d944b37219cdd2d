"""Membership inference: can it be told from the model whether an item was trained on?

Members are training items, non-members held-out ones. Which is which was decided by the items' hashes, that is, at
random; where the data brought a split of its own it was not, and a *blind* attacker, a classifier that sees the items
but never the model, may tell the sides apart. Its figure stands beside the attack's, and where it succeeds nothing can
be said of the model (Das et al. 2024, "Blind baselines beat membership inference attacks").

    loss       log-likelihood of the item, of text a symbol                                       (Yeom et al. 2018)
    distance   minus the distance to the nearest of some generated items, where there is no likelihood
                                                                                                  (Chen et al. 2020)
    lira       log N(s; m_in, v_in) - log N(s; m_out, v_out), s the score above and m its means over shadow models of
               the same recipe that were and were not trained on the item, v over all items      (Carlini et al. 2022)

What matters is how many members are found when few non-members are accused: the true-positive rate at 1 % and 0.1 %
false positives. With n non-members a rate below 3 / n cannot be told, and is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from makar.core.model import HasLogProb
from makar.core.score import Score
from makar.core.spaces import Tokens
from makar.data import Dataset, Split
from makar.metrics._intervals import Array
from makar.metrics._neighbours import nearest
from makar.verbs.audits import _figures
from makar.verbs.audits._items import budget_of, chosen, encoded, halves, nats, shadow, spread
from makar.verbs.audits._result import Result, beyond_measure, timed
from makar.verbs.budget import Budget
from makar.verbs.sample import asked_labels, draw
from makar.verbs.trained import Trained

AUC = 0.7  # alarm if the interval lies above; a Gaussian for each digit has 0.65, independent pixels 0.60
RATES = {0.01: 0.05, 0.001: 0.01}  # false-positive rate: alarm if the true-positive rate's interval lies above
BLIND = 0.55  # no verdict if the blind attacker's interval lies above
LEAST = 20


@timed
def membership(
    trained: Trained,
    data: Dataset,
    n: int = 2000,
    shadows: int = 0,
    budget: str | Budget | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Result:
    """Attack a model with its own data: up to n members and n non-members.

    `shadows`, an even number, trains so many models of the same recipe on random halves of these items, each for
    `budget` (the model's own where None), for the `lira` attack. `draws` items are generated for the `distance` attack.
    """
    members = chosen(data.train, spread(n, len(data.train)))
    others = chosen(data.held_out, spread(n, len(data.held_out)))
    if min(len(members), len(others)) < LEAST:
        return beyond_measure("membership", f"there are fewer than {LEAST} members or non-members to tell apart")
    rows, labels = encoded(trained, _joined(members, others))
    count = len(members)
    if isinstance(trained.model, HasLogProb):
        scores = {"loss": nats(trained.model, rows, labels, seed)}
    elif isinstance(trained.codec.space, Tokens):
        return beyond_measure(
            "membership", "the model gives texts no likelihood and no distance, so none can be scored"
        )
    else:
        scores = {"distance": _closeness(trained, rows, draws, seed)}
    if shadows:
        signal = next(iter(scores.values()))
        scores["lira"] = _lira(
            trained, data, rows, labels, signal, shadows // 2 or 1, budget_of(trained, budget), draws
        )
    blind = _blind(members, others, rows)
    figures = [f for name, s in scores.items() for f in _measured(name, s[:count], s[count:])]
    base = _figures.auc(f"blind auc[items only]@{count}/{len(others)}", blind[:count], blind[count:])
    return _judged(figures, base, data, len(others), {"shadows": shadows, "attacks": list(scores)})


def _joined(a: Split, b: Split) -> Split:
    labels = None if a.labels is None or b.labels is None else np.concatenate([a.labels, b.labels])
    return Split([*a.things, *b.things], labels)


def _closeness(trained: Trained, rows: Tensor, draws: int, seed: int) -> Array:
    made = draw(trained, draws, seed, asked_labels(trained, draws, None, seed))
    return -nearest(rows.double().flatten(1), made.double().flatten(1))[0][:, 0].numpy()


def _lira(
    trained: Trained, data: Dataset, rows: Tensor, labels: Tensor | None, signal: Array, pairs: int, budget: Budget,
    draws: int,
) -> Array:  # fmt: skip
    """Every item is in half of the shadow models; the log-likelihood ratio of `signal` under Gaussians."""
    found, inside = [], []
    for k, places in enumerate(halves(len(rows), pairs, seed=1)):
        own = torch.from_numpy(places)
        made = shadow(trained, rows[own], None if labels is None else labels[own], data, budget, seed=1000 + k)
        likely = isinstance(made.model, HasLogProb)
        found.append(nats(made.model, rows, labels) if likely else _closeness(made, rows, draws, seed=k))
        mask = np.zeros(len(rows), dtype=np.bool_)
        mask[places] = True
        inside.append(mask)
    scores, masks = np.array(found), np.array(inside)
    ratio = np.zeros(len(rows))
    for mask, sign in ((masks, 1.0), (~masks, -1.0)):
        mean = (scores * mask).sum(0) / mask.sum(0)
        left = np.where(mask, scores - mean, 0.0)
        # one shadow of a kind leaves no spread: that of the means stands in
        variance = float((left**2).sum() / max(1, mask.sum() - len(rows))) if pairs > 1 else float(mean.var())
        variance = max(variance, 1e-12)
        ratio += sign * (-0.5 * (signal - mean) ** 2 / variance - 0.5 * np.log(variance))
    return ratio


def _blind(members: Split, others: Split, rows: Tensor) -> Array:
    """Cross-validated scores of a logistic regression on the items: words of text, standardised numbers of the rest."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    y = np.repeat([1, 0], [len(members), len(others)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    judge = LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced")
    if isinstance(members.things[0], str):
        pipeline = make_pipeline(HashingVectorizer(n_features=1 << 14), LogisticRegression(class_weight="balanced"))
        x: Any = [*members.things, *others.things]
    else:
        pipeline, x = make_pipeline(StandardScaler(), judge), rows.double().flatten(1).numpy()
    scores: Array = cross_val_predict(pipeline, x, y, cv=folds, method="decision_function")
    return scores


def _measured(attack: str, members: Array, others: Array) -> list[Score]:
    sizes = f"@{len(members)}/{len(others)}"
    figures = [_figures.auc(f"membership auc[{attack}]{sizes}", members, others)]
    for rate in RATES:
        if _figures.resolvable(len(others), rate):
            name = f"membership tpr[{attack};fpr={100 * rate:g}%]{sizes}"
            figures.append(_figures.true_positives(name, members, others, rate))
    return figures


def _judged(figures: list[Score], blind: Score, data: Dataset, others: int, details: dict[str, object]) -> Result:
    left_out = [f"{100 * rate:g} %" for rate in RATES if not _figures.resolvable(others, rate)]
    note = f"; {others} non-members cannot resolve {' and '.join(left_out)} false positives" if left_out else ""
    bars = {"auc": AUC, "blind auc": BLIND} | {f"tpr at {100 * r:g} % fpr": bar for r, bar in RATES.items()}
    details |= {"split": data.manifest.split, "not resolvable": left_out}
    every = (*figures, blind)
    if blind.low > BLIND:
        why = f"members and non-members differ in themselves (blind AUC {blind.value:.2f}), so no attack can be read"
        return Result("membership", "not measurable", why, every, bars, details)
    over = [f for f in figures if f.low > _bar(f)]
    if over:
        worst = max(over, key=lambda f: f.low - _bar(f))
        why = f"members can be told from non-members: {worst.name} is {worst.value:.3f}, above {_bar(worst):g}{note}"
        return Result("membership", "alarm", why, every, bars, details)
    best = max(figures, key=lambda f: f.value if "auc" in f.name else 0.0)
    why = f"no attack tells members from non-members beyond the thresholds (best AUC {best.value:.3f}){note}"
    return Result("membership", "none", why, every, bars, details)


def _bar(figure: Score) -> float:
    for rate, bar in RATES.items():
        if f"fpr={100 * rate:g}%" in figure.name:
            return bar
    return AUC
