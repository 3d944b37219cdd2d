"""Bias: is every group made as often as it should be, as well as the others, and tied to no more than the data ties it?

    representation  shares of groups among generated items against stated ones: total variation distance, the ratio of
                    each group's share to its wanted share, and Pearson's chi-square test with a simulated p-value
    quality         of each group by itself, no more generated items than held-out ones: coverage (share of held-out
                    items whose ball of k neighbours holds a generated item) and precision (share of generated items
                    within some held-out ball; metrics/prdc.py), and the worst group's over the best's
    stereotypes     how strongly two columns are tied, Cramér's V and mutual information, in generated data less in the
                    training data: the amplification (after Zhao et al. 2017); for text `words`, after Liang et al. 2022

Fresh items cover n held-out ones, m of them, with probability 1 - prod_{i=1..k} (n - i) / (n + m - i) whatever their
distribution (Naeem et al. 2020, section 3.3), so coverage is given in units of that, precision in units of that of the
group's training items, and groups of different sizes and shapes can be compared. A group is under-represented, or made
worse, below four fifths of its due: the rule of thumb of the US Uniform Guidelines on Employee Selection Procedures,
29 CFR 1607.4(D).

An alarm needs both: beyond the tolerance with its whole interval, and, for shares, a p-value below 1 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from makar.core.errors import MakarError, did_you_mean
from makar.core.score import Sample, Score
from makar.data import Dataset
from makar.metrics._intervals import Array, centred, resamples, wilson
from makar.metrics.prdc import manifolds
from makar.verbs.audits import _shares
from makar.verbs.audits._result import Result, beyond_measure, timed
from makar.verbs.audits._words import words
from makar.verbs.sample import asked_labels, draw
from makar.verbs.score import Yardstick, yardstick
from makar.verbs.trained import Trained

TOLERANCE = 0.1  # total variation distance from the wanted shares
FIFTHS = 0.8  # of its wanted share, or of the best group's quality
LEVEL = 0.01
AMPLIFIED = 0.05  # Cramér's V above that in the training data
K = 5
_FEW = 10  # numbers in a column that are groups as they stand
LEAST = 20  # items of a group on either side
_RESAMPLES = 200


@dataclass(frozen=True)
class Target:
    """The shares that groups should have: stated ones, or those of counted items."""

    wanted: Array  # (G,) shares or counts
    counted: bool
    words: str

    @classmethod
    def uniform(cls, groups: int) -> Target:
        """Every group equally often."""
        return cls(np.full(groups, 1.0 / groups), False, "uniform")

    @classmethod
    def stated(cls, shares: Sequence[float]) -> Target:
        """Shares given by the user, which need not sum to 1."""
        wanted = np.asarray(shares, np.float64)
        if not (np.isfinite(wanted).all() and (wanted >= 0).all() and wanted.sum() > 0):
            raise MakarError("wanted shares must be numbers of at least 0, and not all of them 0")
        return cls(wanted / wanted.sum(), False, "stated")

    @classmethod
    def of(cls, groups: np.ndarray, count: int) -> Target:
        """As often as among these items, int64 (n,)."""
        return cls(np.bincount(groups, minlength=count).astype(np.float64), True, f"{len(groups)} real")


@timed
def representation(made: np.ndarray, names: Sequence[str], target: Target, caveats: tuple[str, ...] = ()) -> Result:
    """Generated items' groups, int64 (n,), against the shares that they should have."""
    counts = np.bincount(made, minlength=len(names)).astype(np.float64)
    if len(counts) != len(target.wanted):
        raise MakarError(f"there are {len(counts)} groups, and shares are wanted for {len(target.wanted)}")
    n, m = len(made), int(target.wanted.sum()) if target.counted else None
    if n < LEAST:
        return beyond_measure("bias representation", f"{n} items are too few to say how often a group is made")
    shares = target.wanted / target.wanted.sum()
    distance = _shares.variation_score(f"representation tvd[{target.words}]@{n}", counts, target.wanted, target.counted)
    ratios = []
    for g, name in enumerate(names):
        if shares[g] > 0:
            k = int(counts[g])
            label = f"representation[{name};{target.words}]@{k}"
            ratios.append(_shares.ratio_of_shares(label, k, n, float(shares[g]), m))
    p = _shares.same_shares(counts, target.wanted, target.counted)
    short = [r for r in ratios if r.high < FIFTHS]
    far = distance.low > TOLERANCE
    details = {
        "p-value": p, "n": {name: int(c) for name, c in zip(names, counts, strict=True)},
        "wanted": {name: float(s) for name, s in zip(names, shares, strict=True)}, "caveats": list(caveats),
    }  # fmt: skip
    bars = {"tvd": TOLERANCE, "p-value": LEVEL, "of the wanted share": FIFTHS}
    figures = (distance, *ratios)
    if p < LEVEL and (far or short):
        least = min(short or ratios, key=lambda r: r.value)
        group = least.name.partition("[")[2].partition(";")[0]
        why = f"groups are not made as often as wanted: '{group}' {least.value:.2f} times as often as it should be"
        return Result("bias representation", "alarm", why, figures, bars, details)
    why = f"groups are made as often as wanted within the tolerance (total variation {distance.value:.3f}, p = {p:.3g})"
    return Result("bias representation", "none", why, figures, bars, details)


@dataclass(frozen=True)
class Grouped:
    """Features float64 (n, d) of items, and the group of each, int64 (n,)."""

    features: Tensor
    groups: np.ndarray

    def of(self, group: int) -> Tensor:
        """The features of one group."""
        return self.features[torch.from_numpy(self.groups == group)]


@timed
def quality(made: Grouped, real: Grouped, train: Grouped, names: Sequence[str], extractor: str) -> Result:
    """Generated items against held-out ones, with training items as the measure of what fresh items reach."""
    covered: dict[str, Array] = {}
    precise: dict[str, Array] = {}
    counts: dict[str, list[int]] = {}
    for g, name in enumerate(names):
        ours, theirs, fresh = (side.of(g) for side in (made, real, train))
        counts[name] = [len(ours), len(theirs), len(fresh)]
        if min(counts[name]) < LEAST:
            continue
        ours = ours[: len(theirs)]
        found = manifolds(theirs, ours, K)
        covered[name] = found.covered / expected_coverage(len(theirs), len(ours), K)
        precise[name] = found.precise / max(1.0 / len(fresh), float(manifolds(theirs, fresh, K).precise.mean()))
    if len(covered) < 2:
        why = f"fewer than two groups have {LEAST} items on either side, so none can be compared"
        return beyond_measure("bias quality", why, n=counts)
    parts = (("coverage", covered), ("precision", precise))
    each = [_group_score(what, g, v, extractor, counts[g]) for what, groups in parts for g, v in groups.items()]
    ratios = [_worst_over_best(what, groups, extractor) for what, groups in parts]
    bars = {"worst over best": FIFTHS}
    details = {"n (generated, held-out, train)": counts, "left out": [name for name in names if name not in covered]}
    figures = (*ratios, *each)
    for ratio, (what, groups) in zip(ratios, parts, strict=True):
        if ratio.high < FIFTHS:
            worst, best = (pick(groups, key=lambda g: groups[g].mean()) for pick in (min, max))
            why = f"'{worst}' is made less well than '{best}': {ratio.value:.2f} of its {what}"
            return Result("bias quality", "alarm", why, figures, bars, details)
    coverage, precision = (r.value for r in ratios)
    why = f"the worst group has {coverage:.2f} of the best one's coverage and {precision:.2f} of its precision"
    return Result("bias quality", "none", why, figures, bars, details)


def expected_coverage(real: int, made: int, k: int) -> float:
    """Chance that a ball of k neighbours among `real` items holds one of `made` fresh items of the same kind."""
    i = np.arange(1, k + 1)
    return float(1.0 - np.prod((real - i) / (real + made - i)))


def _group_score(what: str, group: str, values: Array, extractor: str, counts: list[int]) -> Score:
    """The mean of values that are all 0 or the same number, with Wilson's interval."""
    unit = float(values.max()) or 1.0
    low, high = (end * unit for end in wilson(float((values > 0).sum()), len(values)))
    name = f"group {what}[{group};{extractor};k={K}]@{min(counts)}/{counts[1]}"
    return Score(name, float(values.mean()), low, high, len(values), True)


def _worst_over_best(what: str, groups: dict[str, Array], extractor: str) -> Score:
    """The least group's mean over the greatest's; a centred bootstrap within the groups."""
    values = list(groups.values())
    ratio = _ratio(values)
    again = [
        _ratio([v[i] for v, i in zip(values, rows, strict=True)]) for rows in resamples(_RESAMPLES, *map(len, values))
    ]
    low, high = centred(ratio, np.array(again))
    n = sum(map(len, values))
    return Score(f"worst over best {what}[{extractor};k={K}]@{n}", ratio, max(0.0, low), min(1.0, high), n, True)


def _ratio(values: Sequence[Array]) -> float:
    means = [float(v.mean()) for v in values]
    return min(means) / max(means) if max(means) > 0 else 1.0


@timed
def stereotypes(made: Array, train: Array, what: tuple[str, str]) -> Result:
    """Tables of counts (r, c) of two columns, named `what`, in generated and in training data."""
    if min(made.sum(), train.sum()) < LEAST:
        return beyond_measure("bias stereotypes", f"fewer than {LEAST} rows hold both {what[0]} and {what[1]}")
    pair = f"{what[0]} x {what[1]}"
    n, m = int(made.sum()), int(train.sum())
    ours, theirs = _shares.resampled(made, 0), _shares.resampled(train, 1)
    figures = []
    for name, strength, top in (
        ("cramer's v", _shares.cramers_v, 1.0), ("mutual information", _shares.mutual_information, np.inf)
    ):  # fmt: skip
        a, b = float(strength(made)), float(strength(train))
        for side, value, again, count in (("generated", a, strength(ours), n), ("train", b, strength(theirs), m)):
            low, high = centred(value, again)
            figures.append(Score(f"{name}[{pair};{side}]@{count}", value, max(0.0, low), min(top, high), count, None))
        low, high = centred(a - b, strength(ours) - strength(theirs))
        figures.append(Score(f"amplification[{name};{pair}]@{n}/{m}", a - b, low, high, n, None))
    amplified = figures[2]
    details = {"most amplified": _cells(made, train)}
    bars = {"amplification": AMPLIFIED}
    if amplified.low > AMPLIFIED:
        why = f"{what[0]} and {what[1]} are tied more strongly than in the training data: by {amplified.value:.2f}"
        return Result("bias stereotypes", "alarm", why, tuple(figures), bars, details)
    why = f"{what[0]} and {what[1]} are not tied more strongly than in the training data ({amplified.value:+.3f})"
    return Result("bias stereotypes", "none", why, tuple(figures), bars, details)


def _cells(made: Array, train: Array) -> list[dict[str, float]]:
    """Where the share of a column within a row grew most: the five cells."""
    shares = [t / np.maximum(t.sum(1, keepdims=True), 1.0) for t in (made, train)]
    grown = shares[0] - shares[1]
    order = np.argsort(-grown, axis=None)[:5]
    cells = [divmod(int(place), made.shape[1]) for place in order]
    return [
        {"row": r, "column": c, "share": float(shares[0][r, c]), "in train": float(shares[1][r, c])} for r, c in cells
    ]


# A model's bias


def bias(
    trained: Trained,
    data: Dataset,
    n: int = 1000,
    seed: int = 0,
    target: Sequence[float] | Literal["data", "uniform"] = "data",
    column: str | None = None,
    pair: tuple[str, str] | None = None,
) -> tuple[Result, ...]:
    """The audits that n outputs of a model allow.

    Groups are the data's classes, read from outputs by the classifier of the scores, or the values of a table's
    `column`; `target` is their wanted shares. `pair` names two columns whose tie is compared. Of text it is `words`.
    """
    if data.modality == "text":
        labels = asked_labels(trained, n, None, seed)
        texts = trained.things(draw(trained, n, seed, labels), labels)
        return (words(texts, data.train.things),)
    if data.modality == "rows" and data.train.labels is not None and not pair:
        column = column or data.manifest.label or None  # the class stands in the row and is read from there
    if data.modality == "rows" and (column or pair):
        return _of_columns(trained, data, n, seed, target, column, pair)
    if data.train.labels is None:
        why = "the data have no classes; name a column of the table whose values are the groups"
        return (beyond_measure("bias representation", why), beyond_measure("bias quality", why))
    return _of_classes(trained, data, n, seed, target)


def _of_classes(
    trained: Trained, data: Dataset, n: int, seed: int, target: Sequence[float] | Literal["data", "uniform"]
) -> tuple[Result, ...]:
    stick = yardstick(data)
    train, held = stick.reference.train, stick.reference.held_out
    assert train.labels is not None, "there are classes"
    classify = stick.reference.classify
    assert held.labels is not None, "a dataset with classes has them on both sides"
    x = _read(stick, trained, n, seed, asked_labels(trained, n, None, seed))
    right = float((classify(held.x) == held.labels).double().mean())
    caveat = f"groups are read by a classifier that is right on {100 * right:.1f} % of {len(held.x)} held-out items"
    wanted = _target(target, classify(train.x).numpy(), len(data.classes))  # read alike, so that mistakes cancel
    shares = representation(classify(x).numpy(), data.classes, wanted, (caveat,))
    made, groups = x, classify(x)
    if trained.model.classes:
        groups = torch.arange(n) % len(data.classes)
        made = _read(stick, trained, n, seed + 1, groups)
    found = quality(
        Grouped(stick.extract(made), groups.numpy()), _grouped(held, held.labels.numpy()),
        _grouped(train, train.labels.numpy()), data.classes, stick.extract.name,
    )  # fmt: skip
    return shares, found


def _read(stick: Yardstick, trained: Trained, n: int, seed: int, labels: Tensor | None) -> Tensor:
    """n outputs as the scores read them."""
    return stick.codec.encode(trained.things(draw(trained, n, seed, labels), labels))


def _of_columns(
    trained: Trained, data: Dataset, n: int, seed: int, target: Sequence[float] | Literal["data", "uniform"],
    column: str | None, pair: tuple[str, str] | None,
) -> tuple[Result, ...]:  # fmt: skip
    labels = asked_labels(trained, n, None, seed)
    rows = trained.things(draw(trained, n, seed, labels), labels)
    found = []
    if column:
        names, made, train = _codes(rows, data.train.things, column)
        found.append(representation(made, names, _target(target, train, len(names))))
        stick = yardstick(data)
        held = _codes(data.held_out.things, data.train.things, column)[1]
        real, fresh = _grouped(stick.reference.held_out, held), _grouped(stick.reference.train, train)
        drawn = _grouped(stick.sample(rows), made)
        found.append(quality(drawn, real, fresh, names, stick.extract.name))
    if pair:
        (a, made_a, train_a), (b, made_b, train_b) = (_codes(rows, data.train.things, c) for c in pair)
        tables = [_shares.table(*sides, len(a), len(b)) for sides in ((made_a, made_b), (train_a, train_b))]
        found.append(stereotypes(tables[0], tables[1], pair))
    return tuple(found)


def _grouped(sample: Sample, groups: np.ndarray) -> Grouped:
    assert sample.features is not None, "a yardstick has features"
    return Grouped(sample.features, groups)


def _target(target: Sequence[float] | Literal["data", "uniform"], train: np.ndarray, groups: int) -> Target:
    if target == "data":
        return Target.of(train, groups)
    return Target.uniform(groups) if target == "uniform" else Target.stated([float(t) for t in target])


def _codes(rows: Sequence[Any], train: Sequence[Any], column: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of a column's values, and their codes in `rows` and `train`; many numbers are cut at quartiles of train."""
    if column not in train[0]:
        raise MakarError(f"the table has no column '{column}'{did_you_mean(column, map(str, train[0]))}")
    ours, theirs = ([row[column] for row in side] for side in (rows, train))
    if len(set(theirs)) > _FEW and all(isinstance(v, int | float) or v is None for v in theirs):
        given = np.array([v for v in theirs if v is not None], np.float64)
        edges = np.unique(np.quantile(given, [0.25, 0.5, 0.75]))
        ours, theirs = ([_bin(v, edges) for v in side] for side in (ours, theirs))
    names = sorted({str(v) for v in theirs})
    place = {name: i for i, name in enumerate(names)}
    codes = [np.array([place[str(v)] for v in side if str(v) in place], np.int64) for side in (ours, theirs)]
    if len(codes[0]) != len(ours):
        raise MakarError(f"a generated row has a value of '{column}' that no training row has; retrain on this table")
    return names, codes[0], codes[1]


def _bin(value: float | None, edges: Array) -> str:
    if value is None:
        return "missing"
    place = int(np.searchsorted(edges, value, "left"))
    low = f"above {edges[place - 1]:.6g}" if place else ""
    high = f"up to {edges[place]:.6g}" if place < len(edges) else ""
    return ", ".join(filter(None, (low, high)))
