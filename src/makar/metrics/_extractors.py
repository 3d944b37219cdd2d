"""Extractors: what turns items into the float64 vectors in which sets are compared.

An extractor is part of a score's definition, so each has a name that says its kind and ends with a digest of whatever
it learnt from: two scores share a column only if the names are equal.

    points        the numbers themselves
    pixels        levels on [-1, 1]
    patches-<d>   pictures of any size by the patches they show, see `_patches.py`
    pca-<d>       pixels on the d leading principal components of the training set, d at most 64 and n / 20: the second
                  opinion on pictures, blind to noise
    columns       numeric columns in units of the training set's standard deviation; categorical ones as one-hot
                  vectors divided by sqrt(2), so that two different categories lie 1 apart
    ngrams-<d>    square roots of the relative frequencies of hashed 1-, 2- and 3-grams of symbols (their Euclidean
                  distance is Hellinger's), on d random directions that are always the same
    probe-digits  the hidden layer of the shipped classifier, see `_probe.py`
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.spaces import Categorical, Columns, Levels, Reals, Space, Tokens
from makar.metrics._extractor import Extractor
from makar.metrics._patches import Patches
from makar.metrics._principal import digest_of as _digest
from makar.metrics._principal import principal
from makar.metrics._probe import SPACE as DIGITS
from makar.metrics._probe import Probe

_BUCKETS = 1024


class Points(Extractor):
    """The numbers themselves, flattened."""

    name = "points"

    def __call__(self, x: Tensor) -> Tensor:
        return x.double().flatten(1)


class Pixels(Extractor):
    """Levels 0..levels-1 on [-1, 1], flattened."""

    name = "pixels"

    def __init__(self, space: Levels) -> None:
        self._top = space.levels - 1

    def __call__(self, x: Tensor) -> Tensor:
        return x.double().flatten(1) * (2.0 / self._top) - 1.0


class Rows(Extractor):
    """Standardised numeric columns beside scaled one-hot vectors."""

    def __init__(self, space: Columns, train: Tensor) -> None:
        self._space = space
        self._mean = train.double().mean(0)
        self._std = train.double().std(0).clamp(min=1e-9)
        self.name = f"columns-{_digest(train)}"

    def __call__(self, x: Tensor) -> Tensor:
        standard = (x.double() - self._mean) / self._std
        parts = []
        for i, column in enumerate(self._space.columns):
            if isinstance(column, Categorical):
                parts.append(F.one_hot(x[:, i].long(), column.levels).double() * 0.5**0.5)
            else:
                parts.append(standard[:, i : i + 1])
        return torch.cat(parts, 1)


class NGrams(Extractor):
    """Hellinger coordinates of hashed n-grams of symbols, n = 1, 2, 3, on random directions.

    Not on principal components: n-grams are so many and so rare that components fitted to the training set lie nearer
    to its own rows than to fresh ones, and fresh text would look worse than copies.
    """

    def __init__(self, train: Tensor, dimensions: int) -> None:
        generator = torch.Generator().manual_seed(0)
        directions = torch.randn(_BUCKETS, dimensions, generator=generator, dtype=torch.float64)
        self._directions = directions / dimensions**0.5
        # nothing is learnt, but symbols mean what the codec that made these rows says
        self.name = f"ngrams-{dimensions}-{_digest(train)}"

    def __call__(self, x: Tensor) -> Tensor:
        projected: Tensor = self.frequencies(x) @ self._directions
        return projected

    def frequencies(self, x: Tensor) -> Tensor:
        """The coordinates before they are projected, float64 (n, 1024), of length 1."""
        counts = torch.zeros(len(x), _BUCKETS, dtype=torch.float64)
        key = torch.zeros_like(x)
        whole = torch.ones_like(x, dtype=torch.bool)
        for n in range(1, min(3, x.shape[1]) + 1):
            stop = x.shape[1] - n + 1
            symbols = x[:, n - 1 :]
            whole = whole[:, :stop] & (symbols >= 0)
            # Knuth's multiplicative hash; n enters so that "a" and "aa" fall apart
            key = ((key[:, :stop] * 31 + symbols + n) * 2654435761) % (1 << 31)
            counts.scatter_add_(1, (key >> 8) % _BUCKETS, whole.double())
        return torch.sqrt(counts / counts.sum(1, keepdim=True).clamp(min=1.0))


class Pca(Extractor):
    """The leading principal components of the training set's pixels.

    No more than a twentieth of the training items: with more, components fit those items and not their kind.
    """

    def __init__(self, base: Pixels, train: Tensor, dimensions: int) -> None:
        features = base(train)
        self._base = base
        self._mean = features.mean(0)
        count = min(dimensions, features.shape[1], max(2, len(train) // 20))
        self._basis = principal(features - self._mean, count)
        self.name = f"pca-{count}-{_digest(train)}"

    def __call__(self, x: Tensor) -> Tensor:
        return (self._base(x) - self._mean) @ self._basis


def extractor_for(space: Space, modality: str, train: Tensor, dataset: str = "") -> Extractor:
    """The extractor that scores of this kind of data are made with.

    `train` is the training set in `space`; `dataset` is the dataset's name, by which the digits are known.
    """
    if space == DIGITS and modality == "pictures" and "digits" in dataset:
        return Probe()
    if isinstance(space, Levels) and len(space.shape) == 3:
        return Patches(space, train, 64)
    if isinstance(space, Levels):
        return Pca(Pixels(space), train, 64)
    if isinstance(space, Columns):
        return Rows(space, train)
    if isinstance(space, Tokens):
        return NGrams(train, 32)
    assert isinstance(space, Reals)
    return Points()


def classifier_for(extractor: Extractor, train: Tensor, labels: Tensor | None) -> Callable[[Tensor], Tensor] | None:
    """What reads an item's class from it, (x) -> int64 (n,): the probe, or logistic regression on the features.

    None where there are no labels, or only one class.
    """
    if isinstance(extractor, Probe):
        return extractor.classify
    if labels is None or len(labels.unique()) < 2:
        return None
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    model.fit(extractor(train).numpy(), labels.numpy())
    return lambda x: torch.from_numpy(model.predict(extractor(x).numpy()))
