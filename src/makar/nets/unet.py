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
        self, channels: int, classes: int, width: int = 64, mults: tuple[int, ...] = (1, 2, 2), depth: int = 1
    ) -> None:
        super().__init__()
        context = 4 * width
        widths = [width * m for m in mults]
        self.time = nn.Sequential(Frequencies(64), nn.Linear(64, context), nn.SiLU(), nn.Linear(context, context))
        self.label = ClassEmbedding(classes, context) if classes else None
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
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

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """x (B, C, H, W), t (B,), labels int64 (B,) with -1 for none."""
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
        total = linear_flops(self) + places[0] * (_conv_flops(self.stem) + _conv_flops(self.leave))
        for blocks, n in zip(self.down, places, strict=True):
            total += n * _conv_flops(blocks)
        for halve, n in zip(self.halve, places[1:], strict=True):
            total += n * _conv_flops(halve)
        for blocks, n in zip(self.up, reversed(places), strict=True):
            total += n * _conv_flops(blocks)
        middle = _conv_flops(self.before) + _conv_flops(self.attention) + _conv_flops(self.after)
        return total + places[-1] * middle + 4.0 * places[-1] ** 2 * self.attention.channels


def _conv_flops(module: nn.Module) -> float:
    """Operations of a module's convolutions at one place of their output."""
    return float(sum(2 * m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d)))


class Flat(nn.Module):
    """A modulated MLP for items of any shape."""

    def __init__(self, shape: tuple[int, ...], classes: int, width: int, depth: int) -> None:
        super().__init__()
        size = math.prod(shape)
        self.mlp = ModulatedMLP(size, size, classes, width, depth)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """x (B, *shape), t (B,), labels int64 (B,) with -1 for none."""
        out: Tensor = self.mlp(x.flatten(1), t, labels)
        return out.reshape(x.shape)


def backbone(
    shape: tuple[int, ...], classes: int, kind: Literal["auto", "mlp", "unet"], width: int, depth: int
) -> Flat | UNet:
    """The net for latents of a shape: "auto" takes the U-Net for pictures of more than 16 x 16.

    The U-Net has a quarter of `width` channels at full size, and one block a size.
    """
    picture = len(shape) == 3
    if kind == "unet" and not picture:
        raise MakarError(f"a U-Net is for pictures (C, H, W), not for shape {shape}; choose net='mlp'")
    if kind == "unet" or (kind == "auto" and picture and shape[1] * shape[2] > 256):
        return UNet(shape[0], classes, max(_GROUP, width // 4 // _GROUP * _GROUP))
    return Flat(shape, classes, width, depth)


def backbone_flops(net: Flat | UNet, shape: tuple[int, ...]) -> float:
    """Floating-point operations of one forward pass for one item."""
    return net.flops(shape[1], shape[2]) if isinstance(net, UNet) else linear_flops(net)
