"""One small problem for every kind of space, with a known source to draw fresh data from, and a distance.

The distance is the energy distance (Szekely & Rizzo 2013) 2 E|X - Y| - E|X - X'| - E|Y - Y'| between two sets of
vectors, with the V-statistic's diagonal left out, so that two halves of one source score about zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.spaces import Categorical, Columns, Levels, Numeric, Reals, Space, Tokens
from makar.nets.relax import Scaled

RING = Reals((2,))
CLOUD = Reals((3,))
BLOBS = Levels((1, 5, 4), 6)
TABLE = Columns((Numeric("size"), Numeric("price"), Categorical("colour", 3), Categorical("shape", 4)))
CHAIN = Tokens(7, 12)
SPACES: dict[str, Space] = {"ring": RING, "cloud": CLOUD, "blobs": BLOBS, "table": TABLE, "chain": CHAIN}


def draw(space: Space, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """n items of the problem for this space, and their labels (two classes)."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (n,), generator=g)
    if space == RING:
        angle = (torch.randint(4, (n,), generator=g) * 2 + labels) * (math.pi / 4)
        centre = torch.stack([angle.cos(), angle.sin()], 1) * 2.0
        return (centre + 0.2 * torch.randn(n, 2, generator=g)) / 1.5, labels
    if space == CLOUD:
        z = torch.randn(n, 3, generator=g)
        mix = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.4, 0.0], [-0.3, 0.5, 0.6]])
        shift = torch.tensor([[-1.0, 0.5, 0.0], [1.0, -0.5, 0.5]])
        return (z @ mix.T) * 0.6 + shift[labels], labels
    if space == BLOBS:
        return _blobs(n, labels, g), labels
    if space == TABLE:
        return _table(n, labels, g), labels
    if space == CHAIN:
        return _chain(n, labels, g), labels
    raise AssertionError(space)


def _blobs(n: int, labels: Tensor, g: torch.Generator) -> Tensor:
    rows = torch.arange(5.0)[None, :, None]
    columns = torch.arange(4.0)[None, None, :]
    y = torch.rand(n, 1, 1, generator=g) * 2 + labels[:, None, None] * 2
    x = torch.rand(n, 1, 1, generator=g) * 3
    glow = 5.0 * torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2.5)
    return (glow + torch.rand(n, 5, 4, generator=g)).floor().clamp(0, 5).long().unsqueeze(1)


def _table(n: int, labels: Tensor, g: torch.Generator) -> Tensor:
    size = torch.randn(n, generator=g) * 0.7 + labels * 1.0 - 0.5
    price = 0.6 * size + 0.3 * torch.randn(n, generator=g) / (0.2 + torch.rand(n, generator=g))
    colour = torch.where(torch.rand(n, generator=g) < 0.7, labels, torch.randint(3, (n,), generator=g))
    shape = torch.where(size > 0, torch.randint(2, (n,), generator=g), 2 + torch.randint(2, (n,), generator=g))
    return torch.stack([size, price, colour.float(), shape.float()], 1)


def _chain(n: int, labels: Tensor, g: torch.Generator) -> Tensor:
    table = torch.full((7, 7), 0.02)
    for a in range(7):
        table[a, (a + 1) % 7] = 0.6
        table[a, (a + 3) % 7] = 0.3
    symbols = [labels * 3]
    for _ in range(11):
        symbols.append(torch.multinomial(table[symbols[-1]], 1, generator=g)[:, 0])
    return torch.stack(symbols, 1)


def vectors(space: Space, x: Tensor) -> Tensor:
    """Items as vectors in which the distance is measured: relaxed and flat; for symbols, counts of pairs."""
    if isinstance(space, Tokens):
        x = x.clamp(min=0)
        pairs = F.one_hot(x[:, :-1] * space.vocab + x[:, 1:], space.vocab**2).float().sum(1)
        return torch.cat([pairs, F.one_hot(x[:, 0], space.vocab).float()], 1)
    return Scaled(space).relax(x).flatten(1)


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2 E|A - B| - E|A - A'| - E|B - B'|, unbiased."""
    a, b = a.double(), b.double()
    within = [torch.cdist(v, v).sum() / (len(v) * (len(v) - 1)) for v in (a, b)]
    return float(2 * torch.cdist(a, b).mean() - within[0] - within[1])


def distance(space: Space, x: Tensor, y: Tensor) -> float:
    """How far two sets of items of a space are apart."""
    return energy_distance(vectors(space, x), vectors(space, y))
