"""Verdicts: what speaks against a family, from its scores and from nothing else.

A metric whose caveat begins with a word in capitals and a colon says that an alarm of its own has gone off: `COPYING`,
`COLLAPSE`, `NOISE`. The other verdicts compare scores with floor, ceiling and the thresholds that stand here.
"""

from __future__ import annotations

from typing import Literal

from makar.verbs.protocol import Record, Value
from makar.verbs.words import number, short

RECALL = 0.75
NEAREST = (0.85, 1.25)
CLOSED = 0.8  # share of the way from ceiling to floor

Verdict = Literal[
    "good", "rough", "misses variety", "unstable", "trivial", "noisy", "collapsed", "copies", "unscored", "failed"
]
TIERS: dict[Verdict, int] = {
    "good": 0,
    "rough": 1, "misses variety": 1, "unstable": 1,
    "trivial": 2, "noisy": 2, "collapsed": 2, "copies": 2,
    "unscored": 3,
    "failed": 4,
}  # fmt: skip
"""Families are listed by these, and by the headline score within each: what nobody should take does not come first."""

ALARMS: dict[str, Verdict] = {"COPYING": "copies", "COLLAPSE": "collapsed", "NOISE": "noisy"}
"""How the caveat begins with which a metric says that its alarm has gone off, the gravest first."""


class Stat(Record):
    """One score of one family over its seeds."""

    median: float
    worst: float
    low: float  # the lowest and highest seed; with one seed, the 95 % interval of its score
    high: float
    values: tuple[float, ...]
    higher_is_better: bool | None
    caveats: tuple[str, ...] = ()  # of all seeds


class Case(Record):
    """What a family is judged by."""

    scores: dict[str, Stat]
    headline: str | None  # full name of the score that ranks
    roles: dict[str, str]  # role to full name of the score that plays it
    floor: dict[str, Value]
    ceiling: dict[str, Value]
    finished: int  # trainings that came to an end
    failed: int
    collapsed: int = 0  # trainings whose outputs were found to be all alike
    unscored: str = ""  # why there are no scores, where a training came to its end

    @property
    def main(self) -> Stat | None:
        """The headline score."""
        return self.scores.get(self.headline) if self.headline else None

    def score(self, role: str) -> Stat | None:
        """The score that plays a role."""
        return self.scores.get(self.roles.get(role, ""))


def anchor(scores: dict[str, Value], name: str | None) -> float | None:
    """The value of a floor's or ceiling's score, where it has one."""
    return scores[name].value if name in scores else None


def judge(case: Case) -> tuple[Verdict, tuple[str, ...]]:
    """Verdict and all that speaks against a family, the gravest first."""
    if not case.finished:
        return "failed", ("no training came to an end",)
    if not case.scores and case.unscored:
        return "unscored", (case.unscored,)
    against = _alarms(case) + _beside_the_anchors(case) + _faults(case)
    if against:
        return against[0][0], tuple(reason for _, reason in against)
    return ("good", ()) if case.main is not None else ("unscored", (f"it has no {case.headline}",))


def _alarms(case: Case) -> list[tuple[Verdict, str]]:
    found: list[tuple[Verdict, str]] = []
    for word, verdict in ALARMS.items():
        fired = [c for s in case.scores.values() for c in s.caveats if c.startswith(f"{word}:")]
        if fired:
            found.append((verdict, fired[0].removeprefix(word).lstrip(": ")))
    if 2 * case.collapsed >= case.finished and not any(verdict == "collapsed" for verdict, _ in found):
        found.append(("collapsed", "its outputs are all alike"))
    # outputs that are all alike are not copies, however near to training items they lie
    return sorted(found, key=lambda item: ("collapsed", "copies", "noisy").index(item[0]))


def _beside_the_anchors(case: Case) -> list[tuple[Verdict, str]]:
    main, top = case.main, anchor(case.ceiling, case.headline)
    if main is None or top is None:
        return []
    sign = 1.0 if main.higher_is_better else -1.0
    if sign * (main.median - top) <= 0:
        return [("trivial", f"its score {number(main.median)} is no better than the ceiling's {number(top)}")]
    if sign * (main.worst - top) <= 0:
        return [("unstable", f"its worst seed ({number(main.worst)}) is no better than the ceiling ({number(top)})")]
    return []


def _faults(case: Case) -> list[tuple[Verdict, str]]:
    against: list[tuple[Verdict, str]] = []
    main, recall, nearest = case.main, case.score("recall"), case.score("nearest")
    if 0 < 2 * case.collapsed < case.finished:
        against.append(("unstable", f"the outputs of {case.collapsed} of its {case.finished} trainings are all alike"))
    if case.failed:
        against.append(("unstable", f"{case.failed} of its trainings did not come to an end"))
    if recall is not None and recall.median < RECALL:
        name = short(case.roles["recall"])
        against.append(("misses variety", f"{name} {recall.median:.2f} < {RECALL}: part of the data is never made"))
    top, bottom = anchor(case.ceiling, case.headline), anchor(case.floor, case.headline)
    if main is not None and top is not None and bottom is not None and top != bottom:
        closed = (top - main.median) / (top - bottom)
        if 0 < closed < CLOSED:
            against.append(("rough", f"it goes {closed:.0%} of the way from ceiling to floor, less than {CLOSED:.0%}"))
    if nearest is not None and nearest.median < NEAREST[0]:
        why = f"nearest-neighbour ratio {nearest.median:.2f} < {NEAREST[0]}: closer to training data than fresh data"
        against.append(("rough", why))
    if nearest is not None and nearest.median > NEAREST[1]:
        why = f"nearest-neighbour ratio {nearest.median:.2f} > {NEAREST[1]}: further from training data than fresh data"
        against.append(("rough", why))
    return against
