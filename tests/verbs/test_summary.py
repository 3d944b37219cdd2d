"""The summary: known fronts, verdicts at their thresholds, advice that follows from the numbers."""

from __future__ import annotations

from typing import Any

import pytest

from makar.verbs.protocol import Cell, Value
from makar.verbs.summary import FamilySummary, Summary, pareto, summarise
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
    medians = [f.headline.median for f in summary.families if f.headline]
    assert medians == sorted(medians)
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
    assert "no family passed every check" in summary.advice[0]
    assert "take " not in summary.advice[0]
    nothing = summarise(made_up.protocol(), [])
    assert nothing.advice == ("No family came to a score yet; the reasons stand with each.",)
    assert nothing.families == ()
    assert not nothing.complete


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
