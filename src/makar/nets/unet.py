"""A small convolutional U-Net for denoisers (Ronneberger et al. 2015; Ho et al. 2020; Dhariwal & Nichol 2021).

    stem - [blocks, halve] ... [blocks] - block, attention, block - [blocks] ... [double, blocks] - out
               \\________________________ skips: concatenated ________________________/

Every block reads time and label as scale and shift of its group norm, which looks at one item at a time, so that a
row's result depends on no other row. Sizes are halved rounding up and doubled to the skip's own size: odd pictures are
fine. The output layer and the last convolution of every block begin at zero.

`backbone` chooses between this and the modulated MLP of `nets/mlp.py` for a latent of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.core.errors import MakarError
from makar.nets.mlp import ClassEmbedding, Frequencies, ModulatedMLP, linear_flops, zeroed

_GROUP = 8  # channels normalised together


def _groups(channels: int) -> int:
    return math.gcd(channels, max(1, channels // _GROUP))


class Block(nn.Module):
    """conv(silu(norm(h))) twice, the second norm scaled and shifted by the context, added to what came in."""

    def __init__(self, inputs: int, outputs: int, context: int) -> None:
        super().__init__()
        self.first_norm = nn.GroupNorm(_groups(inputs), inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = zeroed(nn.Linear(context, 2 * outputs))
        self.second_norm = nn.GroupNorm(_groups(outputs), outputs, affine=False)
        self.second = zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.carry = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h = self.first(F.silu(self.first_norm(x)))
        scale, shift = self.modulation(context)[:, :, None, None].chunk(2, 1)
        h = self.second(F.silu(self.second_norm(h) * (1 + scale) + shift))
        out: Tensor = self.carry(x) + h
        return out


class Attention(nn.Module):
    """Every place looks at every place of its own picture (Vaswani et al. 2017), added to what came in."""

    def __init__(self, channels: int, head: int = 32) -> None:
        super().__init__()
        self.channels = channels
        self.heads = max(1, channels // head)
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        parts = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).transpose(3, 4)
        mixed = F.scaled_dot_product_attention(parts[:, 0], parts[:, 1], parts[:, 2])
        out: Tensor = x + self.out(mixed.transpose(2, 3).reshape(b, c, h, w))
        return out


class UNet(nn.Module):
    """Pictures (B, channels, H, W) to pictures of the same shape, given a time (B,) and a label (B,).

    `width` channels at full size, `width * mults[i]` after i halvings, with `depth` blocks at each size.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 64,
        mults: tuple[int, ...] = (1, 2, 2),
        depth: int = 1,
        given: int = 0,
    ) -> None:
        """`given` more channels go in than come out."""
        super().__init__()
        context = 4 * width
        widths = [width * m for m in mults]
        self.time = nn.Sequential(Frequencies(64), nn.Linear(64, context), nn.SiLU(), nn.Linear(context, context))
        self.label = ClassEmbedding(classes, context) if classes else None
        self.stem = nn.Conv2d(channels + given, width, 3, padding=1)
        self.down, self.halve = nn.ModuleList(), nn.ModuleList()
        inputs = width
        for i, w in enumerate(widths):
            self.down.append(nn.ModuleList(Block(inputs if j == 0 else w, w, context) for j in range(depth)))
            if i + 1 < len(widths):
                self.halve.append(nn.Conv2d(w, w, 3, stride=2, padding=1))
            inputs = w
        self.before, self.attention = Block(inputs, inputs, context), Attention(inputs)
        self.after = Block(inputs, inputs, context)
        self.up = nn.ModuleList()
        for w in reversed(widths):
            self.up.append(nn.ModuleList(Block(2 * w if j else inputs + w, w, context) for j in range(depth)))
            inputs = w
        self.norm = nn.GroupNorm(_groups(width), width)
        self.leave = zeroed(nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor, seen: Seen | None = None) -> Tensor:
        """x (B, C, H, W), t (B,), labels int64 (B,) with -1 for none; `seen` is for nets with a coarse part."""
        context = self.time(t)
        if self.label is not None:
            context = context + self.label(labels)
        context = F.silu(context)
        h = self.stem(x)
        skips: list[Tensor] = []
        for i, blocks in enumerate(self.down):
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                h = block(h, context)
                skips.append(h)
            if i < len(self.halve):
                h = self.halve[i](h)
        h = self.after(self.attention(self.before(h, context)), context)
        for blocks in self.up:
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                skip = skips.pop()
                if h.shape[2:] != skip.shape[2:]:
                    h = F.interpolate(h, size=skip.shape[2:], mode="nearest")
                h = block(torch.cat([h, skip], 1), context)
        out: Tensor = self.leave(F.silu(self.norm(h)))
        return out

    def flops(self, height: int, width: int) -> float:
        """Floating-point operations of one forward pass for one picture: 2 for every weight at every place."""
        sizes = [(height, width)]
        for _ in self.halve:
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        places = [h * w for h, w in sizes]
        total = linear_flops(self) + places[0] * (conv_flops(self.stem) + conv_flops(self.leave))
        for blocks, n in zip(self.down, places, strict=True):
            total += n * conv_flops(blocks)
        for halve, n in zip(self.halve, places[1:], strict=True):
            total += n * conv_flops(halve)
        for blocks, n in zip(self.up, reversed(places), strict=True):
            total += n * conv_flops(blocks)
        middle = conv_flops(self.before) + conv_flops(self.attention) + conv_flops(self.after)
        return total + places[-1] * middle + 4.0 * places[-1] ** 2 * self.attention.channels


def conv_flops(module: nn.Module) -> float:
    """Operations of a module's convolutions at one place of their output."""
    return float(sum(2 * m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d)))


@dataclass(frozen=True)
class Seen:
    """A picture as a coarse net sees it: its coordinates (B, rank), each of unit size, in a basis; and the way back."""

    coordinates: Tensor
    lift: Callable[[Tensor], Tensor]


class Flat(nn.Module):
    """A modulated MLP for items of any shape."""

    def __init__(self, shape: tuple[int, ...], classes: int, width: int, depth: int) -> None:
        super().__init__()
        size = math.prod(shape)
        self.mlp = ModulatedMLP(size, size, classes, width, depth)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor, seen: Seen | None = None) -> Tensor:
        """x (B, *shape), t (B,), labels int64 (B,) with -1 for none; `seen` is for nets with a coarse part."""
        out: Tensor = self.mlp(x.flatten(1), t, labels)
        return out.reshape(x.shape)


class Patched(nn.Module):
    """A U-Net over patches, each `patch` x `patch` pixels as the channels of one place; and beside it a coarse net, an
    MLP over the coordinates of the whole picture in a basis given with it, whose answer the U-Net is shown and mends.

    The coarse net sees at once what a picture is of, and costs nearly nothing; the U-Net sees edges. A picture whose
    sides are no multiples of the patch is filled up with zeros below and to the right, and the answer is cut.
    """

    def __init__(self, channels: int, classes: int, patch: int, width: int, rank: int) -> None:
        super().__init__()
        self.patch = patch
        self.coarse = ModulatedMLP(rank, rank, classes, 256, 3)
        inside = channels * patch**2
        self.inner = UNet(inside, classes, width, (1, 2), given=inside)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor, seen: Seen) -> Tensor:
        """x (B, C, H, W), t (B,), labels int64 (B,) with -1 for none, and the same x as the coarse net sees it."""
        height, width = x.shape[2:]
        guess = seen.lift(self.coarse(seen.coordinates, t, labels))
        both = F.pad(torch.cat([x, guess], 1), (0, -width % self.patch, 0, -height % self.patch))
        mended = F.pixel_shuffle(self.inner(F.pixel_unshuffle(both, self.patch), t, labels), self.patch)
        return guess + mended[:, :, :height, :width]

    def flops(self, height: int, width: int) -> float:
        """Floating-point operations of one forward pass for one picture."""
        return linear_flops(self.coarse) + self.inner.flops(-(-height // self.patch), -(-width // self.patch))


def patch_for(height: int, width: int) -> int:
    """The smallest power of 2 that leaves at most 16 patches a side."""
    return 1 << max(0, math.ceil(math.log2(max(height, width) / 16)))


def backbone(
    shape: tuple[int, ...], classes: int, kind: Literal["auto", "mlp", "unet"], width: int, depth: int, rank: int
) -> Flat | UNet | Patched:
    """The net for latents of a shape: "auto" takes a U-Net over patches for pictures of more than 16 x 16, which costs
    the same at 28 and at 64 pixels a side.

    It has a twelfth of `width` channels a patch; the U-Net at full size, kind "unet", a quarter of `width` a pixel.
    """
    picture = len(shape) == 3
    if kind == "unet" and not picture:
        raise MakarError(f"a U-Net is for pictures (C, H, W), not for shape {shape}; choose net='mlp'")
    if kind == "unet":
        return UNet(shape[0], classes, max(_GROUP, width // 4 // _GROUP * _GROUP))
    if kind == "auto" and picture and shape[1] * shape[2] > 256:
        return Patched(shape[0], classes, patch_for(*shape[1:]), max(_GROUP, width // 12 // _GROUP * _GROUP), rank)
    return Flat(shape, classes, width, depth)


def backbone_flops(net: Flat | UNet | Patched, shape: tuple[int, ...]) -> float:
    """Floating-point operations of one forward pass for one item."""
    return linear_flops(net) if isinstance(net, Flat) else net.flops(shape[1], shape[2])
