"""What makar's training loop costs over a bare PyTorch loop of the same model: less than 2 % of the CPU time.

    python benchmarks/loop.py [--pairs 40]

The bare loop is what one would write by hand: indices of a shuffled epoch, the model's loss, AdamW, clipped gradients,
a cosine, a moving average of the weights. makar's adds the budget, the streams of random numbers keyed by step, the
record of the run, the look-out for trouble, and torch's deterministic algorithms. Two models from the same seed take
blocks of steps in turn, ABABAB, in one process and one thread; the ratio is the median over pairs of blocks, in CPU
seconds, so that a busy machine slows both alike. The interval is a bootstrap over pairs.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import RESULTS, Cell, isolated, table
from torch import Tensor

from makar.core.files import write_json
from makar.core.learner import Batch, Optimiser
from makar.core.noise import StepNoise
from makar.data import load
from makar.verbs.machine import describe
from makar.verbs.train import deterministic, prepare, training

BAR = 0.02
# A step of about 2 ms, one of some 15, one of some 40.
LOOPS: dict[str, tuple[str, dict[str, Any]]] = {
    "vae, small": ("vae", {"width": 48, "depth": 1, "latent": 8}),
    "vae": ("vae", {}),
    "flow_matching": ("flow_matching", {}),
}
BLOCK = 0.25  # CPU seconds, about, of one block


def bare(model: Any, x: Tensor, labels: Tensor, steps: int, settings: Optimiser) -> Iterator[None]:
    """The loop by hand."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": settings.decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (settings.beta1, settings.beta2)
    optimiser = torch.optim.AdamW(groups, lr=settings.rate, betas=betas, fused=True)
    parameters = list(model.parameters())
    average = [p.detach().clone() for p in parameters]
    generator = torch.Generator().manual_seed(0)
    noise = StepNoise(0, settings.batch)
    order, place = torch.randperm(len(x), generator=generator), 0
    model.train()
    for step in range(steps):
        if place + settings.batch > len(x):
            order, place = torch.randperm(len(x), generator=generator), 0
        rows = order[place : place + settings.batch]
        place += settings.batch
        loss = model.loss(Batch(x[rows], labels[rows], step / steps), noise).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1.0 - settings.average)
        if not math.isfinite(loss.item()):
            raise FloatingPointError("the loss is not finite")
        yield


def block(loop: Iterator[Any], steps: int) -> float:
    """CPU seconds a step, over some steps."""
    began = time.process_time()
    for _ in range(steps):
        next(loop)
    return (time.process_time() - began) / steps


def measure(name: str, pairs: int) -> Cell:
    """Both loops in turn."""
    family, settings = LOOPS[name]
    data = load("digits")
    many = 1_000_000
    ours, _ = prepare(family, data, f"{many} steps", 0, settings)
    theirs, _ = prepare(family, data, f"{many} steps", 0, settings)
    assert theirs.labels is not None, "digits have classes"
    theirs.learner.prepare(theirs.x, theirs.labels)  # what both must know of the data before the first step
    by_hand = bare(theirs.model, theirs.x, theirs.labels, many, theirs.learner.settings)
    makar = training(ours)
    with deterministic():
        block(makar, 20)
    steps = max(4, int(BLOCK / block(by_hand, 20)))
    a, b = [], []
    for _ in range(pairs):
        with deterministic():
            a.append(block(makar, steps))
        b.append(block(by_hand, steps))
    ratios = np.array(a) / np.array(b)
    chance = np.random.Generator(np.random.Philox(0))
    again = np.median(ratios[chance.integers(len(ratios), size=(2000, len(ratios)))], axis=1)
    return {
        "loop": name,
        "pairs": pairs,
        "steps_a_block": steps,
        "bare_ms": round(1000 * statistics.median(b), 3),
        "makar_ms": round(1000 * statistics.median(a), 3),
        "overhead": round(float(np.median(ratios)) - 1, 5),
        "low": round(float(np.quantile(again, 0.025)) - 1, 5),
        "high": round(float(np.quantile(again, 0.975)) - 1, 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--loops", default=";".join(LOOPS), help="with semicolons")
    parser.add_argument("--out", type=Path, default=RESULTS / "loop.json")
    args = parser.parse_args()
    cells = [isolated(measure, name, args.pairs) for name in args.loops.split(";")]
    write_json(args.out, {"machine": describe(), "bar": BAR, "cells": cells})
    rows = [
        [c["loop"], f"{c['bare_ms']:.2f}", f"{c['makar_ms']:.2f}", f"{c['overhead']:+.1%}",
         f"{c['low']:+.1%} … {c['high']:+.1%}", "kept" if c["overhead"] < BAR else "MISSED"]
        for c in cells
    ]  # fmt: skip
    print(table(["loop", "bare ms/step", "makar ms/step", "overhead", "95 % interval", f"bar {BAR:.0%}"], rows))


if __name__ == "__main__":
    main()
