"""Detectors of synthetic media: what they find, and how soon they stop finding it.

A detector is a logistic regression on traces of making (`_traces`). It learns real items that no model was trained on
against outputs of some families, and is judged by the area under the ROC curve, with DeLong's interval, on other real
items and other outputs: of the families it knows, of families it has never seen, and after attacks on both sides alike
(JPEG, noise, blur, resizing; edits of text). Published detectors lose much of their power on generators that they do
not know and on pictures that were resized and compressed (Corvi et al. 2023), and so do these: the figures after attack
belong to the result, the low ones above all.

So a verdict on a file begins with evidence (`verbs/detect`: signed, watermarked, unknown). A detector can only add to
an unknown that it resembles what certain models make, at a false-positive rate measured on so many clean items. It
never says that something is real.

`indistinguishability` turns the question round (the two-sample test of Lopez-Paz & Oquab 2017, as accuracy; what
Nightingale & Farid 2022 asked people about faces, 48 % of whom were right, here is asked of a classifier).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from makar.core import files, state
from makar.core.errors import MakarError
from makar.core.score import Score
from makar.data.splits import canonical
from makar.metrics._intervals import Array, wilson
from makar.provenance.home import Home
from makar.verbs.audits import _figures
from makar.verbs.audits._distort import ATTACKS, distorted
from makar.verbs.audits._result import Result, beyond_measure, timed
from makar.verbs.audits._traces import traces

FORMAT = "makar-detector-1"
RATE = 0.01  # of clean items that may be called synthetic
WEAK = 0.6  # an area under the curve whose interval reaches below this is no detection
CHANCE = 0.01  # so few chances that more false positives than stated are no accident
LEAST = 40  # items of a kind to learn from or to be judged on
TELLS = 0.55  # accuracy above which two samples are told apart
_PENALTY = 0.05  # inverse of the ridge penalty: traces are many and items few
_TENSORS, _PLAIN = "detector.safetensors", "detector.json"


@dataclass(frozen=True, eq=False)
class Detector:
    """A logistic regression on standardised traces, and the scores of clean items that calibrate it."""

    modality: str
    levels: int  # of the pictures that it takes; 0 for text
    families: tuple[str, ...]  # whose outputs it has learnt
    mean: Array  # (d,)
    scale: Array  # (d,)
    weights: Array  # (d,)
    bias: float
    clean: Array  # (n,) scores of real items that it did not learn from, ascending

    def score(self, things: Sequence[Any]) -> Array:
        """Log-odds that a thing is synthetic; only their order and `false_positives` mean something."""
        found: Array = ((traces(self.modality, things, self.levels or 256) - self.mean) / self.scale) @ self.weights
        return found + self.bias

    def false_positives(self, score: float) -> float:
        """The share of clean items that score as high, (1 + k) / (n + 1): a p-value."""
        beyond = len(self.clean) - int(np.searchsorted(self.clean, score, "left"))
        return (1 + beyond) / (len(self.clean) + 1)

    @property
    def threshold(self) -> float:
        """The score that at most `RATE` of the clean items exceed; beyond all of them where they are too few."""
        k = math.floor(RATE * (len(self.clean) + 1) + 1e-9)
        return math.inf if k < 1 else float(self.clean[len(self.clean) - k])


def train(real: Sequence[Any], made: Mapping[str, Sequence[Any]], modality: str, levels: int = 0) -> Detector:
    """A detector from real items and the outputs of some families, by family.

    Two thirds of the real items are learnt from, the rest calibrates it, and which is which is decided by their hash;
    every family weighs alike. Raises MakarError where there are too few.
    """
    learnt, clean = _parted(real)
    short = [name for name, things in made.items() if len(things) < LEAST]
    if not made or short or min(len(learnt), len(clean)) < LEAST:
        what = f"family '{short[0]}'" if short else "families" if not made else "the real items"
        raise MakarError(f"a detector learns from at least {LEAST} things of every kind, and {what} has fewer")
    from sklearn.linear_model import LogisticRegression

    groups = [traces(modality, learnt, levels or 256), *(traces(modality, t, levels or 256) for t in made.values())]
    x = np.concatenate(groups)
    y = np.repeat([0] + [1] * len(made), list(map(len, groups)))
    weights = np.concatenate(
        [np.full(len(g), (1.0 if i == 0 else 1.0 / len(made)) / len(g)) for i, g in enumerate(groups)]
    )
    mean, scale = x.mean(0), x.std(0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    model = LogisticRegression(C=_PENALTY, max_iter=1000)
    model.fit((x - mean) / scale, y, sample_weight=weights * len(x) / 2)
    found = Detector(
        modality, levels, tuple(made), mean, scale, model.coef_[0], float(model.intercept_[0]), np.zeros(0)
    )
    return replace(found, clean=np.sort(found.score(clean)))


def _parted(things: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Two thirds and one third of the things, by hash."""
    sides: tuple[list[Any], list[Any]] = ([], [])
    for thing in things:
        sides[hashlib.sha256(b"detector" + canonical(thing)).digest()[0] % 3 == 0].append(thing)
    return sides


@timed
def judged(detector: Detector, real: Sequence[Any], made: Mapping[str, Sequence[Any]], seed: int = 0) -> Result:
    """The detector on real items and outputs, by family, that it has not learnt from: as they are and after attack.

    The finding is an alarm where it fails: where its area under the curve may be as low as 0.6 for some family or
    attack, or its false positives exceed their stated rate beyond chance: with n clean items, of which k lie above the
    threshold, those of m fresh ones are beta-binomial (m; k, n + 1 - k), and so many have less than 1 % probability.
    """
    if min(map(len, (real, *made.values()))) < LEAST:
        return beyond_measure("detector", f"fewer than {LEAST} items of some kind cannot judge a detector")
    figures: list[Score] = []
    excess: list[Score] = []
    levels = detector.levels or 256
    for attack, how in {"none": None, **ATTACKS[detector.modality]}.items():
        changed = {
            name: list(things) if how is None else distorted(list(things), how, levels, seed + i)
            for i, (name, things) in enumerate({"real": real, **made}.items())
        }
        scores = {name: detector.score(things) for name, things in changed.items()}
        fresh = scores.pop("real")
        for name, values in scores.items():
            figures += _family_figures(detector, name, attack, values, fresh)
        called = int((fresh > detector.threshold).sum())
        figures.append(_figures.share(f"false positives[attack={attack}]@{len(fresh)}", called, len(fresh)))
        if by_chance(called, len(fresh), len(detector.clean)) < CHANCE:
            excess.append(figures[-1])
    curves = [f for f in figures if f.name.startswith("auroc")]
    weak = [f for f in curves if f.low < WEAK]
    bars = {"auroc": WEAK, "false positives": RATE, "score": min(detector.threshold, 1e9)}
    details = {
        "learnt": list(detector.families), "clean items": len(detector.clean),
        "weak": [f.name for f in weak], "false positives beyond the rate": [f.name for f in excess],
    }  # fmt: skip
    if weak or excess:
        worst = min(curves, key=lambda f: f.value)
        why = f"the detector fails in {len(weak)} of {len(curves)} cases; at worst {worst.name} is {worst.value:.2f}"
        if excess:
            most = max(excess, key=lambda f: f.value)
            why += f"; {most.name}: {100 * most.value:.0f} % where {100 * RATE:g} % were stated"
        return Result("detector", "alarm", why, tuple(figures), bars, details)
    why = (
        f"every family is told from real items, also after attack: the least area is {min(f.value for f in curves):.2f}"
    )
    return Result("detector", "none", why, tuple(figures), bars, details)


def by_chance(called: int, fresh: int, clean: int) -> float:
    """The probability of so many false positives or more among fresh items, where the threshold is as calibrated."""
    k = math.floor(RATE * (clean + 1) + 1e-9)
    if not k or not called:
        return 1.0
    beta = partial(_log_beta, k, clean + 1 - k, fresh)
    return max(0.0, 1.0 - sum(math.exp(beta(x)) for x in range(called)))


def _log_beta(a: int, b: int, m: int, x: int) -> float:
    """Log of the beta-binomial probability of x of m."""
    choose = math.lgamma(m + 1) - math.lgamma(x + 1) - math.lgamma(m - x + 1)
    above = math.lgamma(a + x) + math.lgamma(b + m - x) - math.lgamma(a + b + m)
    return choose + above - math.lgamma(a) - math.lgamma(b) + math.lgamma(a + b)


def _family_figures(detector: Detector, name: str, attack: str, made: Array, real: Array) -> list[Score]:
    seen = "learnt" if name in detector.families else "unseen"
    what = f"{name};{seen};attack={attack}"
    found = int((made > detector.threshold).sum())
    low, high = wilson(found, len(made))
    return [
        replace(_figures.auc(f"auroc[{what}]@{len(made)}/{len(real)}", made, real), higher_is_better=True),
        Score(f"found[{what};fpr={100 * RATE:g}%]@{len(made)}", found / len(made), low, high, len(made), True),
    ]


# Keeping


def root(home: Home) -> Path:
    """Where a workspace keeps its detectors, each in a folder named after its modality."""
    return home.root / "detectors"


def kept(home: Home, modality: str) -> Detector | None:
    """The workspace's detector of a modality; None where it has none. Raises MakarError where it was altered."""
    place = root(home) / modality
    return load(place) if place.is_dir() else None


def save(detector: Detector, folder: Path) -> Path:
    """Write a detector, its numbers as safetensors and the rest as JSON, whole or not at all."""
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(getattr(detector, name), np.float64))
        for name in ("mean", "scale", "weights", "clean")
    }
    data = state.save_tensors(tensors)
    plain = {
        "format": FORMAT, "modality": detector.modality, "levels": detector.levels,
        "families": list(detector.families), "bias": detector.bias, "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    files.write_directory(folder, {_TENSORS: data, _PLAIN: files.to_json(plain).encode()})
    return folder


def load(folder: Path) -> Detector:
    """A detector from its folder. Raises MakarError for one that is missing, altered or of another format."""
    try:
        data, plain = (folder / _TENSORS).read_bytes(), json.loads((folder / _PLAIN).read_bytes())
    except OSError as error:
        raise MakarError(f"there is no detector at {folder} ({error.strerror}); train one") from None
    except (ValueError, RecursionError):
        raise MakarError(f"{folder}/{_PLAIN} is not JSON; train the detector anew") from None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise MakarError(f"{folder} is no detector of this version; train it anew")
    if plain.get("sha256") != hashlib.sha256(data).hexdigest():
        raise MakarError(f"{folder}/{_TENSORS} does not match its digest; train the detector anew")
    tensors = state.load_tensors(data, f"{folder}/{_TENSORS}")
    try:
        arrays = {name: tensors[name].double().numpy() for name in ("mean", "scale", "weights", "clean")}
        families = tuple(map(str, plain["families"]))
        return Detector(str(plain["modality"]), int(plain["levels"]), families, bias=float(plain["bias"]), **arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise MakarError(f"{folder} is no whole detector ({error}); train it anew") from None


# Can anything tell?


@timed
def indistinguishability(made: Array, real: Array, extractor: str, seed: int = 0) -> Result:
    """Accuracy of two classifiers that tell generated from held-out items, features float64 (n, d) and (m, d).

    As many of each, four fifths to learn from and a fifth to be judged on, in turn; half right is chance.
    """
    n = min(len(made), len(real))
    if n < LEAST:
        return beyond_measure("indistinguishability", f"fewer than {LEAST} items of a kind cannot be told apart or not")
    chance = np.random.Generator(np.random.Philox(seed))
    x = np.concatenate([side[chance.permutation(len(side))[:n]] for side in (made, real)])
    y = np.repeat([1, 0], n)
    figures = []
    for kind, model in _judges().items():
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        said = cross_val_predict(model, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed))
        right = int((said == y).sum())
        low, high = wilson(right, 2 * n)
        figures.append(Score(f"accuracy[{kind};{extractor}]@{n}/{n}", right / (2 * n), low, high, 2 * n, False))
    best = max(figures, key=lambda f: f.low)
    bars = {"accuracy": TELLS}
    told = f"{100 * best.value:.1f} % right ({100 * best.low:.1f} to {100 * best.high:.1f} %)"
    if best.low > TELLS:
        why = f"a classifier tells generated from held-out items: {told}"
        return Result("indistinguishability", "alarm", why, tuple(figures), bars)
    if best.low > 0.5:
        why = f"a classifier tells them apart a little better than chance: {told}"
    else:
        why = f"neither classifier tells generated from held-out items: {told}, where chance is 50 %"
    return Result("indistinguishability", "none", why, tuple(figures), bars)


def _judges() -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        "boosting": HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=8, learning_rate=0.2, early_stopping=False, random_state=0
        ),
    }
