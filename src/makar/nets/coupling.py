"""Invertible layers with a cheap log-determinant, for vectors (B, D) of any D >= 1.

AffineCoupling   one half is scaled and shifted by functions of the other   (Dinh et al. 2017, RealNVP, eq. 7 and 8)
SplineCoupling   one half goes through monotone rational-quadratic splines  (Durkan et al. 2019, "Neural spline flows",
                 whose knots are functions of the other half                 eq. 4 to 8)
Mixing           a linear map P L U in triangular factors                    (Kingma & Dhariwal 2018, Glow, eq. 10)

A layer maps (x, labels) to (z, log |det dz/dx|), and back. Every layer begins near the identity (a mixing near a
permutation). A row's result depends on no other row.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.nets.mlp import ClassEmbedding, zeroed


class Invertible(nn.Module, ABC):
    """A bijection of vectors (B, D), given labels int64 (B,) with -1 for none."""

    @abstractmethod
    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, D), and log |det dz/dx| (B,)."""

    @abstractmethod
    def inverse(self, z: Tensor, labels: Tensor) -> Tensor:
        """The x that `forward` sends to z."""


class Chain(Invertible):
    """Layers one after another."""

    def __init__(self, layers: Iterable[Invertible]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        total = x.new_zeros(len(x))
        for layer in self.layers:
            x, volume = layer(x, labels)
            total = total + volume
        return x, total

    def inverse(self, z: Tensor, labels: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            assert isinstance(layer, Invertible)
            z = layer.inverse(z, labels)
        return z


class Mixing(Invertible):
    """z = P L (U + diag(s)) x, P a fixed random permutation; log |det| = sum log |s|, at the beginning 0."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("order", torch.randperm(size))
        self.order: Tensor
        self.lower = nn.Parameter(torch.zeros(size, size))
        self.upper = nn.Parameter(torch.zeros(size, size))
        self.log_scale = nn.Parameter(torch.zeros(size))

    def _factors(self) -> tuple[Tensor, Tensor]:
        eye = torch.eye(len(self.order), device=self.lower.device, dtype=self.lower.dtype)
        return self.lower.tril(-1) + eye, self.upper.triu(1) + torch.diag(self.log_scale.exp())

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self._factors()
        z = (x @ (lower @ upper).T)[:, self.order]
        return z, self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor, labels: Tensor) -> Tensor:
        lower, upper = self._factors()
        # The factors are inverted in float64 and not solved for the batch, so that a row's result is its own.
        eye = torch.eye(len(self.order), device=z.device, dtype=torch.float64)
        below = torch.linalg.solve_triangular(lower.double(), eye, upper=False, unitriangular=True)
        both = torch.linalg.solve_triangular(upper.double(), below, upper=True)
        x: Tensor = z[:, self.order.argsort()] @ both.T.to(z.dtype)
        return x


class Conditioner(nn.Module):
    """What a coupling does to one part, as a function of the other part and the label; begins at zero."""

    def __init__(self, inputs: int, outputs: int, classes: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(max(1, inputs), width)
        self.label = ClassEmbedding(classes, width) if classes else None
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.dropout = nn.Dropout(dropout)
        self.leave = zeroed(nn.Linear(width, outputs))

    def forward(self, kept: Tensor, labels: Tensor) -> Tensor:
        """kept (B, inputs) to (B, outputs)."""
        h = self.enter(kept if kept.shape[1] else kept.new_ones(len(kept), 1))
        if self.label is not None:
            h = h + self.label(labels)
        for layer in self.hidden:
            h = layer(self.dropout(F.silu(h)))
        out: Tensor = self.leave(self.dropout(F.silu(h)))
        return out


class AffineCoupling(Invertible):
    """z_b = x_b exp(s(x_a)) + m(x_a), z_a = x_a; |s| < 2, softly, so that no step of training blows up."""

    _most = 2.0

    def __init__(self, size: int, classes: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.kept = size // 2
        self.conditioner = Conditioner(self.kept, 2 * (size - self.kept), classes, width, depth, dropout)

    def _read(self, kept: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.conditioner(kept, labels).chunk(2, 1)
        return self._most * torch.tanh(raw / self._most), shift

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        scale, shift = self._read(kept, labels)
        return torch.cat([kept, moved * scale.exp() + shift], 1), scale.sum(1)

    def inverse(self, z: Tensor, labels: Tensor) -> Tensor:
        kept, moved = z[:, : self.kept], z[:, self.kept :]
        scale, shift = self._read(kept, labels)
        return torch.cat([kept, (moved - shift) * (-scale).exp()], 1)


class SplineCoupling(Invertible):
    """z_b = spline(x_b) with knots read from x_a, z_a = x_a; the identity outside of [-reach, reach]."""

    def __init__(
        self, size: int, classes: int, width: int, depth: int, dropout: float, bins: int = 8, reach: float = 4.0
    ) -> None:
        super().__init__()
        self.kept = size // 2
        self.bins = bins
        self.reach = reach
        outputs = (size - self.kept) * (3 * bins - 1)
        self.conditioner = Conditioner(self.kept, outputs, classes, width, depth, dropout)

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        z, slope = Spline.read(self.conditioner(kept, labels), self.bins, self.reach)(moved)
        return torch.cat([kept, z], 1), slope.sum(1)

    def inverse(self, z: Tensor, labels: Tensor) -> Tensor:
        kept, moved = z[:, : self.kept], z[:, self.kept :]
        return torch.cat([kept, Spline.read(self.conditioner(kept, labels), self.bins, self.reach).inverse(moved)], 1)


class Spline:
    """Monotone rational-quadratic splines on [-reach, reach], one for each of (B, n) numbers, with identity tails.

    `x` and `y` are the knots' places and `d` the slopes there, each (B, n, bins + 1).
    """

    _least = 1e-3  # smallest share of a bin, and smallest slope

    def __init__(self, x: Tensor, y: Tensor, d: Tensor) -> None:
        self.x, self.y, self.d = x, y, d

    @classmethod
    def read(cls, raw: Tensor, bins: int, reach: float) -> Spline:
        """From unbounded numbers (B, n * (3 bins - 1)); zeros give the identity."""
        raw = raw.reshape(len(raw), -1, 3 * bins - 1)
        one = math.log(math.expm1(1.0 - cls._least))  # where softplus gives slope 1
        inner = cls._least + F.softplus(raw[..., 2 * bins :] + one)
        return cls(
            cls._knots(raw[..., :bins], reach),
            cls._knots(raw[..., bins : 2 * bins], reach),
            F.pad(inner, (1, 1), value=1.0),
        )

    @classmethod
    def _knots(cls, raw: Tensor, reach: float) -> Tensor:
        """Places of the bins' ends: shares that sum to 1, cumulated over [-reach, reach]."""
        shares = cls._least + (1.0 - cls._least * raw.shape[-1]) * torch.softmax(raw, -1)
        inner = 2.0 * reach * shares.cumsum(-1)[..., :-1] - reach
        return F.pad(F.pad(inner, (1, 0), value=-reach), (0, 1), value=reach)

    def _bin(self, knots: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Whether values lie inside; of their bin: left end, width, bottom, height, and the slopes at both ends."""
        inside = (values > knots[..., 0]) & (values < knots[..., -1])
        index = (values.unsqueeze(-1) >= knots[..., 1:-1]).sum(-1, keepdim=True)
        x0, x1 = (self.x.gather(-1, index + i).squeeze(-1) for i in (0, 1))
        y0, y1 = (self.y.gather(-1, index + i).squeeze(-1) for i in (0, 1))
        d0, d1 = (self.d.gather(-1, index + i).squeeze(-1) for i in (0, 1))
        return inside, x0, x1 - x0, y0, y1 - y0, d0, d1

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Values, and the logarithms of the slopes (Durkan et al. eq. 4 and 5), both (B, n)."""
        inside, x0, w, y0, h, d0, d1 = self._bin(self.x, x)
        s = h / w
        u = torch.where(inside, (x - x0) / w, 0.5)
        v = u * (1.0 - u)
        below = s + (d0 + d1 - 2.0 * s) * v
        y = y0 + h * (s * u.square() + d0 * v) / below
        slope = 2.0 * s.log() + (d1 * u.square() + 2.0 * s * v + d0 * (1.0 - u).square()).log() - 2.0 * below.log()
        return torch.where(inside, y, x), torch.where(inside, slope, 0.0)

    def inverse(self, y: Tensor) -> Tensor:
        """The x whose value is y: the root in [0, 1] of a quadratic (Durkan et al. eq. 6 to 8)."""
        inside, x0, w, y0, h, d0, d1 = self._bin(self.y, y)
        s = h / w
        up = torch.where(inside, y - y0, 0.5 * h)
        bend = up * (d0 + d1 - 2.0 * s)
        a, b, c = h * (s - d0) + bend, h * d0 - bend, -s * up
        root = 2.0 * c / (-b - (b.square() - 4.0 * a * c).clamp(min=0.0).sqrt())
        return torch.where(inside, x0 + root * w, y)
