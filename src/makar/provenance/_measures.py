"""Distances to training items that a copy keeps small though it was shifted, mirrored, brightened or reworded a little.

pictures   sqrt(2 - 2 r), r the largest correlation of pixels over these views: one picture on the other, shifted by at
           most one pixel either way; mirrored or turned by a quarter, unshifted; on the training picture blurred with
           weights 1, 2, 1 both ways, unshifted. Brightness and contrast change nothing. Pictures above 16 x 16 are
           averaged down to that first. A shift counts only if what still overlaps has half of either picture's
           variance. Two changes at once (mirrored and shifted), a stronger blur and a crop are not looked for
vectors    root mean square over columns of the difference in standard deviations; a category that differs counts
           1. Above 128 columns a Gaussian projection to 128 stands for them (Johnson & Lindenstrauss 1984)
texts      1 - the largest share of the text's 12-character windows that stand in one training item, case and
           white space evened out; of many windows a sample by hash is compared (Broder 1997)
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.errors import MakarError
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Columns, Levels, Space
from makar.core.windows import Hashes, code_points, windows

SIDE = 16  # pixels a side of the thumbnails that are kept
KEPT = 128  # columns of a vector that are kept
WIDTH = 12  # characters of a window
_SAMPLED = 1 << 20  # windows of all training texts that are kept
_BLOCK = 8192  # training items compared at once
_BATCH = 64  # outputs compared at once


class Measure(ABC):
    """Training items in a form that distances can be taken to. A subclass is final."""

    kind: str

    @property
    @abstractmethod
    def words(self) -> str:
        """The distance's name, with what it depends on."""

    @abstractmethod
    def nearest(self, items: Any) -> tuple[Tensor, Tensor]:
        """Distance (b,), float64, from each item to the nearest training item, and that one's place, int64 (b,)."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What is kept: tensors, and plain JSON data; `restored` makes it anew."""


class Pictures(Measure):
    """Thumbnails of pictures, and for every view what their correlation needs of them."""

    kind = "pictures"

    def __init__(self, thumbs: Tensor, levels: int, shape: tuple[int, ...]) -> None:
        """`thumbs` are uint8 (n, C, h, w), of pictures of `shape` (C, H, W) with this many levels."""
        self._thumbs, self._levels, self._shape = thumbs, levels, shape
        height, width = thumbs.shape[-2:]
        reach = 1 if min(height, width) >= 4 else 0
        self._shifts = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
        self._whole = self._shifts.index((0, 0))
        self._turns = _turns(shape[-2] == shape[-1])
        views = self._shifts + [(0, 0)] * len(self._turns)
        self._masks = torch.stack([self._mask(y, x) for y, x in views])  # (K, d)
        parts = [self._spread(block.flatten(1).float()) for block in thumbs.split(_BLOCK)]
        norms = torch.cat([p[0] for p in parts], 1)  # (K, n)
        self._scale = torch.where(norms > 0, -2.0 / norms.clamp(min=1e-6), 0.0)
        self._offset = torch.cat([p[1] for p in parts], 1)
        self._blurred = torch.cat([_blurred(block).flatten(1) for block in thumbs.split(_BLOCK)])  # (n, d)
        norms = torch.cat([_norms(block.float()) for block in self._blurred.split(_BLOCK)])
        self._blurred_scale = torch.where(norms > 0, -2.0 / norms.clamp(min=1e-6), 0.0)

    @classmethod
    def of(cls, x: Tensor, levels: int) -> Pictures:
        """From pictures, integers (n, C, H, W) below `levels`."""
        return cls(_thumbnails(x, levels), levels, tuple(x.shape[1:]))

    def _mask(self, y: int, x: int) -> Tensor:
        """Where a picture that was moved by (y, x) lies on one that was not, (d,)."""
        mask = torch.zeros(self._thumbs.shape[1:])
        height, width = mask.shape[-2:]
        mask[:, max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)] = 1.0
        return mask.flatten()

    def _spread(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Norm (K, b) of the centred pixels under each mask, and the rest of the squared distance (K, b).

        That rest is 1, or 0 for an even picture, and 4 more where a shift leaves less than half of the variance.
        """
        sums, squares = self._masks @ flat.T, self._masks @ flat.T.square()
        variance = (squares - sums.square() / self._masks.sum(1, keepdim=True)).clamp(min=0.0)
        variance[variance < 1e-3] = 0.0  # what rounding leaves of an even picture
        enough = 2 * variance >= variance[self._whole]
        enough &= variance > 0
        enough[self._whole] = True
        return variance.sqrt(), (variance > 0).float() + 4.0 * (~enough).float()

    @property
    def words(self) -> str:
        height, width = self._thumbs.shape[-2:]
        reach = "best shift by at most 1 pixel" if len(self._shifts) > 1 else "no shift"
        return f"correlation distance sqrt(2 - 2 r) of {height} x {width} pictures, {reach}, turned or blurred"

    def nearest(self, items: Tensor) -> tuple[Tensor, Tensor]:
        if tuple(items.shape[1:]) != self._shape:
            raise MakarError(f"the index is of pictures {self._shape}, not {tuple(items.shape[1:])}; build it anew")
        found = [self._batch(part) for part in _thumbnails(items, self._levels).split(_BATCH)]
        return torch.cat([f[0] for f in found]).double(), torch.cat([f[1] for f in found])

    def _batch(self, thumbs: Tensor) -> tuple[Tensor, Tensor]:
        b, k = len(thumbs), len(self._masks)
        views = [torch.roll(thumbs, s, (-2, -1)) for s in self._shifts] + [turn(thumbs) for turn in self._turns]
        moved = torch.stack([view.flatten(1) for view in views]).float()  # (K, b, d)
        masks = self._masks.unsqueeze(1)
        centred = (moved - (moved * masks).sum(2, keepdim=True) / masks.sum(2, keepdim=True)) * masks
        norm = centred.square().sum(2)
        own = norm[self._whole]
        enough = (2 * norm >= own) & (norm > 1e-3)
        enough[self._whole] = True
        units = centred / norm.sqrt().clamp(min=1e-3).unsqueeze(2)
        rest = (norm > 1e-3).float() + 4.0 * (~enough).float()  # (K, b)
        best, place = torch.full((b,), torch.inf), torch.zeros(b, dtype=torch.int64)
        for start in range(0, len(self._thumbs), _BLOCK):
            block = self._thumbs[start : start + _BLOCK].flatten(1).float()
            square = (units.flatten(0, 1) @ block.T).reshape(k, b, -1)
            square *= self._scale[:, None, start : start + _BLOCK]
            square += self._offset[:, None, start : start + _BLOCK]
            square += rest.unsqueeze(2)
            on_blurred = units[self._whole] @ self._blurred[start : start + _BLOCK].float().T
            on_blurred = 2.0 + self._blurred_scale[start : start + _BLOCK] * on_blurred
            least, where = torch.minimum(square.amin(0), on_blurred).min(1)
            nearer = least < best
            best, place = torch.where(nearer, least, best), torch.where(nearer, where + start, place)
        return best.clamp(min=0.0).sqrt(), place

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"thumbs": self._thumbs}, {"levels": self._levels, "shape": list(self._shape)}


def _turns(square: bool) -> list[Callable[[Tensor], Tensor]]:
    """Pictures mirrored and turned: all seven ways for square ones, else the three that keep the shape."""
    upright: list[Callable[[Tensor], Tensor]] = [
        lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.flip(-2, -1),
    ]  # fmt: skip
    aside: list[Callable[[Tensor], Tensor]] = [
        lambda x: x.mT, lambda x: x.mT.flip(-1), lambda x: x.mT.flip(-2), lambda x: x.mT.flip(-2, -1),
    ]  # fmt: skip
    return upright + aside if square else upright


def _blurred(thumbs: Tensor) -> Tensor:
    """Averaged with weights 1, 2, 1 in both directions, edges repeated; uint8."""
    padded = F.pad(thumbs.float(), (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    return ((rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 16).round().to(torch.uint8)


def _norms(flat: Tensor) -> Tensor:
    """Length (n,) of rows (n, d) after centring; 0 of an even one."""
    lengths = (flat - flat.mean(1, keepdim=True)).square().sum(1)
    return torch.where(lengths > 1e-3, lengths.sqrt(), 0.0)


def _thumbnails(x: Tensor, levels: int) -> Tensor:
    """Pictures (n, C, H, W) as uint8, at most 16 x 16."""
    grey = x.float() * (255.0 / max(1, levels - 1))
    size = (min(SIDE, x.shape[-2]), min(SIDE, x.shape[-1]))
    if tuple(x.shape[-2:]) != size:
        grey = F.adaptive_avg_pool2d(grey, size)
    return grey.round().clamp(0, 255).to(torch.uint8)


class Vectors(Measure):
    """Rows and points in standard deviations of the training set."""

    kind = "vectors"

    def __init__(self, kept: Tensor, mean: Tensor, std: Tensor, levels: list[int]) -> None:
        """`kept` is float32 (n, k); `levels` has for every column its number of categories, 0 for a number."""
        self._kept, self._mean, self._std, self._levels = kept, mean, std, levels

    @classmethod
    def of(cls, x: Tensor, space: Space) -> Vectors:
        """From training items of a space (n, *shape)."""
        flat = x.flatten(1).float()
        columns = space.columns if isinstance(space, Columns) else ()
        levels = [c.levels if isinstance(c, Categorical) else 0 for c in columns] or [0] * flat.shape[1]
        std = flat.std(0, correction=0)
        empty = cls(flat[:0], flat.mean(0), torch.where(std > 0, std, 1.0), levels)
        return cls(empty._features(flat), empty._mean, empty._std, levels)

    def _features(self, flat: Tensor) -> Tensor:
        """Numbers in standard units, categories as indicators of length sqrt(1/2), projected where there are many."""
        numbers = [j for j, k in enumerate(self._levels) if not k]
        parts = [((flat - self._mean) / self._std)[:, numbers]]
        for j, k in enumerate(self._levels):
            if k:
                codes = flat[:, j].long().clamp(0, k - 1)
                parts.append(F.one_hot(codes, k).float() * 0.5**0.5)
        features: Tensor = torch.cat(parts, 1) / len(self._levels) ** 0.5
        if features.shape[1] > KEPT:
            features = features @ (Noise.rows(0, range(features.shape[1])).normal(KEPT) / KEPT**0.5)
        return features

    @property
    def words(self) -> str:
        count = len(self._levels)
        how = f", by {KEPT} random projections" if self._kept.shape[1] == KEPT and count != KEPT else ""
        return f"root mean square difference over {count} columns in standard deviations{how}"

    def nearest(self, items: Tensor) -> tuple[Tensor, Tensor]:
        flat = items.flatten(1).float()
        if flat.shape[1] != len(self._levels):
            raise MakarError(f"the index is of {len(self._levels)} columns, not {flat.shape[1]}; build it anew")
        best = torch.full((len(flat),), torch.inf, dtype=torch.float64)
        place = torch.zeros(len(flat), dtype=torch.int64)
        wanted = self._features(flat)
        for start in range(0, len(self._kept), _BLOCK):
            block = self._kept[start : start + _BLOCK]
            for rows in torch.arange(len(flat)).split(_BATCH):
                least, where = torch.cdist(wanted[rows], block, compute_mode="donot_use_mm_for_euclid_dist").min(1)
                nearer = least.double() < best[rows]
                best[rows] = torch.where(nearer, least.double(), best[rows])
                place[rows] = torch.where(nearer, where + start, place[rows])
        return best, place

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"kept": self._kept, "mean": self._mean, "std": self._std}, {"levels": self._levels}


class Texts(Measure):
    """Which training items hold which 12-character windows."""

    kind = "texts"

    def __init__(self, hashes: Tensor, owners: Tensor, count: int, step: int) -> None:
        """`hashes` are sorted, int64 (m,); `owners` the item of each; every window with hash % step = 0 is kept."""
        self._hashes, self._owners = hashes.numpy().view(np.uint64), owners.numpy()
        self._count, self._step = count, step

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """From training texts."""
        total = sum(map(len, texts))
        step = 1
        while total // step > _SAMPLED:
            step *= 2
        sketches = [_sketch(t, step) for t in texts]
        hashes = np.concatenate(sketches) if sketches else np.empty(0, dtype=np.uint64)
        owners = np.repeat(np.arange(len(texts), dtype=np.int32), [len(s) for s in sketches])
        order = np.argsort(hashes, kind="stable")
        kept = torch.from_numpy(hashes[order].view(np.int64))
        return cls(kept, torch.from_numpy(owners[order]), len(texts), step)

    @property
    def words(self) -> str:
        sampled = "" if self._step == 1 else f", one of {self._step} by hash"
        return f"1 - share of {WIDTH}-character windows that stand in one training item{sampled}"

    def nearest(self, items: Sequence[str]) -> tuple[Tensor, Tensor]:
        """A text too short to have a window has distance 1."""
        found = [self._one(text) for text in items]
        return (
            torch.tensor([d for d, _ in found], dtype=torch.float64),
            torch.tensor([place for _, place in found], dtype=torch.int64),
        )

    def _one(self, text: str) -> tuple[float, int]:
        wanted = _sketch(text, self._step)
        if not len(wanted):
            return 1.0, 0
        first = np.searchsorted(self._hashes, wanted, "left")
        counts = np.searchsorted(self._hashes, wanted, "right") - first
        places = np.arange(counts.sum()) + np.repeat(first - (counts.cumsum() - counts), counts)
        holders = np.bincount(self._owners[places], minlength=self._count)
        best = int(holders.argmax())
        return 1.0 - float(holders[best]) / len(wanted), best

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"hashes": torch.from_numpy(self._hashes.view(np.int64)), "owners": torch.from_numpy(self._owners)}
        return tensors, {"count": self._count, "step": self._step}


def _sketch(text: str, step: int) -> Hashes:
    """The distinct hashes of a text's windows that are multiples of `step`."""
    found = np.unique(windows(code_points(re.sub(r"\s+", " ", text).casefold()), WIDTH))
    sampled: Hashes = found[found % np.uint64(step) == 0]
    return sampled


def measure_for(items: Any, space: Space | None) -> Measure:
    """The measure for training items of a space, or for texts where the space is None."""
    if space is None:
        return Texts.of(items)
    if isinstance(space, Levels) and len(space.shape) == 3:
        return Pictures.of(items, space.levels)
    return Vectors.of(items, space)


def restored(kind: str, tensors: dict[str, Tensor], settings: dict[str, Any]) -> Measure:
    """The measure that `state` described. Raises KeyError or TypeError where it described none."""
    if kind == "pictures":
        return Pictures(tensors["thumbs"], settings["levels"], tuple(settings["shape"]))
    if kind == "vectors":
        return Vectors(tensors["kept"], tensors["mean"], tensors["std"], list(settings["levels"]))
    if kind == "texts":
        return Texts(tensors["hashes"], tensors["owners"], settings["count"], settings["step"])
    raise KeyError(kind)
