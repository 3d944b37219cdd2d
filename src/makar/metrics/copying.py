"""Copying: are generated items nearer to the training set than fresh items are?

A distance between distributions cannot see it, and a bootstrap of the training set wins most of them; so no score of
fidelity is shown without these. Distances are Euclidean between the items themselves (levels of pixels, points) and
not between features, since a probe trained on the training set pulls it together. Tables have `records` and text has
`text` for this. With d(x) the distance from x to its nearest training item:

    nn ratio       median of d over generated items / median of d over held-out items; 1 = like fresh data, 0 = copies
    copies         of points: share of generated items with d(x) = 0 or d(x) < 1/3 of the distance to the second nearest
                   distinct training item                                                         (Yoon et al. 2023)
    authenticity   share of generated items farther from their nearest training item than that one is from its own
                   nearest training neighbour                                                     (Alaa et al. 2022)
    c_t            z-score of Mann and Whitney's U for "d of generated > d of held-out" within k-means cells of the
                   training set, averaged by the held-out items' shares; << 0 copying, >> 0 under-fit
                                                                                                  (Meehan et al. 2020)

A blurred picture lies near every training picture and copies none, and a copy under snow lies far from its original. So
the copies of pictures are sought through noise, shifts and light (`_lookalike.py`), and compared with fresh pictures:
held-out ones, and training ones that are left out in turn, which have the data's natural duplicates. Pictures with the
same nearest training picture count once, or a single one made over and over would be as good as a thousand. With q the
share of fresh pictures whose nearness lies below a threshold and p that of generated ones, at least (p - q) / (1 - q)
of the generated ones are copies; two thresholds have q = 1 % and 5 %, the third is 1/3 whatever its q (of data that
are full of near twins), and the largest excess is the score. Of pictures the check fires by it alone, if Fisher's exact
test says p > q at 3e-4 for one of the thresholds and the excess is 1 % or more: in at most one honest model of a
thousand.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from makar.core.score import Generated, Metric, Reference, Score
from makar.core.spaces import Levels
from makar.metrics._intervals import Array, label, resamples, wilson
from makar.metrics._lookalike import Lookalikes
from makar.metrics._neighbours import nearest

NEARER = 0.8  # the check fires if the nn ratio's interval lies below; published good models lie at 0.85 and above
COPIED = 1 / 3
CROWDED = 0.5  # it fires, too, if fewer items are authentic than this share of what fresh items are
CELLS = 5
SHARES = 0.01, 0.05  # of fresh pictures that lie below two of the thresholds of nearness
CHANCE = 3e-4  # of a false alarm, each
_EXCESS = 0.01
_FRESH = 500  # training pictures that are left out in turn, and held-out ones
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
        ratio = _ratio(where, first, fresh)
        real = authentic(first, _spacing(train, place[:, 0]))
        base = authentic(fresh, _spacing(train, known_place[:, 0]))
        low, high = wilson(float(real.sum()), len(real))
        name = f"[{where}]@{len(made)}/{len(held)}"
        if isinstance(reference.space, Levels) and len(reference.space.shape) == 3:
            copies = seen_through(reference.train.x, reference.held_out.x, generated.sample.x)
            fired = copies.caveats[:-1]
        else:
            copies = _shared(f"copies{name}", copied(d_made), copied(d_held))
            fired = _fired(ratio, copies, float(copied(d_held).mean()), high, float(base.mean()))
            copies = replace(copies, caveats=fired + copies.caveats)
        also = (f"held-out items: {base.mean():.3f}",)
        scores = [
            replace(ratio, caveats=fired + ratio.caveats),
            copies,
            Score(f"authenticity{name}", float(real.mean()), low, high, len(made), None, fired + also),
        ]
        return scores + _cells(where, (train, made, held), first, fresh, fired)


def seen_through(train: Tensor, held: Tensor, made: Tensor) -> Score:
    """The copies among pictures (n, C, H, W), through noise, shifts and light; the last caveat says what fresh ones do.

    A first one that begins with "COPYING" says that there are more than chance brings.
    """
    look = Lookalikes(train)
    kept, own = (_evenly(len(x), _FRESH) for x in (held, train))
    known = [look.nearness(held[kept]), look.nearness(train[own], own)]
    fresh = _once(*(torch.cat(parts) for parts in zip(*known, strict=True)))
    found = _once(*look.nearness(made))
    value, low, high, fired = excess(found, fresh)
    caveats: tuple[str, ...] = (f"of the {len(found)} that are unlike each other, beyond {len(fresh)} fresh pictures",)
    if fired:
        what = "training pictures, seen through noise, shift or light"
        caveats = (f"COPYING: at least {100 * max(low, _EXCESS):.0f} % of the pictures are {what}", *caveats)
    return Score(f"copies[lookalikes]@{len(made)}/{len(fresh)}", value, low, high, len(found), False, caveats)


def excess(made: Array, fresh: Array) -> tuple[float, float, float, bool]:
    """The share of generated items that only copying explains, its interval, and whether chance does not.

    `made` and `fresh` are nearnesses; of the thresholds the one with the largest share counts.
    """
    from scipy.stats import fisher_exact

    best, fired = (-1.0, 0.0, 0.0), False
    for bar in (*np.quantile(fresh, SHARES), COPIED):
        near, known = int((made <= bar).sum()), int((fresh <= bar).sum())
        q = known / len(fresh)
        beyond = (
            [max(0.0, (p - q) / (1.0 - q)) for p in (near / len(made), *wilson(near, len(made)))]
            if q < 1
            else [0.0] * 3
        )
        table = [[near, len(made) - near], [known, len(fresh) - known]]
        fired = fired or (beyond[0] >= _EXCESS and fisher_exact(table, "greater").pvalue < CHANCE)
        best = max(best, (beyond[0], beyond[1], beyond[2]))
    return *best, fired


def _once(nearness: Tensor, nearest: Tensor) -> Array:
    """The nearness of the first picture for each training picture that is the nearest of any.

    A model that makes one picture again and again says once whether it is a copy.
    """
    seen: dict[int, float] = {}
    for place, near in zip(nearest.tolist(), nearness.tolist(), strict=True):
        seen.setdefault(place, near)
    return np.array(list(seen.values()), dtype=np.float64)


def _evenly(n: int, most: int) -> Tensor:
    """At most `most` indices below n, evenly spread."""
    count = min(n, most)
    return torch.arange(count) * n // count


def _shared(name: str, copies: Array, known: Array) -> Score:
    low, high = wilson(float(copies.sum()), len(copies))
    also = (f"held-out items: {known.mean():.3f}",)
    return Score(name, float(copies.mean()), low, high, len(copies), False, also)


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


def _fired(ratio: Score, copies: Score, fresh: float, authentic: float, base: float) -> tuple[str, ...]:
    """The caveat that says why the check of points has fired, or none.

    `authentic` is the upper end of the interval; `fresh` and `base` are the held-out items'.
    """
    if ratio.high < NEARER:
        return (f"COPYING: items lie at {ratio.value:.2f} of a fresh item's distance from the training set",)
    if copies.low > 2 * fresh + 0.01:
        return (f"COPYING: at least {100 * copies.low:.1f} % of the items are copies of training items",)
    if authentic < CROWDED * base:
        return (
            f"COPYING: at most {100 * authentic:.0f} % of the items are authentic, of fresh items {100 * base:.0f} %",
        )
    return ()


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
