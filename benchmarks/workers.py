"""Two workers on two cores finish a comparison in at most 0.6 of the wall time of one.

    python benchmarks/workers.py [--steps 1500] [--seeds 3] [--rounds 2]

The same comparison of two families, in steps so that both do the same work, with one worker and with two, in turn.
Wall time on a machine that does other things as well measures those things: the load is printed beside the ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from _bench import RESULTS

from makar.core.files import write_json
from makar.verbs.compare import compare
from makar.verbs.machine import describe

BAR = 0.6
FAMILIES = "vae,gan"


def wall(workers: int, steps: int, seeds: int) -> float:
    """Wall seconds of one comparison."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        summary = compare("digits", FAMILIES, f"{steps} steps", seeds, Path(folder) / "out", workers=workers, n=500)
        seconds = time.perf_counter() - began
    assert summary.complete, "every cell was made"
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "workers.json")
    args = parser.parse_args()
    before = os.getloadavg()[0]
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(args.rounds):
        for workers in times:
            times[workers].append(round(wall(workers, args.steps, args.seeds), 2))
            print(f"{workers} worker(s): {times[workers][-1]} s", flush=True)
    ratio = statistics.median(times[2]) / statistics.median(times[1])
    print(f"ratio {ratio:.3f} (bar {BAR}): {'kept' if ratio <= BAR else 'MISSED'}; load before: {before:.1f}")
    found = {"seconds": {str(k): v for k, v in times.items()}, "ratio": round(ratio, 4), "bar": BAR, "load": before}
    write_json(args.out, {"machine": describe(), "cells": 2 * args.seeds, "steps": args.steps} | found)


if __name__ == "__main__":
    main()
