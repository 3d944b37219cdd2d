"""A made-up comparison: the shape of a real one and figures near published ones, for tests of what reads it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from makar.verbs.cell import grid
from makar.verbs.probe import Machine
from makar.verbs.protocol import Cell, Data, Preview, Protocol, Speed, Value

FD = "fd[probe-digits-1a2b3c4d]@1000/500"
RECALL = "recall[probe-digits-1a2b3c4d;k=5]@1000/500"
PRECISION = "precision[probe-digits-1a2b3c4d;k=5]@1000/500"
NN = "nn ratio[pixels]@1000/500"
AGREEMENT = "agreement[probe-digits-1a2b3c4d]@1000/500"
EXACT, BOUND = "bits/dim (exact)@500", "bits/dim (upper bound)@500"

# family: fd, precision, recall, nn ratio, agreement, bits, kind of bits, CPU s a thousand, training CPU s, parameters
_FIGURES: dict[str, tuple[float, float, float, float, float, float | None, str, float, float, int]] = {
    "flow_matching": (0.20, 0.95, 0.84, 0.91, 0.997, 2.42, BOUND, 0.231, 20.0, 767_000),
    "edm": (0.24, 0.98, 0.80, 0.88, 0.999, None, "", 0.858, 20.1, 767_000),
    "gan": (0.25, 0.91, 0.83, 0.99, 0.990, None, "", 0.006, 20.0, 310_000),
    "kernel": (0.30, 0.88, 0.92, 0.63, 1.000, 3.25, EXACT, 0.005, 0.05, 83_000),
    "pixelcnn": (0.34, 0.80, 0.95, 1.19, 0.958, 1.73, EXACT, 34.2, 20.3, 123_000),
    "realnvp": (0.35, 0.85, 0.91, 1.07, 0.968, 1.98, BOUND, 0.029, 20.0, 462_000),
    "vae": (0.39, 0.90, 0.85, 0.91, 0.959, 2.95, BOUND, 0.021, 20.0, 766_000),
    "mixture": (0.52, 0.86, 0.88, 1.10, 0.989, 2.69, EXACT, 0.21, 2.1, 23_000),
    "meanflow": (0.66, 0.99, 0.21, 0.87, 1.000, None, "", 0.030, 20.0, 775_000),
    "gaussian": (0.86, 0.84, 0.89, 1.17, 0.978, 2.75, EXACT, 0.052, 0.02, 21_000),
    "transformer": (1.29, 0.67, 0.95, 1.38, 0.906, 1.89, EXACT, 1.84, 20.2, 160_000),
    "masked": (5.37, 0.53, 0.94, 1.63, 0.785, 2.17, BOUND, 14.8, 20.1, 156_000),
}


def protocol(**changes: Any) -> Protocol:
    """The conditions of a made-up comparison."""
    given: dict[str, Any] = {
        "data": Data(
            spec="digits",
            options={},
            name="digits",
            modality="pictures",
            source="scikit-learn: optical recognition of handwritten digits",
            licence="CC-BY-4.0",
            counts={"train": 1297, "held_out": 500},
            classes=tuple("0123456789"),
            split="by sha256 of each picture",
            digest="0f" * 32,
        ),
        "families": tuple(_FIGURES),
        "seeds": (0, 1, 2),
        "budget": "20s",
        "n": 1000,
        "timeout": 800.0,
        "machine": Machine(
            cpu="Made-up 2000",
            cores=2,
            memory_gib=23.5,
            system="Linux x86_64",
            python="3.11.7",
            threads=1,
            fp32_gflops=63.0,
            bf16_gflops=1.0,
            copy_gbs=16.5,
            read_gbs=16.7,
            precision="float32",
        ),
        "libraries": {"makar": "0.1.0", "torch": "2.13.0"},
    }
    return Protocol(**(given | changes))


def value(x: float, spread: float = 0.05, higher: bool | None = False, caveats: tuple[str, ...] = ()) -> Value:
    """A score with an interval of a share of its value."""
    return Value(value=x, low=x * (1 - spread), high=x * (1 + spread), n=1000, higher_is_better=higher, caveats=caveats)


def scores(family: str, seed: int = 0) -> dict[str, Value]:
    """Scores that vary a little with the seed."""
    fd, precision, recall, nn, agreement, bits, kind, *_ = _FIGURES[family]
    wobble = 1.0 + 0.12 * math.sin(5.0 * seed + len(family))
    fired = ("COPYING: items lie at 0.63 of a fresh item's distance from the training set",) if nn < 0.8 else ()
    found = {
        FD: value(fd * wobble),
        PRECISION: value(precision, 0.02, True),
        RECALL: value(recall, 0.02, True),
        NN: value(nn * (1 + 0.02 * seed), 0.03, None, fired),
        AGREEMENT: value(agreement, 0.01, True),
    }
    return found if bits is None else found | {kind: value(bits)}


def cell(family: str, seed: int = 0, **changes: Any) -> Cell:
    """One cell that ended well."""
    *_, thousand, cpu, parameters = _FIGURES[family]
    steps = 1 if cpu < 5 else 1900
    drop = [
        {
            "step": i,
            "progress": i / 200,
            "cpu": cpu * i / 200,
            "loss": 2.0 * math.exp(-i / 40) + 0.3 + 0.05 * math.sin(9.1 * i),
        }
        for i in range(1, 201)
    ]
    given: dict[str, Any] = {
        "family": family,
        "seed": seed,
        "protocol": protocol().digest,
        "scores": scores(family, seed),
        "seconds": cpu * 1.1,
        "cpu_seconds": cpu,
        "peak_mib": 420.0,
        "process": {"seconds": cpu * 1.5, "cpu_seconds": cpu * 1.4},
        "parameters": parameters,
        "size_bytes": 4 * parameters,
        "flops": 6.0 * parameters,
        "steps": steps,
        "history": tuple(drop) if steps > 1 else tuple(drop[:1]),
        "speed": Speed(
            first_output_s=thousand / 100,
            requests=64,
            latency_p50=thousand / 150,
            latency_p90=thousand / 120,
            per_cpu_second=1000.0 / thousand,
            batch=1024,
        ),
        "preview": preview(seed),
    }
    return Cell(**(given | changes))


def preview(seed: int) -> Preview:
    """Grids of noise."""
    chance = np.random.default_rng(seed)
    pictures = [chance.integers(0, 17, (8, 8, 1)) for _ in range(40)]
    return Preview(
        png=grid(pictures, 10, 17), columns=10, captions=tuple("0123456789"), nearest_png=grid(pictures[:20], 10, 17)
    )


def anchors() -> list[Cell]:
    """Floor and ceiling."""
    digest = protocol().digest
    floor = {FD: value(0.14), RECALL: value(0.85, 0.02, True), NN: value(0.0, 0.0, None), AGREEMENT: value(0.998)}
    ceiling = {FD: value(24.0), RECALL: value(0.9, 0.02, True), NN: value(1.9, 0.02, None), AGREEMENT: value(0.45)}
    return [
        Cell(kind="anchor", family="floor", seed=0, scores=floor, protocol=digest, preview=preview(9)),
        Cell(kind="anchor", family="ceiling", seed=0, scores=ceiling, protocol=digest),
    ]


def cells() -> list[Cell]:
    """All records, two of them of trainings that did not come to an end."""
    made = [cell(family, seed) for seed in (0, 1, 2) for family in _FIGURES]
    broken = {
        ("transformer", 2): ("timeout", "it had not finished after 800 s and was ended"),
        ("masked", 1): ("crashed", "the process was killed by SIGKILL; the system may have run out of memory"),
    }
    changed = []
    for one in made:
        if (one.family, one.seed) in broken:
            status, reason = broken[one.family, one.seed]
            one = Cell(family=one.family, seed=one.seed, status=status, reason=reason, protocol=one.protocol)  # type: ignore[arg-type]
        changed.append(one)
    return anchors() + changed
