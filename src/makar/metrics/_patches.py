"""Patches: pictures of any size as how strongly each of 48 typical patches shows in each ninth of them, at every scale.

    patches     5 x 5 pixels of the picture, of its half, its quarter and so on down to 5 pixels a side; each less its
                mean and divided by its own contrast (plus a little, or the noise of a flat patch would count as much as
                an edge), then whitened, so that fine grain weighs as much as broad shapes
    dictionary  for every scale the centres of k-means on 12,000 of the training set's patches
    feature     mean over a ninth of the picture of max(0, mean distance to all centres - distance to this one)
                                                                                       (Coates, Lee & Ng 2011)

Snow looks like no patch and blur like the flat ones, so both move the finest scale at once, which principal components
of pixels are blind to; what lies where, and the larger scales, tell one shape from another. Square roots are taken,
each feature is put in units of the training set's standard deviation and bounded by 1.5 tanh(z / 1.5), or the worst
snow would hide everything else. The leading principal components of these follow, scaled so that the training set's
total variance is 1: a Frechet distance of 1 to 2 is what a single picture made over and over scores.

Nothing is trained beyond k-means, by a fixed seed: it takes about a second, and the same items make the same features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.spaces import Levels
from makar.metrics._extractor import Extractor
from makar.metrics._principal import digest_of, principal

SIZE = 5
WORDS = 48
_GRID = 3
_CONTRAST = 0.2  # added to a patch's variance, of levels on [-1, 1]: an edge has about 1, faint noise 0.01
_RIDGE = 0.1  # of the mean eigenvalue, added to all before whitening
_BOUND = 1.5
_ITEMS = 2000  # training items that are looked at
_SOURCES, _PATCHES = 500, 12_000  # items that patches are taken from, and patches a scale
_LEAST = 16  # components, however few the items are
_CHUNK = 128


def pyramid(x: Tensor) -> list[Tensor]:
    """x (n, C, H, W) and its halves, while a patch fits into them."""
    out = [x]
    while min(out[-1].shape[-2:]) >= 2 * SIZE:
        out.append(F.avg_pool2d(out[-1], 2))
    return out


def _cut(x: Tensor) -> tuple[Tensor, int, int]:
    """Patches (n, rows * columns, C * SIZE^2) less their mean and divided by their contrast, rows and columns.

    They lie a sixteenth of the side apart, so that a picture costs about the same at any size.
    """
    height, width = x.shape[-2:]
    sides = min(SIZE, height), min(SIZE, width)
    steps = max(1, height // 16), max(1, width // 16)
    rows, columns = (height - sides[0]) // steps[0] + 1, (width - sides[1]) // steps[1] + 1
    patches = F.unfold(x, sides, stride=steps).transpose(1, 2)
    patches = patches - patches.mean(2, keepdim=True)
    return patches / (patches.square().mean(2, keepdim=True) + _CONTRAST).sqrt(), rows, columns


@dataclass(frozen=True)
class _Dictionary:
    """Typical patches of one scale."""

    mean: Tensor  # (d,)
    whiten: Tensor  # (d, d)
    centres: Tensor  # (WORDS, d)

    def __call__(self, x: Tensor) -> Tensor:
        """(n, WORDS * 9) of pictures (n, C, H, W)."""
        patches, rows, columns = _cut(x)
        white = (patches - self.mean) @ self.whiten
        far = torch.cdist(white, self.centres.expand(len(x), -1, -1))
        near = F.relu(far.mean(2, keepdim=True) - far)
        where = near.transpose(1, 2).reshape(len(x), -1, rows, columns)
        return F.adaptive_avg_pool2d(where, _GRID).flatten(1).sqrt()


def _learn(x: Tensor, generator: torch.Generator) -> _Dictionary:
    """The dictionary of pictures (n, C, H, W) of one scale."""
    from sklearn.cluster import KMeans

    patches = _cut(x)[0].flatten(0, 1).double()
    patches = patches[torch.randperm(len(patches), generator=generator)[:_PATCHES]]
    mean = patches.mean(0)
    values, vectors = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
    # pictures that are all flat have no variance at all
    whiten = vectors * (values.clamp(min=0) + _RIDGE * values.mean().clamp(min=1e-6)).rsqrt() @ vectors.T
    white = ((patches - mean) @ whiten).float()
    distinct = torch.unique(white, dim=0)
    if len(distinct) <= WORDS:
        centres = distinct
    else:
        means = KMeans(WORDS, init="random", n_init=1, max_iter=10, random_state=0).fit(white.numpy())
        centres = torch.from_numpy(means.cluster_centers_)
    return _Dictionary(mean.float(), whiten.float(), centres)


class Patches(Extractor):
    """The features above, of pictures in `space`; `train` (n, C, H, W) are the training items in it."""

    def __init__(self, space: Levels, train: Tensor, dimensions: int) -> None:
        self._top = space.levels - 1
        rows = torch.arange(min(len(train), _ITEMS)) * len(train) // min(len(train), _ITEMS)
        items = train[rows]
        generator = torch.Generator().manual_seed(0)
        some = items[torch.randperm(len(items), generator=generator)[:_SOURCES]]
        self._scales = [_learn(x, generator) for x in pyramid(self._unit(some))]
        found = self._words(items)
        self._mean = found.mean(0)
        spread = found.std(0)
        # a word that next to none of the items shows would count as much as any if its spread were taken for a unit
        self._std = spread.clamp(min=max(1e-9, 1e-3 * float(spread.max())))
        bounded = self._bounded(found)
        self._middle = bounded.mean(0)
        count = min(dimensions, bounded.shape[1], len(items), max(_LEAST, len(items) // 20))
        basis = principal(bounded - self._middle, count)
        total = float(((bounded - self._middle) @ basis).var(0).sum())
        self._basis = basis * (total**-0.5 if total > 0 else 1.0)
        self.name = f"patches-{count}-{digest_of(train)}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        return (self._bounded(self._words(x)) - self._middle) @ self._basis

    def _unit(self, x: Tensor) -> Tensor:
        return x.float() * (2.0 / self._top) - 1.0

    def _bounded(self, found: Tensor) -> Tensor:
        return _BOUND * torch.tanh((found - self._mean) / self._std / _BOUND)

    def _words(self, x: Tensor) -> Tensor:
        """How much of every typical patch each item shows, float64 (n, scales * WORDS * 9)."""
        parts = []
        for part in x.split(_CHUNK):
            scales = zip(self._scales, pyramid(self._unit(part)), strict=True)
            parts.append(torch.cat([words(level) for words, level in scales], 1).double())
        return torch.cat(parts) if parts else torch.empty(0, len(self._mean), dtype=torch.float64)
