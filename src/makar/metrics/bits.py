"""Bits for each raw unit: what it would take to write the held-out items down by the model's probabilities.

    bits = -(sum_i log p(x_i) + volume) / (units * ln 2)

`volume` is what the codec adds for its own change of volume, `units` counts bytes of text, pixels (times channels) or
columns: so models with different codecs compare. The kind of number is in the name, and unlike kinds never share a
column: `exact`; `upper bound`, where the model bounds the likelihood from below and so the bits from above;
`estimate`, which may lie on either side. For discrete items bits are at least 0 and the uniform model has
log2(levels); for real numbers they are those of a density and may be negative. The sum is over the corpus: a weighted
mean, not a mean of means.
"""

from __future__ import annotations

import math

import torch

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import of_mean

_UNIT = {"text": "byte", "pictures": "dim", "rows": "column", "points": "dim"}
_KIND = {"exact": "exact", "lower": "upper bound", "estimate": "estimate"}


class Bits(Metric):
    """`bits/<unit> (<kind>)@n` of the n held-out items; normal interval over items, each taken to have equal units."""

    modalities = ("text", "pictures", "rows", "points")

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        likelihood = generated.held_out
        if likelihood is None or generated.units <= 0:
            return []
        nats = likelihood.nats.detach().double()
        n = len(nats)
        name = f"bits/{_UNIT[reference.modality]} ({_KIND[likelihood.kind]})@{n}"
        finite = torch.isfinite(nats)
        if not bool(finite.all()):
            caveat = f"{int((~finite).sum())} of {n} held-out items have no finite log-likelihood"
            return [Score(name, math.inf, math.inf, math.inf, n, False, (caveat,))]
        each = -(nats + generated.volume / n) * (n / (generated.units * math.log(2.0)))
        low, high = of_mean(each.numpy())
        return [Score(name, float(each.mean()), low, high, n, False)]
