"""Inbreeding: what becomes of a model that is trained on what a model of its kind has made, and so on.

Generation 0 learns the data. Each further one learns as many items as there were, drawn from the last model, but for a
share of real ones that may be kept. Without real data the tails go first and then the spread: Shumailov et al. 2024,
"AI models collapse when trained on recursively generated data"; with real data kept the decay ends (Gerstgrasser et al.
2024). A Gaussian fitted to n items by maximum likelihood loses (n - 1) / n of its variance a generation, in the mean:

    E[v_g] = v_0 ((n - 1) / n)^g,     and with a share s of n real items of variance v among them about
    v_(g+1) = (1 - 1/n) (s v + (1 - s) v_g),     which ends at v (1 - 1/n) s / (1 - (1 - 1/n) (1 - s)).

Every generation is held against the same held-out items, in the features of the first data:

    distance   Frechet distance of pictures and texts, energy distance of points and rows
    spread     total variance of outputs over that of held-out items
    classes    share of classes that outputs have at least a tenth as often as held-out items, where there are classes

An alarm is a spread that is surely below four fifths of that of the held-out items, or a distance that surely grew
beyond the first generation's and beyond the floor, which is what training items themselves have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from makar.core import registry
from makar.core.digest import digest, short
from makar.core.errors import MakarError
from makar.core.score import Generated, Metric, Sample, Score
from makar.data import Dataset, Manifest, Split, rights
from makar.data import manifest as manifests
from makar.data.dataset import Member
from makar.data.splits import digests
from makar.metrics._intervals import centred, resamples, wilson
from makar.verbs.audits._items import spread as evenly
from makar.verbs.audits._result import Result, timed
from makar.verbs.budget import Budget
from makar.verbs.sample import asked_labels, draw
from makar.verbs.score import Yardstick, yardstick
from makar.verbs.train import fit
from makar.verbs.trained import Trained

NARROW = 0.8  # spread that is too small
HIT = 0.1  # of its share among held-out items, for a class to count as hit
DISTANCES = {"pictures": "frechet", "text": "frechet", "points": "energy", "rows": "energy"}
_RESAMPLES = 100


@dataclass(frozen=True)
class Generation:
    """What the outputs of one generation are like."""

    distance: Score
    spread: Score
    classes: Score | None

    @property
    def scores(self) -> list[Score]:
        """All of them."""
        return [s for s in (self.distance, self.spread, self.classes) if s is not None]


@timed
def inbreed(
    family: str,
    data: Dataset,
    budget: str | Budget = "20s",
    generations: int = 5,
    keep_real: float = 0.0,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
) -> Result:
    """Train `generations` models, each on the last one's outputs and a share `keep_real` of real items."""
    if generations < 2:
        raise MakarError(f"{generations} generations were asked for; at least 2 are needed to see what becomes of them")
    if not 0.0 <= keep_real <= 1.0:
        raise MakarError(f"keep_real is {keep_real}, but it is a share from 0 to 1")
    stick = yardstick(data)
    floor = _measured(stick, stick.reference.train)
    found: list[Generation] = []
    models: list[str] = []
    current = data
    for g in range(generations):
        trained = fit(family, current, budget, seed + g, settings)
        models.append(trained.id)
        things, labels = _outputs(trained, len(data.train), seed + g)
        found.append(_measured(stick, _sample(stick, things)))
        current = bred(data, trained, things, labels, keep_real)
    figures = [_named(s, f"generation {g}") for g, one in enumerate(found) for s in one.scores]
    figures += [_named(s, "floor") for s in floor.scores]
    details = {
        "models": models, "keep_real": keep_real, "items": len(data.train), "last data": current.manifest.digest,
        "licence": current.manifest.licence, "origin": current.manifest.origin,
    }  # fmt: skip
    return _judged(found, floor, tuple(figures), details)


def bred(data: Dataset, trained: Trained, things: Sequence[Any], labels: Tensor | None, keep_real: float) -> Dataset:
    """Data to train on: outputs of a model, all but a share of real training items; the held-out items stay real.

    The manifest says that they are synthetic, names the model as their source, and carries what the licences of the
    model's data allow.
    """
    count = len(data.train)
    real = evenly(round(keep_real * count), count)
    kept = count - len(real)
    train = [*(data.train.things[i] for i in real), *things[:kept]]
    found = None
    if labels is not None and data.train.labels is not None:
        found = np.concatenate([data.train.labels[real], labels[:kept].numpy()])
    hashes = digests(train)
    described = _described(data.manifest, trained, hashes, len(real))
    return replace(data, train=Split(train, found), manifest=described, entropy=None)


def _described(old: Manifest, trained: Trained, hashes: list[str], real: int) -> Manifest:
    said = rights.of(trained.manifest).words()
    licence = old.licence
    source = f"drawn from model {trained.id} ({trained.family} on {trained.manifest.name})"
    members = []
    if 0 < real < len(hashes):
        own = _member(
            old.name, old.source, licence, old, "public" if old.origin == "mixed" else old.origin, hashes[:real]
        )
        made = _member(f"outputs of {short(trained.id)}", source, licence, old, "synthetic", hashes[real:])
        total = len(hashes)
        members = [m.model_copy(update={"share": m.counts["train"] / total}) for m in (own, made)]
    origin = "synthetic" if not real else "mixed" if members else old.origin
    return manifests.build(
        name=f"outputs of {short(trained.id)}" if not real else f"{old.name} and outputs of {short(trained.id)}",
        modality=old.modality, source=source if not real else f"{real} items of {old.source}; the rest {source}",
        licence=licence, attribution=old.attribution, classes=old.classes,
        items={"train": hashes, "held_out": old.items["held_out"]}, split=old.split,
        notes=[f"{len(hashes) - real} of {len(hashes)} training items were made by a model", f"rights: {said}"],
        past=manifests.Past(origin=origin, members=members, accepted=old.accepted, optouts=old.optouts),
        label=old.label,
    )  # fmt: skip


def _member(name: str, source: str, licence: str, old: Manifest, origin: Any, hashes: list[str]) -> Member:
    return Member(
        name=name, source=source, licence=licence, attribution=old.attribution, origin=origin,
        counts={"train": len(hashes), "held_out": 0}, share=0.0, digest=digest(name, source, licence, hashes),
    )  # fmt: skip


def _outputs(trained: Trained, n: int, seed: int) -> tuple[list[Any], Tensor | None]:
    """n things, classes as in the model's data."""
    labels = asked_labels(trained, n, None, seed)
    return trained.things(draw(trained, n, seed, labels), labels), labels


def _sample(stick: Yardstick, things: Sequence[Any]) -> Sample:
    x = stick.codec.encode(things)
    return Sample(things, x, None, stick.extract(x))


def _measured(stick: Yardstick, made: Sample) -> Generation:
    reference = stick.reference
    metric: Metric = registry.load("metrics", DISTANCES[reference.modality])()
    distance = metric(reference, Generated(made))[0]
    real = reference.held_out.features
    assert made.features is not None, "a sample of this audit has features"
    assert real is not None, "a yardstick has features"
    n, m = len(made.features), len(real)
    value = _variance(made.features) / _variance(real)
    again = [
        _variance(made.features[torch.from_numpy(i)]) / _variance(real[torch.from_numpy(j)])
        for i, j in resamples(_RESAMPLES, n, m)
    ]
    low, high = centred(value, np.array(again))
    spread = Score(f"spread[{reference.extractor}]@{n}/{m}", value, max(0.0, low), high, n, None)
    return Generation(distance, spread, _classes(stick, made))


def _variance(features: Tensor) -> float:
    return float(features.var(0, correction=1).sum())


def _classes(stick: Yardstick, made: Sample) -> Score | None:
    reference = stick.reference
    if reference.classify is None or reference.condition is None:
        return None
    count = reference.condition.count
    shares = [
        torch.bincount(reference.classify(x), minlength=count).double() / len(x)
        for x in (made.x, reference.held_out.x)
    ]  # fmt: skip
    there = shares[1] > 0
    hit, among = int((shares[0][there] >= HIT * shares[1][there]).sum()), int(there.sum())
    low, high = wilson(hit, among)
    return Score(f"classes hit[{reference.extractor}]@{len(made.x)}/{among}", hit / among, low, high, among, True)


def _named(score: Score, what: str) -> Score:
    return replace(score, name=f"{what} {score.name}")


def _judged(
    found: list[Generation], floor: Generation, figures: tuple[Score, ...], details: dict[str, Any]
) -> Result:  # fmt: skip
    first, last, number = found[0], found[-1], len(found)
    bars = {"spread": NARROW, "distance": max(first.distance.high, floor.distance.high)}
    narrow = [g for g, one in enumerate(found) if one.spread.high < NARROW]
    if narrow:
        g = narrow[0]
        why = f"outputs of generation {g} have {found[g].spread.value:.2f} of the spread of held-out items"
        return Result("inbreeding", "alarm", why, figures, bars, details)
    if last.distance.low > bars["distance"]:
        why = (
            f"after {number} generations the distance to held-out items is {last.distance.value:.3g}, "
            f"at first {first.distance.value:.3g}"
        )
        return Result("inbreeding", "alarm", why, figures, bars, details)
    why = f"{number} generations neither lose spread ({last.spread.value:.2f}) nor move away from held-out items"
    return Result("inbreeding", "none", why, figures, bars, details)
