"""Stability: the same family at half, once and twice its learning rate, each with several seeds.

A family that works at one rate and one seed may have been lucky. Over the grid of rates and seeds this reports

    diverged     share of trainings with a loss that is not finite, or no better than the untrained model
    collapsed    share whose outputs are all alike (see `collapse`), or whose recall is below 0.2
    worst seed   of the headline score at each rate, beside the median; never the best
    basin        share of the rates whose median comes within 10 % of the best, and the factor they span

(`evaluation.md` A.7; the definitions are those of `metrics/_stability.py`.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from statistics import median
from typing import Any

from makar.core.codec import Codec
from makar.core.errors import MakarError, NonFinite
from makar.core.score import Score
from makar.data import Dataset
from makar.metrics._stability import curve, diverged, over_seeds, rate_tolerance
from makar.verbs.budget import Budget
from makar.verbs.cell import warm_up
from makar.verbs.protocol import Record
from makar.verbs.sample import draw
from makar.verbs.score import Yardstick, enough, held_out, score_things, wanted_labels, yardstick
from makar.verbs.summary import HEADLINES
from makar.verbs.train import Run, deterministic, fit, prepare, settle
from makar.verbs.trained import Trained
from makar.verbs.words import listed, number, short

FACTORS = (0.5, 1.0, 2.0)
_READING = 20.0  # CPU seconds for the likelihood of held-out items


class Trial(Record):
    """One training."""

    rate: float
    seed: int
    value: float | None  # headline score; None where there is no finite one
    recall: float | None = None
    diverged: bool
    collapsed: bool = False
    spikes: int = 0
    reason: str = ""  # where the training could not begin


class Rate(Record):
    """All seeds at one learning rate."""

    rate: float
    factor: float  # of the family's own rate
    median: float | None
    worst: float | None  # None where a seed has no finite score
    std: float | None  # None with one seed
    diverged: float  # share of seeds
    collapsed: float  # share of seeds
    spikes: int


class Stability(Record):
    """How steady a family is."""

    family: str
    data: str
    budget: str
    seeds: int
    headline: str
    higher_is_better: bool
    untrained: float | None
    rates: tuple[Rate, ...]
    diverged: float  # share of all trainings
    collapsed: float  # share of all trainings
    basin: float  # share of the rates within 10 % of the best
    span: float  # factor between the largest and the smallest rate of the unbroken run around the best within 10 %
    trials: tuple[Trial, ...]

    def words(self) -> str:
        """A small table and a sentence."""
        better = "higher" if self.higher_is_better else "lower"
        lines = [
            f"{self.family} on {self.data}: {self.budget} each, {self.seeds} seeds; "
            f"{self.headline}, {better} is better",
            f"{'rate':>9} {'median':>8} {'worst':>8} {'std':>8} {'diverged':>9} {'collapsed':>10} {'spikes':>7}",
        ]
        lines += [
            f"{r.rate:>9.2g} {number(r.median):>8} {number(r.worst):>8} {number(r.std):>8} {r.diverged:>9.0%} "
            f"{r.collapsed:>10.0%} {r.spikes:>7}"
            for r in self.rates
        ]
        within = round(self.basin * len(self.rates))
        lines.append(
            f"{within} of {len(self.rates)} rates come within 10 % of the best (a factor of {self.span:g} around it); "
            f"{self.diverged:.0%} of the trainings diverged, {self.collapsed:.0%} collapsed; "
            f"untrained it scores {number(self.untrained)}"
        )
        return "\n".join(lines)


def stability(
    family: str,
    data: Dataset,
    budget: str | Budget = "5s",
    seeds: int = 3,
    n: int | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Stability:
    """Train `family` at every rate with every seed; n outputs of each are scored. `options` go to `prepare`.

    Raises MakarError for a family that has no learning rate.
    """
    limits = Budget.parse(budget)
    run, codec = prepare(family, data, limits, 0, settings, **options)
    own, at = _rates(run)
    n = n or enough(data)
    warm_up()
    blank = _untrained(run, codec, data)
    stick = yardstick(data)
    before = _scores(blank, data, stick, n, 0)
    headline = _headline(before, data.modality)
    trials: list[Trial] = []
    for factor in FACTORS:
        given = (settings or {}) | at(own * factor)
        for seed in range(seeds):
            try:
                trained = fit(family, data, limits, seed, given, **options)
            except NonFinite as error:  # at the very first step
                trials.append(Trial(rate=own * factor, seed=seed, value=None, diverged=True, reason=str(error)))
                continue
            scores = _scores(trained, data, stick, n, seed)
            trials.append(_trial(trained, own * factor, scores, before[headline]))
    return _report(family, data, limits, seeds, before[headline], own, trials)


def _rates(run: Run) -> tuple[float, Callable[[float], dict[str, Any]]]:
    """The learning rate that a run would use, and the settings by which its family would use another."""
    names = {f.name for f in fields(run.model.config)}
    own = run.learner.settings
    if "rate" in names and own is not None:
        return own.rate, lambda rate: {"rate": rate}
    if "optimiser" in names and own is not None:
        return own.rate, lambda rate: {"optimiser": asdict(replace(own, rate=rate))}
    raise MakarError(
        f"the family '{run.recipe['family']}' has no learning rate of its own to vary: it is fitted by counting, in "
        "closed form or by other models; compare its seeds with `makar compare`"
    )


def _untrained(run: Run, codec: Codec, data: Dataset) -> Trained:
    """The model before its first step, with what it reads off the data beforehand."""
    with deterministic():
        run.learner.prepare(run.x, run.labels)
        return settle(run, codec, data)


def _scores(trained: Trained, data: Dataset, stick: Yardstick, n: int, seed: int) -> dict[str, Score]:
    labels = wanted_labels(trained, stick, n)
    x = draw(trained, n, seed, labels)
    made = trained.things(x, labels)
    return {s.name: s for s in score_things(stick, made, labels, held_out(trained, data, seed, _READING))}


def _headline(scores: dict[str, Score], modality: str) -> str:
    """Full name of the score that ranks in a comparison of this modality."""
    for start in HEADLINES[modality]:
        for name in sorted(scores):
            if name.lower().startswith(start):
                return name
    raise MakarError(f"nothing ranks these {modality}: {listed(HEADLINES[modality])} could not be computed")


def _trial(trained: Trained, rate: float, scores: dict[str, Score], before: Score) -> Trial:
    """What one training came to, beside the score of the untrained model."""
    found = scores.get(before.name)
    value = math.nan if found is None else found.value
    recall = next((s.value for name, s in sorted(scores.items()) if short(name) == "recall"), None)
    losses = [point["loss"] for point in trained.record.history if "loss" in point]
    kinds = [event["kind"] for event in trained.record.events]
    higher = bool(before.higher_is_better)
    return Trial(
        rate=rate,
        seed=trained.record.recipe["seed"],
        value=value if math.isfinite(value) else None,
        recall=recall if recall is not None and math.isfinite(recall) else None,
        diverged="non-finite" in kinds or diverged(value, losses, before.value, higher),
        collapsed="collapse" in kinds or (recall is not None and recall < 0.2),
        spikes=kinds.count("spike") or curve(losses).spikes,
    )


def _at(rate: float, own: float, trials: list[Trial], higher: bool) -> Rate:
    """The summary of the trials at one rate."""
    values = [math.nan if t.value is None else t.value for t in trials]
    seeds = over_seeds(values, [t.diverged for t in trials], (), higher)
    known = [t.value for t in trials if t.value is not None]
    return Rate(
        rate=rate,
        factor=rate / own,
        median=median(known) if known else None,
        worst=seeds.worst if math.isfinite(seeds.worst) else None,
        std=seeds.std if len(known) > 1 else None,
        diverged=seeds.diverged,
        collapsed=sum(t.collapsed for t in trials) / len(trials),
        spikes=sum(t.spikes for t in trials),
    )


def _report(
    family: str, data: Dataset, limits: Budget, seeds: int, before: Score, own: float, trials: list[Trial]
) -> Stability:
    higher = bool(before.higher_is_better)
    rates = list(_by_rate(own, trials, higher))
    medians = {r.rate: math.nan if r.median is None or r.diverged == 1.0 else r.median for r in rates}
    span, basin = rate_tolerance(medians, higher)
    return Stability(
        family=family,
        data=data.name,
        budget=limits.words(),
        seeds=seeds,
        headline=before.name,
        higher_is_better=higher,
        untrained=before.value if math.isfinite(before.value) else None,
        rates=tuple(rates),
        diverged=sum(t.diverged for t in trials) / len(trials),
        collapsed=sum(t.collapsed for t in trials) / len(trials),
        basin=basin,
        span=span,
        trials=tuple(trials),
    )


def _by_rate(own: float, trials: list[Trial], higher: bool) -> Iterator[Rate]:
    for rate in sorted({t.rate for t in trials}):
        yield _at(rate, own, [t for t in trials if t.rate == rate], higher)
