"""Estimate: what a training will cost, measured on a few steps of a throw-away copy before it starts.

A family that reads the whole training set in each step (counting, closed form, expectation-maximisation) is not tried:
its first step is most of the training, and would be paid for twice.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

from makar.verbs.budget import Budget
from makar.verbs.train import Run, deterministic, make_model, training

_TRIAL_STEPS = 4


@dataclass(frozen=True)
class Estimate:
    """Steps that the budget should pay for, their CPU seconds, and the process's memory. Within about a third.

    `steps` is None for a family whose step is a pass over all items; its CPU seconds are then at most the budget's.
    """

    parameters: int
    items: int
    steps: int | None
    cpu_seconds: float | None
    flops: float
    memory_mib: float
    money: float | None

    def words(self) -> str:
        """One line for the terminal."""
        if self.steps is None or self.cpu_seconds is None:
            return f"passes over all {self.items:,} items, {self.memory_mib:.0f} MiB"
        cost = f", {self.money:.4f} money" if self.money is not None else ""
        return (
            f"about {self.steps:,} steps in {self.cpu_seconds:.0f} CPU seconds ({self.flops:.2g} FLOPs), "
            f"{self.parameters:,} parameters, {self.memory_mib:.0f} MiB{cost}"
        )


def estimate(run: Run) -> Estimate:
    """Take a few steps on a copy of the run's model (the run itself is not touched) and extrapolate."""
    flops = run.model.flops() * (run.learner.batch or len(run.x))
    parameters = sum(p.numel() for p in run.model.parameters())
    if run.learner.batch is None:
        return Estimate(parameters, len(run.x), None, None, flops, _memory(), None)
    each = _seconds_a_step(run)
    limits = [
        run.budget.cpu is not None and run.budget.cpu / each,
        run.budget.wall is not None and run.budget.wall / each,
        run.budget.steps,
        run.budget.flops is not None and run.budget.flops / flops,
        run.budget.money is not None and run.budget.price and run.budget.money / run.budget.price * 3600 / each,
    ]
    steps = max(1, int(min(limit for limit in limits if limit)))
    cpu = steps * each
    money = None if run.budget.price is None else cpu / 3600 * run.budget.price
    return Estimate(parameters, len(run.x), steps, cpu, flops * steps, _memory(), money)


def _seconds_a_step(run: Run) -> float:
    model = make_model(run.recipe["family"], run.model.space, run.model.condition, run.recipe["settings"], run.seed)
    trial = Run(model, run.x, run.labels, Budget(steps=_TRIAL_STEPS), run.seed)
    begun, times = time.process_time(), []
    with deterministic():
        for _ in training(trial):
            times.append(time.process_time() - begun)
            begun = time.process_time()
    return min(times[1:] or times)


def _memory() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
