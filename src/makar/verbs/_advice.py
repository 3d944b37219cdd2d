"""Advice in plain sentences, each computed from the numbers of a summary, and each with something that can be done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from makar.verbs.verdict import TIERS, anchor
from makar.verbs.words import duration, listed, number, short

if TYPE_CHECKING:  # the summary asks for the advice, so the types are named and not imported
    from makar.verbs.summary import FamilySummary, Summary

_FASTER = 3.0  # how many times faster a family must be to be worth naming
_STILL_FALLING = 0.02  # share of its loss's whole fall that came in the last quarter: more steps would help
_MORE = 4  # times the budget that is worth trying
_FEW = 100  # held-out items under which intervals are too wide to rank by
_NEEDED = re.compile(r"--budget (\d+)s")
_HELD_OUT = re.compile(r"@\d+/(\d+)")


def advise(summary: Summary) -> list[str]:
    """Two to five sentences: what to take or what to do next, what if time matters, what to beware of."""
    ranked = [f for f in summary.families if f.headline is not None]
    if not ranked or summary.headline is None:
        return [_nothing(summary), *_beware(summary)]
    good = [f for f in ranked if f.verdict == "good"]
    said = [_best(summary, good)] if good else _next_steps(summary, ranked)
    return said + _latency(summary, good) + _beware(summary)


def _nothing(summary: Summary) -> str:
    if summary.interrupted:
        return "The race was stopped before a family came to a score; the same command goes on from here."
    return "No family came to a score; the reasons stand with each."


def _best(summary: Summary, good: Sequence[FamilySummary]) -> str:
    best, name = good[0], short(summary.headline or "")
    ties = [f.family for f in good[1:] if _overlap(best, f)]
    tail = f", though {listed(ties[:3])} cannot be told apart from it" if ties else ""
    floor = summary.floor.get(summary.headline or "")
    held = "" if floor is None else f"; the training set itself scores {number(floor.value)}"
    return (
        f"For {summary.data} and a budget of {summary.budget}, take {best.family}: {name} {_range(best)}{held}{tail}."
    )


def _next_steps(summary: Summary, ranked: Sequence[FamilySummary]) -> list[str]:
    """What to do where no family is good: which two to go on with, and with what; or what in the data is in the way."""
    start = f"No family is good yet on {summary.data} with {summary.budget} each"
    able = [f for f in ranked if TIERS[f.verdict] == 1]
    if not able:
        return [f"{start}: {_counted(ranked)}. {_way_out(summary, ranked)}"]
    two = able[:2]
    sentences = [f"{start}; nearest is {_nearest(two[0])}" + (f", then {_nearest(two[1])}." if two[1:] else ".")]
    obstacle = _obstacle(summary)
    falling = [f for f in two if f.falling is not None and f.falling > _STILL_FALLING]
    names = ",".join(f.family for f in (falling or two))
    if obstacle:
        sentences.append(obstacle)
    if falling:
        verb = "was" if len(falling) == 1 else "were"
        sentences.append(
            f"{listed([f.family for f in falling])} {verb} still learning at the end ({falling[0].falling:.0%} of the "
            f"fall of the loss came in the last quarter): run again with --families {names} and --budget "
            f"{_longer(summary.budget)}."
        )
    elif not obstacle:
        sentences.append(_way_out(summary, two))
    return sentences


def _nearest(f: FamilySummary) -> str:
    return f"{f.family} ({f.verdict}: {f.reasons[0]})" if f.reasons else f.family


def _counted(ranked: Sequence[FamilySummary]) -> str:
    kinds = dict.fromkeys(f.verdict for f in ranked)
    return ", ".join(f"{listed([f.family for f in ranked if f.verdict == kind])} {kind}" for kind in kinds)


def _way_out(summary: Summary, families: Sequence[FamilySummary]) -> str:
    longer = _longer(summary.budget)
    if summary.left_out:
        return f"Families that were left out may do better; or try --budget {longer}."
    if summary.modality == "pictures":
        return f"Try --budget {longer}, or pictures of fewer pixels (--size)."
    return f"Try --budget {longer}, or more data."


def _obstacle(summary: Summary) -> str:
    """What in the data stands in the way of telling good from trivial, or an empty string."""
    top, bottom = (anchor(scores, summary.headline) for scores in (summary.ceiling, summary.floor))
    match = _HELD_OUT.search(summary.headline or "")
    if match and int(match[1]) < _FEW:
        return (
            f"Only {match[1]} held-out items stand behind the scores, too few to tell families apart: bring more data, "
            "or hold out more (--held-out 0.4)."
        )
    better = None if top is None or bottom is None else (top - bottom) * (-1 if summary.higher_is_better else 1)
    if better is not None and better <= 0:
        return (
            f"Real training items score {number(bottom)} and a trivial model {number(top)}: these data have little "
            "structure that the scores could see."
        )
    return ""


def _longer(budget: str) -> str:
    """The budget several times over, as it is written on the command line: "20 CPU seconds" is "80s"."""
    match = re.match(r"([0-9.e+-]+) (CPU second|second|step)", budget)
    if match is None:
        return f"of {_MORE} times as much"
    unit = {"CPU second": "s", "second": "s wall", "step": " steps"}[match[2]]
    amount = f"{float(match[1]) * _MORE:g}{unit}"
    return f"'{amount}'" if " " in amount else amount


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


def _beware(summary: Summary) -> list[str]:
    families, said = summary.families, []
    for verdict, one, many, why in (
        ("copies", "makes", "make", "near-copies of training items, so a good score means little"),
        ("collapsed", "makes", "make", "the same thing over and over"),
        ("noisy", "makes", "make", "what a person would throw away at a glance"),
        ("misses variety", "leaves", "leave", "out part of the data (low recall)"),
    ):
        found = [f.family for f in families if f.verdict == verdict]
        if found:
            lead = "Beware: " if verdict == "copies" else ""
            said.append(f"{lead}{listed(found)} {one if len(found) == 1 else many} {why}.")
    broken = [f for f in families if f.failures]
    if broken:
        counted = listed([f"{f.family} ({len(f.failures)})" for f in broken])
        said.append(f"Some trainings did not come to an end: {counted}.")
    return said + _left_out(summary)


def _left_out(summary: Summary) -> list[str]:
    """Who did not race, and the budget with which all of them could that lack steps; each reason is on the page."""
    if not summary.left_out:
        return []
    needed = [int(found[1]) for why in summary.left_out.values() if (found := _NEEDED.search(why))]
    remedy = f"; with --budget {max(needed)}s {'it' if len(needed) == 1 else 'they'} could race" if needed else ""
    return [f"Left out, for want of steps or memory: {listed(list(summary.left_out))}{remedy}."]


def _range(f: FamilySummary) -> str:
    stat = f.headline
    assert stat is not None, "only ranked families are named"
    if len(stat.values) > 1:
        return f"{number(stat.median)} ({number(stat.low)} to {number(stat.high)} over {len(stat.values)} seeds)"
    return f"{number(stat.median)} ({number(stat.low)} to {number(stat.high)}, one seed)"


def _overlap(a: FamilySummary, b: FamilySummary) -> bool:
    return bool(a.headline and b.headline and a.headline.low <= b.headline.high and b.headline.low <= a.headline.high)
