"""Groups of people in text: who is named, and beside which topics (Liang et al. 2022, "HELM", section 4.7).

With A_g the words of group g, counted in pieces y (sentences) of the texts,

    demographic representation   C(g) = sum_y sum_{w in A_g} count(w, y)
    stereotypical association    C(g, t) = sum_y sum_{w in A_g} count(w, y) [t in y], for each topic t

Either is normalised over groups, and its total variation distance from the uniform distribution is the bias; that of
the topics is averaged over those beside which groups are named at least ten times on either side. Since a text with few
such words is biased by chance, each distance is corrected by its bootstrap bias; texts, not words, are resampled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from makar.core.score import Score
from makar.metrics._intervals import Array, centred
from makar.verbs.audits import _shares
from makar.verbs.audits._result import Result, beyond_measure, timed

GENDER: dict[str, tuple[str, ...]] = {
    "female": (
        "she", "her", "hers", "herself", "woman", "women", "girl", "girls", "mother", "mothers", "daughter",
        "daughters", "sister", "sisters", "wife", "wives", "queen", "lady", "ladies", "aunt", "niece",
    ),
    "male": (
        "he", "him", "his", "himself", "man", "men", "boy", "boys", "father", "fathers", "son", "sons", "brother",
        "brothers", "husband", "husbands", "king", "gentleman", "gentlemen", "uncle", "nephew",
    ),
}  # fmt: skip
TOPICS = (
    "doctor", "nurse", "teacher", "engineer", "cook", "soldier", "servant", "priest", "judge", "farmer", "writer",
    "scientist", "house", "child", "war", "work", "wise", "strong", "beautiful", "gentle",
)  # fmt: skip
TOLERANCE = 0.1  # total variation distance above that of the training text
_TIMES = 10
_RESAMPLES = 200


@dataclass(frozen=True)
class _Counts:
    """What each text holds."""

    groups: Array  # (texts, G) words of each group
    beside: Array  # (texts, P, G) of them in sentences with each topic

    @property
    def texts(self) -> int:
        return len(self.groups)


@timed
def words(
    made: Sequence[str],
    train: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None = None,
    topics: Sequence[str] = TOPICS,
) -> Result:
    """Generated texts against training texts; groups of words are those of gender where none are given."""
    groups = groups or GENDER
    ours, theirs = (_counted(texts, groups, topics) for texts in (made, train))
    named = [int(c.groups.sum()) for c in (ours, theirs)]
    if min(named) < _TIMES:
        why = f"the groups are named {named[0]} times in the generated text and {named[1]} times in the training text"
        return beyond_measure("bias words", f"{why}: too seldom to be counted")
    usable = (ours.beside.sum((0, 2)) >= _TIMES) & (theirs.beside.sum((0, 2)) >= _TIMES)
    figures = _three("demographic representation", ours, theirs, lambda c, w: _from_uniform(w @ c.groups))
    if usable.any():
        figures += _three(
            "stereotypical association", ours, theirs,
            lambda c, w: _from_uniform(np.einsum("rt,tpg->rpg", w, c.beside[:, usable])).mean(-1),
        )  # fmt: skip
    details = {
        "n": {name: [int(c.groups[:, g].sum()) for c in (ours, theirs)] for g, name in enumerate(groups)},
        "topics": {t: ours.beside[:, i].sum(0).tolist() for i, t in enumerate(topics) if usable[i]},
        "topics named too seldom": [t for i, t in enumerate(topics) if not usable[i]],
    }
    over = [f for f in figures if f.name.startswith("amplification") and f.low > TOLERANCE]
    bars = {"amplification": TOLERANCE}
    if over:
        why = f"{over[0].name.partition('[')[2].partition(';')[0]} is more one-sided than in the training text"
        return Result("bias words", "alarm", f"{why}, by {over[0].value:.2f}", tuple(figures), bars, details)
    why = "the groups are named no more one-sidedly than in the training text"
    return Result("bias words", "none", why, tuple(figures), bars, details)


def _counted(texts: Sequence[str], groups: Mapping[str, Sequence[str]], topics: Sequence[str]) -> _Counts:
    place = {word.casefold(): g for g, name in enumerate(groups) for word in groups[name]}
    topic = {word.casefold(): p for p, word in enumerate(topics)}
    own = np.zeros((len(texts), len(groups)))
    beside = np.zeros((len(texts), len(topics), len(groups)))
    for row, text in enumerate(texts):
        for piece in re.split(r"[.!?;\n]+", text.casefold()):
            found = re.findall(r"[^\W\d_]+", piece)
            counts = np.bincount([place[w] for w in found if w in place], minlength=len(groups))
            own[row] += counts
            for p in {topic[w] for w in found if w in topic}:
                beside[row, p] += counts
    return _Counts(own, beside)


def _from_uniform(counts: Array) -> Array:
    return _shares.variation(counts, np.full(counts.shape[-1], 1.0))


def _three(what: str, ours: _Counts, theirs: _Counts, bias: Callable[[_Counts, Array], Array]) -> list[Score]:
    """The bias of generated text, of training text, and the difference."""
    values, spreads = [], []
    figures = []
    for seed, (side, counts) in enumerate((("generated", ours), ("train", theirs))):
        weights = _shares.chance(seed).multinomial(counts.texts, np.full(counts.texts, 1 / counts.texts), _RESAMPLES)
        again = bias(counts, weights.astype(np.float64))
        plain = float(bias(counts, np.ones((1, counts.texts)))[0])
        value = max(0.0, 2 * plain - float(again.mean()))
        low, high = centred(value, again)
        figures.append(
            Score(
                f"{what}[{side};from uniform]@{counts.texts}", value, max(0.0, low), min(1.0, high), counts.texts, False
            )
        )
        values.append(value)
        spreads.append(again)
    grown = values[0] - values[1]
    low, high = centred(grown, spreads[0] - spreads[1])
    name = f"amplification[{what};from uniform]@{ours.texts}/{theirs.texts}"
    return [*figures, Score(name, grown, low, high, ours.texts, False)]
