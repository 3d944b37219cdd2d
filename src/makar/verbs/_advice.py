"""Advice in plain sentences, each computed from the numbers of a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from makar.verbs.words import duration, listed, number, short

if TYPE_CHECKING:  # the summary asks for the advice, so the types are named and not imported
    from makar.verbs.summary import FamilySummary, Summary

_FASTER = 3.0  # how many times faster a family must be to be worth naming


def advise(summary: Summary) -> list[str]:
    """Two to four sentences: what to take, what to take if time matters, what to beware of."""
    ranked = [f for f in summary.families if f.headline is not None]
    if not ranked or summary.headline is None:
        return ["No family came to a score yet; the reasons stand with each."]
    good = [f for f in ranked if f.verdict == "good"]
    said = [_best(summary, ranked, good)]
    said += _latency(summary, good)
    said += _beware(summary.families)
    return said


def _best(summary: Summary, ranked: Sequence[FamilySummary], good: Sequence[FamilySummary]) -> str:
    name = short(summary.headline or "")
    start = f"For {summary.data} and a budget of {summary.budget}, "
    if not good:
        first = ranked[0]
        why = f": {first.reasons[0]}" if first.reasons else ""
        return (
            f"{start}no family passed every check; {first.family} has the best {name}, {_range(first)}, "
            f"but is judged \u201c{first.verdict}\u201d{why}."
        )
    best = good[0]
    ties = [f.family for f in good[1:] if _overlap(best, f)]
    tail = f", though {listed(ties[:3])} cannot be told apart from it" if ties else ""
    floor = summary.floor.get(summary.headline or "")
    held = "" if floor is None else f"; the training set itself scores {number(floor.value)}"
    return f"{start}take {best.family}: {name} {_range(best)}{held}{tail}."


def _latency(summary: Summary, choice: Sequence[FamilySummary]) -> list[str]:
    if not choice:
        return []
    best = choice[0]
    timed = [f for f in choice if f.latency_p50]
    if not timed or not best.latency_p50:
        return []
    quick = min(timed, key=lambda f: f.latency_p50 or 0.0)
    if quick.family == best.family:
        return [f"It is also the quickest of them: one item in {duration(best.latency_p50)}."] if len(timed) > 1 else []
    times = best.latency_p50 / (quick.latency_p50 or 1.0)
    if times < _FASTER:
        return []
    return [
        f"If latency matters take {quick.family}: one item in {duration(quick.latency_p50)}, {times:.0f} times quicker "
        f"than {best.family} ({duration(best.latency_p50)}), with {short(summary.headline or '')} {_range(quick)}."
    ]


def _beware(families: Sequence[FamilySummary]) -> list[str]:
    said = []
    copiers = [f.family for f in families if f.verdict == "copies"]
    if copiers:
        verb = "makes" if len(copiers) == 1 else "make"
        said.append(f"Beware: {listed(copiers)} {verb} near-copies of training items, so a good score means little.")
    broken = [f for f in families if f.failures]
    if broken:
        counted = listed([f"{f.family} ({len(f.failures)})" for f in broken])
        said.append(f"Some trainings did not come to an end: {counted}.")
    narrow = [f.family for f in families if f.verdict == "misses variety"]
    if narrow:
        verb = "leaves" if len(narrow) == 1 else "leave"
        said.append(f"{listed(narrow)} {verb} out part of the data (low recall).")
    return said


def _range(f: FamilySummary) -> str:
    stat = f.headline
    assert stat is not None, "only ranked families are named"
    if len(stat.values) > 1:
        return f"{number(stat.median)} ({number(stat.low)} to {number(stat.high)} over {len(stat.values)} seeds)"
    return f"{number(stat.median)} ({number(stat.low)} to {number(stat.high)}, one seed)"


def _overlap(a: FamilySummary, b: FamilySummary) -> bool:
    return bool(a.headline and b.headline and a.headline.low <= b.headline.high and b.headline.low <= a.headline.high)
