"""The summary: known fronts, verdicts at their thresholds, advice that follows from the numbers."""

from __future__ import annotations

from typing import Any

import pytest

from makar.verbs.protocol import Cell, Value
from makar.verbs.summary import FamilySummary, Summary, pareto, summarise
from makar.verbs.verdict import TIERS
from makar.verbs.words import counted, duration, number, short
from tests.verbs import made_up


def one(
    fd: float | list[float],
    recall: float = 0.9,
    nn: float = 1.0,
    caveats: tuple[str, ...] = (),
    failed: int = 0,
) -> FamilySummary:
    """The summary of one family, with floor 0.1 and ceiling 10."""
    values = fd if isinstance(fd, list) else [fd]
    cells = made_up.anchors()
    cells = [
        c.model_copy(update={"scores": {made_up.FD: made_up.value(v)}}) for c, v in zip(cells, (0.1, 10.0), strict=True)
    ]
    for seed, value in enumerate(values):
        scores = {
            made_up.FD: made_up.value(value),
            made_up.RECALL: made_up.value(recall, higher=True),
            made_up.NN: made_up.value(nn, higher=None, caveats=caveats),
        }
        cells.append(made_up.cell("vae", seed, scores=scores))
    cells += [Cell(family="vae", seed=9 + k, status="timeout", reason="too long") for k in range(failed)]
    return summarise(made_up.protocol(families=("vae",)), cells).family("vae")


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({"fd": 0.5}, "good"),
        ({"fd": 10.0}, "trivial"),
        ({"fd": 11.0}, "trivial"),
        ({"fd": [0.5, 0.5, 10.5]}, "unstable"),
        ({"fd": 0.5, "failed": 1}, "unstable"),
        ({"fd": 0.5, "recall": 0.75}, "good"),
        ({"fd": 0.5, "recall": 0.749}, "misses variety"),
        ({"fd": 0.5, "nn": 0.85}, "good"),
        ({"fd": 0.5, "nn": 0.849}, "rough"),
        ({"fd": 0.5, "nn": 1.25}, "good"),
        ({"fd": 0.5, "nn": 1.26}, "rough"),
        ({"fd": 2.07}, "good"),  # (10 - 2.07) / 9.9 = 0.801 of the way
        ({"fd": 2.09}, "rough"),
        ({"fd": 0.01, "nn": 0.2, "caveats": ("COPYING: near",)}, "copies"),
        ({"fd": 11.0, "nn": 0.2, "caveats": ("COPYING: near",)}, "copies"),
    ],
)
def test_verdicts_at_their_thresholds(given: dict[str, Any], verdict: str) -> None:
    found = one(**given)
    assert found.verdict == verdict
    assert bool(found.reasons) == (verdict != "good")


@pytest.mark.parametrize(
    ("modes", "ratio", "verdict"), [(0.95, 3.0, "good"), (0.95, 0.1, "good"), (0.5, 1.0, "misses variety")]
)
def test_rows_are_judged_by_the_gap_and_the_kinds_of_rows(modes: float, ratio: float, verdict: str) -> None:
    """Not by the nearest-neighbour ratio, which called every family of a table rough, nor by recall of balls."""
    gap, kinds, dcr = "table gap[x]@9/9", "mode coverage[k=20]@9/9", "dcr ratio[gower]@9/9"
    cells = [
        c.model_copy(update={"scores": {gap: made_up.value(v)}})
        for c, v in zip(made_up.anchors(), (0.01, 0.8), strict=True)
    ]
    scores = {
        gap: made_up.value(0.1),
        kinds: made_up.value(modes, higher=True),
        dcr: made_up.value(ratio, higher=None),
        made_up.RECALL: made_up.value(0.2, higher=True),
    }
    cells.append(made_up.cell("vae", scores=scores))
    data = made_up.protocol().data.model_copy(update={"modality": "rows"})
    summary = summarise(made_up.protocol(families=("vae",), data=data), cells)
    assert summary.headline == gap
    assert summary.roles == {"recall": kinds, "closest": dcr}
    assert summary.family("vae").verdict == verdict


def test_without_a_floor_the_best_family_stands_for_it() -> None:
    cells = [Cell(kind="anchor", family="ceiling", seed=0, scores={made_up.EXACT: made_up.value(4.2)})]
    data = made_up.protocol().data.model_copy(update={"modality": "text"})
    for family, bits in (("gan", 0.4), ("vae", 1.0), ("realnvp", 2.7)):
        name = "bits/byte (exact)@168"
        cells[0] = cells[0].model_copy(update={"scores": {name: made_up.value(4.2)}})
        cells.append(made_up.cell(family, scores={name: made_up.value(bits)}))
    families = ("gan", "vae", "realnvp")
    summary = summarise(made_up.protocol(data=data, families=families), cells)
    assert [f.verdict for f in summary.families] == ["good", "good", "rough"]  # 84 % and 39 % of the way
    assert "39% of the way from ceiling to the best family (gan)" in summary.family("realnvp").reasons[0]


def test_the_median_and_the_worst_seed_are_told_and_never_the_best_alone() -> None:
    found = one([0.5, 0.3, 0.9])
    assert found.headline is not None
    assert (found.headline.median, found.headline.worst) == (0.5, 0.9)
    assert (found.headline.low, found.headline.high) == (0.3, 0.9)
    assert found.spread == pytest.approx(0.6 / 0.5)
    single = one(0.5)
    assert single.headline is not None
    assert (single.headline.low, single.headline.high) == pytest.approx((0.475, 0.525))  # the score's own interval
    assert single.spread is None


def test_a_pareto_front_known_by_hand() -> None:
    points = [("a", 1.0, 5.0), ("b", 2.0, 3.0), ("c", 3.0, 3.0), ("d", 2.0, 4.0), ("e", 9.0, 1.0), ("f", None, 0.0)]
    assert pareto(points) == {"a", "b", "e"}
    assert pareto([("a", 1.0, 1.0), ("b", 1.0, 1.0)]) == {"a", "b"}
    assert pareto([]) == set()


def whole() -> Summary:
    return summarise(made_up.protocol(), made_up.cells())


def test_families_are_ranked_and_copiers_do_not_stand_on_the_front() -> None:
    summary = whole()
    order = [(TIERS[f.verdict], f.headline.median) for f in summary.families if f.headline]
    assert order == sorted(order), "what nobody should take comes after the rest, however good its score"
    assert summary.families[0].verdict == "good"
    kernel = summary.family("kernel")
    assert kernel.verdict == "copies"
    assert not kernel.pareto_sampling
    assert not kernel.pareto_training
    assert summary.family("gan").pareto_sampling  # nothing honest is cheaper
    assert summary.headline == made_up.FD
    assert summary.roles["nearest"] == made_up.NN
    assert set(summary.likelihoods) == {made_up.EXACT, made_up.BOUND}
    assert not summary.family("gan").scores.keys() & {made_up.EXACT, made_up.BOUND}


def test_the_advice_names_what_the_numbers_name() -> None:
    summary = whole()
    first = summary.families[0]
    assert first.family == "flow_matching"
    assert summary.advice[0].startswith("For digits and a budget of 20 CPU seconds, take flow_matching: fd 0.1")
    assert any("If latency matters take gan" in line and "38 times quicker" in line for line in summary.advice)
    assert any(line.startswith("Beware: kernel makes near-copies") for line in summary.advice)
    assert any("transformer (1)" in line and "masked (1)" in line for line in summary.advice)
    assert any("meanflow leaves out part of the data" in line for line in summary.advice)


def test_it_recommends_nothing_where_nothing_passes() -> None:
    cells = [c for c in made_up.cells() if c.family in ("kernel", "meanflow", "floor", "ceiling")]
    summary = summarise(made_up.protocol(families=("kernel", "meanflow")), cells)
    assert "No family is good yet" in summary.advice[0]
    assert "take " not in summary.advice[0]
    assert "nearest is meanflow (misses variety" in summary.advice[0]
    assert "kernel" not in summary.advice[0], "who copies is not named as a candidate"
    nothing = summarise(made_up.protocol(), [])
    assert nothing.advice == ("No family came to a score; the reasons stand with each.",)
    stopped = summarise(made_up.protocol(), made_up.anchors(), interrupted=True)
    assert stopped.interrupted
    assert stopped.advice[0].startswith("The race was stopped before a family came to a score; the same command")
    assert nothing.families == ()
    assert not nothing.complete


def learning(budget: str, losses: list[float], n: int = 1000) -> Summary:
    """One family that is rough, with a curve of its loss."""
    fd = f"fd[probe]@{n}/{n}"
    cells = [
        c.model_copy(update={"scores": {fd: made_up.value(v)}})
        for c, v in zip(made_up.anchors(), (0.1, 10.0), strict=True)
    ]
    history = tuple({"step": float(i), "loss": loss} for i, loss in enumerate(losses))
    cells.append(made_up.cell("vae", scores={fd: made_up.value(5.0)}, history=history))
    return summarise(made_up.protocol(families=("vae",), budget=budget), cells)


def test_advice_reads_the_curve() -> None:
    """Still falling: the command for a longer race. Level: not."""
    falling = learning("20s", [100.0 - i for i in range(80)])
    assert any("vae was still learning at the end" in line and "--budget 80s" in line for line in falling.advice)
    steps = learning("500 steps", [100.0 - i for i in range(80)])
    assert any("--budget '2000 steps'" in line for line in steps.advice)
    level = learning("20s", [100.0 - i for i in range(40)] + [60.0] * 40)
    assert not any("still learning" in line for line in level.advice)
    assert any("--budget 80s" in line and "--size" in line for line in level.advice), (
        "and there is something to do all the same"
    )


def test_advice_says_what_in_the_data_stands_in_the_way() -> None:
    few = learning("20s", [1.0], n=60)
    assert any("Only 60 held-out items" in line and "--held-out" in line for line in few.advice)


@pytest.mark.parametrize(
    ("caveat", "verdict"), [("COPYING: near", "copies"), ("COLLAPSE: all alike", "collapsed"), ("NOISE: snow", "noisy")]
)
def test_an_alarm_of_a_metric_is_a_verdict_and_the_last_in_the_list(caveat: str, verdict: str) -> None:
    found = one(0.01, caveats=(caveat,))
    assert (found.verdict, found.reasons[0]) == (verdict, caveat.partition(": ")[2])
    both = one(0.01, caveats=(caveat, "COLLAPSE: all alike"))
    assert both.verdict == "collapsed", "a collapsed blur lies near every training picture and copies none"


def aligned(drawn: int, fd: float, floor_there: float) -> FamilySummary:
    """A family scored on `drawn` items, where real items score 0.1 at 1000 and `floor_there` at that number."""
    few = made_up.FD.replace("@1000", f"@{drawn}")
    anchors = [
        c.model_copy(update={"scores": {made_up.FD: made_up.value(v)}})
        for c, v in zip(made_up.anchors(), (0.1, 10.0), strict=True)
    ]
    slow = anchors[0].model_copy(update={"seed": drawn, "scores": {few: made_up.value(floor_there)}})
    cell = made_up.cell("vae", scores={few: made_up.value(fd), "bits/dim (exact)@64": made_up.value(3.0)}, drawn=drawn)
    other = made_up.cell("gan", scores={made_up.FD: made_up.value(0.5), made_up.EXACT: made_up.value(2.0)}, drawn=1000)
    return summarise(made_up.protocol(families=("vae", "gan")), [*anchors, slow, cell, other]).family("vae")


def test_scores_on_fewer_items_share_the_column_moved_by_the_floor() -> None:
    found = aligned(250, fd=0.9, floor_there=0.3)
    assert found.headline is not None
    assert found.headline.median == pytest.approx(0.9 - (0.3 - 0.1))
    assert any("scored on 250 items only" in caveat for caveat in found.headline.caveats)
    assert found.headline.high - found.headline.low == pytest.approx(0.09), "the interval of the few items stays"
    assert found.scores[made_up.EXACT].median == 3.0, "a mean over items is taken as it is"


def test_money_is_shown_only_at_a_stated_price() -> None:
    assert whole().families[0].cost_per_thousand is None
    priced = summarise(made_up.protocol(price=0.36), made_up.cells()).family("gan")
    assert priced.cost_training == pytest.approx(20.0 * 0.0001)
    assert priced.cost_per_thousand == pytest.approx(0.006 * 0.0001)


def test_speed_is_a_share_of_the_machines_peak_and_blank_for_what_counts() -> None:
    cells = [
        made_up.cell("gan", training_flops=63e9 * 20.0 * 0.25, joules=120.0),
        made_up.cell("kernel", training_flops=None),
    ]
    summary = summarise(made_up.protocol(families=("gan", "kernel")), cells)
    gan, kernel = summary.family("gan"), summary.family("kernel")
    assert gan.gflops == pytest.approx(0.25 * 63.0)
    assert gan.of_peak == pytest.approx(0.25)
    assert gan.joules == 120.0
    assert (kernel.gflops, kernel.of_peak, kernel.joules) == (None, None, None)


def test_a_collapse_counts_though_recall_is_unknown() -> None:
    event = {"step": 9, "kind": "collapse", "why": "all alike"}
    scores = {made_up.FD: made_up.value(3.0)}
    dead = [made_up.cell("gan", 0, scores=scores, events=(event,)), made_up.cell("gan", 1, events=(event,))]
    found = summarise(made_up.protocol(families=("gan",)), [*dead, made_up.cell("gan", 2)]).family("gan")
    assert found.stability.collapsed == pytest.approx(2 / 3)


def test_a_score_that_is_not_finite_is_no_score() -> None:
    cells = [made_up.cell("gan", 0, scores={made_up.FD: Value(value=None, higher_is_better=False)})]
    summary = summarise(made_up.protocol(families=("gan",)), cells)
    assert summary.family("gan").headline is None
    assert summary.family("gan").verdict == "unscored"


def test_the_summary_survives_json() -> None:
    summary = whole()
    assert Summary.model_validate_json(summary.model_dump_json()) == summary


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.2, "0.200"),
        (0.05, "0.05"),
        (12.345, "12.3"),
        (999.6, "1,000"),
        (12345.6, "12,346"),
        (1e-5, "1.0e-05"),
    ],
)
def test_numbers_in_words(value: float, text: str) -> None:
    assert number(value) == text


def test_units_in_words() -> None:
    assert [duration(s) for s in (4e-5, 0.0123, 1.5, 300.0, 1e4)] == ["40 µs", "12.3 ms", "1.5 s", "5 min", "2.78 h"]
    assert [counted(n) for n in (12, 1234, 767_000, 3.1e6)] == ["12", "1.23k", "767k", "3.1M"]
    assert [short(n) for n in (made_up.FD, made_up.EXACT)] == ["fd", "bits/dim (exact)"]
