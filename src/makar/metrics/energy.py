"""Energy distance, and the permutation test that it gives (Szekely & Rizzo 2004).

    E = 2 mean |x_i - y_j| - mean |x_i - x_k| - mean |y_j - y_l|

It is 0 for equal distributions and above for all others, whatever their shape, and needs neither bandwidth nor density.
All means run over distinct pairs, so that the estimate is unbiased and may be negative. Under "both sets come from one
distribution" the labels may be shuffled: the share of shuffles with an E as large is the p-value.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import centred, label, resamples, wilson
from makar.metrics._neighbours import distances

_LIMIT = 1000  # items used of each set
_RESAMPLES = 100
SHUFFLES = 199


def energies(d: Tensor, weights: Tensor) -> Tensor:
    """E for each row of `weights` (s, n), float64: > 0 in the first set, < 0 in the second, by multiplicity.

    `d` (n, n) are the distances among all items.
    """
    one, two = weights.clamp(min=0.0), (-weights).clamp(min=0.0)
    from_one, from_two = one @ d, two @ d
    # an item drawn w times makes no pair with itself, whose distance is 0 anyway: only the count of pairs sees it
    pairs_one = one.sum(1) ** 2 - (one * one).sum(1)
    pairs_two = two.sum(1) ** 2 - (two * two).sum(1)
    across = (from_one * two).sum(1) / (one.sum(1) * two.sum(1))
    return 2.0 * across - (from_one * one).sum(1) / pairs_one - (from_two * two).sum(1) / pairs_two


def sides(first: Tensor, second: Tensor) -> Tensor:
    """Weights of one labelling: counts of the first set's items, and minus those of the second's."""
    return torch.cat([first, -second], -1)


class Energy(Metric):
    """`energy` with a centred bootstrap over both sets, and the p-value of the permutation test, whose interval is
    Wilson's over the shuffles. At most 1,000 items of each set are used.
    """

    modalities = ("points",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        real, made = reference.held_out.features, generated.sample.features
        if real is None or made is None or min(len(real), len(made)) < 3:
            return []
        chance = np.random.Generator(np.random.Philox(0))
        made, real = (f[torch.from_numpy(chance.permutation(len(f))[:_LIMIT])] for f in (made, real))
        n, m = len(made), len(real)
        both = torch.cat([made, real])
        d = torch.cat(list(distances(both, both)))
        labels = sides(torch.ones(n, dtype=torch.float64), torch.ones(m, dtype=torch.float64))
        value = float(energies(d, labels[None])[0])
        shuffled = torch.stack([labels[torch.from_numpy(chance.permutation(n + m))] for _ in range(SHUFFLES)])
        exceed = 1 + int((energies(d, shuffled) >= value).sum())
        drawn = [
            sides(*(torch.from_numpy(np.bincount(i, minlength=k)).double() for i, k in zip(pair, (n, m), strict=True)))
            for pair in resamples(_RESAMPLES, n, m)
        ]
        low, high = centred(value, energies(d, torch.stack(drawn)).numpy())
        p = wilson(exceed, SHUFFLES + 1)
        return [
            Score(label("energy", reference.extractor, n, m), value, low, high, n, False),
            Score(label("energy p-value", reference.extractor, n, m), exceed / (SHUFFLES + 1), *p, n, None),
        ]
