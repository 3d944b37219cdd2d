"""Copying: are generated items nearer to the training set than fresh items are?

The scores are those of `metrics/copying` (pictures, points: C_T, authenticity, copies, nn ratio), `metrics/records`
(rows) and `metrics/text`, each with its interval and its own alarm; beside them the share of generated items that the
index of training items, calibrated on held-out ones, counts as near copies.
"""

from __future__ import annotations

from makar.core import registry
from makar.core.score import Generated, Metric, Reference, Sample, Score
from makar.data import Dataset
from makar.provenance.nearest import Index, is_copy
from makar.verbs.audits import _figures
from makar.verbs.audits._result import Result, timed
from makar.verbs.audits.indices import comparable, index_of
from makar.verbs.sample import asked_labels, draw
from makar.verbs.trained import Trained

METRICS = {"pictures": "copying", "points": "copying", "rows": "records", "text": "text"}
TIMES = 3.0  # alarm if near copies are surely so many times as frequent as among fresh items
LEAST = 0.02  # and more than this share


@timed
def copying(trained: Trained, data: Dataset, n: int = 500, seed: int = 0, index: Index | None = None) -> Result:
    """Draw n items and compare them with what the model was trained on."""
    labels = asked_labels(trained, n, None, seed)
    x = draw(trained, n, seed, labels)
    things = trained.things(x, labels)
    codec = trained.codec
    train, held = (Sample(s.things, codec.encode(s.things)) for s in (data.train, data.held_out))
    reference = Reference(codec.space, data.modality, train, held)
    metric: Metric = registry.load("metrics", METRICS[data.modality])()
    scores = metric(reference, Generated(Sample(things, x)))
    index = index or index_of(data, codec)
    near = [j for j in index.judge(comparable(data.modality, things, codec)) if is_copy(j)]
    caveat = f"fresh items: {index.rate:.3f}"
    share = _figures.share(f"near copies[{index.measure.kind}]@{n}/{index.fresh}", len(near), n, (caveat,))
    bar = max(LEAST, TIMES * index.rate)
    fired = sorted({c for s in scores for c in s.caveats if c.startswith("COPYING")})
    details = {
        "measure": index.measure.words,
        "threshold": index.threshold,
        "nearest": [{"item": j.item, "distance": j.distance} for j in sorted(near, key=lambda j: j.distance)[:20]],
    }
    return _judged((*scores, share), share, bar, fired, details)


def _judged(
    figures: tuple[Score, ...], near: Score, bar: float, fired: list[str], details: dict[str, object]
) -> Result:
    thresholds = {"near copies": bar}
    if near.low > bar:
        why = f"{100 * near.value:.1f} % of the outputs are near copies of training items, above {100 * bar:.1f} %"
        return Result("copying", "alarm", why, figures, thresholds, details)
    if fired:
        why = fired[0].removeprefix("COPYING: ")
        return Result("copying", "alarm", why, figures, thresholds, details)
    why = f"{100 * near.value:.1f} % of the outputs are near copies ({near.caveats[0]}) and no score of copying fired"
    return Result("copying", "none", why, figures, thresholds, details)
