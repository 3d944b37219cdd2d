"""Budgets: how much a training may cost, and the pace that spends it.

A budget names one or more limits; whichever is reached first ends the run. CPU seconds are the default unit, since
they hold on a busy machine where wall seconds measure the neighbours.

The learning rate follows the share of the budget that is used. A clock would make every run another run, so time is
read only now and then, to set the pace (the share of the budget that one step is worth); the paces are recorded. Given
the record, or a budget in steps or FLOPs, the run is a pure function of data, settings and seed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from makar.core.errors import MakarError

_UNITS = {
    "s": "cpu", "cpu": "cpu", "cpus": "cpu", "m": "minutes", "min": "minutes", "h": "hours",
    "wall": "wall", "steps": "steps", "step": "steps", "flops": "flops", "flop": "flops",
    "usd": "money", "eur": "money", "money": "money",
}  # fmt: skip
_EXPECTED = "a budget is a number with a unit such as 20s (CPU), 30s wall, 500 steps, 1e12 flops or '0.05 usd'"


@dataclass(frozen=True)
class Budget:
    """Limits on a training; None is no limit. `price` is money per CPU hour, needed for a limit in money."""

    cpu: float | None = None
    wall: float | None = None
    steps: int | None = None
    flops: float | None = None
    money: float | None = None
    price: float | None = None

    def __post_init__(self) -> None:
        limits = [self.cpu, self.wall, self.steps, self.flops, self.money]
        if all(limit is None for limit in limits):
            raise MakarError(f"the budget is empty; {_EXPECTED}")
        if any(limit is not None and limit <= 0 for limit in limits):
            raise MakarError(f"a budget must be more than nothing; {_EXPECTED}")
        if self.money is not None and not self.price:
            raise MakarError("a budget in money needs the price of a CPU hour: give --price, say 0.05")

    @staticmethod
    def parse(text: str | Budget, price: float | None = None) -> Budget:
        """A budget from words: "20s", "2min", "30s wall", "500 steps", "1e12 flops", "0.05 usd", "20s, 100 steps"."""
        if isinstance(text, Budget):
            return text
        if not isinstance(text, str):
            raise MakarError(f"the budget {text!r} is not understood; {_EXPECTED}")
        limits: dict[str, Any] = {}
        for part in text.lower().split(","):
            match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z]*)\s*(wall|cpu)?\s*", part)
            unit = _UNITS.get(match[2] or "s") if match else None
            if match is None or unit is None:
                raise MakarError(f"the budget '{part.strip()}' is not understood; {_EXPECTED}")
            try:
                amount = float(match[1])
            except ValueError:
                raise MakarError(f"the budget '{part.strip()}' has no number; {_EXPECTED}") from None
            if unit in ("minutes", "hours"):
                amount, unit = amount * (60 if unit == "minutes" else 3600), "cpu"
            if match[3] == "wall" and unit == "cpu":
                unit = "wall"
            limits[unit] = int(amount) if unit == "steps" else amount
        return Budget(**limits, price=price)

    @property
    def deterministic(self) -> bool:
        """Whether no clock is read: only steps or FLOPs are limited."""
        return self.cpu is None and self.wall is None and self.money is None

    def words(self) -> str:
        """The budget in words."""
        parts = [
            self.cpu is not None and _several(self.cpu, "CPU second"),
            self.wall is not None and _several(self.wall, "second"),
            self.steps is not None and _several(self.steps, "step"),
            self.flops is not None and f"{self.flops:.3g} FLOPs",
            self.money is not None and f"{self.money:g} money at {self.price:g} a CPU hour",
        ]
        return ", ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def _several(amount: float, unit: str) -> str:
    return f"{amount:g} {unit}" if amount == 1 else f"{amount:g} {unit}s"


class Clock:
    """CPU and wall seconds used by a run, over all its sessions."""

    def __init__(self, cpu: float = 0.0, wall: float = 0.0) -> None:
        self._cpu = cpu - time.process_time()
        self._wall = wall - time.perf_counter()

    @property
    def cpu(self) -> float:
        return self._cpu + time.process_time()

    @property
    def wall(self) -> float:
        return self._wall + time.perf_counter()


_FINISHED = 1.0 - 1e-9
_END = 2.0  # a plan's last entry, where a clock ended the run


class Pace:
    """The share of a budget that a run has used, as a function of its steps alone once the paces are known.

    `plan` lists (step, share a step): from that step on, every step is worth that share. Under a clock it is set anew
    at steps 1, 2, 4, ... 64 and then every 64, so that the run ends annealed when the time does.
    """

    def __init__(self, budget: Budget, flops: float, plan: Sequence[tuple[int, float]] = ()) -> None:
        self._budget = budget
        self._flops = flops
        self.replayed = bool(plan)
        self.plan: list[tuple[int, float]] = [(int(step), float(rate)) for step, rate in plan]
        self.step = 0
        self.progress = 0.0
        self._last = (0, 0.0)  # step and share used at the last look at the clock
        if not self.plan:
            self.plan.append((0, self._step_share()))

    def _step_share(self) -> float:
        """The share of the budget that one step is worth by the limits that need no clock."""
        shares = [0.0]
        if self._budget.steps is not None:
            shares.append(1.0 / self._budget.steps)
        if self._budget.flops is not None:
            shares.append(self._flops / self._budget.flops)
        return max(shares)

    def _used(self, clock: Clock) -> float:
        """The share of the tightest clock limit that is used."""
        b = self._budget
        used = [0.0]
        if b.cpu is not None:
            used.append(clock.cpu / b.cpu)
        if b.wall is not None:
            used.append(clock.wall / b.wall)
        if b.money is not None and b.price is not None:
            used.append(clock.cpu / 3600.0 * b.price / b.money)
        return max(used)

    @property
    def finished(self) -> bool:
        """Whether the budget is used up."""
        return self.progress >= _FINISHED

    def advance(self, clock: Clock) -> None:
        """Count one step."""
        rate = next(rate for step, rate in reversed(self.plan) if step <= self.step)
        self.step += 1
        self.progress = min(1.0, self.progress + rate)
        if self.replayed or self._budget.deterministic:
            if self.plan[-1] == (self.step, _END):
                self.progress = 1.0
            return
        used = self._used(clock)
        if used >= 1.0:
            self.progress = 1.0
            self.plan.append((self.step, _END))
        elif self.step & (self.step - 1) == 0 or self.step % 64 == 0:
            self._replan(used)

    def _replan(self, used: float) -> None:
        last_step, last_used = self._last
        self._last = (self.step, used)
        worth = max((used - last_used) / (self.step - last_step), 1e-12)
        left = max(1.0, (1.0 - used) / worth)  # steps until the clock's limit
        share = max((1.0 - self.progress) / left, self._step_share())
        self.plan.append((self.step, share))

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "plan": [list(entry) for entry in self.plan], "step": self.step, "progress": self.progress,
            "last": list(self._last), "replayed": self.replayed,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.plan = [(int(step), float(rate)) for step, rate in state["plan"]]
        self.step, self.progress = int(state["step"]), float(state["progress"])
        self._last = (int(state["last"][0]), float(state["last"][1]))
        self.replayed = bool(state["replayed"])
