"""Budgets and paces: words, limits, and a pace that can be replayed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from makar.core.errors import MakarError
from makar.verbs.budget import Budget, Clock, Pace


class FakeClock(Clock):
    """A clock that is told what time it is."""

    def __init__(self) -> None:
        self.now = 0.0

    @property
    def cpu(self) -> float:
        return self.now

    @property
    def wall(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("20s", Budget(cpu=20)), ("20", Budget(cpu=20)), ("2min", Budget(cpu=120)), ("1.5h", Budget(cpu=5400)),
        ("30s wall", Budget(wall=30)), ("500 steps", Budget(steps=500)), ("1e12 flops", Budget(flops=1e12)),
        ("20s, 100 steps", Budget(cpu=20, steps=100)),
    ],
)  # fmt: skip
def test_words_become_budgets(words: str, expected: Budget) -> None:
    assert Budget.parse(words) == expected


@pytest.mark.parametrize("words", ["", "soon", "-5s", "0s", "5 parsecs", "s", "1..2s"])
def test_bad_words_are_one_sentence(words: str) -> None:
    with pytest.raises(MakarError, match="a budget"):
        Budget.parse(words)


def test_a_bare_number_is_asked_for_its_unit() -> None:
    with pytest.raises(MakarError, match="the budget 3 is not understood; a budget is a number with a unit"):
        Budget.parse(3)  # type: ignore[arg-type]


def test_money_needs_a_price() -> None:
    with pytest.raises(MakarError, match="price"):
        Budget.parse("0.05 usd")
    assert Budget.parse("0.05 usd", price=0.1).money == 0.05


def run(budget: Budget, seconds: list[float], plan: list[tuple[int, float]] | None = None) -> tuple[Pace, list[float]]:
    clock, pace, shares = FakeClock(), Pace(budget, 100.0, plan or []), []
    for cost in seconds:
        if pace.finished:
            break
        shares.append(pace.progress)
        clock.now += cost
        pace.advance(clock)
    return pace, shares


def test_steps_and_flops_need_no_clock() -> None:
    pace, shares = run(Budget(steps=10), [1e9] * 50)
    assert pace.step == 10
    assert shares == pytest.approx([i / 10 for i in range(10)])
    assert run(Budget(flops=700.0), [0.0] * 50)[0].step == 7


def test_the_first_limit_reached_ends_it() -> None:
    assert run(Budget(steps=10, flops=500.0), [0.0] * 50)[0].step == 5
    assert run(Budget(cpu=1000.0, steps=10), [1.0] * 50)[0].step == 10
    assert run(Budget(cpu=5.0, steps=1000), [1.0] * 50)[0].step == 5


def test_a_clock_budget_ends_annealed_though_steps_slow_down() -> None:
    pace, shares = run(Budget(cpu=100.0), [0.1] * 300 + [0.4] * 1000)
    assert pace.finished
    assert 0.98 < shares[-1] < 1.0
    assert all(a < b for a, b in pairwise(shares[1:]))
    pace, shares = run(Budget(cpu=100.0), [0.4] * 100 + [0.05] * 5000)
    assert pace.finished
    assert shares[-1] > 0.98


def test_a_recorded_pace_is_replayed_without_a_clock() -> None:
    costs = [0.3, 0.1, 0.1, 0.2] * 100
    pace, shares = run(Budget(cpu=20.0), costs)
    again, replayed = run(Budget(cpu=20.0), [0.0] * 1000, pace.plan)
    assert replayed == shares
    assert again.step == pace.step


def test_a_pace_survives_its_state() -> None:
    whole, _ = run(Budget(steps=10), [1.0] * 10)
    half, _ = run(Budget(steps=10), [1.0] * 4)
    resumed = Pace(Budget(steps=10), 100.0)
    resumed.restore(half.state())
    while not resumed.finished:
        resumed.advance(FakeClock())
    assert resumed.progress == whole.progress
    assert resumed.step == whole.step


def test_one_is_not_several() -> None:
    assert Budget.parse("1s, 1 steps").words() == "1 CPU second, 1 step"
    assert Budget.parse("2s, 30s wall").words() == "2 CPU seconds, 30 seconds"


def test_a_price_is_of_an_hour() -> None:
    """0.1 at 0.05 a CPU hour are two hours of it: a minute's price would end the run after two minutes."""
    pace, clock = Pace(Budget.parse("0.1 usd", price=0.05), 1.0), FakeClock()
    while not pace.finished:
        clock.now += 60.0
        pace.advance(clock)
    assert clock.now == pytest.approx(7200.0, rel=0.02)
