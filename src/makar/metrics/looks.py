"""Looks: the faults of pictures that a person sees at once: snow, blur, and all of them alike.

Of a picture's brightness on [-1, 1], less that of its 3 x 3 surroundings, are taken

    grain       the bound of the quietest quarter of all pixels: what flat parts carry
    sharpness   root mean square, divided by the picture's standard deviation: how much of its contrast lies in edges

and of a set of pictures

    snow        share of generated pictures with more grain than 95 % of fresh ones, and than 0.035 (2 % of the range)
    sharpness   median of generated pictures / median of fresh ones; 1 = like fresh data, near 0 = blurred
    variety     share of the held-out pictures that lie in a cell where the generated ones are at least a fifth as
                frequent; the cells are those of k-means, k = 10, on the training pictures' shapes (small, blurred and
                without their light: neither noise nor blur moves a picture far), and again, with k = 20, on the
                extractor's features. 1 = all kinds are made

"NOISE" is fired by snow in 8 of 10 pictures, by a sharpness surely above 3/2 where 8 of 10 are sharper than 95 % of
fresh ones, and by one surely below 1/2 where 8 of 10 are less sharp than 95 % of fresh ones. Variety surely below 3/4
fires "COLLAPSE", unless there is snow or grain, for what has no shape is not of one kind. The features' variety counts
only where pictures look real: their features lie, in the median, at most 1.15 times as far from the nearest training
picture's as fresh ones' do. Rough pictures of every kind lie in few of its cells (icons made by nine families: 1.28 to
1.51; real pictures of two kinds of eight: 0.99 to 1.03).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from makar.core.score import Generated, Metric, Reference, Score
from makar.core.spaces import Levels
from makar.metrics._intervals import Array, centred, label, resamples, wilson
from makar.metrics._lookalike import shapes
from makar.metrics._neighbours import nearest

VISIBLE = 0.035
MOST = 0.8
BLURRED, GRAINY = 0.5, 1.5
VARIED = 0.75
REAL = 1.15
CELLS, FINE_CELLS, SELDOM = 10, 20, 0.2
_BEYOND = 0.95
_LEAST = 20
_ITEMS = 2000
_RESAMPLES = 100


class Looks(Metric):
    """`snow`, `sharpness` and `variety`, beside the held-out pictures. Wilson's interval, and bootstraps over items."""

    modalities = ("pictures",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        space, held, made = reference.space, reference.held_out.x, generated.sample.x
        if not isinstance(space, Levels) or len(space.shape) != 3 or min(len(held), len(made)) < _LEAST:
            return []
        (grain, sharp), (quiet, crisp) = (texture(x, space.levels) for x in (made, held))
        snow, sharpness = _snow(grain, quiet), _sharpness(sharp, crisp)
        train, real, drawn = reference.train, reference.held_out.features, generated.sample.features
        rows = torch.arange(min(len(train.x), _ITEMS)) * len(train.x) // min(len(train.x), _ITEMS)
        forms = _variety("shapes", shapes(train.x[rows]), shapes(held), shapes(made), CELLS)
        scores = [snow, sharpness, forms if snow.caveats or sharpness.low > GRAINY else _judged(forms)]
        if train.features is not None and real is not None and drawn is not None:
            finer = _variety(reference.extractor, train.features[rows], real, drawn, FINE_CELLS)
            scores.append(_judged(finer) if _real(train.features[rows], real, drawn) else finer)
        return scores


def _real(train: Tensor, held: Tensor, made: Tensor) -> bool:
    """Whether features (n, d) lie about as near to the training pictures' as fresh ones do."""
    far, fresh = (float(nearest(x, train, 1)[0].median()) for x in (made, held))
    return far <= REAL * fresh


def texture(x: Tensor, levels: int) -> tuple[Array, Array]:
    """Grain and sharpness (n,) each, of pictures int64 (n, C, H, W)."""
    light = x.float().mean(1, keepdim=True) * (2.0 / (levels - 1)) - 1.0
    fine = (light - F.avg_pool2d(F.pad(light, (1, 1, 1, 1), mode="replicate"), 3, 1)).flatten(1).double()
    contrast = light.flatten(1).double().std(1).clamp(min=0.02)  # a flat picture has none to speak of
    grain = fine.abs().kthvalue(max(1, fine.shape[1] // 4), dim=1).values
    return grain.numpy(), (fine.square().mean(1).sqrt() / contrast).numpy()


def _snow(made: Array, fresh: Array) -> Score:
    beyond = made > max(VISIBLE, float(np.quantile(fresh, _BEYOND)))
    value = float(beyond.mean())
    said = (f"NOISE: {100 * value:.0f} % of the pictures are snowy where fresh ones are flat",)
    name = label("snow", "grain", len(made), len(fresh))
    return Score(name, value, *wilson(float(beyond.sum()), len(made)), len(made), False, said if value >= MOST else ())


def _sharpness(made: Array, fresh: Array) -> Score:
    middle = max(float(np.median(fresh)), 1e-9)
    value = float(np.median(made)) / middle
    again = [
        np.median(made[i]) / max(np.median(fresh[j]), 1e-9) for i, j in resamples(_RESAMPLES, len(made), len(fresh))
    ]
    low, high = np.quantile(again, [0.025, 0.975])
    below = float((made < np.quantile(fresh, 1 - _BEYOND)).mean())
    above = float((made > np.quantile(fresh, _BEYOND)).mean())
    said: tuple[str, ...] = ()
    if high < BLURRED and below >= MOST:
        said = (f"NOISE: the pictures are blurred: they have {100 * value:.0f} % of fresh pictures' sharpness",)
    if low > GRAINY and above >= MOST:
        said = (f"NOISE: the pictures are grainy: {value:.1f} times as much of them is edge as of fresh pictures",)
    name = label("sharpness", "edges", len(made), len(fresh))
    return Score(name, value, min(float(low), value), max(float(high), value), len(made), None, said)


def varied(made: Array, held: Array) -> float:
    """The share of held-out items in cells that are made at least a fifth as often, from counts of the cells."""
    enough = made / made.sum() >= SELDOM * held / held.sum()
    return float((held / held.sum())[enough].sum())


def _variety(name: str, train: Tensor, held: Tensor, made: Tensor, cells: int) -> Score:
    """The score of one feature space, (n, d) each, without a caveat."""
    from sklearn.cluster import KMeans

    known, other, mine = (x.numpy() for x in (train, held, made))
    count = min(cells, len(np.unique(known, axis=0)), max(2, len(held) // 8))
    means = KMeans(count, n_init=2, random_state=0).fit(known)
    cell_made, cell_held = means.predict(mine), means.predict(other)

    def of(a: NDArray[np.int32], b: NDArray[np.int32]) -> float:
        return varied(*(np.bincount(c, minlength=count).astype(np.float64) for c in (a, b)))

    value = of(cell_made, cell_held)
    again = [of(cell_made[i], cell_held[j]) for i, j in resamples(_RESAMPLES, len(made), len(held))]
    low, high = centred(value, np.array(again))
    full = label("variety", name, len(made), len(held), f"cells={count}")
    return Score(full, value, max(0.0, low), min(1.0, high), len(made), True)


def _judged(variety: Score) -> Score:
    if variety.high >= VARIED:
        return variety
    said = f"COLLAPSE: only {100 * variety.value:.0f} % of the data's kinds of picture are made"
    return replace(variety, caveats=(said,))
