"""Score: every metric that applies, with intervals, between a floor and a ceiling.

The floor is what real training data scores against the held-out data at the same n; the ceiling is what a trivial
model (independent columns) scores. A number outside them is a finding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from makar.core import registry
from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.model import HasLogProb, LogProb, Model, ScoresSymbols
from makar.core.noise import Noise, seed_from
from makar.core.score import Generated, Metric, Reference, Sample, Score
from makar.core.spaces import Classes, Tokens
from makar.data import Dataset
from makar.metrics import _extractors
from makar.metrics._extractor import Extractor
from makar.metrics._facts import READ
from makar.verbs.sample import draw
from makar.verbs.train import fit, make_codec
from makar.verbs.trained import Trained

_ROWS = 64  # held-out rows a likelihood is computed for at a time
_TRIED = 8  # held-out things that are read to see what reading costs
_STRETCH = 4000  # characters of a long text that are read at a time where seconds count
_MANY, _FEW, _MOST = 1000, 100, 4000
_SHORT = 200  # characters, on average, up to which documents are items like others


def enough(data: Dataset) -> int:
    """How many things are drawn to be scored where no number is given.

    A long text counts for many items, so there are fewer of them; rows are small, and what tells them apart shows only
    in many: as many as there are to learn from, between 1,000 and 4,000.
    """
    if data.modality == "rows":
        return min(_MOST, max(_MANY, len(data.train)))
    if data.modality == "text":
        return _FEW if sum(map(len, data.train.things)) > _SHORT * len(data.train) else _MANY
    return _MANY


@dataclass(frozen=True)
class Yardstick:
    """A dataset made ready to score against: encoded by a codec of its own, with features and perhaps a classifier.

    It belongs to the data and knows no model, so floor and ceiling are the same whatever is scored.
    """

    reference: Reference
    extract: Extractor
    codec: Codec

    def sample(self, things: Sequence[Any], labels: Tensor | None = None) -> Sample:
        """Things that anybody made, read by the data's codec; `labels` int64 (n,) where they have classes."""
        x = self.codec.encode(things)
        return Sample(things, x, labels, self.extract(x))


def yardstick(data: Dataset) -> Yardstick:
    """Encode both splits by the data's default codec, and their features."""
    codec = make_codec(data)[1]
    train_x, held_x = codec.encode(data.train.things), codec.encode(data.held_out.things)
    extract = _extractors.extractor_for(codec.space, data.modality, train_x, data.name)
    parts = []
    for split, x in ((data.train, train_x), (data.held_out, held_x)):
        labels = None if split.labels is None else torch.from_numpy(split.labels).long()
        parts.append(Sample(split.things, x, labels, extract(x)))
    reference = Reference(
        space=codec.space,
        modality=data.modality,
        train=parts[0],
        held_out=parts[1],
        extractor=extract.name,
        condition=Classes(len(data.classes)) if data.classes else None,
        classify=None
        if data.manifest.label  # the class stands in the row: there is nothing to read it from
        else _extractors.classifier_for(extract, train_x, _aligned(parts[0])),
    )
    return Yardstick(reference, extract, codec)


def _aligned(sample: Sample) -> Tensor | None:
    """The labels where there is one for every row (packed documents have none)."""
    return sample.labels if sample.labels is not None and len(sample.labels) == len(sample.x) else None


def balanced_labels(labels: Tensor | None, n: int, classes: int, modality: str = "") -> Tensor | None:
    """n labels in a fixed order: every class equally often; None without classes.

    Where the largest class stands more than twice as often in `labels` as the smallest, as often as there instead: data
    that were not collected class by class are not scored as if they were. So are rows, of which the class is a column.
    """
    if labels is None or not classes:
        return None
    counts = torch.bincount(labels.clamp(min=0), minlength=classes).double()
    uneven = modality == "rows" or bool(counts.max() > 2 * counts.min())
    shares = counts / counts.sum() if uneven else torch.full((classes,), 1 / classes).double()
    edges = (shares.cumsum(0) * n).round().long()
    return torch.bucketize(torch.arange(n), edges, right=True).clamp(max=classes - 1)


def held_out_log_prob(model: Model, x: Tensor, labels: Tensor | None, seed: int = 0) -> LogProb | None:
    """Log-likelihood of the held-out rows under the model (packed text by rolling windows); None where it has none."""
    if not isinstance(model, HasLogProb):
        return None
    if isinstance(model.space, Tokens) and labels is None:
        return rolling_log_prob(model, x, seed)
    return _in_parts(model, x, labels, seed)


def _in_parts(model: Model, x: Tensor, labels: Tensor | None, seed: int) -> LogProb:
    assert isinstance(model, HasLogProb)
    parts, kind = [], None
    for first in range(0, len(x), _ROWS):
        rows = x[first : first + _ROWS]
        noise = Noise.rows(seed, range(first, first + len(rows)))
        condition = None if labels is None or not model.classes else labels[first : first + _ROWS]
        with torch.no_grad():
            result = model.log_prob(rows, noise, condition)
        parts.append(result.nats.detach().double())
        kind = result.kind
    assert kind is not None, "there are held-out rows"
    return LogProb(torch.cat(parts), kind)


def rolling_log_prob(model: Model, x: Tensor, seed: int = 0) -> LogProb:
    """Log-likelihood of packed text in windows that overlap by half, so that every symbol has context.

    Rows are cut from one stream, so the symbols at a row's beginning have their context in the row before. With
    windows w_k of the stream, log p = log p(w_1) + sum_k [log p(w_k) - log p(first half of w_k)]: each symbol is
    scored once, and after the first window with at least half a window before it. One number for each window.
    """
    length = x.shape[1]
    stream = x[x >= 0]
    start = model.space.start if isinstance(model.space, Tokens) else None
    items = bool((x[:-1] < 0).any()) or (start is not None and bool((x[:, -1] == start).all()))
    if length < 2 or len(stream) <= length or items:
        return _in_parts(model, x, None, seed)  # rows are items of their own, not cuts of a stream
    half = length // 2
    starts = range(half, max(len(stream) - (length - half), half) + half, half)
    first = _in_parts(model, stream[None, :length], None, seed)
    windows, begun = [], length
    for start in starts:
        end = min(start + length, len(stream))
        if end <= begun:
            break
        window = torch.full((length,), -1, dtype=torch.int64)
        window[: end - start] = stream[start:end]
        windows.append(window)
        begun = end
    if not windows:
        return first
    rows = torch.stack(windows)
    new = _beyond(model, rows, length - half, seed)
    return LogProb(torch.cat([first.nats, new.nats]), new.kind)


def _beyond(model: Model, rows: Tensor, context: int, seed: int) -> LogProb:
    """Log-likelihood of what stands behind the first `context` symbols of each row, given those.

    In one pass where the model says it symbol by symbol; else that of the row less that of its beginning.
    """
    if not isinstance(model, ScoresSymbols):
        whole = _in_parts(model, rows, None, seed)
        return LogProb(whole.nats - _in_parts(model, rows[:, :context], None, seed).nats, whole.kind)
    with torch.no_grad():
        parts = [model.symbol_nats(part)[:, context:].double().sum(1) for part in rows.split(_ROWS)]
    return LogProb(torch.cat(parts), "exact")


@dataclass(frozen=True)
class HeldOut:
    """What a model says of held-out things, by its own codec: nats a row, raw units, and the codec's own volume."""

    log_prob: LogProb
    units: int
    volume: float
    share: float = 1.0  # of the held-out things, how many were read


def held_out(trained: Trained, data: Dataset, seed: int = 0, seconds: float | None = None) -> HeldOut | None:
    """The likelihood of the held-out things under a model; None where it has none.

    With a limit in CPU seconds, of as many of them as it pays for, in an order that the seed decides: a sum over a
    random part, so its bits are unbiased and only their interval is wider. Long texts are read in stretches then, or
    the first book would take it all.
    """
    if not isinstance(trained.model, HasLogProb):
        return None
    things, labels = data.held_out.things, data.held_out.labels
    if seconds is not None and data.modality == "text" and labels is None:
        things = _stretches(things)
    generator = torch.Generator().manual_seed(seed_from(seed, "held out"))
    order = torch.randperm(len(things), generator=generator).tolist() if seconds is not None else range(len(things))
    begun, first, size = time.process_time(), 0, len(things) if seconds is None else _TRIED
    parts: list[HeldOut] = []
    while first < len(things):
        rows = list(order[first : first + size])
        asked = None if labels is None or not trained.model.classes else torch.from_numpy(labels[rows]).long()
        parts.append(_said(trained, [things[i] for i in rows], asked, seed))
        first += len(rows)
        if seconds is not None:
            left = seconds - (time.process_time() - begun)
            size = min(2 * size, int(left / (time.process_time() - begun) * first))
            if size < 1:
                break
    nats = torch.cat([part.log_prob.nats for part in parts])
    units, volume = sum(part.units for part in parts), sum(part.volume for part in parts)
    return HeldOut(LogProb(nats, parts[0].log_prob.kind), units, volume, first / len(things))


def _stretches(texts: Sequence[str]) -> list[str]:
    """Texts cut into stretches of at most 4,000 characters."""
    return [t[a : a + _STRETCH] for t in texts for a in range(0, max(len(t), 1), _STRETCH)]


def _said(trained: Trained, things: Sequence[Any], labels: Tensor | None, seed: int) -> HeldOut:
    codec = trained.codec
    found = held_out_log_prob(trained.model, codec.encode(things), labels, seed)
    assert found is not None, "asked only of models with a likelihood"
    return HeldOut(found, codec.units(things), codec.nats(things))


def score_things(
    stick: Yardstick,
    things: Sequence[Any],
    labels: Tensor | None = None,
    held: HeldOut | None = None,
    facts: dict[str, Any] | None = None,
) -> list[Score]:
    """All scores of generated things, and of what their model says of held-out ones."""
    generated = Generated(stick.sample(things, labels), facts=facts or {})
    if held is not None:
        known = {**generated.facts, READ: held.share}
        generated = replace(generated, held_out=held.log_prob, units=held.units, volume=held.volume, facts=known)
    scores: list[Score] = []
    for name in registry.modules("metrics"):
        metric: Metric = registry.load("metrics", name)()
        if stick.reference.modality in metric.modalities:
            scores += metric(stick.reference, generated)
    return scores


def require_alike(trained: Trained, data: Dataset) -> None:
    """Raise MakarError where the model makes other things than the data hold."""
    made = trained.manifest.modality
    if data.modality != made:
        raise MakarError(
            f"the model of {trained.manifest.name} makes {made}, and {data.name} holds {data.modality}; "
            f"score it against {made}"
        )


def score(
    trained: Trained,
    data: Dataset,
    n: int | None = None,
    seed: int = 1,
    stick: Yardstick | None = None,
    seconds: float | None = None,
) -> list[Score]:
    """Draw n outputs (`enough` of them where n is None), classes as in the training data, and compare them.

    `seconds` are the CPU seconds that reading held-out things may take; see `held_out`. Raises MakarError where the
    data hold things of another kind.
    """
    require_alike(trained, data)
    stick = stick or yardstick(data)
    n = n or enough(data)
    labels = wanted_labels(trained, stick, n)
    things = trained.things(draw(trained, n, seed, labels), labels)
    return score_things(stick, things, labels, held_out(trained, data, seed, seconds), {"family": trained.family})


def wanted_labels(trained: Trained, stick: Yardstick, n: int) -> Tensor | None:
    """The classes of the n outputs that are scored; None for a model without classes."""
    return balanced_labels(stick.reference.train.labels, n, trained.model.classes, stick.reference.modality)


def anchors(
    data: Dataset, n: int | None = None, seed: int = 1, stick: Yardstick | None = None
) -> dict[str, list[Score]]:
    """The floor (training items themselves, in content order) and the ceiling (independent columns), at the same n."""
    n = n or enough(data)
    stick = stick or yardstick(data)
    labels = None if data.train.labels is None else torch.from_numpy(data.train.labels).long()
    wanted = balanced_labels(labels, n, len(data.classes), data.modality)
    rows = _real_rows(labels, len(data.train), n, wanted)
    real = [data.train.things[i] for i in rows.tolist()]
    trivial = fit("independent", data, budget="5s", seed=seed)
    return {
        "floor": score_things(stick, real, None if labels is None else labels[rows]),
        "ceiling": score(trivial, data, n, seed, stick),
    }


def _spread(n: int, among: int) -> Tensor:
    """n indices spread evenly over `among`, each at most once while they last."""
    return torch.arange(n) % among if n >= among else torch.arange(n) * among // n


def _real_rows(labels: Tensor | None, count: int, n: int, wanted: Tensor | None) -> Tensor:
    """Indices of n of `count` training items (of the wanted classes where there are any), each once while they last."""
    if wanted is None or labels is None:
        return _spread(n, count)
    rows = torch.empty(n, dtype=torch.int64)
    for label in wanted.unique():
        places = (wanted == label).nonzero().flatten()
        own = (labels == label).nonzero().flatten()
        rows[places] = own[_spread(len(places), len(own))]
    return rows
