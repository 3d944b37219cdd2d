"""Copying: are generated items nearer to the training set than fresh items are?

A distance between distributions cannot see it, and a bootstrap of the training set wins most of them; so no score of
fidelity is shown without these. Distances are Euclidean between the items themselves (levels of pixels, points) and
not between features, since a probe trained on the training set pulls it together. Tables have `records` and text has
`text` for this. With d(x) the distance from x to its nearest training item:

    nn ratio       median of d over generated items / median of d over held-out items; 1 = like fresh data, 0 = copies
    copies         share of generated items with d(x) = 0 or d(x) < 1/3 of the distance to the second nearest distinct
                   training item                                                                  (Yoon et al. 2023)
    authenticity   share of generated items farther from their nearest training item than that one is from its own
                   nearest training neighbour                                                     (Alaa et al. 2022)
    c_t            z-score of Mann and Whitney's U for "d of generated > d of held-out" within k-means cells of the
                   training set, averaged by the held-out items' shares; << 0 copying, >> 0 under-fit
                                                                                                  (Meehan et al. 2020)
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from makar.core.score import Generated, Metric, Reference, Score
from makar.core.spaces import Levels
from makar.metrics._intervals import Array, label, resamples, wilson
from makar.metrics._neighbours import nearest

NEARER = 0.8  # the check fires if the nn ratio's interval lies below; published good models lie at 0.85 and above
COPIED = 1 / 3
CROWDED = 0.5  # it fires, too, if fewer items are authentic than this share of what fresh items are
CELLS = 5
_LEAST = 20  # held-out and generated items a cell must have
_RESAMPLES = 100


def copied(distances: Tensor) -> Array:
    """1 where the nearer of two ascending distances (n, 2) to distinct training items is 0 or a third of the other."""
    first, second = distances.unbind(1)
    return ((first == 0) | (first < COPIED * second)).double().numpy()


def authentic(to_train: Array, spacing: Array) -> Array:
    """1 where an item is farther from its nearest training item than that one is from its own nearest neighbour."""
    return (to_train > spacing).astype(np.float64)


def _spacing(train: Tensor, place: Tensor) -> Array:
    """Distance of the training items at `place` to their own nearest other training item."""
    found, back = torch.unique(place, return_inverse=True)
    return nearest(train[found], train, 2)[0][back, 1].numpy()


def mann_whitney(made: Array, held: Array) -> float:
    """z-score of U = #{made > held} + ties / 2; below 0 where `made` is the smaller."""
    ordered = np.sort(held)
    u = (np.searchsorted(ordered, made, "left") + np.searchsorted(ordered, made, "right")).sum() / 2
    n, m = len(made), len(held)
    return float((u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12))


def c_t(made: Array, held: Array, made_cell: NDArray[np.int64], held_cell: NDArray[np.int64]) -> tuple[float, float]:
    """C_T from the distances to the nearest training item and the cells, and the held-out share left out.

    Cells with fewer than 20 generated or held-out items are left out.
    """
    total, weight = 0.0, 0.0
    for cell in np.unique(held_cell):
        a, b = made[made_cell == cell], held[held_cell == cell]
        if min(len(a), len(b)) >= _LEAST:
            share = len(b) / len(held)
            total += share * mann_whitney(a, b)
            weight += share
    return (total / weight if weight else math.nan), 1.0 - weight


class Copying(Metric):
    """The four scores. Intervals: Wilson's for shares, percentile bootstrap over items for `nn ratio` and `c_t`.

    A caveat that begins with "COPYING" says that the check has fired.
    """

    modalities = ("pictures", "points")

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        where = "pixels" if isinstance(reference.space, Levels) else "points"
        held, made = (s.x.double().flatten(1) for s in (reference.held_out, generated.sample))
        train = torch.unique(
            reference.train.x.double().flatten(1), dim=0
        )  # a duplicated training item would make its copies look authentic
        if min(len(train), len(held), len(made)) < _LEAST:
            return []
        d_made, place = nearest(made, train, 2)
        d_held, known_place = nearest(held, train, 2)
        first, fresh = d_made[:, 0].numpy(), d_held[:, 0].numpy()
        copies, known = copied(d_made), copied(d_held)
        ratio = _ratio(where, first, fresh)
        share = wilson(float(copies.sum()), len(copies))
        real = authentic(first, _spacing(train, place[:, 0]))
        base = authentic(fresh, _spacing(train, known_place[:, 0]))
        low, high = wilson(float(real.sum()), len(real))
        fired = _verdict(ratio, share[0], float(known.mean()), high, float(base.mean()))
        name = f"[{where}]@{len(made)}/{len(held)}"
        also = (f"held-out items: {known.mean():.3f}",)
        scores = [
            Score(ratio.name, ratio.value, ratio.low, ratio.high, ratio.n, None, fired),
            Score(f"copies{name}", float(copies.mean()), *share, len(made), False, fired + also),
        ]
        also = (f"held-out items: {base.mean():.3f}",)
        scores.append(Score(f"authenticity{name}", float(real.mean()), low, high, len(made), None, fired + also))
        return scores + _cells(where, (train, made, held), first, fresh, fired)


def _ratio(where: str, made: Array, held: Array) -> Score:
    """Ratio of median distances; both sets are resampled."""
    below = float(np.median(held))
    value = float(np.median(made)) / below if below else math.nan
    name = label("nn ratio", where, len(made), len(held))
    if not below:
        caveat = "half of the held-out items lie in the training set: there is no ratio"
        return Score(name, value, value, value, len(made), None, (caveat,))
    replicates = [np.median(made[i]) / np.median(held[j]) for i, j in resamples(_RESAMPLES, len(made), len(held))]
    low, high = np.quantile(replicates, [0.025, 0.975])
    return Score(name, value, float(low), float(high), len(made), None)


def _verdict(ratio: Score, copies: float, fresh: float, authentic: float, base: float) -> tuple[str, ...]:
    """The caveat that says why the check has fired, or none.

    `copies` is the lower and `authentic` the upper end of the interval; `fresh` and `base` are the held-out items'.
    """
    if ratio.high < NEARER:
        return (f"COPYING: items lie at {ratio.value:.2f} of a fresh item's distance from the training set",)
    if copies > 2 * fresh + 0.01:
        return (f"COPYING: at least {100 * copies:.1f} % of the items are copies of training items",)
    if authentic < CROWDED * base:
        return (
            f"COPYING: at most {100 * authentic:.0f} % of the items are authentic, of fresh items {100 * base:.0f} %",
        )
    return ratio.caveats


def _cells(
    where: str, sets: tuple[Tensor, Tensor, Tensor], made: Array, held: Array, fired: tuple[str, ...]
) -> list[Score]:
    from sklearn.cluster import KMeans

    train, *others = (s.numpy() for s in sets)
    count = max(1, min(CELLS, len(held) // 50))
    means = KMeans(count, n_init=1, random_state=0).fit(train)
    cell_made, cell_held = (means.predict(o).astype(np.int64) for o in others)
    value, dropped = c_t(made, held, cell_made, cell_held)
    if math.isnan(value):
        return []
    replicates = [
        c_t(made[i], held[j], cell_made[i], cell_held[j])[0] for i, j in resamples(_RESAMPLES, len(made), len(held))
    ]
    low, high = np.nanquantile(replicates, [0.025, 0.975])
    caveats = (f"{100 * dropped:.0f} % of the held-out items lie in cells too empty to count",) if dropped > 0 else ()
    name = label("c_t", where, len(made), len(held), f"cells={count}")
    return [Score(name, value, float(low), float(high), len(made), None, fired + caveats)]
