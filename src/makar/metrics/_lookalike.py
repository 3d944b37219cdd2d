"""Lookalikes: is a picture one of the training pictures, seen through noise, a small shift, or other light?

A picture is halved until its sides are 32 pixels or fewer, blurred a little (which takes noise away and leaves shapes),
and less its mean divided by its length, so that brightness and contrast do not count. With s the greatest product of
such a picture with a training picture over shifts of up to 2 pixels each way (1 below 16 pixels), the distance is
d = sqrt(2 - 2 s), and

    nearness(x) = d to the nearest training picture / d to the 10th nearest

A copy has a nearest picture much nearer than its others. A blurred, a collapsed or a snowy picture is about as far from
its 10th nearest as from its nearest: it may be near everything, and copies none. Pictures that come in families (24
clock faces) have near ones in plenty.

The nearest are sought among 24 candidates, which are found on 8 x 8 pixels at shifts of 0 and the farthest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

KTH = 10
_SIDE, _COARSE = 32, 8
_CANDIDATES = 24
_QUERIES, _ROWS = 64, 1024  # at a time
_FAINT = 0.05  # of the median length: a picture with less contrast is not blown up to the length of others
_ROUNDING = 0.01  # added to distances, which are in single precision and lie around 0.5


class Lookalikes:
    """Training pictures, integers (n, C, H, W), n > 10, made ready to be searched."""

    def __init__(self, train: Tensor) -> None:
        seen = torch.cat([_seen(part) for part in train.split(_ROWS)])
        self._far = 2 if min(seen.shape[-2:]) >= 16 else 1
        self._least = _FAINT * float(_centred(seen).norm(dim=1).median()) / math.sqrt(seen[0].numel())
        self._whole, self._coarse = self._unit(seen), self._unit(_pooled(seen))

    def nearness(self, x: Tensor, own: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """float64 (n,) of pictures (n, C, H, W), and which training picture int64 (n,) is the nearest.

        `own` int64 (n,) says which training picture each is itself, to leave it out.
        """
        parts = []
        for first in range(0, len(x), _QUERIES):
            rows = slice(first, first + _QUERIES)
            parts.append(self._near(_seen(x[rows]), None if own is None else own[rows]))
        return torch.cat([near for near, _ in parts]), torch.cat([place for _, place in parts])

    def _near(self, seen: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
        coarse = torch.full((len(seen), len(self._coarse)), -2.0)
        for moved in _shifts(seen, self._far, self._far):
            coarse = torch.maximum(coarse, self._unit(_pooled(moved)) @ self._coarse.T)
        if own is not None:
            coarse[torch.arange(len(seen)), own] = -2.0
        count = min(_CANDIDATES, len(self._coarse) - 1)
        places = coarse.topk(count, dim=1).indices
        moved_whole = torch.stack([self._unit(m) for m in _shifts(seen, self._far, 1)], 1)
        same = (moved_whole @ self._whole[places].transpose(1, 2)).amax(1)
        far, order = (2.0 - 2.0 * same.double()).clamp(min=0.0).sqrt().sort(1)
        nearest = places.gather(1, order[:, :1])[:, 0]
        return (far[:, 0] + _ROUNDING) / (far[:, KTH - 1] + _ROUNDING), nearest

    def _unit(self, seen: Tensor) -> Tensor:
        """(n, d) less their means, of length 1, but for pictures with next to no contrast."""
        flat = _centred(seen)
        least = max(self._least * math.sqrt(flat.shape[1]), 1e-6)
        length: Tensor = flat.norm(dim=1, keepdim=True)
        return flat / length.clamp(min=least)


def shapes(x: Tensor) -> Tensor:
    """Pictures (n, C, H, W) small, blurred, and without brightness and contrast: float32 (n, d), of length 1 or 0."""
    parts = []
    for part in x.split(_ROWS):
        flat = _centred(_pooled(_seen(part)))
        parts.append(flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-6))
    return torch.cat(parts)


def _centred(seen: Tensor) -> Tensor:
    flat = seen.flatten(1)
    return flat - flat.mean(1, keepdim=True)


def _pooled(seen: Tensor) -> Tensor:
    height, width = seen.shape[-2:]
    return F.adaptive_avg_pool2d(seen, (min(_COARSE, height), min(_COARSE, width)))


def _shifts(seen: Tensor, far: int, step: int) -> Iterator[Tensor]:
    """Pictures moved by -far, -far + step, ... far pixels each way; the border is drawn out."""
    height, width = seen.shape[-2:]
    padded = F.pad(seen, (far, far, far, far), mode="replicate")
    for top in range(0, 2 * far + 1, step):
        for left in range(0, 2 * far + 1, step):
            yield padded[..., top : top + height, left : left + width]


def _seen(x: Tensor) -> Tensor:
    """float32 (n, C, h, w), no side above 32, blurred by 1 pixel in 28 and at least half a pixel."""
    x = x.float()
    while max(x.shape[-2:]) > _SIDE:
        x = F.avg_pool2d(x, [min(2, side) for side in x.shape[-2:]], ceil_mode=True)
    return blurred(x, max(0.5, min(x.shape[-2:]) / 28))


def blurred(x: Tensor, std: float) -> Tensor:
    """Floating (n, C, H, W) under a Gaussian of `std` pixels that is cut at 2 std; the border is drawn out."""
    reach = min(math.ceil(2 * std), *x.shape[-2:])
    kernel = torch.exp(-torch.arange(-reach, reach + 1, dtype=x.dtype).square() / (2 * std * std))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    padded = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(padded, kernel[:, :, None, :], groups=x.shape[1])
    return F.conv2d(rows, kernel[:, :, :, None], groups=x.shape[1])
