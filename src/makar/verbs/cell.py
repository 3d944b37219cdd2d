"""One cell of a comparison: train, measure, score, and show a little of what was made.

    python -m makar.verbs.cell PROTOCOL FAMILY SEED OUT

Runs in a process of its own with one thread (see `_isolate`), and writes its records, one a line, to OUT. With the
word "anchors" for a family it scores what has no model: the training set (floor) and trivial generators (ceiling).
"""

from __future__ import annotations

import base64
import io
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from makar.core import files
from makar.core.errors import MakarError
from makar.core.score import Score
from makar.data import Dataset
from makar.data import load as load_data
from makar.verbs.protocol import ANCHORS, Cell, Preview, Protocol, Speed, Value
from makar.verbs.sample import TILE, draw
from makar.verbs.score import Yardstick, anchors, held_out, score_things, wanted_labels, yardstick
from makar.verbs.train import fit
from makar.verbs.trained import Trained

_HISTORY = 200  # points kept of a training curve
_REQUESTS = 64  # single items asked for at most
_PATIENCE = 3.0  # wall seconds for them
_COLUMNS, _ROWS = 10, 4  # of a grid of pictures
_ASKING, _DRAWING, _READING = 0.1, 0.5, 0.25  # shares of the scoring's CPU seconds; features and metrics have the rest
_FEWEST = 60  # items under which no distribution is told from another


def main(arguments: Sequence[str]) -> int:
    """Make one cell; returns the exit code."""
    protocol_path, family, seed, out = arguments
    threading.Thread(target=leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    protocol = Protocol.read(Path(protocol_path))
    try:
        if family == ANCHORS:
            cells = measure_anchors(protocol, load(protocol), n=int(seed))
        else:
            cells = [measure(protocol, family, int(seed))]
    except MakarError as error:
        kind: Literal["cell", "anchor"] = "anchor" if family == ANCHORS else "cell"
        cells = [Cell(kind=kind, family=family, seed=int(seed), status="failed", reason=str(error))]
    files.write_text(Path(out), "".join(cell.model_dump_json() + "\n" for cell in cells))
    return 0


def leave_with_parent() -> None:
    """End this process when the parent's end of standard input closes, however the parent ended."""
    while os.read(0, 1):
        pass
    os._exit(3)


def measure(protocol: Protocol, family: str, seed: int) -> Cell:
    """The record of one family trained with one seed."""
    data = load(protocol)
    warm_up()
    trained = fit(family, data, protocol.limits(), seed=seed)
    record = trained.record
    began = time.process_time()
    latencies = time_requests(trained, data, protocol.scoring)
    n = affordable(protocol, (time.process_time() - began) / len(latencies))
    stick = yardstick(data)
    start = time.process_time()
    labels = wanted_labels(trained, stick, n) if n else None
    things = trained.things(draw(trained, n, seed, labels), labels) if n else []
    speed = describe_speed(latencies, -(-n // TILE) * TILE, time.process_time() - start)
    scores = _scores(trained, data, stick, things, labels, protocol, seed) if n else []
    if not n:
        fewest = ladder(protocol.n)[-1]
        why = f"drawing {fewest} items takes over half of the {protocol.scoring:g} CPU seconds that scoring may take"
        record.events.append({"step": record.steps, "kind": "unscored", "why": f"{why}; give --scoring more"})
    learnt = any(True for _ in trained.model.parameters())
    tensors = [*trained.model.parameters(), *trained.model.buffers()]
    return Cell(
        family=family,
        seed=seed,
        scores=values(scores),
        drawn=n,
        seconds=round(record.seconds, 3),
        cpu_seconds=round(record.cpu_seconds, 3),
        parameters=trained.parameters,
        size_bytes=sum(t.numel() * t.element_size() for t in tensors),
        flops=trained.model.flops(),
        training_flops=record.flops if learnt else None,
        joules=record.joules,
        steps=record.steps,
        events=tuple(record.events[:50]),
        history=thin(record.history),
        speed=speed,
        preview=preview(trained, data, seed, things, labels) if n else None,
    )


def _scores(
    trained: Trained, data: Dataset, stick: Yardstick, things: Sequence[Any], labels: Tensor | None,
    protocol: Protocol, seed: int,
) -> list[Score]:  # fmt: skip
    held = held_out(trained, data, seed, seconds=_READING * protocol.scoring)
    return score_things(stick, things, labels, held, {"family": trained.family})


def affordable(protocol: Protocol, tile: float) -> int:
    """Items to draw for the scores where a tile takes so many CPU seconds: n, or its half, quarter, eighth …

    0 where half the scoring's budget does not pay for the fewest that can be scored.
    """
    paid = int(_DRAWING * protocol.scoring / max(tile, 1e-9)) * TILE
    return next((n for n in ladder(protocol.n) if n <= paid), 0)


def ladder(n: int) -> list[int]:
    """The numbers of items that scores rest on, the most first: n halved for as long as there are enough of them."""
    steps = [n]
    while steps[-1] // 2 >= _FEWEST:
        steps.append(steps[-1] // 2)
    return steps


def measure_anchors(protocol: Protocol, data: Dataset, stick: Yardstick | None = None, n: int = 0) -> list[Cell]:
    """The records of floor and ceiling at n items, or at the protocol's; the floor shows real held-out things."""
    found = anchors(data, n or protocol.n, stick=stick)
    return [
        Cell(
            kind="anchor",
            family=name,
            seed=n,
            scores=values(scores),
            preview=_show(data.held_out.things, data.held_out.labels, data) if name == "floor" and not n else None,
        )
        for name, scores in found.items()
    ]


def load(protocol: Protocol) -> Dataset:
    """The protocol's data. Raises MakarError where it is not what it was when the comparison began."""
    data = load_data(protocol.data.spec, **protocol.data.options)
    if data.manifest.digest != protocol.data.digest:
        raise MakarError(f"the data '{protocol.data.spec}' has changed since the comparison began; start another one")
    return data


def warm_up() -> None:
    """Make torch load what it loads at first use: an optimiser brings its compiler along, a second or more of CPU time.

    It is the same for every family and no part of a training, but a short budget would be gone before the first step.
    """
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimiser = torch.optim.AdamW([weight], fused=True)
    (weight @ weight).sum().backward()
    optimiser.step()
    torch.linalg.cholesky(torch.eye(2, dtype=torch.float64))


def values(scores: Sequence[Score]) -> dict[str, Value]:
    """Scores by their full names."""
    return {
        s.name: Value(
            value=_finite(s.value),
            low=_finite(s.low),
            high=_finite(s.high),
            n=s.n,
            higher_is_better=s.higher_is_better,
            caveats=tuple(s.caveats),
        )
        for s in scores
    }


def _finite(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def thin(history: Sequence[dict[str, float]]) -> tuple[dict[str, float | None], ...]:
    """At most 200 points of a history, evenly spaced, the last one among them."""
    step = max(1, math.ceil(len(history) / _HISTORY))
    kept = list(history[::-1][::step])[::-1]
    return tuple({key: float(f"{value:.6g}") for key, value in point.items()} for point in kept)


def time_requests(trained: Trained, data: Dataset, scoring: float) -> list[float]:
    """Wall seconds of single items asked for one after another; the first, of a cold model, stands apart.

    A single item costs a whole tile. They end after a tenth of the CPU seconds that scoring may take.
    """
    latencies: list[float] = []
    begun, end = time.process_time(), math.inf
    while len(latencies) < 2 or (len(latencies) <= _REQUESTS and time.perf_counter() < end):
        start = time.perf_counter()
        draw(trained, 1, seed=len(latencies), labels=_labels(data, trained, 1))
        latencies.append(time.perf_counter() - start)
        end = min(end, start + _PATIENCE)
        if time.process_time() - begun > _ASKING * scoring:
            break
    return latencies


def describe_speed(latencies: Sequence[float], batch: int, cpu_seconds: float) -> Speed:
    """The record of a model's speed, from `time_requests` and from a batch (whole tiles) that took `cpu_seconds`."""
    requests = latencies[1:] or latencies  # one alone where a tile is dear
    return Speed(
        first_output_s=round(latencies[0], 6),
        requests=len(requests),
        latency_p50=round(statistics.median(requests), 6),
        latency_p90=bound(requests, 0.9),
        per_cpu_second=float(f"{(batch or TILE) / max(cpu_seconds if batch else latencies[-1], 1e-6):.5g}"),
        batch=batch,
    )


def bound(latencies: Sequence[float], share: float, confidence: float = 0.99) -> float | None:
    """The smallest latency X of which it can be claimed that at least `share` of all requests take at most X.

    With t of the N observed above X, the claim stands if P(Binomial(N, 1 - share) <= t) <= 1 - confidence, which is
    MLPerf's early-stopping rule: for a 90th percentile it takes 44 requests with none above, 64 with one.
    """
    n, ordered = len(latencies), sorted(latencies, reverse=True)
    found = None
    below = 0.0
    for t in range(n):
        below += math.comb(n, t) * (1 - share) ** t * share ** (n - t)
        if below > 1 - confidence:
            break
        found = ordered[t]
    return None if found is None else round(found, 6)


def _labels(data: Dataset, trained: Trained, n: int) -> Tensor | None:
    """The classes in turn, where the model knows classes."""
    return torch.arange(n) % len(data.classes) if trained.model.classes else None


def preview(trained: Trained, data: Dataset, seed: int, drawn: Sequence[Any], labels: Tensor | None) -> Preview:
    """A few things that the model makes; for pictures also those of the training set that are nearest to them.

    `drawn` are things that were made of these classes; where they are too few, some are made anew.
    """
    n = _COLUMNS * _ROWS if data.modality == "pictures" else 400 if data.modality == "points" else 6
    if len(drawn) < n and data.modality != "text":
        labels = _labels(data, trained, n)
        drawn = trained.things(draw(trained, n, seed, labels), labels)
    places = in_turn(None if labels is None else labels.tolist(), min(n, len(drawn)))
    things = [drawn[i] for i in places]
    if data.modality != "pictures":
        return _show(things, None, data)
    shown = _show(things, _columns(None if labels is None else labels[places], len(data.classes)), data)
    made, train = (torch.from_numpy(np.stack(s)).float().flatten(1) for s in (things[:_COLUMNS], data.train.things))
    pairs = [*things[:_COLUMNS], *(data.train.things[i] for i in torch.cdist(made, train).argmin(1).tolist())]
    return shown.model_copy(update={"nearest_png": grid(pairs, _COLUMNS, data.levels)})


def _columns(labels: Tensor | None, classes: int) -> np.ndarray | None:
    """The classes of pictures that fill a grid with one class a column; None where some class lacks pictures."""
    if labels is None or classes != _COLUMNS:
        return None
    return labels.numpy() if int(torch.bincount(labels, minlength=classes).min()) >= _ROWS else None


def in_turn(labels: Sequence[int] | None, n: int) -> list[int]:
    """Places of n items: the first ones, or where there are classes the first of each, then the second of each …"""
    if labels is None:
        return list(range(n))
    seen: dict[int, int] = {}
    rounds = []
    for place, label in enumerate(labels):
        seen[label] = seen.get(label, -1) + 1
        rounds.append((seen[label], label, place))
    return [place for _, _, place in sorted(rounds)[:n]]


def _show(things: Sequence[Any], labels: np.ndarray | None, data: Dataset) -> Preview:
    if data.modality == "pictures":
        captions: tuple[str, ...] = ()
        if labels is not None and len(data.classes) == _COLUMNS:
            things = _by_class(things, labels)
            captions = data.classes
        return Preview(png=grid(things[: _COLUMNS * _ROWS], _COLUMNS, data.levels), columns=_COLUMNS, captions=captions)
    if data.modality == "text":
        return Preview(texts=tuple(str(thing)[:400] for thing in things[:4]))
    if data.modality == "rows":
        return Preview(rows=tuple(dict(row) for row in things[:6]))
    points = np.asarray(things[:400], dtype=np.float64)
    return Preview(points=tuple(tuple(float(f"{v:.4g}") for v in point) for point in points))


def _by_class(things: Sequence[Any], labels: np.ndarray) -> list[Any]:
    """The first things of every class, row by row, so that a column holds one class."""
    places = [np.flatnonzero(labels == k)[:_ROWS] for k in range(_COLUMNS)]
    full = min(len(p) for p in places)
    return [things[int(places[k][r])] for r in range(full) for k in range(_COLUMNS)]


def grid(pictures: Sequence[np.ndarray], columns: int, levels: int) -> str:
    """Pictures (H, W, C) with values below `levels`, side by side with a gap of one pixel, as a PNG in base64."""
    first = np.asarray(pictures[0])
    height, width, channels = first.shape
    rows = math.ceil(len(pictures) / columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, 4), np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        scaled = np.asarray(picture, dtype=np.float64) * (255.0 / (levels - 1))
        place = sheet[top : top + height, left : left + width]
        place[..., :3] = scaled.round().astype(np.uint8) if channels == 3 else scaled[..., :1].round().astype(np.uint8)
        place[..., 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
