"""A probe of the machine: what its arithmetic and its memory do, measured in a second or two.

Every figure is the best of several repetitions, since other work on the machine can only slow a repetition down. The
precision is chosen from the measurement and not from a list of processors: without native support, bfloat16 has been
seen to be 60 to 90 times slower than float32.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict

from makar.verbs.machine import processor

_MATRIX = 512  # rows of the square matrices that are multiplied
_BYTES = 64 * 2**20  # moved in one repetition: more than a last-level cache holds, on most machines
_WORTH = 1.5  # how much faster bfloat16 must be to be chosen


class Machine(BaseModel):
    """What a comparison ran on. Speeds are of `threads` threads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cpu: str
    cores: int  # that this process may use
    memory_gib: float
    system: str
    python: str
    threads: int
    fp32_gflops: float  # matrix products, float32, 1e9 operations a second
    bf16_gflops: float  # matrix products, bfloat16
    copy_gbs: float  # memory copied, 1e9 bytes a second, counting what is read and what is written
    read_gbs: float  # memory read, 1e9 bytes a second
    precision: Literal["float32", "bfloat16"]


def probe(seconds: float = 1.5, threads: int = 1) -> Machine:
    """Measure the machine for about `seconds`, on `threads` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        share = seconds / 4
        fp32 = _gflops(torch.float32, share)
        bf16 = _gflops(torch.bfloat16, share)
        source = torch.ones(_BYTES // 4)
        target = torch.empty_like(source)
        copy = 2 * _BYTES / _best(lambda: target.copy_(source), share) / 1e9
        read = _BYTES / _best(source.sum, share) / 1e9
    finally:
        torch.set_num_threads(before)
    return Machine(
        cpu=processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        threads=threads,
        fp32_gflops=round(fp32, 1),
        bf16_gflops=round(bf16, 1),
        copy_gbs=round(copy, 1),
        read_gbs=round(read, 1),
        precision=choose(fp32, bf16),
    )


def choose(fp32: float, bf16: float) -> Literal["float32", "bfloat16"]:
    """The precision to compute in, given the speeds of both."""
    return "bfloat16" if bf16 >= _WORTH * fp32 else "float32"


def _gflops(dtype: torch.dtype, seconds: float) -> float:
    a = torch.ones(_MATRIX, _MATRIX, dtype=dtype)
    b = torch.ones(_MATRIX, _MATRIX, dtype=dtype)
    return 2 * _MATRIX**3 / _best(lambda: torch.mm(a, b), seconds) / 1e9


def _best(work: Callable[[], object], seconds: float) -> float:
    """Wall seconds of the fastest repetition, of at least two, within about `seconds`."""
    end = time.perf_counter() + seconds
    best = float("inf")
    repetitions = 0
    while repetitions < 2 or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
        repetitions += 1
    return best
