"""False alarms and power of the judges of text: fresh texts called salad, loops or copies, and planted ones found.

    python benchmarks/texts.py FILE [FILE ...] [--by blocks] [--seeds 20] [--texts 100]

Each file is cut into documents (`--by lines` for strings), and for every seed these are parted at random, four parts
of training text to one held-out, and what is judged as if a model had made it: fresh documents, of which none is in
either part; and planted ones, some of those with their words shuffled, cut to a loop, one of them again and again,
training documents, and training documents with typos in 1 % of their characters. For each the share of seeds with each
alarm, and of `told apart` the mean, its standard deviation and the share of intervals that hold 0.5, are written to
results/texts.json.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import RESULTS

from makar.core import registry
from makar.core.files import write_json
from makar.core.score import Generated, Reference, Sample, Score
from makar.core.spaces import Tokens
from makar.data.sources import text as source

METRICS = ("reader", "variety", "text", "strings")
MOST = 700  # characters of a generated text
CORPUS = 1_200_000  # characters that are taken of a file, at most


def _sample(texts: list[str]) -> Sample:
    return Sample(texts, torch.zeros(len(texts), 1, dtype=torch.int64))


def _scores(reference: Reference, texts: list[str]) -> list[Score]:
    found = (registry.load("metrics", m)()(reference, Generated(_sample(texts))) for m in METRICS)
    return [s for each in found for s in each]


def _shuffled(text: str, chance: np.random.Generator) -> str:
    parts = re.split(r"(\s+)", text)
    words = parts[::2] if len(parts) > 3 else list(text)
    mixed = [words[i] for i in chance.permutation(len(words))]
    if len(parts) <= 3:
        return "".join(mixed)
    parts[::2] = mixed
    return "".join(parts)


def _typos(text: str, chance: np.random.Generator) -> str:
    letters = list(text)
    for i in np.flatnonzero(chance.random(len(letters)) < 0.01):
        letters[i] = letters[int(chance.integers(0, len(letters)))]
    return "".join(letters)


PLANTED: dict[str, Callable[[list[str], list[str], np.random.Generator], list[str]]] = {
    "fresh": lambda fresh, train, chance: fresh,
    "shuffled": lambda fresh, train, chance: [_shuffled(t, chance) for t in fresh],
    "loop": lambda fresh, train, chance: [(t[:30] * 30)[: len(t)] for t in fresh],
    "one": lambda fresh, train, chance: [fresh[0]] * len(fresh),
    "copied": lambda fresh, train, chance: train,
    "typos": lambda fresh, train, chance: [_typos(t, chance) for t in train],
}


def parted(documents: list[str], seed: int, n: int) -> tuple[Reference, list[str], list[str], np.random.Generator]:
    """A reference, n fresh documents and n training documents, cut to what a model would make."""
    chance = np.random.Generator(np.random.Philox(seed))
    order = [documents[i] for i in chance.permutation(len(documents))]
    fresh, rest = order[:n], order[n:]
    known = set(fresh)
    rest = [t for t in rest if t not in known]  # a split by content
    cut = len(rest) // 5
    held, inside = rest[:cut], set(rest[:cut])
    train = [t for t in rest[cut:] if t not in inside]
    reference = Reference(Tokens(256, 1), "text", _sample(train), _sample(held))
    return reference, [t[:MOST] for t in fresh], [t[:MOST] for t in train[:n]], chance


def measure(file: Path, by: Any, seeds: int, n: int, planted_seeds: int) -> dict[str, Any]:
    documents = source.cut(file.read_text(encoding="utf-8")[:CORPUS], by)
    found: dict[str, Any] = {"documents": len(documents), "texts": n, "by": by}
    for name, make in PLANTED.items():
        runs = seeds if name == "fresh" else planted_seeds
        alarms = {"NOISE": 0, "COLLAPSE": 0, "COPYING": 0}
        apart: list[Score] = []
        for seed in range(runs):
            reference, fresh, train, chance = parted(documents, seed, n)
            scores = _scores(reference, make(fresh, train, chance))
            for word in alarms:
                alarms[word] += any(c.startswith(word) for s in scores for c in s.caveats)
            apart += [s for s in scores if s.name.startswith("told apart")]
        values = [s.value for s in apart]
        found[name] = {
            "seeds": runs,
            "alarms": alarms,
            "told apart": round(statistics.mean(values), 4),
            "standard deviation": round(statistics.stdev(values), 4) if runs > 1 else None,
            "intervals that hold 0.5": sum(s.low <= 0.5 <= s.high for s in apart),
        }
        print(file.name, name, found[name], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--by", default="blocks")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--planted-seeds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "texts.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for file in asked.files:
        results[file.stem] = measure(file, asked.by, asked.seeds, asked.texts, asked.planted_seeds)
        write_json(path, results)


if __name__ == "__main__":
    main()
