"""Bits for each raw unit: what it would take to write the held-out items down by the model's probabilities.

    bits = -(sum_i log p(x_i) + volume) / (units * ln 2)

`volume` is what the codec adds for its own change of volume, `units` counts bytes of text, pixels (times channels) or
columns: so models with different codecs compare. The kind of number is in the name, and unlike kinds never share a
column: `exact`; `upper bound`, where the model bounds the likelihood from below and so the bits from above;
`estimate`, which may lie on either side. For discrete items bits are at least 0, and a model that needs more than the
uniform one (log2(levels) for a pixel, 8 for a byte) is said to do worse than guessing; for real numbers bits are those
of a density and may be negative. The sum is over the corpus: a weighted mean, not a mean of means.
"""

from __future__ import annotations

import math

import torch

from makar.core.score import Generated, Metric, Reference, Score
from makar.core.spaces import Levels
from makar.metrics._facts import READ
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
        share = float(generated.facts.get(READ, 1.0))
        caveats = (f"read from {100 * share:.2g} % of the held-out data, taken at random",) if share < 1 else ()
        if not bool(finite.all()):
            caveat = f"{int((~finite).sum())} of {n} held-out items have no finite log-likelihood"
            return [Score(name, math.inf, math.inf, math.inf, n, False, (caveat, *caveats))]
        each = -(nats + generated.volume / n) * (n / (generated.units * math.log(2.0)))
        low, high = of_mean(each.numpy())
        value, guess = float(each.mean()), _uniform(reference)
        if guess is not None and value > guess:
            why = "the bound is loose" if likelihood.kind == "lower" else "the model gives the data next to no mass"
            caveats = (f"worse than guessing uniformly ({guess:.3g} bits): {why}", *caveats)
        return [Score(name, value, low, high, n, False, caveats)]


def _uniform(reference: Reference) -> float | None:
    """Bits of a model to which every item is equally likely; None where there is no such model."""
    if reference.modality == "text":
        return 8.0
    return math.log2(reference.space.levels) if isinstance(reference.space, Levels) else None
