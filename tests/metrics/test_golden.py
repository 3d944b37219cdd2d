"""Equality with others' implementations, by vectors that `benchmarks/golden_metrics.py` stored."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from makar.metrics._columns import ks_complement, tv_complement
from makar.metrics._neighbours import distances, radii
from makar.metrics._table import tables
from makar.metrics.frechet import frechet_of
from makar.metrics.kernel import kernel_distance
from makar.metrics.prdc import manifolds
from makar.metrics.records import closest, ranges_of
from makar.metrics.shapes import _codes as codes_of
from makar.metrics.shapes import cramers_v, pair_trends, strong_pairs

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent.parent / "golden" / "metrics.json").read_text(encoding="utf-8")
)
SETS = {k: torch.tensor(v, dtype=torch.float64) for k, v in GOLDEN["features"].items()}
EXPECTED: dict[str, Any] = GOLDEN["on_features"]
ROWS: dict[str, Any] = GOLDEN["on_rows"]
REAL, MADE = tables(GOLDEN["rows"]["real"], GOLDEN["rows"]["made"])


def test_frechet_equals_torchmetrics_and_the_matrix_root() -> None:
    value = frechet_of(SETS["made"], SETS["real"])
    assert value == pytest.approx(EXPECTED["fd_torchmetrics"], rel=1e-9)
    assert value == pytest.approx(EXPECTED["fd_scipy_sqrtm"], rel=1e-6)


def test_kernel_distance_equals_torchmetrics() -> None:
    value, _ = kernel_distance(SETS["made"][:60], SETS["real"])
    assert value == pytest.approx(EXPECTED["kd_torchmetrics_first_60"], rel=1e-6)


@pytest.mark.parametrize("k", [3, 5])
def test_prdc_equals_the_package_on_distinct_points(k: int) -> None:
    found = manifolds(SETS["real"], SETS["made"], k)
    expected = EXPECTED[f"prdc_k{k}"]
    assert found.precise.mean() == expected["precision"]
    assert found.recalled.mean() == expected["recall"]
    assert found.dense.mean() == pytest.approx(expected["density"], rel=1e-12)
    assert found.covered.mean() == expected["coverage"]


@pytest.mark.parametrize("k", [3, 5])
def test_balls_include_their_border_as_in_torch_fidelity(k: int) -> None:
    found = manifolds(SETS["real"], SETS["tied"], k)
    expected = EXPECTED[f"inclusive_tied_k{k}"]
    assert found.precise.mean() == expected["precision"]
    assert found.recalled.mean() == expected["recall"]
    # with `<` the answer differs where distances tie
    strict = torch.cat(list(distances(SETS["real"], SETS["tied"]))) < radii(SETS["tied"], k)
    assert float(strict.any(1).double().mean()) <= expected["recall"]


def test_column_shapes_equal_sdmetrics() -> None:
    for column, expected in ROWS["ks"].items():
        assert ks_complement(REAL.numeric[column], MADE.numeric[column]) == pytest.approx(expected, abs=1e-9)
    for column, expected in ROWS["tv"].items():
        assert tv_complement(REAL.categorical[column], MADE.categorical[column]) == pytest.approx(expected, abs=1e-9)


def test_pair_trends_equal_sdmetrics() -> None:
    values, strong = pair_trends(REAL, MADE), strong_pairs(REAL)
    codes, _ = codes_of(REAL, MADE)
    for (k, j), value, is_strong in zip(combinations(codes, 2), values, strong, strict=True):
        if {k, j} == {"age", "pay"}:
            assert value == pytest.approx(ROWS["correlation"], abs=1e-9)
            continue
        expected = ROWS["contingency"][f"{k}/{j}"]
        assert value == pytest.approx(expected["score"], abs=1e-9)
        assert cramers_v(codes[k], codes[j]) == pytest.approx(expected["association"], abs=1e-9)
        assert bool(is_strong) == (expected["association"] > 0.3)


def test_closest_records_equal_sdmetrics() -> None:
    found = closest(MADE, REAL, ranges_of(REAL))
    assert np.allclose(found, ROWS["dcr"], rtol=0, atol=1e-9)
