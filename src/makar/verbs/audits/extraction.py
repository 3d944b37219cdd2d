"""Extraction: does the model give its training items back?

Of text, discoverable extraction (Carlini et al. 2023): the model is shown `prefix` symbols of a row and must go on with
the row's next `length`. Held-out rows are the control: what it knows of those it has not memorised. With p_z the
probability that plain sampling goes on so, a row is (n, p)-discoverable (Hayes et al. 2024, eq. 2) if one of n draws
yields it with probability p:

    1 - (1 - p_z)^n >= p

Of pictures, rows and points: the share of generated items that are near copies of training items, and the same share
for held-out items. Either index is calibrated on items of the other side, so that fresh items alarm equally often.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from makar.core.model import PredictsNext
from makar.core.score import Score
from makar.core.spaces import Tokens
from makar.data import Dataset
from makar.provenance.nearest import is_copy
from makar.verbs.audits import _figures
from makar.verbs.audits._items import chosen, spread
from makar.verbs.audits._result import Result, beyond_measure, timed
from makar.verbs.audits.indices import comparable, index_of
from makar.verbs.sample import asked_labels, draw
from makar.verbs.trained import Trained

DRAWS = (1, 100, 10_000)
CHANCE = 0.5
LEAST = 10
_ROWS = 64


@timed
def extraction(
    trained: Trained, data: Dataset, n: int = 500, prefix: int = 50, length: int = 50, seed: int = 0
) -> Result:
    """At most n rows of either side of a text, or n generated items of the rest."""
    if isinstance(trained.codec.space, Tokens):
        return _text(trained, data, n, prefix, length)
    return _items(trained, data, n, seed)


def continuation(model: PredictsNext, x: Tensor, prefix: int, length: int) -> tuple[Tensor, Tensor]:
    """Whether greedy decoding after x[:, :prefix] gives the next `length` symbols of x, bool (B,), and their
    log-probability under plain sampling, float64 (B,). The true symbols are fed: greedy agrees iff every step does."""
    greedy = torch.ones(len(x), dtype=torch.bool)
    nats = torch.zeros(len(x), dtype=torch.float64)
    cache: Any = None
    with torch.inference_mode():
        for place in range(prefix, prefix + length):
            logits, cache = model.next(x[:, :place], cache)
            greedy &= logits.argmax(1) == x[:, place]
            nats += torch.log_softmax(logits.double(), 1).gather(1, x[:, place, None])[:, 0]
    return greedy, nats


def discoverable(nats: Tensor, draws: int, chance: float) -> Tensor:
    """Whether sequences of these log-probabilities are (draws, chance)-discoverable."""
    missed = torch.log1p(-nats.exp().clamp(max=1.0)) * draws  # log of the chance that no draw yields it
    return missed <= math.log1p(-chance)


def _text(trained: Trained, data: Dataset, n: int, prefix: int, length: int) -> Result:
    model = trained.model
    if not isinstance(model, PredictsNext):
        return beyond_measure("extraction", "the model does not go on with a text symbol by symbol")
    sides: dict[str, tuple[Tensor, Tensor]] = {}
    for side, split in (("members", data.train), ("held-out", data.held_out)):
        rows = trained.codec.encode(split.things)
        rows = rows[(rows[:, : prefix + length] >= 0).sum(1) == prefix + length]
        if len(rows) < LEAST:
            why = f"fewer than {LEAST} {side} rows have {prefix + length} symbols; give a shorter prefix and length"
            return beyond_measure("extraction", why)
        parts = [continuation(model, part, prefix, length) for part in rows[spread(n, len(rows))].split(_ROWS)]
        sides[side] = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])
    figures = []
    for side, (greedy, nats) in sides.items():
        what = f"{side};{prefix}+{length} symbols"
        figures.append(_figures.share(f"extracted[greedy;{what}]@{len(greedy)}", int(greedy.sum()), len(greedy)))
        for draws in DRAWS:
            hits = int(discoverable(nats, draws, CHANCE).sum())
            name = f"extracted[n={draws};p={CHANCE};{what}]@{len(greedy)}"
            figures.append(_figures.share(name, hits, len(greedy)))
    half = len(figures) // 2
    return _judged(list(zip(figures[:half], figures[half:], strict=True)), {"prefix": prefix, "length": length})


def _items(trained: Trained, data: Dataset, n: int, seed: int) -> Result:
    train_places = spread(len(data.held_out), len(data.train))
    members, others = chosen(data.train, train_places), data.held_out
    if min(len(members), len(others)) < 100:
        return beyond_measure("extraction", "fewer than 100 items of either side cannot set a threshold of 1 %")
    codec = trained.codec
    labels = asked_labels(trained, n, None, seed)
    outputs = comparable(data.modality, trained.things(draw(trained, n, seed, labels), labels), codec)
    shares = []
    for side, mine, fresh in (("members", members, others), ("held-out", others, members)):
        index = index_of(data, codec, mine, fresh)
        if index.threshold <= 0:
            why = "fresh items equal items of the other side so often that a copy cannot be told from them"
            return beyond_measure("extraction", why)
        hits = sum(map(is_copy, index.judge(outputs)))
        shares.append(_figures.share(f"near copies[{side}]@{n}/{len(fresh)}", hits, n))
    details = {"measure": index.measure.words, "rate of fresh items": index.rate, "items a side": len(members)}
    return _judged([(shares[0], shares[1])], details)


def _judged(pairs: list[tuple[Score, Score]], details: dict[str, object]) -> Result:
    """Alarm where a figure for members lies surely above that for held-out items."""
    figures = tuple(f for pair in pairs for f in pair)
    over = [(mine, fresh) for mine, fresh in pairs if mine.low > fresh.high]
    if over:
        mine, fresh = over[0]
        what = mine.name.partition("[")[0]
        why = f"{what}: {100 * mine.value:.1f} % for members and {100 * fresh.value:.1f} % for held-out items"
        return Result("extraction", "alarm", why, figures, {"members above held-out": 0.0}, details)
    mine, fresh = pairs[0]
    why = (
        f"members come back no more often than held-out items ({100 * mine.value:.1f} % and {100 * fresh.value:.1f} %)"
    )
    return Result("extraction", "none", why, figures, {"members above held-out": 0.0}, details)
