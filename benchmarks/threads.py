"""Do one and two threads make the same model and the same samples, to the last bit?

    python benchmarks/threads.py [--families vae,...] [--steps 12]

For every family on data that suit it: trained from one seed with one thread and with two, are the weights equal? Drawn
from one and the same model with one and with two, are 64 outputs equal? What differs does so in the last bits of sums
that threads split otherwise; a run's record keeps its number of threads, and the same number gives the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from _bench import RESULTS, Cell, isolated, table

from makar.core import registry
from makar.core.files import write_json
from makar.core.spaces import Columns, Levels, Tokens
from makar.data import Dataset, load
from makar.verbs.machine import describe
from makar.verbs.sample import draw
from makar.verbs.train import fit
from makar.verbs.trained import Trained

OUTPUTS = 64
# Long rows of text would take minutes to draw and show nothing that short ones do not.
CODECS: dict[str, dict[str, Any]] = {"text": {"codec": "symbols", "codec_settings": {"length": 32}}}


def suitable(family: str) -> list[str]:
    """Specifications of data, one for each kind of space that the family is written for (tables aside)."""
    spaces = registry.load("families", family).spaces
    found = ["digits"] if Levels in spaces else []
    found += ["grammar:small"] if Tokens in spaces else []
    return found or (["table"] if Columns in spaces else [])


def opened(spec: str) -> Dataset:
    """The data; "table" is the digits' first pixels as numbers and categories."""
    if spec != "table":
        return load(spec, **({"n": 60} if spec.startswith("grammar") else {}))
    import tempfile

    lines = ["a,b,c,d"]
    for picture, label in zip(load("digits").train.things, load("digits").train.labels, strict=True):
        lines.append(f"{picture[2:5].sum()},{picture[5:].sum()},{'lmh'[min(2, int(picture[4, 4, 0]) // 6)]},c{label}")
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        return load(f"csv:{file.name}", licence="CC0-1.0")


def outputs(trained: Trained, threads: int) -> torch.Tensor:
    torch.set_num_threads(threads)
    labels = torch.arange(OUTPUTS) % trained.model.classes if trained.model.classes else None
    return draw(trained, OUTPUTS, 3, labels)


def measure(family: str, spec: str, steps: int) -> Cell:
    """Both comparisons for one family."""
    data = opened(spec)
    trained = {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        trained[threads] = fit(family, data, f"{steps} steps", 0, **CODECS.get(data.modality, {}))
    one, two = (trained[t].model.state_dict() for t in (1, 2))
    apart = max((float((one[k].double() - two[k].double()).abs().max()) for k in one if one[k].numel()), default=0.0)
    return {
        "family": family,
        "data": spec,
        "steps": trained[1].record.steps,
        "same_weights": all(torch.equal(one[k], two[k]) for k in one),
        "largest_difference": apart,
        "same_samples": torch.equal(outputs(trained[1], 1), outputs(trained[1], 2)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--families", default=",".join(registry.modules("families")))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--out", type=Path, default=RESULTS / "threads.json")
    args = parser.parse_args()
    cells = []
    for family in args.families.split(","):
        for spec in suitable(family):
            cells.append(isolated(measure, family, spec, args.steps))
            print(cells[-1], flush=True)
    write_json(args.out, {"machine": describe(), "outputs": OUTPUTS, "cells": cells})
    words = {True: "same", False: "differ"}
    rows = [
        [c["family"], c["data"], words[c["same_weights"]], f"{c['largest_difference']:.1e}", words[c["same_samples"]]]
        for c in cells
        if "same_weights" in c
    ]
    print(table(["family", "data", "trained weights", "largest difference", "samples of one model"], rows))


if __name__ == "__main__":
    main()
