"""Planted sets of pictures: what a model may hand in, of which everybody can say how good it is.

The data are built in, so that a test needs no file: `shapes` draws eight kinds of figure at any size and in colour.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.score import Generated, Reference, Sample
from makar.core.spaces import Levels
from makar.metrics._extractors import extractor_for
from makar.metrics._lookalike import blurred

TOP = 255
KINDS = 8


def shapes(n: int, seed: int, side: int = 28, channels: int = 1) -> tuple[Tensor, Tensor]:
    """int64 (n, channels, side, side) on dark ground, and the kind 0..7: discs, rings, bars, crosses, frames.

    Each has a place, a size, a slant and a shading of its own.
    """
    g = torch.Generator().manual_seed(seed)
    kind = torch.arange(n) % KINDS
    centre = 0.5 + 0.2 * (torch.rand(n, 2, 1, 1, generator=g) - 0.5)
    size = 0.24 + 0.14 * torch.rand(n, 1, 1, generator=g)
    angle = 0.5 * (torch.rand(n, 1, 1, generator=g) - 0.5)
    wide = 0.07 + 0.06 * torch.rand(n, 1, 1, generator=g)
    axis = (torch.arange(side) + 0.5) / side
    v, u = axis[None, :, None] - centre[:, 0], axis[None, None, :] - centre[:, 1]
    u, v = u * angle.cos() - v * angle.sin(), u * angle.sin() + v * angle.cos()
    r = (u * u + v * v).sqrt()
    bar, post = torch.maximum(v.abs() - wide, u.abs() - size), torch.maximum(u.abs() - wide, v.abs() - size)
    rim = (r - size).abs() - wide
    forms = [
        r - size,
        rim,
        bar,
        post,
        torch.minimum(bar, post),
        torch.minimum(rim, bar),
        torch.maximum((u + v).abs() - wide, r - size),
        torch.maximum(torch.maximum(u.abs(), v.abs()) - size, -(torch.maximum(u.abs(), v.abs()) - size + 2 * wide)),
    ]
    depth = torch.stack(forms)[kind, torch.arange(n)]
    ink = (0.5 - depth * side).clamp(0, 1)[:, None]  # edges one pixel wide
    coarse = torch.rand(n, channels, 6, 6, generator=g)  # light and shade, or pictures of a kind would be alike
    shade = F.interpolate(coarse, (side, side), mode="bilinear", align_corners=False)
    return (ink * (0.3 + 0.7 * shade) * TOP).round().long(), kind


def whole(x: Tensor) -> Tensor:
    return x.round().clamp(0, TOP).long()


def noisy(x: Tensor, std: float, seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return whole(x + std * TOP * torch.randn(x.shape, generator=g))


def moved(x: Tensor, far: int) -> Tensor:
    """Every picture by `far` pixels down or up and right or left, in turn."""
    padded = F.pad(x.float(), (far, far, far, far), mode="replicate")
    side = x.shape[-1]
    corners = [(0, 0), (0, 2 * far), (2 * far, 0), (2 * far, 2 * far)]
    cut = [padded[i, :, a : a + side, b : b + side] for i in range(len(x)) for a, b in [corners[i % 4]]]
    return torch.stack(cut).long()


def planted(train: Tensor, kinds: Tensor, fresh: Tensor, fresh_kinds: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """The sets, each as many as there are fresh pictures."""
    n, unit = len(fresh), max(0.5, train.shape[-1] / 28)
    g = torch.Generator().manual_seed(seed)
    copied = train[torch.randint(0, len(train), (n,), generator=g)]
    flat = train.flatten(1)
    apart = torch.stack([flat[torch.randint(0, len(flat), (n,), generator=g), j] for j in range(flat.shape[1])], 1)
    two = fresh[fresh_kinds < 2]
    centre = train.double().mean(0, keepdim=True).expand(n, -1, -1, -1)
    return {
        "good": fresh,
        "slightly blurred": whole(blurred(fresh.float(), 0.6 * unit)),
        "slightly noisy": noisy(fresh, 0.05, seed),
        "blurred": whole(blurred(fresh.float(), 2 * unit)),
        "snowy": noisy(fresh, 0.25, seed),
        "two kinds": two[torch.randint(0, len(two), (n,), generator=g)],
        "one picture": noisy(fresh[:1].expand(n, -1, -1, -1), 0.01, seed),
        "mean picture": noisy(whole(centre), 0.01, seed),
        "trivial": apart.view_as(fresh),
        "copied": copied,
        "copied, noisy": noisy(copied, 0.15, seed),
        "copied, moved": moved(copied, max(1, train.shape[-1] // 16)),
        "copied, dimmed": whole(0.75 * copied.double() + 0.15 * TOP),
        "a tenth copied": torch.cat([noisy(copied[: n // 10], 0.06, seed), fresh[n // 10 :]]),
    }


def judged(train: Tensor, held: Tensor, sets: dict[str, Tensor]) -> tuple[Reference, dict[str, Generated]]:
    """What the sets are compared with, and the sets with their features by the extractor of pictures."""
    space = Levels(tuple(train.shape[1:]), TOP + 1)
    extract = extractor_for(space, "pictures", train)

    def sample(x: Tensor) -> Sample:
        return Sample(list(x), x, None, extract(x))

    reference = Reference(space, "pictures", sample(train), sample(held), extract.name)
    return reference, {name: Generated(sample(x)) for name, x in sets.items()}
