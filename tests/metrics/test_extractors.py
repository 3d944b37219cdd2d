"""Extractors: names that change with what was learnt, shapes, and the probe's promises."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from makar.core.score import Generated, Reference, Sample
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space, Tokens
from makar.metrics._extractors import NGrams, Pca, Pixels, classifier_for, extractor_for
from makar.metrics._probe import SPACE, Probe
from makar.metrics.frechet import frechet_of

from .sets import scores


def draws(seed: int) -> dict[str, tuple[Space, str, Tensor]]:
    g = torch.Generator().manual_seed(seed)
    rows = torch.stack([5 + 3 * torch.randn(90, generator=g), torch.randint(0, 3, (90,), generator=g).float()], 1)
    return {
        "patches": (Levels((3, 12, 12), 256), "pictures", torch.randint(0, 256, (90, 3, 12, 12), generator=g)),
        "pca": (Levels((3,), 256), "points", torch.randint(0, 256, (90, 3), generator=g)),
        "columns": (Columns((Numeric("a"), Categorical("b", 3))), "rows", rows),
        "ngrams": (Tokens(9, 20), "text", torch.randint(-1, 9, (90, 20), generator=g)),
        "points": (Reals((2,)), "points", torch.randn(90, 2, generator=g)),
    }


@pytest.mark.parametrize("kind", ["patches", "pca", "columns", "ngrams", "points"])
def test_names_carry_what_was_learnt(kind: str) -> None:
    space, modality, x = draws(0)[kind]
    extract = extractor_for(space, modality, x)
    again = extractor_for(space, modality, x.clone())
    other = extractor_for(space, modality, draws(1)[kind][2])
    assert extract.name.startswith(kind)
    assert extract.name == again.name
    assert (extract.name == other.name) == (kind == "points")
    features = extract(x)
    assert features.dtype == torch.float64
    assert len(features) == 90
    assert torch.equal(features, again(x))
    # convolutions are in single precision
    assert torch.allclose(features[:7], extract(x[:7]), atol=1e-5 if kind == "patches" else 1e-12)


def test_columns_are_in_standard_units_and_categories_lie_one_apart() -> None:
    space, modality, x = draws(0)["columns"]
    features = extractor_for(space, modality, x)(x)
    assert float(features[:, 0].mean()) == pytest.approx(0.0, abs=1e-9)
    assert float(features[:, 0].std()) == pytest.approx(1.0, rel=1e-6)
    a, b = features[x[:, 1] == 0][0, 1:], features[x[:, 1] == 1][0, 1:]
    assert float((a - b).norm()) == pytest.approx(1.0)


def test_principal_components_by_iteration_are_those_of_the_decomposition() -> None:
    g = torch.Generator().manual_seed(0)
    low = torch.randn(200, 8, generator=g, dtype=torch.float64) * torch.arange(8, 0, -1)
    x = (low @ torch.randn(8, 600, generator=g, dtype=torch.float64)).round().long()
    x = (x - x.min()).reshape(200, 1, 20, 30)
    pixels = Pixels(Levels((1, 20, 30), int(x.max()) + 1))
    found = Pca(pixels, x, 8)(x)
    assert Pca(pixels, x[:80], 8)(x).shape == (200, 4)  # a twentieth of the items
    centred = pixels(x) - pixels(x).mean(0)
    kept = torch.linalg.svdvals(centred)[:8] ** 2
    assert torch.allclose(found.square().sum(0), kept, rtol=1e-6)


def test_n_grams_do_not_see_the_padding() -> None:
    space = Tokens(9, 20)
    x = draws(0)["ngrams"][2].clamp(min=0)
    extract = extractor_for(space, "text", x)
    short = x[:5, :10]
    padded = torch.cat([short, torch.full((5, 10), -1)], 1)
    assert torch.allclose(extract(short), extract(padded))
    assert not torch.allclose(extract(short), extract(short.flip(1)))


def test_n_grams_by_hand() -> None:
    # "aab": three 1-grams, two 2-grams, one 3-gram; only "a" comes twice
    x = torch.tensor([[0, 0, 1]])
    extract = extractor_for(Tokens(2, 3), "text", x)
    assert isinstance(extract, NGrams)
    found = extract.frequencies(x).square() * 6
    assert sorted(found[found > 0].round().tolist()) == [1, 1, 1, 1, 2]
    assert float(found.sum()) == pytest.approx(6.0)


def test_fresh_text_is_as_far_from_text_as_the_training_text_is() -> None:
    """Rows of many rare symbols, where components fitted to the training rows would tell them from fresh ones."""
    g = torch.Generator().manual_seed(0)
    weights = 1.0 / torch.arange(1, 1001)
    rows = torch.multinomial(weights, 900 * 100, replacement=True, generator=g).reshape(900, 100)
    features = extractor_for(Tokens(1000, 100), "text", rows[:300])(rows)
    trained, fresh = (frechet_of(features[i : i + 300], features[600:]) for i in (0, 300))
    assert trained == pytest.approx(fresh, rel=0.15)


def test_the_probe_is_for_the_digits_only() -> None:
    x = torch.zeros(70, 1, 8, 8, dtype=torch.int64)
    x[:, 0, 0, 0] = torch.arange(70) % 17
    assert extractor_for(SPACE, "pictures", x, "digits").name.startswith("probe-digits-")
    assert extractor_for(SPACE, "pictures", x, "stamps").name.startswith("patches-")


def digits() -> tuple[Sample, Sample]:
    """Train and held out, as makar splits them."""
    from makar.data import load

    data = load("digits")
    parts = []
    for split in (data.train, data.held_out):
        assert split.labels is not None
        x = torch.from_numpy(np.stack(split.things).astype(np.int64)).permute(0, 3, 1, 2).contiguous()
        parts.append(Sample(split.things, x, torch.from_numpy(split.labels), Probe()(x)))
    return parts[0], parts[1]


def test_the_probe_never_saw_the_held_out_digits() -> None:
    """`benchmarks/probe_digits.py` held out the first 500 by the SHA-256 of their bytes: the split's own."""
    train, held = digits()
    hashes = [[hashlib.sha256(np.ascontiguousarray(t).tobytes()).hexdigest() for t in s.things] for s in (train, held)]
    assert len(hashes[1]) == 500
    assert max(hashes[1]) < min(hashes[0])


def test_the_probe_keeps_its_promises_on_the_digits() -> None:
    """Accuracy, the floor, and a kernel density that scores well and is caught copying (training.md, section 1)."""
    train, held = digits()
    probe = Probe()
    assert train.labels is not None
    assert held.labels is not None
    classify = classifier_for(probe, train.x, train.labels)
    assert classify is not None
    accuracy = float((classify(held.x) == held.labels).double().mean())
    assert accuracy == pytest.approx(probe.config["held_out_accuracy"], abs=0.005)
    reference = Reference(SPACE, "pictures", train, held, probe.name, Classes(10), classify)
    g = torch.Generator().manual_seed(1)
    rows = torch.cat([torch.nonzero(train.labels == c).squeeze(1)[:100] for c in range(10)])
    noisy = (train.x[rows] + 1.6 * torch.randn(1000, 1, 8, 8, generator=g)).round().clamp(0, 16).long()
    fake = torch.randint(0, 17, (1000, 1, 8, 8), generator=g)
    made = {
        name: Generated(Sample(list(x), x, train.labels[rows], probe(x)))
        for name, x in {"real": train.x[rows], "kernel": noisy, "noise": fake}.items()
    }
    fd = {name: scores("frechet", reference, m)["fd"].value for name, m in made.items()}
    assert 0.08 < fd["real"] < 0.25 < fd["kernel"] < 0.45
    assert fd["noise"] > 10
    assert scores("agreement", reference, made["kernel"])["agreement"].value > 0.98
    ratio = scores("copying", reference, made["kernel"])["nn ratio"]
    assert 0.55 < ratio.value < 0.72
    assert ratio.caveats[0].startswith("COPYING")
    assert scores("utility", reference, made["real"])["tstr"].value > 0.97


def test_a_classifier_where_there_are_labels() -> None:
    space, modality, x = draws(0)["points"]
    extract = extractor_for(space, modality, x)
    labels = (x[:, 0] > 0).long()
    classify = classifier_for(extract, x, labels)
    assert classify is not None
    assert float((classify(x) == labels).double().mean()) > 0.95
    assert classifier_for(extract, x, None) is None
    assert classifier_for(extract, x, torch.zeros(90, dtype=torch.int64)) is None
    assert math.prod(classify(x[:3]).shape) == 3
