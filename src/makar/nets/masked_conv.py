"""Masked convolutions: pictures in, features out that depend only on pixels already drawn (gated PixelCNN).

In raster order a pixel may see the rows above it and its own row to the left. One masked kernel has a blind spot: the
pixels above and to the right slip out of its receptive field however many layers there are (van den Oord et al. 2016b,
figure 1). So there are two stacks:

    vertical     v(r, c) sees all rows before r, through kernels of (reach + 1) x (2 reach + 1)
    horizontal   h(r, c) sees its row before c, through kernels of 1 x (reach + 1), and is fed from v(r, c)

Each layer is gated, with the class y as a bias (their eq. 4):   tanh(W_f * x + V_f y) * sigmoid(W_g * x + V_g y).
This bias is the same at all places. A second one, at the entrance, is free at each place (their section 2.3 conditions
on places by a map of the class, eq. 5): it says which pixels a class is likely to ink before any of them is drawn.
A kernel of type A, which leaves out the pixel itself, is here one of type B, which takes it in, after the picture has
moved by one row (vertical) or one column (horizontal); this happens once, at the entrance.

A convolution is one matrix product over stacked neighbours, features last. So the same weights serve the whole picture
at once in training and a single new pixel in drawing: `step` does the work of the horizontal stack for that pixel, and
of the vertical stack once a row, and keeps what later pixels will need.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.core.noise import Noise
from makar.nets.mlp import ClassEmbedding
from makar.nets.ordered import OrderedEmbedding
from makar.nets.transformer import dropped


def gated(a: Tensor) -> Tensor:
    """tanh of the first half of the features times sigmoid of the second."""
    value, gate = a.chunk(2, -1)
    return torch.tanh(value) * torch.sigmoid(gate)


class GatedLayer(nn.Module):
    """One layer of both stacks; type B."""

    def __init__(self, width: int, reach: int, classes: int) -> None:
        super().__init__()
        self.reach = reach
        self.vertical = nn.Linear((reach + 1) * (2 * reach + 1) * width, 2 * width)
        self.horizontal = nn.Linear((reach + 1) * width, 2 * width)
        self.link = nn.Linear(2 * width, 2 * width, bias=False)
        self.leave = nn.Linear(width, width)
        self.label = ClassEmbedding(classes, 4 * width)

    def biases(self, labels: Tensor, axes: int) -> tuple[Tensor, Tensor]:
        """What the class adds to the vertical and to the horizontal stack, each (B, 1, ..., 2 width) of `axes` ones."""
        vertical, horizontal = self.label(labels).reshape(len(labels), *[1] * axes, -1).chunk(2, -1)
        return vertical, horizontal

    def above(self, v: Tensor) -> Tensor:
        """Vertical convolution of (B, reach + n, W, width) to (B, n, W, 2 width)."""
        rows, columns = v.shape[1] - self.reach, v.shape[2]
        v = F.pad(v, (0, 0, self.reach, self.reach))
        windows = [
            v[:, r : r + rows, c : c + columns] for r in range(self.reach + 1) for c in range(2 * self.reach + 1)
        ]
        out: Tensor = self.vertical(torch.cat(windows, -1))
        return out

    def beside(self, h: Tensor) -> Tensor:
        """Horizontal convolution of (..., reach + n, width) to (..., n, 2 width)."""
        count = h.shape[-2] - self.reach
        out: Tensor = self.horizontal(torch.cat([h[..., c : c + count, :] for c in range(self.reach + 1)], -1))
        return out


@dataclass(frozen=True)
class Progress:
    """What later pixels need of a picture drawn up to `pixel`; lists have an entry for each layer."""

    pixel: int  # raster index of the pixel whose features are known
    above: list[Tensor]  # (B, reach, W, width): the vertical stack's last inputs
    links: list[Tensor]  # (B, W, 2 width): what this row's horizontal stack is fed from above, with the class
    left: list[Tensor]  # (B, reach, width): the horizontal stack's last inputs
    features: Tensor  # (B, width)


class GatedPixelCNN(nn.Module):
    """Logits of every value of a picture, given those before it in raster order, channels of a pixel in turn."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        levels: int,
        classes: int,
        width: int = 32,
        layers: int = 5,
        reach: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.shape, self.levels, self.width, self.dropout = shape, levels, width, dropout
        channels, rows, columns = shape
        self.enter = OrderedEmbedding(channels, levels, width)
        self.place = nn.Parameter(0.1 * torch.randn(2, rows, columns, width))
        # What a class adds to a place (entry 0 is no class): a bias that is the same everywhere cannot say where.
        self.expected = nn.Parameter(torch.zeros(classes + 1, *self.place.shape)) if classes else None
        self.layers = nn.ModuleList(GatedLayer(width, reach, classes) for _ in range(layers))
        # Entry (k, j, x): what value x of channel j tells channel k > j of the same pixel.
        self.earlier = nn.Embedding(channels * channels * levels, width) if channels > 1 else None
        self.channel = nn.Parameter(torch.zeros(channels, width))
        self.inner = nn.Linear(width, 2 * width)
        self.head = nn.Linear(2 * width, levels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def _embedded(self, x: Tensor) -> Tensor:
        """Pixels int64 (B, C, ...) to (B, ..., width)."""
        out: Tensor = self.enter(x.flatten(2).transpose(1, 2)).unflatten(1, x.shape[2:])
        return out

    def _places(self, labels: Tensor, rows: slice = slice(None)) -> Tensor:
        """What the two stacks are told of where they are in some rows, and of what is drawn: (B, 2, rows, W, width)."""
        if self.expected is None:
            return self.place[None, :, rows]
        return self.place[:, rows] + self.expected[:, :, rows][labels + 1]

    def features(self, x: Tensor, labels: Tensor, noise: Noise | None = None) -> Tensor:
        """x int64 (B, C, H, W) to (B, H, W, width), at each pixel a function of the pixels before it."""
        e = self._embedded(x)
        place = self._places(labels)
        v = F.pad(e, (0, 0, 0, 0, 1, 0))[:, :-1] + place[:, 0]
        h = F.pad(e, (0, 0, 1, 0))[:, :, :-1] + place[:, 1]
        for layer in self._layers():
            v_bias, h_bias = layer.biases(labels, 2)
            a = layer.above(F.pad(v, (0, 0, 0, 0, layer.reach, 0)))
            b = layer.beside(F.pad(h, (0, 0, layer.reach, 0))) + layer.link(a) + h_bias
            v = v + dropped(gated(a + v_bias), self.dropout, noise)
            h = h + layer.leave(dropped(gated(b), self.dropout, noise))
        return h

    def read(self, features: Tensor, pixel: Tensor, channel: int) -> Tensor:
        """Logits (..., levels) of a channel, from features (..., width) and earlier channels (B, >= channel, ...)."""
        h = features + self.channel[channel]
        if self.earlier is not None:
            for j in range(channel):
                entry = (channel * self.shape[0] + j) * self.levels
                h = h + self.earlier(pixel[:, j] + entry)
        out: Tensor = self.head(F.relu(self.inner(F.relu(h))))
        return out

    def forward(self, x: Tensor, labels: Tensor, noise: Noise | None = None) -> Tensor:
        """x int64 (B, C, H, W) to logits (B, H, W, C, levels); dropout is applied where there is noise."""
        features = self.features(x, labels, noise)
        return torch.stack([self.read(features, x, k) for k in range(self.shape[0])], 3)

    def _layers(self) -> list[GatedLayer]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]

    def step(self, pixels: Tensor, past: Progress | None, labels: Tensor) -> Progress:
        """Features of the pixel that follows `pixels`, int64 (B, C, n), all of which but the last `past` has seen."""
        batch, _, count = pixels.shape
        _, _, columns = self.shape
        row, column = divmod(count, columns)
        nothing = self.place.new_zeros(batch, self.width)
        if past is None:
            blank = [nothing[:, None, None].expand(-1, layer.reach, columns, -1) for layer in self._layers()]
            past = Progress(-1, blank, [], [], nothing)
        if past.pixel != count - 1:
            raise ValueError(f"pixel {past.pixel + 1} comes next, not {count}")
        above, links, left = past.above, past.links, past.left
        place = self._places(labels, slice(row, row + 1))[:, :, 0]
        if column == 0:
            before = self._embedded(pixels[:, :, count - columns :]) if row else nothing[:, None]
            above, links = self._row((before + place[:, 0])[:, None], above, labels)
            left = [nothing[:, None].expand(-1, layer.reach, -1) for layer in self._layers()]
        h = (self._embedded(pixels[:, :, -1:])[:, 0] if column else nothing) + place[:, 1, column]
        remembered = []
        for layer, link, beside in zip(self._layers(), links, left, strict=True):
            window = torch.cat([beside, h[:, None]], 1)
            remembered.append(window[:, 1:])
            h = h + layer.leave(gated(layer.beside(window)[:, 0] + link[:, column]))
        return Progress(count, above, links, remembered, h)

    def _row(self, v: Tensor, above: list[Tensor], labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """One row of the vertical stack, from its input (B, 1, W, width): its new last inputs, and its links."""
        inputs, links = [], []
        for layer, before in zip(self._layers(), above, strict=True):
            v_bias, h_bias = layer.biases(labels, 2)
            window = torch.cat([before, v], 1)
            a = layer.above(window)
            inputs.append(window[:, 1:])
            links.append((layer.link(a) + h_bias)[:, 0])
            v = v + gated(a + v_bias)
        return inputs, links

    def flops(self) -> float:
        """Floating-point operations of a forward pass for one picture: 2 a weight of every matrix at every pixel."""
        channels, rows, columns = self.shape
        stacks = sum(p.numel() for n, p in self.layers.named_parameters() if p.ndim == 2 and "label" not in n)
        reading = self.inner.weight.numel() + self.head.weight.numel()
        return 2.0 * rows * columns * (stacks + channels * reading)
