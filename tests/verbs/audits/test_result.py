"""Results: they survive JSON, and a figure without a value is refused."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest

from makar.core.errors import MakarError
from makar.core.files import to_json
from makar.core.score import Score
from makar.verbs.audits._result import Result, beyond_measure, timed

SCORE = Score("auc[loss]@10/5", 0.7, 0.6, 0.8, 15, None, ("a caveat",))
RESULT = Result("membership", "alarm", "it leaks", (SCORE,), {"auc": 0.6}, {"list": [1, 2]}, 0.5)


def test_through_json_and_back() -> None:
    assert Result.from_json(json.loads(to_json(RESULT.to_json()))) == RESULT
    bare = beyond_measure("canaries", "no text", left=3)
    assert Result.from_json(json.loads(to_json(bare.to_json()))) == bare


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_without_a_value_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="without a value"):
        Result("x", "none", "y", (Score("s", value, 0.0, 1.0, 3, None),))


@pytest.mark.parametrize(
    "plain", [{}, {"figures": 3}, RESULT.to_json() | {"finding": "fine"}, RESULT.to_json() | {"more": 1}]
)
def test_what_is_no_result_is_said(plain: dict[str, Any]) -> None:
    with pytest.raises(MakarError, match="no audit's result"):
        Result.from_json(plain)


def test_figures_are_found_by_name() -> None:
    assert RESULT.figure("auc") is SCORE
    with pytest.raises(KeyError):
        RESULT.figure("tpr")


def test_the_cost_is_measured() -> None:
    @timed
    def busy() -> Result:
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return RESULT

    assert 0.05 <= busy().cpu_seconds < 0.5
