"""Inbreeding: how soon does a family lose its spread when it learns what it made, and how much real data keeps it?

    python benchmarks/inbreeding.py [--generations 8] [--most CELLS]

Each generation learns as many items as the data has, drawn from the last model, but for a share of real ones. What is
printed is the spread (total variance over that of held-out items) and the distance to held-out items, generation by
generation. No bar; it must be seen that with real data kept the decay is slower.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from _bench import RESULTS, Cell, Results, code, make, table

from makar.data import load
from makar.verbs.audits.inbreeding import inbreed

CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "gaussian": ("toy:moons", {"n": 240, "held_out": 200}, "1 steps"),
    "kernel": ("toy:moons", {"n": 240, "held_out": 200}, "1 steps"),
    "mixture": ("digits", {}, "1s"),
    "vae": ("digits", {}, "2s"),
}
SETTINGS: dict[str, dict[str, Any]] = {"gaussian": {"shrinkage": 0.0, "floor": 0.0}}
SHARES = (0.0, 0.5)


def measure(family: str, keep_real: float, generations: int) -> Cell:
    """One family bred for some generations."""
    spec, options, budget = CASES[family]
    # a slow family is bred for fewer generations, so that a cell stays within 30 CPU seconds
    most = min(generations, 6) if family == "vae" else generations
    result = inbreed(family, load(spec, **options), budget, most, keep_real, 0, SETTINGS.get(family))
    return {"result": result.to_json()}


def series(result: dict[str, Any], what: str) -> list[str]:
    """A figure of every generation, in order."""
    numbered = [f for f in result["figures"] if f["name"].startswith("generation") and f" {what}" in f["name"]]
    return [f"{f['value']:.2f}" if what == "spread" else f"{f['value']:.3g}" for f in numbered]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--most", type=int)
    parser.add_argument("--out", type=Path, default=RESULTS / "inbreeding.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = Results(args.out, {"generations": args.generations})
    wanted = [
        {"family": f, "keep_real": s, "generations": args.generations, "code": code(f)} for f in CASES for s in SHARES
    ]
    make(results, wanted, measure, args.most)
    for what in ("spread", "fd", "energy["):
        rows = []
        for cell in results.cells:
            values = series(cell.get("result", {"figures": []}), what)
            if values:
                rows.append([cell["family"], f"{100 * cell['keep_real']:.0f} %", *values])
        width = max((len(r) for r in rows), default=2)
        head = [what.strip("["), "real kept", *(str(g) for g in range(width - 2))]
        print(table(head, [[*r, *[""] * (width - len(r))] for r in rows]) + "\n")


if __name__ == "__main__":
    main()
