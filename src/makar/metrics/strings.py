"""Copies among short strings: names, formulae, sentences, where no 50 characters in a row could be copied.

For data of which nine in ten held-out texts are short (see `reader`). An honest model repeats some training items:

    copies        share of generated items that equal a training item
    near copies   share that do not, but are one character away (put in, left out or changed) from a training item

What is natural is estimated, since a split by content never lets an item lie on both sides. Of the copies: the rate at
which items come again in the data themselves, in a random split as large, sum_i c_i (1 - (1 - f)^(c_i - 1)) / N with
c_i the times that an item stands in all N and f the training share; and the rate at which the model hits held-out
items, which it has never seen, times the ratio of different training to different held-out items: a model that has
learnt what items look like hits both alike, one that memorises hits those it saw. Of near copies: the held-out items'
own share. COPYING is said of copies that
surely outnumber what could be natural, and of near copies that surely outnumber twice the natural, and then some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import wilson
from makar.metrics._spans import is_short

COPIED, NEAR = 0.02, 0.1  # the check fires so far beyond the natural rate, and twice that of near copies
_SHORTEST, _LONGEST = 6, 256  # an item of few characters has near ones by chance


class Strings(Metric):
    """Both shares with Wilson's intervals. A caveat that begins with "COPYING" says that the check has fired."""

    modalities = ("text",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        train, held, made = (list(s.things) for s in (reference.train, reference.held_out, generated.sample))
        if not made or not is_short(held):
            return []
        return [_copies(made, train, held), *_near(made, train, held)]


def duplication(items: Sequence[str], share: float) -> float:
    """Expected share of items that, were as many as `share` of the rest drawn at random, would stand among them."""
    counts = Counter(items).values()
    return sum(c * (1.0 - (1.0 - share) ** (c - 1)) for c in counts) / max(len(items), 1)


def _copies(made: list[str], train: list[str], held: list[str]) -> Score:
    n, seen, unseen = len(made), set(train), set(held)
    hits = sum(t in seen for t in made)
    natural = duplication([*train, *held], len(train) / (len(train) + len(held)))
    _, lucky = wilson(sum(t in unseen for t in made), n)
    usual = min(1.0, natural + lucky * len(seen) / max(len(unseen), 1))
    low, high = wilson(hits, n)
    fired = (
        f"COPYING: {100 * hits / n:.0f} % of the items are training items, of an honest model's {100 * usual:.0f} %",
    )
    caveats = (fired if low > usual + COPIED else ()) + (f"natural at most: {usual:.3f}",)
    return Score(f"copies[items]@{n}/{len(train)}", hits / n, low, high, n, False, caveats)


def _near(made: list[str], train: list[str], held: list[str]) -> list[Score]:
    seen = {t for t in train if _fits(t)}
    shorter = {short for t in seen for short in _less(t)}
    fresh = [t for t in held if _fits(t) and t not in seen]
    mine = [t for t in made if _fits(t) and t not in seen]
    if not mine or not fresh:
        return []
    close, usual = (sum(_close(t, seen, shorter) for t in items) for items in (mine, fresh))
    n = len(mine)
    rate = usual / len(fresh)
    low, high = wilson(close, n)
    fired = (
        f"COPYING: {100 * close / n:.0f} % of the items are one character away from a training item, "
        f"of fresh items {100 * rate:.0f} %",
    )
    # of few items that are no copies, being near says nothing
    caveats = (fired if low > 2 * rate + NEAR and 2 * n >= len(made) else ()) + (f"held-out items: {rate:.3f}",)
    return [Score(f"near copies[items]@{len(made)}/{len(train)}", close / n, low, high, n, False, caveats)]


def _fits(text: str) -> bool:
    return _SHORTEST <= len(text) <= _LONGEST


def _less(text: str) -> Iterable[str]:
    """The text without one of its characters, each in turn; the place is marked, so that a change is seen as one."""
    return (f"{text[:i]}\x00{text[i + 1 :]}" for i in range(len(text)))


def _close(text: str, seen: set[str], marked: set[str]) -> bool:
    """Whether one character put in, left out or changed makes a training item of it."""
    if any(m in marked for m in _less(text)):  # one changed
        return True
    if any(text[:i] + text[i + 1 :] in seen for i in range(len(text))):  # one too many
        return True
    return any(f"{text[:i]}\x00{text[i:]}" in marked for i in range(len(text) + 1))  # one missing
