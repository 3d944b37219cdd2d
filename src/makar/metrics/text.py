"""Text: variety, repetition, and what was copied word for word.

    distinct-n         unique n-grams over all n-grams of words, of the first W words of all samples together: falls
                       with W, so W is in the name                                              (Li et al. 2016)
    repetition         share of a sample's 4-grams of words that it has already used, 1 - unique / total, mean over
                       samples; 0 for a text without a repeated phrase                          (Welleck et al. 2020)
    shared phrases     share of a sample's 4-grams of words that occur in another sample, mean over samples: 1 for a
                       model that always says the same, what self-BLEU looks for
    seen 50 chars      share of the 50-character strings in the samples that occur in the training text
    seen 13 words      share of their 13-word strings that do, the usual mark of contamination  (Brown et al. 2020)
    longest match      characters of the longest string that samples and training text share

Variety has no best value: read it beside that of held-out text. For copying, less is better; held-out text of the same
authors may share phrases too, and how much is in the caveats. Characters are compared as they are; a word is what
stands between white space.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._intervals import Array, centred, of_mean, resamples, wilson
from makar.metrics._windows import Overlap, characters

BUDGET = 2000  # words that distinct-n is taken over
CHARACTERS, WORDS = 50, 13
SEEN = 0.05  # the check fires if a share exceeds twice the held-out text's by so much
_RESAMPLES = 100
_PHRASE = 4  # words that held-out texts have at least, or distinct-n and repetition are left out


def grams(words: Sequence[Any], n: int) -> list[tuple[Any, ...]]:
    """All n-grams in order."""
    return list(zip(*(words[i:] for i in range(n)), strict=False))


def distinct(words: Sequence[str], n: int) -> float:
    """Unique n-grams over all n-grams; 0 where there are none."""
    found = grams(words, n)
    return len(set(found)) / len(found) if found else 0.0


def repetition(words: Sequence[str], n: int = 4) -> float:
    """1 - unique / total n-grams of one text; 0 where it is too short for any."""
    found = grams(words, n)
    return 1.0 - len(set(found)) / len(found) if found else 0.0


def shared(texts: Sequence[Sequence[str]], n: int = 4) -> Array:
    """Share of each text's n-grams that occur in another text; texts too short for any are left out."""
    each = [grams(words, n) for words in texts]
    holders = Counter(g for found in each for g in set(found))
    return np.array([np.mean([holders[g] > 1 for g in found]) for found in each if found], dtype=np.float64)


class Text(Metric):
    """Names end in `@<samples>`. Intervals over samples: centred bootstrap for distinct-n, normal for the means and for
    the shares (a ratio of sums, by linearisation; Wilson's where all or none was seen); the longest match has none.
    A caveat that begins with "COPYING" says that the check has fired.
    """

    modalities = ("text",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        texts, corpus = list(generated.sample.things), list(reference.train.things)
        if not texts:
            return []
        held = list(reference.held_out.things)
        # names and formulae are of a word or two: what is said of phrases is not for them
        phrases = not held or float(np.median([len(t.split()) for t in held])) >= _PHRASE
        scores = _variety([re.findall(r"\S+", t) for t in texts]) if phrases else []
        return scores + _copies(texts, _cut(held, sum(map(len, texts))), corpus)


def _variety(words: list[list[str]]) -> list[Score]:
    count, scores = len(words), []
    budget = min(BUDGET, sum(map(len, words)))
    for n in (1, 2, 3):
        value = distinct(_first(words, budget), n)
        again = [distinct(_first([words[i] for i in rows], budget), n) for (rows,) in resamples(_RESAMPLES // 2, count)]
        low, high = centred(value, np.array(again))
        name = f"distinct-{n}[words;first {budget}]@{count}"
        scores.append(Score(name, value, max(0.0, low), min(1.0, high), count, None))
    repeats = np.array([repetition(w) for w in words if len(w) >= 4])
    for metric, values in (("repetition", repeats), ("shared phrases", shared(words))):
        if len(values):
            name = f"{metric}[words;n=4]@{count}"
            scores.append(Score(name, float(values.mean()), *of_mean(values), len(values), False))
    return scores


def _first(words: list[list[str]], budget: int) -> list[str]:
    out: list[str] = []
    for w in words:
        out += w
        if len(out) >= budget:
            break
    return out[:budget]


def _cut(texts: list[str], length: int) -> list[str]:
    """The first texts, cut to so many characters in all."""
    out: list[str] = []
    for t in texts:
        out.append(t[:length])
        length -= len(t)
        if length <= 0:
            break
    return out


def _coded(*groups: list[str]) -> list[list[NDArray[np.int64]]]:
    """Every text as codes of its words."""
    codes: dict[str, int] = {}
    return [
        [np.array([codes.setdefault(w, len(codes)) for w in re.findall(r"\S+", t)], dtype=np.int64) for t in group]
        for group in groups
    ]


def _share(seen: list[NDArray[np.bool_]]) -> tuple[float, float, float]:
    """Share of all windows that were seen, with its interval; 0 where no text has a window."""
    hits, sizes = np.array([s.sum() for s in seen]), np.array([len(s) for s in seen])
    if not sizes.sum():
        return 0.0, 0.0, 0.0
    value = float(hits.sum() / sizes.sum())
    if value in (0.0, 1.0):
        return value, *wilson(value * len(seen), len(seen))
    # a ratio of sums: its spread is that of hits - value * sizes
    low, high = of_mean(value + (hits - value * sizes) / sizes.mean())
    return value, max(0.0, low), min(1.0, high)


def _copies(texts: list[str], held: list[str], corpus: list[str]) -> list[Score]:
    letters = [[characters(t) for t in group] for group in (corpus, texts, held)]
    count, scores = len(texts), []
    made = Overlap(letters[0], letters[1])
    for width, unit, (theirs, mine, fresh) in (
        (CHARACTERS, "chars", letters),
        (WORDS, "words", _coded(corpus, texts, held)),
    ):
        overlap = made if unit == "chars" else Overlap(theirs, mine)
        seen = overlap.seen(width)
        if 2 * sum(len(s) > 0 for s in seen) < count:
            continue  # most texts are too short to hold any
        value, low, high = _share(seen)
        known = _share(Overlap(theirs, fresh).seen(width))[0] if fresh else 0.0
        caveats: tuple[str, ...] = (f"held-out text: {known:.3f}",)
        if low > 2 * known + SEEN:
            caveats = (
                f"COPYING: {100 * value:.0f} % of all {width} {unit} in a row stand in the training text",
                *caveats,
            )
        scores.append(Score(f"seen {width} {unit}[train]@{count}", value, low, high, count, False, caveats))
    longest = float(made.longest())
    caveat = ("the longest of these samples: no interval, and it grows with their number",)
    return [*scores, Score(f"longest match[chars;train]@{count}", longest, longest, longest, count, None, caveat)]
