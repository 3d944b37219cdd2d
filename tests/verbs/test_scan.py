"""Scan: balance, entropy, moments and gaps against known answers; see also tests/apps/test_governance.py."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import makar
from makar.verbs.scan import scan


def test_pictures_have_moments_and_effective_classes() -> None:
    data = makar.data("digits")
    found = scan(data)
    pixels = np.stack([*data.train.things, *data.held_out.things]).astype(np.float64)
    assert found.pixels == pytest.approx({"mean": pixels.mean(), "variance": pixels.var()})
    assert found.effective_classes == pytest.approx(2 ** (found.class_entropy or 0.0))
    assert 9.9 < (found.effective_classes or 0.0) <= 10.0
    assert found.missing == {}
    assert f"pixels       mean {pixels.mean():.3f}" in found.words()
    assert "as 10.00 equal ones" in found.words()


def test_gaps_of_a_table_are_counted_by_column(tmp_path: Path) -> None:
    lines = [f"{i * 7 % 40},{'' if i % 4 == 0 else 'ab'[i % 2]},{i % 3}" for i in range(40)]
    (tmp_path / "table.csv").write_text("\n".join(["size,colour,kind", *lines, ""]))
    found = scan(makar.data(f"csv:{tmp_path}/table.csv", label="kind", licence="CC0-1.0"))
    assert found.missing == {"colour": 0.25}
    assert found.pixels == {}
    counts = np.array([14, 13, 13]) / 40
    assert found.class_entropy == pytest.approx(-(counts * np.log2(counts)).sum())
    assert found.effective_classes == pytest.approx(2 ** (found.class_entropy or 0.0))
    assert "missing      25.0% of 'colour'" in found.words()


def test_a_text_of_four_letters_alike_has_two_bits(tmp_path: Path) -> None:
    for i, word in enumerate(("abcd", "bcda", "cdab", "dabc") * 3):
        (tmp_path / f"{i}.txt").write_text(word * (i + 5))
    found = scan(makar.data(f"text:{tmp_path}", licence="CC0-1.0"))
    assert found.symbol_entropy["character"] == pytest.approx(2.0)
    assert found.class_entropy is None
    assert found.effective_classes is None
    assert not math.isnan(found.symbol_entropy["character"])
