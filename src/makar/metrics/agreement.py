"""Agreement: the share of generated items that a classifier reads as the class that was asked for.

A classifier trained on real items reads each generated one. 1 means that every request was met; it says nothing of
variety, since one good item for every class already scores 1. The classifier errs on real items too: how often is in
the caveats, and that is what a perfect generator would score.
"""

from __future__ import annotations

import torch

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import label, wilson


class Agreement(Metric):
    """`agreement[extractor]@n/m`, m the held-out items on which the classifier was checked; Wilson's interval."""

    modalities = ("pictures", "rows", "points")

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        asked, held = generated.sample.labels, reference.held_out
        if reference.classify is None or asked is None:
            return []
        given = asked >= 0
        met = int((reference.classify(generated.sample.x[given]) == asked[given]).sum())
        n = int(given.sum())
        if n == 0:
            return []
        caveats: tuple[str, ...] = ()
        if held.labels is not None:
            right = float((reference.classify(held.x) == held.labels).to(torch.float64).mean())
            caveats = (f"the classifier reads {100 * right:.1f} % of the held-out items rightly",)
        low, high = wilson(met, n)
        name = label("agreement", reference.extractor, n, len(held.x))
        return [Score(name, met / n, low, high, n, True, caveats)]
