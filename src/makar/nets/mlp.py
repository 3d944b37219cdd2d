"""Multi-layer perceptrons: plain, and residual blocks modulated by a context (adaptive layer norm).

Adaptive layer norm with zero-initialised gates is that of Peebles & Xie 2022, "Scalable diffusion models with
transformers", section 3.2 (adaLN-Zero): every block begins as the identity.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers of the given widths with SiLU between them."""
    layers: list[nn.Module] = []
    for i, o in pairwise(widths):
        layers += [nn.Linear(i, o), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def zeroed(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """The layer with weights and bias at 0, so that what it feeds begins as if it were not there."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Frequencies(nn.Module):
    """A scalar (B,) as sines and cosines (B, width) of geometrically spaced frequencies (Vaswani et al. 2017, 3.5)."""

    def __init__(self, width: int, top: float = 100.0) -> None:
        super().__init__()
        self.register_buffer("scales", top ** torch.linspace(0, 1, width // 2) * math.pi / 2, persistent=False)
        self.scales: Tensor

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.scales
        return torch.cat([angles.sin(), angles.cos()], 1)


class ClassEmbedding(nn.Module):
    """Labels (B,) as vectors (B, width); label -1, no class in particular, has a vector of its own."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(classes + 1, width)
        nn.init.normal_(self.table.weight, std=0.5)

    def forward(self, labels: Tensor) -> Tensor:
        found: Tensor = self.table(labels + 1)
        return found


class ModulatedBlock(nn.Module):
    """x + gate * mlp((1 + scale) * norm(x) + shift), with (shift, scale, gate) read from the context."""

    def __init__(self, width: int, context: int, expand: int = 2) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = zeroed(nn.Linear(context, 3 * width))
        self.inner = nn.Sequential(nn.Linear(width, expand * width), nn.SiLU(), nn.Linear(expand * width, width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(context).chunk(3, -1)
        moved: Tensor = x + gate * self.inner(self.norm(x) * (1 + scale) + shift)
        return moved


class ModulatedMLP(nn.Module):
    """Vectors (B, inputs) to (B, outputs) through `depth` residual blocks that a time and a label modulate.

    The output layer begins at zero.
    """

    def __init__(self, inputs: int, outputs: int, classes: int, width: int = 256, depth: int = 4) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.time = nn.Sequential(Frequencies(64), nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.label = ClassEmbedding(classes, width) if classes else None
        self.blocks = nn.ModuleList(ModulatedBlock(width, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = zeroed(nn.Linear(width, 2 * width))
        self.leave = zeroed(nn.Linear(width, outputs))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """x (B, inputs), t (B,), labels int64 (B,) with -1 for none."""
        context = self.time(t)
        if self.label is not None:
            context = context + self.label(labels)
        context = F.silu(context)
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, context)
        shift, scale = self.modulation(context).chunk(2, -1)
        out: Tensor = self.leave(self.norm(h) * (1 + scale) + shift)
        return out


def linear_flops(module: nn.Module) -> float:
    """Floating-point operations of one forward pass for one item through a module's linear layers: 2 in out each."""
    return float(sum(2 * m.in_features * m.out_features for m in module.modules() if isinstance(m, nn.Linear)))
