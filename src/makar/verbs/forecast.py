"""Forecast: what a race will take, from what its families were seen to cost."""

from __future__ import annotations

from makar.verbs.cell import affordable
from makar.verbs.protocol import Protocol, Trial
from makar.verbs.sample import TILE

_MIDDLE = 0.5  # of the scoring's budget: what a cell is reckoned at whose drawing was not seen to its end


def forecast(protocol: Protocol, left: dict[str, int], workers: int) -> float | None:
    """Wall seconds that a race will take on `workers` processors of its own, with `left` cells of each family.

    None where nothing was tried, or not every family.
    """
    trials = {family: protocol.trial(family) for family, count in left.items() if count}
    if protocol.overhead is None or any(trial is None for trial in trials.values()):
        return None
    cells = [cost(protocol, trial) for family, trial in trials.items() if trial for _ in range(left[family])]
    if not cells:
        return 0.0
    return max(sum(cells) / max(1, workers), max(cells))


def cost(protocol: Protocol, trial: Trial) -> float:
    """CPU seconds of one cell: loading and metrics, training, drawing, likelihood."""
    return (protocol.overhead or 0.0) + trial.training + _drawing(protocol, trial) + _reading(protocol, trial)


def _drawing(protocol: Protocol, trial: Trial) -> float:
    if trial.tile is None:
        return _MIDDLE * protocol.scoring
    n = affordable(protocol, trial.tile)
    asked = max(
        2, min(64, int(min(3.0, 0.1 * protocol.scoring) / max(trial.tile, 1e-6)))
    )  # single items, and a preview
    return trial.tile * (-(-n // TILE) + asked + 2)


def _reading(protocol: Protocol, trial: Trial) -> float:
    rows = protocol.data.counts.get("held_out", 0)
    return min((trial.nats or 0.0) * rows, 0.25 * protocol.scoring)
