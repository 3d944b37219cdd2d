"""Pilot: what every family would cost on these data, seen by trying each for a moment before a race.

    python -m makar.verbs.pilot PROTOCOL ANCHORS SEED OUT

The data are loaded and encoded once; then each family is built, takes a few steps, draws one tile and reads a few
held-out rows, in a forked process of its own with a limit of CPU time and memory. Whatever it has not done by then is
unknown and is reckoned at the whole of its budget. The anchors are made meanwhile in a process of the same kind, so
that what scoring costs is seen too. A family is left out where fewer than `FEWEST` steps would fit into the budget, or
where it needs more memory than there is.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from makar.core import files
from makar.core.errors import MakarError
from makar.core.model import HasLogProb, Model
from makar.data import Dataset
from makar.verbs.cell import leave_with_parent, load, measure_anchors, warm_up
from makar.verbs.protocol import ANCHORS, Cell, Protocol, Trial
from makar.verbs.sample import TILE, draw
from makar.verbs.score import Yardstick, held_out_log_prob, yardstick
from makar.verbs.train import Encoded, Run, encode, make_model, training
from makar.verbs.trained import Record, Trained
from makar.verbs.words import duration

FEWEST = 50  # steps of gradient descent under which a training teaches nothing
MEMORY = 4.0  # GiB that one process may hold
_SHARE, _LEAST = 0.15, 2.0  # of the budget, and CPU seconds, for which a family is tried
_STEPS = 4
_ROWS = 8  # held-out rows whose likelihood is timed
_PASS = 1.2  # a family that makes one pass may take so many times its budget

Say = Callable[..., None]


@dataclass(frozen=True)
class Kit:
    """What all trials share."""

    protocol: Protocol
    data: Dataset
    given: Encoded
    stick: Yardstick

    @property
    def patience(self) -> float:
        """CPU seconds for which one family is tried."""
        return max(_LEAST, _SHARE * (seconds_of(self.protocol) or 20.0))


def seconds_of(protocol: Protocol) -> float | None:
    """CPU seconds that the budget of one training comes to; None where it is in steps or FLOPs."""
    limits = protocol.limits()
    paid = limits.money / limits.price * 3600.0 if limits.money and limits.price else None
    return min((s for s in (limits.cpu, limits.wall, paid) if s is not None), default=None)


def main(arguments: Sequence[str]) -> int:
    """Try every family and make the anchors; returns the exit code."""
    protocol_path, _, workers, out = arguments
    threading.Thread(target=leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    protocol = Protocol.read(Path(protocol_path))
    data = load(protocol)
    kit = Kit(protocol, data, encode(data), yardstick(data))
    warm_up()
    overhead = time.process_time()  # what every cell pays before its training, imports included
    with tempfile.TemporaryDirectory(prefix="makar-pilot-") as name:
        notes = _fork_all(kit, [ANCHORS, *protocol.families], Path(name), max(1, int(workers)))
        cells = [Cell.model_validate(said["cell"]) for said in notes[ANCHORS] if "cell" in said]
        spent = next((said["spent"] for said in notes[ANCHORS] if "spent" in said), None)
    trials = [judge(protocol, family, notes[family]) for family in protocol.families]
    found = {
        "trials": [trial.model_dump() for trial in trials],
        "overhead": overhead + (0.0 if spent is None else spent / 2),
        "cells": [cell.model_dump(mode="json") for cell in cells],
    }
    files.write_text(Path(out), json.dumps(found))
    return 0


def _fork_all(kit: Kit, names: Iterable[str], folder: Path, workers: int) -> dict[str, list[dict[str, Any]]]:
    """Try each name in a process of its own, `workers` at a time; what each said, in order."""
    waiting, running, notes = list(names), dict[int, str](), dict[str, list[dict[str, Any]]]()
    while waiting or running:
        while waiting and len(running) < workers:
            name = waiting.pop(0)
            pid = os.fork()
            if pid == 0:
                _child(kit, name, folder / name)
            running[pid] = name
        pid, status, usage = os.wait4(-1, 0)
        name = running.pop(pid)
        place = folder / name
        notes[name] = [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []
        notes[name].append({"peak_mib": usage.ru_maxrss / 1024, "code": os.waitstatus_to_exitcode(status)})
    return notes


def _child(kit: Kit, name: str, place: Path) -> None:
    """What a forked process does; it never returns. Threads are not forked, so it watches for its parent itself."""
    threading.Thread(target=leave_with_parent, daemon=True).start()
    code = 1
    with open(place, "w", encoding="utf-8", buffering=1) as out:

        def say(**facts: Any) -> None:
            out.write(json.dumps(facts) + "\n")

        try:
            if name == ANCHORS:
                _anchors(kit, say)
            else:
                _limit(kit.patience)
                _try(kit, name, say)
            code = 0
        except MakarError as error:
            say(refused=str(error))
        except (MemoryError, RuntimeError) as error:
            short = isinstance(error, MemoryError) or "allocate memory" in str(error)
            say(**({"memory": True} if short else {"failed": f"{type(error).__name__}: {error}"}))
    os._exit(code)


def _limit(seconds: float) -> None:
    """End this process after so many CPU seconds, and refuse it more memory than a cell may hold."""
    cpu = math.ceil(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    if sys.platform == "linux":  # elsewhere the limit is not kept
        resource.setrlimit(resource.RLIMIT_DATA, (int(MEMORY * 2**30),) * 2)


def _anchors(kit: Kit, say: Say) -> None:
    began = time.process_time()
    for cell in measure_anchors(kit.protocol, kit.data, kit.stick):
        say(cell=cell.model_dump(mode="json"))
    say(spent=time.process_time() - began)


def _try(kit: Kit, family: str, say: Say) -> None:
    """Build, step, draw, read; every stage is told as soon as it is done."""
    given = kit.given
    model = make_model(family, given.codec.space, given.condition, {}, 0, len(given.x))
    run = Run(model, given.x, given.labels, kit.protocol.limits(), 0)
    say(descends=run.learner.batch is not None, flops=model.flops() * (run.learner.batch or len(given.x)))
    began, taken = time.process_time(), 0
    for _ in training(run):
        now = time.process_time()
        say(step=now - began, done=run.finished)
        began, taken = now, taken + 1
        if taken >= _STEPS:
            break
    run.settle()
    record = Record(recipe={"family": family}, steps=taken, plan=[], cpu_seconds=0.0, seconds=0.0, flops=0.0)
    trained = Trained(model, given.codec, record, kit.data.manifest, kit.data.levels)
    labels = torch.arange(TILE) % model.classes if model.classes else None
    began = time.process_time()
    draw(trained, TILE, 0, labels)
    say(tile=time.process_time() - began)
    _read(kit, model, say)


def _read(kit: Kit, model: Model, say: Say) -> None:
    if not isinstance(model, HasLogProb):
        return
    x = kit.given.codec.encode(kit.data.held_out.things[:_ROWS])[:_ROWS]
    held = kit.data.held_out.labels
    labels = None if held is None or not model.classes else torch.from_numpy(held[: len(x)]).long()
    began = time.process_time()
    held_out_log_prob(model, x, labels)
    say(nats=(time.process_time() - began) / len(x))


def judge(protocol: Protocol, family: str, said: Sequence[dict[str, Any]]) -> Trial:
    """What the notes of one trial come to."""
    facts = {key: value for note in said for key, value in note.items() if key != "step"}
    times = [float(note["step"]) for note in said if "step" in note]
    budget = seconds_of(protocol)
    steps, training = _foreseen(protocol, facts, times, budget)
    refused = str(facts.get("refused", ""))
    if facts.get("memory"):
        refused = f"it needs more than {MEMORY:g} GiB of memory for these data; try smaller items (--size)"
    elif not refused and budget is not None and steps is not None and facts.get("descends") and steps < FEWEST:
        each = budget / max(steps, 1)
        why = f"{steps} steps" if steps else "not one step"
        refused = (
            f"it would get {why} in {budget:g} CPU seconds (about {duration(each)} each), too few to learn anything; "
            f"it needs --budget {_round_up(FEWEST * each)}s or more, or smaller items"
        )
    tile, nats = facts.get("tile"), facts.get("nats")
    return Trial(
        family=family, refused=refused, training=training, steps=steps, tile=tile, nats=nats,
        peak_mib=facts.get("peak_mib"),
    )  # fmt: skip


def _foreseen(
    protocol: Protocol, facts: dict[str, Any], times: Sequence[float], budget: float | None
) -> tuple[int | None, float]:
    """Steps that the budget pays for (None for one pass or unknown), and CPU seconds of the training."""
    limits = protocol.limits()
    if not times:
        whole = budget or 0.0
        started = bool(facts.get("descends"))
        patience = max(_LEAST, _SHARE * (budget or 20.0))
        return (int(whole / patience) if started and budget else None), whole
    if facts.get("done"):
        return None, sum(times)
    each = min(times[1:] or times)
    counts = [limits.steps, int(limits.flops / facts["flops"]) if limits.flops and facts.get("flops") else None]
    counts.append(int((budget - sum(times)) / each) + len(times) if budget is not None else None)
    steps = max(1, min(count for count in counts if count is not None))
    return steps, min(steps * each + times[0], budget or math.inf)


def _round_up(seconds: float) -> int:
    """To two figures, upwards."""
    scale = 10 ** max(0, math.floor(math.log10(max(seconds, 1.0))) - 1)
    return int(math.ceil(seconds / scale) * scale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
