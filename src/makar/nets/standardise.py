"""Standard units: (y - mean) / std, learnt from the training set once and kept in the model's state.

With data of unit scale, noise levels and learning rates mean the same for every data set (the sigma_data of Karras et
al. 2022 is 1 by construction).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """An affine map of items (B, *shape); the identity until fitted.

    `each` gives every dimension a scale of its own, right for columns and coordinates. Otherwise one scale serves all,
    right for pictures, whose constant border would blow up.
    """

    def __init__(self, shape: tuple[int, ...], each: bool) -> None:
        super().__init__()
        self._each = each
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))
        self.mean: Tensor
        self.std: Tensor

    @torch.no_grad()
    def fit(self, y: Tensor, least: float = 1e-3) -> None:
        """Take mean and scale from the training set (n, *shape); a scale is at least `least` of the overall one."""
        centred = y.double() - y.double().mean(0)
        overall = centred.square().mean().sqrt()
        overall = torch.where(overall > 0, overall, torch.ones_like(overall))
        std = centred.square().mean(0).sqrt() if self._each else overall.expand_as(self.std)
        self.mean.copy_(y.double().mean(0))
        self.std.copy_(std.clamp(min=least * float(overall)))

    def forward(self, y: Tensor) -> Tensor:
        out: Tensor = (y - self.mean) / self.std
        return out

    def inverse(self, z: Tensor) -> Tensor:
        """Back to the units of the data."""
        return z * self.std + self.mean

    @property
    def volume(self) -> Tensor:
        """Log-determinant of the forward map, a scalar: what log p(z) gains to become log p(y)."""
        return -self.std.log().sum()
