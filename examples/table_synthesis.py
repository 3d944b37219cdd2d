"""Made-up rows in place of real ones: does a classifier that learnt from them work on real rows (TSTR)?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

import makar
from makar.data.export import write_csv

BUDGET = os.environ.get("MAKAR_EXAMPLE_BUDGET", "8s")
FAMILIES = ("independent", "gaussian", "bayesnet")
WANTED = ("tstr[", "column shapes", "pair trends", "duplicates", "dcr ratio")


def customers(path: Path, n: int = 900) -> None:
    """A table with planted dependence: income grows with age, owning with income, and the segment follows from both."""
    chance = np.random.default_rng(0)
    rows = []
    for _ in range(n):
        age = int(chance.integers(18, 80))
        income = float(np.exp(chance.normal(9.4 + age / 60, 0.35)))
        owns = "yes" if chance.random() < 1 / (1 + np.exp(-(income - 25_000) / 6_000)) else "no"
        segment = "saver" if owns == "yes" and age > 45 else "spender" if income > 20_000 else "starter"
        rows.append({"age": age, "income": round(income, 2), "owns": owns, "segment": segment})
    write_csv(rows, path)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        customers(Path(folder, "customers.csv"))
        table = makar.data(f"csv:{folder}/customers.csv", label="segment", licence="CC0-1.0")
    for family in FAMILIES:
        model = makar.fit(family, table, budget=BUDGET, seed=0)
        print(f"\n{family}: {model.record.steps} steps, {model.record.cpu_seconds:.1f} CPU seconds")
        for score in model.score(table, n=300):
            if score.name.startswith(WANTED):
                notes = f"   {score.caveats[0]}" if score.name.startswith("tstr[") and score.caveats else ""
                print(f"  {score.name:36} {score.value:7.3f}  ({score.low:.3f} to {score.high:.3f}){notes}")
    print(f"\na made-up row: {model.sample(1, seed=0)[0].content}")


if __name__ == "__main__":
    main()
