"""A judge of text: can it be told from fresh text, how surprising is it, are its words words?

A distance between frequencies of letters calls a salad of syllables good. Three measures that do not, from the data
alone, for any language and for strings of any kind, none of which needs a likelihood:

    told apart      area under the ROC curve of a classifier that is shown spans of generated and of held-out text, cut
                    equally long, mean over the lengths of the spans: 0.5 is as good as fresh text, 1 always found out
                    (Lopez-Paz & Oquab 2017). Boosted trees look at what a model of the training text says of the span,
                    a linear classifier at its hashed grams, and their log-odds are added. Short spans keep apart what
                    is bad and what is worse, long ones what is good and what is better.
    rules kept      share of items that keep what the training items keep (`_rules.py`): brackets that pair, say
    reference bits  bits a character that a model of the training text (`_backoff.py`) needs for it, beside what fresh
                    text takes: more is salad, fewer is a loop or a copy
    known           share of its words that stand in the training text, beside that of fresh text; grams of 5 characters
                    where words do not repeat (scripts without spaces, formulae)

Where nine in ten held-out texts are short, they are items: begin and end are characters too, and a span is a whole
item, beside spans of 8 characters with a quarter of the weight. A generated text that is a training text is taken out
of the corpus first, so that real text is read as fresh; that it is a copy is for `text` and `strings` to say.
Classifiers are trained on four fifths of the texts and asked about the last, in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from makar.core.score import Generated, Metric, Reference, Score
from makar.metrics._backoff import Backoff
from makar.metrics._intervals import Array, around, of_mean, wilson
from makar.metrics._rules import Rules
from makar.metrics._spans import Span, Texts, coded, is_short, pairs, wholes
from makar.metrics._windows import characters

Marks = NDArray[np.bool_]  # (items, rules): which item breaks which rule

ORDERS, WORD_ORDERS = 9, 3
CORPUS = 2_500_000  # characters of training text that are read
PIECE, PIECES = 2000, 300  # characters of a piece of a long text, and pieces at most
LENGTHS = (8, 32, 128)
SPANS = 800  # of one length, of either set
FOLDS = 5
WHOLE = 3.0  # weight of whole items beside that of spans of one length
FOUND_OUT, SURPRISED = 0.82, 0.05  # NOISE: told apart so well, and for being more surprising by so much
ITEMS_FOUND_OUT = 0.88  # items, judged whole, are found out sooner
BROKEN = 0.75  # so few of the items that should keep the rules do that it is said first
WORDLIKE = 0.7  # share of fresh words that are known, from which words are what is counted
_GRAM = 5
_SHARED = 1 + FOLDS / (FOLDS - 1)  # the folds share what they learn from: Nadeau & Bengio 2003, equation 11
_LEAST = 10  # texts or pieces of either set


@dataclass(frozen=True)
class Judged:
    """Outcome for one length of span: how each span fared, and whose it is."""

    made: Array  # share of fresh spans that were less suspect than each generated one
    real: Array  # share of generated spans that were more suspect than each fresh one
    made_owner: NDArray[np.int64]
    real_owner: NDArray[np.int64]
    weight: float = 1.0


class Reader(Metric):
    """Three scores, four of items. Intervals are over texts: DeLong's for `told apart`, its shares averaged within each
    text and its variance corrected for folds that share what they learn from; Wilson's for `rules kept`; normal for the
    means. A caveat that begins with "NOISE" says that a person would see at once that this is no text.
    """

    modalities = ("text",)

    def __call__(self, reference: Reference, generated: Generated) -> list[Score]:
        held, made = list(reference.held_out.things), list(generated.sample.things)
        items = is_short(held)
        fresh, mine = pieces(held, items), pieces(made, items)
        if len(fresh) < _LEAST or len(made) < _LEAST:
            return []
        count = f"@{len(made)}/{len(fresh)}"
        typical = np.median([len(t) for t in fresh])
        lengths = [n for n in (LENGTHS[:1] if items else LENGTHS) if n <= typical / (2 if items else 1)]
        what = [*(["items"] if items else []), *([f"spans of {'/'.join(map(str, lengths))}"] if lengths else [])]
        name = f"told apart[{', '.join(what)}]{count}"
        if not any(mine):
            return [Score(name, 1.0, 1.0, 1.0, len(made), False, ("NOISE: all texts are empty",))]
        corpus = _corpus(list(reference.train.things), set(made), items)
        letters = Backoff([characters(t) for t in corpus], ORDERS)
        word_codes, codes = coded(corpus)
        words = Backoff(word_codes, WORD_ORDERS)
        theirs, ours = (Texts(texts, letters, words, codes) for texts in (fresh, mine))
        rules = Rules([t[1:-1] for t in corpus]) if items else None
        marks = None if rules is None else (rules.broken(mine), rules.broken(fresh))
        apart = _told_apart(ours, theirs, lengths, marks)
        value, low, high, power = _summary(apart)
        bits, excess = _bits(ours, theirs)
        known = _known(ours, theirs)
        kept = _kept(rules, marks) if rules is not None and marks is not None else None
        salad = low >= (ITEMS_FOUND_OUT if items else FOUND_OUT) and excess >= SURPRISED
        noise = _noise(bits, known, kept) if salad else ()
        caveat = f"with so many texts {0.5 + power:.2f} would be told from 0.5 four times in five"
        return [
            Score(name, value, low, high, len(made), False, (*noise, caveat)),
            *([kept.scored(count, len(made), True)] if kept is not None else []),
            bits.scored(count, len(made), None),
            known.scored(count, len(made), None),
        ]


def pieces(texts: Sequence[str], items: bool) -> list[str]:
    """Items with their ends as characters, or stretches of at most 2,000 characters, evenly taken."""
    if items:
        return ["\x02" + t[:PIECE] + "\x03" for t in texts]
    cut = [t[a : a + PIECE] for t in texts for a in range(0, max(len(t) - PIECE // 2, 1), PIECE)]
    return cut if len(cut) <= PIECES else [cut[i * len(cut) // PIECES] for i in range(PIECES)]


def _corpus(train: list[str], made: set[str], items: bool) -> list[str]:
    """Training texts to read with, in a random but settled order, without those that are to be judged."""
    others = [t for t in train if t not in made]
    if 2 * len(others) < len(train):
        others = train
    out, left = [], CORPUS
    for i in np.random.Generator(np.random.Philox(0)).permutation(len(others)):
        text = others[i][:left]
        out.append("\x02" + text + "\x03" if items else text)
        left -= len(text)
        if left <= 0:
            break
    return out


def _told_apart(ours: Texts, theirs: Texts, lengths: Sequence[int], rules: tuple[Marks, Marks] | None) -> list[Judged]:
    """One outcome for each length of span; for items, given which rules each of them breaks, one for whole items."""
    chance = np.random.Generator(np.random.Philox(0))
    cuts = [pairs(ours.lengths, theirs.lengths, n, SPANS, chance) for n in lengths]
    found = [_judge((mine, real), (ours.dense(mine), theirs.dense(real)), ours, theirs) for mine, real in cuts]
    if rules is not None:
        mine, real = wholes(ours.lengths), wholes(theirs.lengths)
        dense = [
            np.column_stack([t.dense(spans), broken, broken.sum(1)])
            for t, spans, broken in ((ours, mine, rules[0]), (theirs, real, rules[1]))
        ]
        found.append(replace(_judge((mine, real), (dense[0], dense[1]), ours, theirs), weight=WHOLE))
    return found


def _judge(spans: tuple[list[Span], list[Span]], features: tuple[Array, Array], ours: Texts, theirs: Texts) -> Judged:
    from scipy.sparse import vstack
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    mine, real = spans
    dense = np.concatenate(features)
    sparse = vstack([ours.sparse(mine), theirs.sparse(real)]).tocsr()
    owner = np.array([s.text for s in (*mine, *real)])
    y = np.repeat([1, 0], [len(mine), len(real)])
    share, asked = np.zeros(len(y)), np.zeros(len(y), dtype=np.bool_)
    for f in range(FOLDS):
        test, rest = owner % FOLDS == f, owner % FOLDS != f
        if len(set(y[test])) < 2 or len(set(y[rest])) < 2:
            continue  # all spans of one side come from a few texts
        trees = HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=8, learning_rate=0.2, early_stopping=False, random_state=0
        ).fit(dense[rest], y[rest])
        linear = LogisticRegression(C=10.0, solver="liblinear", random_state=0).fit(sparse[rest], y[rest])
        suspicion = trees.decision_function(dense[test]) + linear.decision_function(sparse[test])
        is_made = y[test] == 1
        part = np.empty(len(suspicion))
        part[is_made] = _below(suspicion[is_made], suspicion[~is_made])
        part[~is_made] = 1.0 - _below(suspicion[~is_made], suspicion[is_made])
        share[test], asked[test] = part, True
    made, fresh = asked & (y == 1), asked & (y == 0)
    return Judged(share[made], share[fresh], owner[made], owner[fresh])


def _below(values: Array, others: Array) -> Array:
    """For each value the share of the others that lie below it, ties counting half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(others))


def _summary(apart: Sequence[Judged]) -> tuple[float, float, float, float]:
    """Mean area, its 95 % interval, and how far from 0.5 one must lie to be told from it with a power of 80 %."""
    found = [j for j in apart if len(j.made)]
    if not found:
        return 1.0, 0.5, 1.0, 0.5
    weights = [j.weight / sum(k.weight for k in found) for j in found]
    value = float(sum(w * j.made.mean() for w, j in zip(weights, found, strict=True)))
    variance = 0.0
    for side in ("made", "real"):
        texts: dict[int, float] = {}  # what each text, by all its spans, adds to the deviation of the mean
        for w, j in zip(weights, found, strict=True):
            values, owners = (j.made, j.made_owner) if side == "made" else (j.real, j.real_owner)
            for owner, gap in zip(owners.tolist(), (values - values.mean()).tolist(), strict=True):
                texts[owner] = texts.get(owner, 0.0) + w * gap / len(values)
        variance += sum(d * d for d in texts.values())
    low, high = around(value, math.sqrt(variance * _SHARED))
    # of equal sets the area has the variance (1/n + 1/m) / 12; spans of unlike lengths are taken to agree fully
    null = float(np.mean([math.sqrt((1 / len(j.made) + 1 / len(j.real)) / 12) for j in found]))
    return value, max(0.0, low), min(1.0, high), min(0.5, 2.8 * null * math.sqrt(_SHARED))


@dataclass(frozen=True)
class _Measured:
    """A mean over the symbols of generated texts, its interval over texts, and what fresh text has."""

    name: str
    value: float
    low: float
    high: float
    fresh: float
    example: str = ""

    def scored(self, count: str, n: int, higher: bool | None) -> Score:
        """The score, with what fresh text has for a caveat."""
        caveats = (f"held-out text: {self.fresh:.3f}",)
        return Score(f"{self.name}{count}", self.value, self.low, self.high, n, higher, caveats)


def _ratio(name: str, sums: Array, sizes: Array, fresh: float) -> _Measured:
    """sum / sum over texts, with the interval of a ratio by linearisation."""
    if not sizes.sum():
        return _Measured(name, 0.0, 0.0, 0.0, fresh)
    value = float(sums.sum() / sizes.sum())
    low, high = of_mean(value + (sums - value * sizes) / sizes.mean())
    return _Measured(name, value, max(0.0, low), high, fresh)


def _sums(values: Array, spans: Sequence[tuple[int, int]]) -> Array:
    """Sum of the values in each of some stretches."""
    upto = np.concatenate([[0.0], np.cumsum(values)])
    return np.array([upto[b] - upto[a] for a, b in spans])


def _bits(ours: Texts, theirs: Texts) -> tuple[_Measured, float]:
    """Bits a character at the order that reads fresh text best, and by what share they are too many at least."""
    mine, real = ours.reading, theirs.reading
    sizes = np.array(theirs.lengths, dtype=np.float64)
    every = np.array([_sums(real.bits[:, k], real.spans).sum() for k in range(ORDERS)]) / sizes.sum()
    order = int(every.argmin())
    name = f"reference bits/char[order {order + 1}]"
    found = _ratio(name, _sums(mine.bits[:, order], mine.spans), np.array(ours.lengths, float), float(every[order]))
    return found, found.low / max(found.fresh, 1e-9) - 1.0


def _known(ours: Texts, theirs: Texts) -> _Measured:
    """Share of known words, or of known grams where words do not repeat; with what fresh text has."""
    (a, b), (c, d) = _known_words(theirs), _known_words(ours)
    if b.sum() and a.sum() / b.sum() >= WORDLIKE:
        return _ratio("known[words]", c, d, float(a.sum() / b.sum()))
    (a, b), (c, d) = _known_grams(theirs), _known_grams(ours)
    return _ratio(f"known[{_GRAM} characters]", c, d, float(a.sum() / max(b.sum(), 1.0)))


def _known_words(texts: Texts) -> tuple[Array, Array]:
    spans = texts.word_reading.spans
    letters = np.zeros(len(texts.word_reading.known))
    for (a, b), found in zip(spans, texts.places, strict=True):
        letters[a:b] = [m.group()[0].isalpha() for m in found]
    return _sums(texts.word_reading.known[:, 0] * letters, spans), _sums(letters, spans)


def _known_grams(texts: Texts) -> tuple[Array, Array]:
    inside = [(min(a + _GRAM - 1, b), b) for a, b in texts.reading.spans]
    known = texts.reading.known[:, _GRAM - 1].astype(np.float64)
    return _sums(known, inside), np.array([b - a for a, b in inside], dtype=np.float64)


def _kept(rules: Rules, marks: tuple[Marks, Marks]) -> _Measured | None:
    """Share of items that break no rule of the training items; the example is the rule that is broken most."""
    if not len(rules):
        return None
    mine, fresh = marks
    whole = int((~mine.any(1)).sum())
    low, high = wilson(whole, len(mine))
    example = rules.words[int(mine.mean(0).argmax())]
    name = f"rules kept[{len(rules)} rules]"
    return _Measured(name, whole / len(mine), low, high, float((~fresh.any(1)).mean()), example)


def _noise(bits: _Measured, known: _Measured, kept: _Measured | None) -> tuple[str, ...]:
    """The caveat that says in words why this is no text."""
    if kept is not None and kept.high < BROKEN * kept.fresh:
        return (
            f"NOISE: {100 * (1 - kept.value):.0f} % of its items break a rule that the data keep "
            f"({kept.example}), of fresh items {100 * (1 - kept.fresh):.0f} %",
        )
    unknown, usual = 1.0 - known.high, 1.0 - known.fresh
    if unknown > 2 * usual + SURPRISED:
        words = "words" if "words" in known.name else f"strings of {_GRAM} characters"
        return (
            f"NOISE: {100 * (1 - known.value):.0f} % of its {words} are not {words} of the data, "
            f"of fresh text {100 * usual:.0f} %",
        )
    return (
        f"NOISE: a model of the data needs {bits.value:.2f} bits for each of its characters, "
        f"for fresh text {bits.fresh:.2f}",
    )
