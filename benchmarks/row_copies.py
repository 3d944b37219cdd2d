"""Copies among rows: how often are planted ones found, and how often are honest rows called copies?

    python benchmarks/row_copies.py

Two sources, drawn anew for every seed: people (numbers and categories, one of them at times missing) and a
questionnaire of twelve categories in which a third or more of fresh rows equal a training row by nature. 1,250 rows of
each, a fifth of them held out, parted by content (as makar does) or at random; 1,000 rows are scored. The bar: no
honest set is called copies, and planted copies are found in 19 of 20 seeds; what is below it is reported.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _bench import RESULTS, Results, make, table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.metrics.sets import answers_of, by_content, noised, of_rows, one_cell, people, shuffled, things

from makar.core.score import Generated
from makar.data import load
from makar.metrics._intervals import wilson
from makar.metrics.records import Records
from makar.verbs.sample import draw
from makar.verbs.train import fit

Rows = list[dict[str, Any]]
SOURCES: dict[str, Callable[[int, int], Rows]] = {"people": people, "questionnaire": answers_of}
FAMILIES = ("independent", "gaussian", "bayesnet", "mixture")
HONEST = ("fresh", "blurred", "shuffled", "one row", *FAMILIES)
N, TRAIN, BLOCK = 1000, 1250, 5


def planted(train: Rows, fresh: Rows, seed: int) -> dict[str, Rows]:
    """What an honest and a copying model may hand in, without those that are trained."""
    order = np.random.default_rng(seed).permutation(len(train))
    copies = [train[i] for i in np.resize(order, N)]
    sets = {
        "fresh": fresh,
        "blurred": noised(fresh, 0.3, seed),
        "shuffled": shuffled(fresh, seed),
        "one row": fresh[:1] * N,
        "copied": copies,
        "half copied": copies[: N // 2] + fresh[N // 2 :],
        "a tenth copied": copies[: N // 10] + fresh[N // 10 :],
        "a cell changed": one_cell(copies, seed),
        "two cells changed": one_cell(one_cell(copies, seed), seed + 1),
    }
    for size in (0.01, 0.05, 0.1):
        sets[f"copied + noise {size:g}"] = noised(copies, size, seed)
    return sets


def trained(rows: Rows, seed: int) -> dict[str, Rows]:
    """Rows of closed-form families, trained on these rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        pd.DataFrame(rows).to_csv(path, index=False)
        data = load(f"csv:{path}", licence="LicenseRef-own")
        models = {name: fit(name, data, budget="1s", seed=seed) for name in FAMILIES}
    made = {name: list(model.things(draw(model, N, seed, None))) for name, model in models.items()}
    return {"train": list(data.train.things), "held": list(data.held_out.things)} | made


def measure(source: str, first: int) -> dict[str, Any]:
    """How often each set was called copies in five seeds under either split, and of how many.

    Families are trained for the first seed, on the split by content.
    """
    times: dict[str, list[int]] = {}

    def count(reference: Any, sets: dict[str, Rows], split: str) -> None:
        for name, made in sets.items():
            tally = times.setdefault(f"{split}: {name}", [0, 0])
            tally[0] += called(reference, made)
            tally[1] += 1

    for seed in range(first, first + BLOCK):
        rows, fresh = SOURCES[source](TRAIN, 1000 + seed), SOURCES[source](N, 2000 + seed)
        cut = TRAIN // 5
        for split, (train, held) in {"content": by_content(rows), "random": (rows[cut:], rows[:cut])}.items():
            count(of_rows(train, held), planted(train, fresh, seed), split)
    honest = trained(SOURCES[source](TRAIN, 1000 + first), first)
    count(of_rows(honest.pop("train"), honest.pop("held")), honest, "trained")
    return {"called copies, of": times}


def called(reference: Any, made: Rows) -> bool:
    found = Records()(reference, Generated(things(made)))
    return any(c.startswith("COPYING") for s in found for c in s.caveats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--most", type=int, help="make at most so many cells now")
    parser.add_argument("--out", type=Path, default=RESULTS / "row_copies.json")
    args = parser.parse_args()
    results = Results(args.out, {"train and held out": TRAIN, "n": N})
    wanted = [{"source": source, "first seed": f} for f in range(0, args.seeds, BLOCK) for source in SOURCES]
    make(results, wanted, measure, args.most)
    rows = []
    for source in SOURCES:
        cells = [c["called copies, of"] for c in results.cells if c["source"] == source]
        for name in cells[0] if cells else ():
            times, of = (sum(c[name][k] for c in cells) for k in (0, 1))
            low, high = wilson(times, of)
            kept = not times if name.split(": ")[1] in HONEST else 20 * times >= 19 * of
            rows.append([source, name, f"{times}/{of}", f"{low:.2f}-{high:.2f}", "kept" if kept else "below"])
    results.write(summary=rows)
    print(table(["source", "split: set", "called copies", "95 %", "bar"], rows))


if __name__ == "__main__":
    main()
