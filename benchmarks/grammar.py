"""Text of exactly known entropy: how near does a sequence model come to the bits that no model can beat?

    python benchmarks/grammar.py [--grammars small,golden] [--families transformer,...] [--budget 15s] [--most CELLS]

Documents of about ten thousand characters are drawn from `grammar:NAME`, a tenth of them held out; they are that long
because the marker at each one's beginning costs bits too, 0.3 % here. Symbols are characters. The bits of the
held-out documents, every symbol scored once, are set against the exact entropy rate and against what the grammar itself
gives these very documents, which is free of the luck of the draw. Bar: the transformer within 3 % of the former.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from _bench import RESULTS, Cell, Results, code, make, table

from makar.data import load
from makar.data.sources import grammar
from makar.verbs.recipe import resolve
from makar.verbs.score import held_out_log_prob
from makar.verbs.train import fit

BAR = 0.03
DOCUMENTS = 60
ROUNDS = {"small": 400, "golden": 6000, "even": 6000}  # about ten thousand characters a document
LENGTH = 128  # symbols a row
# The families' own sizes for text suit natural language, which asks for more than a grammar of a few rules.
SETTINGS: dict[str, dict[str, Any]] = {
    "transformer": {"width": 64, "depth": 2, "heads": 4, "optimiser": {"rate": 4e-3, "batch": 16}},
    "recurrent": {"width": 128, "depth": 1, "optimiser": {"rate": 4e-3, "batch": 16}},
    "hmm": {"states": 48},
}


def measure(name: str, spec: str, seed: int, budget: str) -> Cell:
    """One family or recipe on one grammar."""
    data = load(f"grammar:{spec}", n=DOCUMENTS, rounds=ROUNDS[spec])
    recipe = resolve(name)
    settings = recipe.settings | SETTINGS.get(name, {})
    trained = fit(recipe.family, data, budget, seed, settings, codec="symbols", codec_settings={"length": LENGTH})
    documents = data.held_out.things
    likelihood = held_out_log_prob(trained.model, trained.codec.encode(documents), None, seed)
    assert likelihood is not None, "every family here has a likelihood"
    symbols = trained.codec.units(documents)
    bits = -(float(likelihood.nats.sum()) + trained.codec.nats(documents)) / math.log(2.0) / symbols
    own = -sum(grammar.log2_probability(spec, d) for d in documents) / symbols
    rate = grammar.entropy_bits_per_symbol(spec)
    return {
        "bits_per_symbol": round(bits, 5),
        "entropy_rate": round(rate, 5),
        "grammar_on_these": round(own, 5),
        "over_rate": round(bits / rate - 1, 5),
        "over_grammar": round(bits / own - 1, 5),
        "kind": likelihood.kind,
        "symbols": symbols,
        "steps": trained.record.steps,
        "train_cpu_seconds": round(trained.record.cpu_seconds, 2),
        "parameters": trained.parameters,
    }


def row(cell: Cell) -> list[str]:
    verdict = ("kept" if cell["over_rate"] <= BAR else "MISSED") if cell["family"] == "transformer" else "–"
    return [
        cell["grammar"], cell["family"], str(cell["seed"]), f"{cell['bits_per_symbol']:.4f}",
        f"{cell['entropy_rate']:.4f}", f"{cell['over_rate']:+.2%}", f"{cell['over_grammar']:+.2%}", verdict,
        str(cell["steps"]), f"{cell['train_cpu_seconds']:.1f}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--grammars", default="small,golden,even")
    parser.add_argument("--families", default="ngram,hmm,transformer,recurrent,independent")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", default="15s")
    parser.add_argument("--most", type=int, help="make at most so many cells now")
    parser.add_argument("--out", type=Path, default=RESULTS / "grammar.json")
    args = parser.parse_args()
    protocol = {"documents": DOCUMENTS, "rounds": ROUNDS, "length": LENGTH, "budget": args.budget}
    results = Results(args.out, protocol)
    keys = [
        {"family": f, "grammar": g, "seed": s, "budget": args.budget, "code": code(resolve(f).family)}
        for s in range(args.seeds)
        for g in args.grammars.split(",")
        for f in args.families.split(",")
    ]
    make(results, keys, measure, args.most)
    cells = [cell for cell in results.cells if "bits_per_symbol" in cell]
    head = ["grammar", "family", "seed", "bits/symbol", "entropy", "above it", "above the grammar", f"bar {BAR:.0%}",
            "steps", "CPU-s"]  # fmt: skip
    print(table(head, [row(cell) for cell in sorted(cells, key=lambda c: (c["grammar"], c["family"], c["seed"]))]))


if __name__ == "__main__":
    main()
