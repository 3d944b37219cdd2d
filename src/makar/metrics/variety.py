"""Variety of text: loops, one text over and over, and how much of what fresh text says is ever said.

    loops       share of a text's strings of 20 characters that it has used before                (Welleck et al. 2020)
    sameness    share of a text's strings of 20 characters that occur in another generated text: 1 for a model that
                always says the same, what self-BLEU looks for                                    (Zhu et al. 2018)
    repeats     for items (see `reader`): share of items that equal another generated item
    recall      share of the held-out text's strings of 5 characters that the generated text has somewhere, over the
                share that as much training text has; 1 is the data's own variety

Text repeats itself by nature, tunes and scripture more than novels. So each share of repetition stands beside that of
held-out text (of training items for `repeats`), cut as long and taken as often, and the alarm is relative: COLLAPSE is
said where less than half as much is new as in fresh text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, of_mean, wilson
from makar.metrics._spans import is_short
from makar.metrics._windows import Windows, characters, joined

WIDTH, RECALLED = 20, 5
NEW = 0.5  # COLLAPSE: less than so much of what is new in fresh text is new
_MOST = 200_000  # characters that are looked at of either set


class Variety(Metric):
    """Intervals over texts: normal for means, Wilson's for `repeats`. A caveat that begins with "COLLAPSE" says that
    the check has fired."""

    modalities = ("text",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        made, held = list(generated.sample.things), list(reference.held_out.things)
        train = list(reference.train.things)
        if len(made) < 2 or len(held) < 2:
            return []
        scores = [_repeats(made, train)] if is_short(held) else _loops(made, held)
        return scores + _recall(made, held, train)


def _loops(made: list[str], held: list[str]) -> list[Score]:
    mine = _cut(made)
    # as many fresh texts, each as long as the generated one it stands beside
    fresh = [held[i % len(held)][: len(t)] for i, t in enumerate(mine)][: len(held)]
    scores = []
    for name, share in (("loops", _within), ("sameness", _between)):
        values, usual = share(mine), share(fresh)
        if len(values) < 2 or not len(usual):
            continue
        low, high = of_mean(values)
        what = "within one text" if name == "loops" else "from one text to another"
        fired = (
            f"COLLAPSE: {100 * values.mean():.0f} % of all {WIDTH} characters in a row come again {what}, "
            f"in fresh text {100 * usual.mean():.0f} %"
        )
        known = f"held-out text: {usual.mean():.3f}"
        caveats = (fired, known) if 1 - low < NEW * (1 - usual.mean()) else (known,)
        value = float(values.mean())
        full = f"{name}[{WIDTH} characters]@{len(made)}"
        scores.append(Score(full, value, max(0.0, low), min(1.0, high), len(values), False, caveats))
    return scores


def _cut(texts: Sequence[str]) -> list[str]:
    """Texts of at most so many characters each that together they are at most 200,000."""
    most = max(_MOST // max(len(texts), 1), 200)
    return [t[:most] for t in texts]


def _hashes(texts: Sequence[str], width: int) -> list[NDArray[np.uint64]]:
    """Hashes of all windows of each text."""
    letters = [characters(t) for t in texts]
    top = 1 + max((int(s.max()) for s in letters if len(s)), default=0)
    values = np.random.Generator(np.random.Philox(0)).integers(0, 1 << 63, top + 1, dtype=np.uint64)
    every = Windows(joined(letters, top), values * np.uint64(2) + np.uint64(1))(width)
    starts = np.concatenate([[0], np.cumsum([len(s) + 1 for s in letters])])
    return [every[a : a + max(len(s) - width + 1, 0)] for a, s in zip(starts, letters, strict=False)]


def _within(texts: Sequence[str]) -> Array:
    found = [h for h in _hashes(texts, WIDTH) if len(h)]
    return np.array([1.0 - len(np.unique(h)) / len(h) for h in found])


def _between(texts: Sequence[str]) -> Array:
    found = [h for h in _hashes(texts, WIDTH) if len(h)]
    if not found:
        return np.empty(0)
    once = [np.unique(h) for h in found]
    values, holders = np.unique(np.concatenate(once), return_counts=True)
    return np.array([float((holders[np.searchsorted(values, h)] > 1).mean()) for h in found])


def _repeats(made: list[str], train: list[str]) -> Score:
    n = len(made)
    chance = np.random.Generator(np.random.Philox(0))
    some = [train[i] for i in chance.permutation(len(train))[:n]]
    again = sum(c for c in Counter(made).values() if c > 1)
    # fewer training items than generated ones would show fewer pairs than as many would: scaled by their number
    usual = min(1.0, sum(c for c in Counter(some).values() if c > 1) / len(some) * n / len(some))
    low, high = wilson(again, n)
    fired = (
        f"COLLAPSE: {100 * again / n:.0f} % of the items are made more than once, of real ones {100 * usual:.0f} %",
    )
    caveats = (fired if 1 - low < NEW * (1 - usual) else ()) + (f"training items: {usual:.3f}",)
    return Score(f"repeats[items]@{n}", again / n, low, high, n, False, caveats)


def _recall(made: list[str], held: list[str], train: list[str]) -> list[Score]:
    mine, fresh = _cut(made), _cut(held)
    size, left = sum(map(len, mine)), sum(map(len, mine))
    same = []
    for i in np.random.Generator(np.random.Philox(0)).permutation(len(train)):
        same.append(train[i][:left])
        left -= len(same[-1])
        if left <= 0:
            break
    cuts = [len(mine), len(mine) + len(same)]
    every = _hashes([*mine, *same, *fresh], RECALLED)
    asked = [h for h in every[cuts[1] :] if len(h)]
    if not size or len(asked) < 2:
        return []
    hits = []
    owner, whole = np.repeat(np.arange(len(asked)), [len(h) for h in asked]), np.concatenate(asked)
    for group in (every[: cuts[0]], every[cuts[0] : cuts[1]]):
        known = np.isin(whole, np.concatenate(group))
        hits.append(np.bincount(owner, known, minlength=len(asked)))
    if not hits[1].sum():
        return []
    value = float(hits[0].sum() / hits[1].sum())
    low, high = of_mean(value + (hits[0] - value * hits[1]) / hits[1].mean())
    value, low, high = (float(np.clip(v, 0.0, 1.0)) for v in (value, low, high))
    return [Score(f"recall[{RECALLED} characters]@{len(made)}/{len(held)}", value, low, high, len(asked), True)]
