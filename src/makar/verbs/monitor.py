"""Monitors: what a training's numbers say about its health.

A spike is a loss above the rolling median by more than six times the median absolute deviation (window 200,
`evaluation.md` A.7). Non-finite losses and gradients are stopped by the learner before the step; they are noted here,
and so is a collapse (see `collapse`) after the last step.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Any

_WINDOW = 200
_LEAST = 30  # losses seen before a spike can be called one


class Monitor:
    """Watches the numbers of a run as they come."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._losses: deque[float] = deque(maxlen=_WINDOW)
        self._limit = float("inf")

    def watch(self, step: int, numbers: dict[str, float]) -> None:
        """Take note of one step's numbers."""
        loss = numbers.get("loss")
        if loss is None:
            return
        if len(self._losses) >= _LEAST and loss > self._limit:
            self.note(step, "spike", f"the loss was {loss:.4g}, above the limit of {self._limit:.4g}")
        self._losses.append(loss)
        if step % 20 == 0 and len(self._losses) >= _LEAST:  # two medians of 200 numbers: not at every step
            middle = median(self._losses)
            self._limit = middle + 6.0 * median(abs(x - middle) for x in self._losses)

    def note(self, step: int, kind: str, why: str, **numbers: float) -> None:
        """Record an event, with those of the numbers it rests on that are finite."""
        finite = {key: value for key, value in numbers.items() if math.isfinite(value)}
        self.events.append({"step": step, "kind": kind, "why": why} | finite)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        limit = None if self._limit == float("inf") else self._limit
        return {"events": self.events, "losses": list(self._losses), "limit": limit}

    @staticmethod
    def restored(state: dict[str, Any]) -> Monitor:
        """A monitor that goes on from a saved state."""
        monitor = Monitor()
        monitor.events = list(state["events"])
        monitor._losses.extend(state["losses"])
        monitor._limit = float("inf") if state["limit"] is None else float(state["limit"])
        return monitor
