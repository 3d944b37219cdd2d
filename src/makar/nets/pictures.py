"""Small convolutional nets between pictures and vectors: what a VAE or a GAN is made of above 16 x 16 pixels.

    Reader   patches - conv - [halve, conv] x 2 - hidden layer with the label - vector
    Writer   vector with the label - hidden layer - [double, conv] x 2 - conv - patches - conv

Each patch of pixels is one place of a grid of at most 16 x 16 (`nets/unet.py`), so that 64 pixels a side cost hardly
more than 28. Sides that are no multiple of the patch are filled up with zeros, and cut again. There is no norm over the
batch, and all is piecewise linear, so that a gradient penalty's second derivative is cheap.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.core.spaces import Levels, Space
from makar.nets.mlp import ClassEmbedding, linear_flops
from makar.nets.unet import conv_flops, patch_for

_SLOPE = 0.2  # of the leaky rectifiers
_FINE = 8  # features of a pixel before the last convolution


def large_picture(space: Space) -> bool:
    """Whether items are pictures of more than 16 x 16 pixels, for which nets without convolutions are too many weights
    and too little sight."""
    return isinstance(space, Levels) and len(space.shape) == 3 and space.shape[1] * space.shape[2] > 256


def started(net: nn.Module) -> None:
    """Weights such that signals keep their size from layer to layer (He et al. 2015, eq. 15), biases at 0."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, _SLOPE)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


class Grid:
    """A picture's patches: the sides of the grid at full size, after one halving and after two."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.channels, self.height, self.width = shape
        self.patch = patch_for(self.height, self.width)
        first = (-(-self.height // self.patch), -(-self.width // self.patch))
        second = (-(-first[0] // 2), -(-first[1] // 2))
        self.sides = (first, second, (-(-second[0] // 2), -(-second[1] // 2)))
        self.places = tuple(h * w for h, w in self.sides)

    def into(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) to patches (B, C patch^2, h, w)."""
        return F.pixel_unshuffle(F.pad(x, (0, -self.width % self.patch, 0, -self.height % self.patch)), self.patch)

    def out_of(self, x: Tensor) -> Tensor:
        """The inverse of `into`, for any number of channels."""
        return F.pixel_shuffle(x, self.patch)[:, :, : self.height, : self.width]


class Reader(nn.Module):
    """Pictures as vectors (B, C H W), with labels (B,), to vectors (B, outputs)."""

    def __init__(self, shape: tuple[int, ...], outputs: int, classes: int, width: int, hidden: int) -> None:
        super().__init__()
        self.shape, self.grid = shape, Grid(shape)
        self.enter = nn.Conv2d(shape[0] * self.grid.patch**2, width, 3, padding=1)
        self.first = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.second = nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)
        self.hidden = nn.Linear(4 * width * self.grid.places[2], hidden)
        self.label = ClassEmbedding(classes, hidden) if classes else None
        self.leave = nn.Linear(hidden, outputs)
        started(self)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = self.grid.into(x.reshape(-1, *self.shape))
        for layer in (self.enter, self.first, self.second):
            h = F.leaky_relu(layer(h), _SLOPE)
        h = self.hidden(h.flatten(1))
        if self.label is not None:
            h = h + self.label(labels)
        out: Tensor = self.leave(F.leaky_relu(h, _SLOPE))
        return out

    def flops(self) -> float:
        """Floating-point operations of one forward pass for one picture."""
        layers = (self.enter, self.first, self.second)
        convolutions = sum(n * conv_flops(m) for n, m in zip(self.grid.places, layers, strict=True))
        return linear_flops(self) + convolutions


class Writer(nn.Module):
    """Vectors (B, inputs), with labels (B,), to `maps` numbers for each value of a picture, (B, maps C H W).

    The first C H W numbers are one for every value of the picture, in its order; so are the next.
    """

    def __init__(
        self, inputs: int, shape: tuple[int, ...], classes: int, width: int, hidden: int, maps: int = 1
    ) -> None:
        super().__init__()
        self.grid, self.width = Grid(shape), width
        self.enter = nn.Linear(inputs, hidden)
        self.label = ClassEmbedding(classes, hidden) if classes else None
        self.hidden = nn.Linear(hidden, 4 * width * self.grid.places[2])
        self.first = nn.Conv2d(4 * width, 2 * width, 3, padding=1)
        self.second = nn.Conv2d(2 * width, width, 3, padding=1)
        self.third = nn.Conv2d(width, width, 3, padding=1)
        self.patches = nn.Conv2d(width, _FINE * self.grid.patch**2, 3, padding=1)
        self.leave = nn.Conv2d(_FINE, maps * shape[0], 3, padding=1)  # at full size: patches leave seams
        started(self)
        # The pixels of a patch begin alike, or the grid of the patches shows (Aitken et al. 2017, ICNR, section 4).
        with torch.no_grad():
            squares = self.grid.patch**2
            self.patches.weight.copy_(self.patches.weight[::squares].repeat_interleave(squares, 0))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        h = self.enter(z)
        if self.label is not None:
            h = h + self.label(labels)
        h = F.leaky_relu(self.hidden(F.leaky_relu(h, _SLOPE)), _SLOPE).reshape(len(z), -1, *self.grid.sides[2])
        for layer, sides in ((self.first, self.grid.sides[1]), (self.second, self.grid.sides[0])):
            h = F.leaky_relu(layer(F.interpolate(h, size=sides, mode="nearest")), _SLOPE)
        h = self.grid.out_of(self.patches(F.leaky_relu(self.third(h), _SLOPE)))
        out: Tensor = self.leave(F.leaky_relu(h, _SLOPE)).flatten(1)
        return out

    def flops(self) -> float:
        """Floating-point operations of one forward pass for one picture."""
        full, half, _ = self.grid.places
        coarse = half * conv_flops(self.first) + full * sum(map(conv_flops, (self.second, self.third, self.patches)))
        return linear_flops(self) + coarse + self.grid.height * self.grid.width * conv_flops(self.leave)
