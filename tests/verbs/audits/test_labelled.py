"""Audits of a table whose class is a column of what is made: they read whole rows, as people do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from makar.data import load
from makar.verbs.audits.bias import bias
from makar.verbs.audits.copying import copying
from makar.verbs.score import score
from makar.verbs.train import fit


def test_audits_and_scores_read_the_class_from_the_row(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    path = tmp_path / "t.csv"
    rows = [f"{chance.normal():.4f},{2 if chance.random() < 0.7 else 5},{chance.integers(50)}" for _ in range(300)]
    path.write_text("\n".join(["x,y,n", *rows]) + "\n")
    data = load(f"csv:{path}", label="y", licence="CC0-1.0")
    trained = fit("independent", data, "1 steps")
    assert copying(trained, data, n=60).finding == "none"
    shares, quality = bias(trained, data, n=200)
    assert (shares.finding, quality.name) == ("none", "bias quality")
    assert {name.partition("[")[2].partition(";")[0] for name in (f.name for f in shares.figures[1:])} == {"2", "5"}
    scores = {s.name.partition("@")[0]: s for s in score(trained, data, 100)}
    assert not any(name.startswith("agreement") for name in scores)  # it stands in the row: nothing to be read
    assert "bits/column (exact)" in scores
