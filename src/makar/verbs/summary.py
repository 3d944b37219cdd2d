"""Summary: what the cells of a comparison say, computed and never opined.

Every figure is a median over seeds beside its worst seed. A family is called good only if it is better than the trivial
ceiling by most of the way to the floor, keeps the data's variety (recall), and neither copies the training set nor
strays further from it than fresh data does (nearest-neighbour ratio); `verdict.py` has the thresholds. What nobody
should take (copies, collapsed, noise, trivial) is listed after the rest and does not compete for the Pareto fronts,
which hold the families that no other beats on quality and cost at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from statistics import median

from pydantic import Field

from makar.metrics._stability import over_seeds
from makar.verbs._advice import advise
from makar.verbs._align import align
from makar.verbs.protocol import Cell, Protocol, Record, Value
from makar.verbs.verdict import CLOSED, NEAREST, RECALL, TIERS, Case, Stat, Verdict, anchor, judge

HEADLINES: dict[str, tuple[str, ...]] = {
    "pictures": ("fd[",),
    "text": ("told apart[", "bits/byte (exact)", "bits/byte"),
    "rows": ("table gap", "c2st-boosting"),
    "points": ("energy[", "kd["),
}
_ROLES: dict[str, tuple[str, ...]] = {
    "precision": ("precision",),
    "recall": ("recall",),
    "nearest": ("nn ratio",),
    "agreement": ("agreement",),
}
_ROLES_OF_ROWS: dict[str, tuple[str, ...]] = {"recall": ("mode coverage",), "closest": ("dcr ratio",)}
"""Of tables: balls around rows call independent columns complete, and honest models lie nearer or farther than fresh
rows do, so the one is told by the kinds of rows that are made and the other is shown without being judged by."""


class Stability(Record):
    """How steady one family is over the seeds that came to an end."""

    iqm: float | None = None  # interquartile mean of the headline score
    std: float | None = None  # of which there must be two seeds
    collapsed: float | None = None  # share of seeds whose outputs are all alike, or whose recall is below 0.2
    diverged: float = 0.0  # share of seeds that were halted or have no finite headline score


class FamilySummary(Record):
    """One family."""

    family: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    headline: Stat | None = None
    scores: dict[str, Stat] = Field(default_factory=dict)
    seeds: int = 0  # cells that came to an end
    failures: tuple[str, ...] = ()
    cpu_seconds: float | None = None  # of training, median
    sampling_cpu_seconds: float | None = None  # per thousand items
    latency_p50: float | None = None
    latency_p90: float | None = None
    first_output_s: float | None = None
    peak_mib: float | None = None  # worst seed
    parameters: int | None = None
    size_bytes: int | None = None
    steps: int | None = None
    falling: float | None = None  # share of the whole fall of the loss that came in the last quarter of the training
    flops: float | None = None  # of one item in one training step
    gflops: float | None = None  # 1e9 operations a CPU second of training, counted by hand
    of_peak: float | None = None  # that as a share of what matrix products reach on this machine
    joules: float | None = None  # of a training, median
    spikes: int = 0  # loss spikes noted over all seeds
    halted: int = 0  # trainings that a loss or gradient brought to a halt by not being finite
    stability: Stability = Stability()
    spread: float | None = None  # (worst - best seed) / median of the headline score
    pareto_training: bool = False  # no other family is better for less training
    pareto_sampling: bool = False  # no other family is better for less sampling
    cost_training: float | None = None  # money, at the stated price
    cost_per_thousand: float | None = None  # money for a thousand items, at the stated price


class Summary(Record):
    """A comparison in short. Families are in order of the headline score, best first."""

    data: str
    modality: str
    budget: str
    headline: str | None  # full name of the score that ranks
    higher_is_better: bool = False
    roles: dict[str, str] = Field(default_factory=dict)  # role to full name of the score that plays it
    likelihoods: tuple[str, ...] = ()  # full names; exact ones and bounds are different scores
    floor: dict[str, Value] = Field(default_factory=dict)
    ceiling: dict[str, Value] = Field(default_factory=dict)
    thresholds: dict[str, float] = Field(
        default={"recall": RECALL, "nearest_low": NEAREST[0], "nearest_high": NEAREST[1], "closed": CLOSED}
    )
    families: tuple[FamilySummary, ...]
    advice: tuple[str, ...]
    complete: bool
    left_out: dict[str, str] = Field(default_factory=dict)  # families that did not race, each with its reason
    interrupted: bool = False  # stopped by the user; the same command goes on

    def family(self, name: str) -> FamilySummary:
        return next(f for f in self.families if f.family == name)


def summarise(protocol: Protocol, cells: Sequence[Cell], interrupted: bool = False) -> Summary:
    """The summary of the cells made so far; `interrupted` where the user stopped before the rest."""
    cells = align(cells, protocol.n)
    made = [c for c in cells if c.kind == "cell"]
    anchors = {c.family: c.scores for c in cells if c.kind == "anchor"}
    floor, ceiling = anchors.get("floor", {}), anchors.get("ceiling", {})
    headline = _pick(made, HEADLINES.get(protocol.data.modality, ()))
    played = _ROLES_OF_ROWS if protocol.data.modality == "rows" else _ROLES
    roles = {role: name for role, starts in played.items() if (name := _pick(made, starts)) is not None}
    higher = any(c.scores[headline].higher_is_better for c in made if headline in c.scores) if headline else False
    families = []
    for name in protocol.racing:
        own = [c for c in made if c.family == name]
        if own:
            families.append(_family(name, own, headline, roles, floor, ceiling, protocol))
    if headline is not None and anchor(floor, headline) is None:
        families = [_beside_the_best(f, families, anchor(ceiling, headline), higher) for f in families]
    families = _fronts(families, higher)
    families.sort(key=lambda f: _rank(f, higher))
    summary = Summary(
        data=protocol.data.name,
        modality=protocol.data.modality,
        budget=protocol.limits().words(),
        headline=headline,
        higher_is_better=higher,
        roles=roles,
        likelihoods=tuple(sorted({n for c in made for n in c.scores if n.startswith("bits/")} - {headline})),
        floor=floor,
        ceiling=ceiling,
        families=tuple(families),
        advice=(),
        complete=len(made) == len(protocol.racing) * len(protocol.seeds),
        left_out=protocol.left_out,
        interrupted=interrupted,
    )
    return summary.model_copy(update={"advice": tuple(advise(summary))})


def _pick(cells: Sequence[Cell], starts: Sequence[str]) -> str | None:
    """Full name of the score that most cells have, among those whose names begin with the first of `starts` found."""
    names = Counter(chain.from_iterable(c.scores for c in cells))
    for start in starts:
        found = [(count, name) for name, count in names.items() if name.lower().startswith(start)]
        if found:
            most = max(count for count, _ in found)
            return min(name for count, name in found if count == most)
    return None


def _stat(values: Sequence[Value]) -> Stat | None:
    """A score over seeds; None where no seed has a finite value."""
    found = [v.value for v in values if v.value is not None]
    if not found:
        return None
    higher = values[0].higher_is_better
    low, high = min(found), max(found)
    if len(found) == 1:
        only = next(v for v in values if v.value is not None)
        low, high = (low if only.low is None else only.low), (high if only.high is None else only.high)
    return Stat(
        median=median(found),
        worst=min(found) if higher else max(found),
        low=low,
        high=high,
        values=tuple(found),
        higher_is_better=higher,
        caveats=tuple(dict.fromkeys(chain.from_iterable(v.caveats for v in values))),
    )


def _family(
    name: str,
    cells: Sequence[Cell],
    headline: str | None,
    roles: dict[str, str],
    floor: dict[str, Value],
    ceiling: dict[str, Value],
    protocol: Protocol,
) -> FamilySummary:
    ok = [c for c in cells if c.status == "ok"]
    failures = tuple(f"seed {c.seed}: {c.status}: {c.reason}" for c in cells if c.status != "ok")
    names = dict.fromkeys(chain.from_iterable(c.scores for c in ok))
    scores = {n: s for n in names if (s := _stat([c.scores[n] for c in ok if n in c.scores])) is not None}
    main = scores.get(headline) if headline else None
    case = Case(
        scores=scores, headline=headline, roles=roles, floor=floor, ceiling=ceiling, finished=len(ok),
        failed=len(failures), collapsed=sum(map(_collapsed, ok)), unscored=_unscored(ok),
    )  # fmt: skip
    verdict, reasons = judge(case)
    speeds = [c.speed for c in ok if c.speed is not None]
    cpu = _median([c.cpu_seconds for c in ok])
    thousand = _median([1000.0 / s.per_cpu_second for s in speeds])
    hourly = None if protocol.price is None else protocol.price / 3600.0
    gflops = _median([_gflops(c) for c in ok])
    peak = protocol.machine.fp32_gflops
    return FamilySummary(
        family=name,
        verdict=verdict,
        reasons=reasons,
        headline=main,
        scores=scores,
        seeds=len(ok),
        failures=failures,
        cpu_seconds=cpu,
        sampling_cpu_seconds=thousand,
        latency_p50=_median([s.latency_p50 for s in speeds]),
        latency_p90=_median([s.latency_p90 for s in speeds]),
        first_output_s=_median([s.first_output_s for s in speeds]),
        peak_mib=max((c.peak_mib for c in ok if c.peak_mib is not None), default=None),
        parameters=next((c.parameters for c in ok), None),
        size_bytes=next((c.size_bytes for c in ok), None),
        steps=_whole([c.steps for c in ok]),
        falling=_median([_falling(c) for c in ok]),
        flops=next((c.flops for c in ok), None),
        gflops=gflops,
        of_peak=None if gflops is None or not peak else gflops / peak,
        joules=_median([c.joules for c in ok]),
        spikes=sum(e.get("kind") == "spike" for c in ok for e in c.events),
        halted=sum(map(_halted, ok)),
        spread=abs(main.high - main.low) / abs(main.median) if main and len(main.values) > 1 and main.median else None,
        stability=_stability(ok, headline, roles.get("recall")),
        cost_training=None if hourly is None or cpu is None else cpu * hourly,
        cost_per_thousand=None if hourly is None or thousand is None else thousand * hourly,
    )


def _gflops(cell: Cell) -> float | None:
    return cell.training_flops / cell.cpu_seconds / 1e9 if cell.training_flops and cell.cpu_seconds else None


def _falling(cell: Cell) -> float | None:
    """Share of the fall of a loss, smoothed, that came in its last quarter; None for one pass or a loss that rose."""
    losses = [loss for point in cell.history if (loss := point.get("loss")) is not None]
    if len(losses) < 16:
        return None
    width = max(2, len(losses) // 8)
    first, before, last = (
        median(losses[i : i + width]) for i in (0, 3 * len(losses) // 4 - width, len(losses) - width)
    )
    return (before - last) / (first - last) if first > last else None


def _unscored(cells: Sequence[Cell]) -> str:
    """Why a cell was not scored, or an empty string."""
    return next((str(e.get("why")) for c in cells for e in c.events if e.get("kind") == "unscored"), "")


def _collapsed(cell: Cell) -> bool:
    return any(event.get("kind") == "collapse" for event in cell.events)


def _halted(cell: Cell) -> bool:
    return any(event.get("kind") == "non-finite" for event in cell.events)


def _stability(cells: Sequence[Cell], headline: str | None, recall: str | None) -> Stability:
    finite = [c.scores[headline].value for c in cells if headline in c.scores] if headline else []
    results = [math.nan if value is None else value for value in finite]
    if not results or headline is None:
        return Stability()
    gone = [_halted(c) or c.scores[headline].value is None for c in cells if headline in c.scores]
    recalls = [v for c in cells if (v := _recall(c, recall)) is not None]
    higher = next(bool(c.scores[headline].higher_is_better) for c in cells if headline in c.scores)
    seeds = over_seeds(results, gone, recalls, higher)
    return Stability(
        iqm=seeds.iqm if math.isfinite(seeds.iqm) else None,
        std=seeds.std if seeds.n > 1 else None,
        collapsed=seeds.collapsed if recalls else None,
        diverged=seeds.diverged,
    )


def _recall(cell: Cell, name: str | None) -> float | None:
    """The recall of a cell, 0 where its outputs are all alike; None where neither is known."""
    if _collapsed(cell):
        return 0.0
    return cell.scores[name].value if name is not None and name in cell.scores else None


def _median(values: Sequence[float | None]) -> float | None:
    found = [v for v in values if v is not None]
    return median(found) if found else None


def _whole(values: Sequence[int | None]) -> int | None:
    found = _median(values)
    return None if found is None else round(found)


def _beside_the_best(
    f: FamilySummary, families: Sequence[FamilySummary], top: float | None, higher: bool
) -> FamilySummary:
    """Where the data have no floor (nothing says how few bits a text takes), the best family stands for it."""
    able = [g for g in families if g.headline is not None and TIERS[g.verdict] < 2]
    if top is None or f.headline is None or f.verdict != "good" or not able:
        return f
    best = min(able, key=lambda g: _loss(g, higher))
    assert best.headline is not None, "only families with a headline score were asked"
    closed = (top - f.headline.median) / (top - best.headline.median)
    if closed >= CLOSED:
        return f
    why = f"it goes {closed:.0%} of the way from ceiling to the best family ({best.family}), less than {CLOSED:.0%}"
    return f.model_copy(update={"verdict": "rough", "reasons": (why,)})


def _rank(f: FamilySummary, higher: bool) -> tuple[int, float, str]:
    tier = TIERS[f.verdict]
    if f.headline is None:
        return (tier, math.inf, f.family)
    return (tier, -f.headline.median if higher else f.headline.median, f.family)


def _fronts(families: Sequence[FamilySummary], higher: bool) -> list[FamilySummary]:
    """The families with their membership of both Pareto fronts."""
    able = [f for f in families if f.headline is not None and TIERS[f.verdict] < 2]
    training = pareto([(f.family, f.cpu_seconds, _loss(f, higher)) for f in able])
    sampling = pareto([(f.family, f.sampling_cpu_seconds, _loss(f, higher)) for f in able])
    return [
        f.model_copy(update={"pareto_training": f.family in training, "pareto_sampling": f.family in sampling})
        for f in families
    ]


def _loss(f: FamilySummary, higher: bool) -> float:
    assert f.headline is not None, "only families with a headline score compete"
    return -f.headline.median if higher else f.headline.median


def pareto(points: Sequence[tuple[str, float | None, float]]) -> set[str]:
    """Names of the points (name, cost, loss) for which no other costs and loses at most as much, and less of one."""
    known = [(name, cost, loss) for name, cost, loss in points if cost is not None]
    return {
        name
        for name, cost, loss in known
        if not any(c <= cost and q <= loss and (c < cost or q < loss) for _, c, q in known)
    }
