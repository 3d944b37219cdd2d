"""Numbers that follow other numbers: a smooth mean and a smooth scale, and what of a number is left after them.

A bin of a number tells of its parents no more than a bin can. Here the child is written as

    x = mu(z) + s(z) r,        log p(x | z) = log p(r | z) - log s(z),

with mu and log s piecewise linear in every numeric parent, plus products of two of them; the coefficients are of the
parents' joint category, drawn towards those of all rows by a ridge. r then goes through the table that the number
itself would have gone through, so nothing is assumed of its shape, and the density stays exact and normalised.
The scale is the regression of log |x - mu| (Harvey 1976).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from makar.families._stat_grid import Grid
from makar.families._stat_network import bdeu, family_counts, joint_state

_LEAST = 1e-4  # smallest scale of what is left, in the standard units of a numeric column
_RIDGES = (1.0, 10.0, 100.0, 1000.0)  # pseudo-items that draw a category's slopes towards those of all
_JUDGES = 8000  # rows, at most, by which the search scores
_CELLS = 1 << 22  # largest table of a node and its parents
_WIDEST = 256  # dummy variables, at most, of a categorical column in the search
_CONTEXTS = 64  # joint categories, at most, that may each have a line of its own in the search
_LOG_NORMAL = -0.635181422730739  # E log |N(0, 1)|


class Response(nn.Module):
    """Mean and scale of one numeric column given P numeric parents and a joint category; none before `fit`."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("knots", "span", "location", "scale"):
            self.register_buffer(name, torch.zeros(0, 0, dtype=torch.float64))
        self.knots: Tensor  # (P, m) places at which the slope may change
        self.span: Tensor  # (P + 1, 2) range of every parent and, last, of log s
        self.location: Tensor  # (C, F)
        self.scale: Tensor  # (C, F)

    @property
    def used(self) -> bool:
        """Whether there is a regression."""
        return len(self.location) > 0

    def features(self, z: Tensor) -> Tensor:
        """(B, F) of parents (B, P): 1, each parent, its excess over each knot, products of two."""
        z = z.double().clamp(self.span[:-1, 0], self.span[:-1, 1])
        hinges = (z.unsqueeze(2) - self.knots).clamp(min=0.0).flatten(1)
        products = [z[:, i] * z[:, j] for i in range(z.shape[1]) for j in range(i)]
        ones = torch.ones_like(z[:, :1])
        return torch.cat([ones, z, hinges, *(p.unsqueeze(1) for p in products)], 1)

    def fit(self, z: Tensor, context: Tensor, contexts: int, x: Tensor) -> None:
        """From parents (n, P), their joint category (n,) among `contexts`, and the column itself (n,)."""
        z, x = z.double(), x.double()
        ranks = torch.arange(1, 8, dtype=torch.float64, device=z.device) / 8
        self.knots = torch.quantile(_some(z), ranks, dim=0).T.contiguous()
        spans = torch.stack([z.amin(0), z.amax(0)], 1)
        self.span = torch.cat([spans, spans.new_tensor([[math.log(_LEAST), 0.0]])])
        f = self.features(z)
        self.location = _shrunk(f, context, contexts, x)
        error = x - (f * self.location[context]).sum(1)
        logs = error.abs().clamp(min=_LEAST).log() - _LOG_NORMAL
        self.scale = _shrunk(f, context, contexts, logs)
        fitted = (f * self.scale[context]).sum(1)
        low, high = torch.quantile(_some(fitted), fitted.new_tensor([0.002, 0.998])).tolist()
        self.span[-1] = fitted.new_tensor([max(low, math.log(_LEAST)), max(high, math.log(_LEAST))])

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log s, float64 (B,), given parents (B, P) and their joint category (B,)."""
        f = self.features(z)
        logs = (f * self.scale[context]).sum(1).clamp(self.span[-1, 0], self.span[-1, 1])
        return (f * self.location[context]).sum(1), logs


def _some(x: Tensor, most: int = 20_000) -> Tensor:
    """Rows enough for a quantile."""
    return x[:: -(-len(x) // most)]


def _shrunk(f: Tensor, context: Tensor, contexts: int, x: Tensor) -> Tensor:
    """Coefficients (C, F) of x (n,) on features (n, F) for every context; the ridge predicts unseen rows best.

    It is judged on two halves, each predicted by the other.
    """
    if contexts == 1:
        return _ridge(f, context, 1, x, _RIDGES[0])
    half = torch.arange(len(x), device=x.device) % 2 == 0

    def missed(ridge: float) -> float:
        total = 0.0
        for kept in (half, ~half):
            found = _ridge(f[kept], context[kept], contexts, x[kept], ridge)
            total += float((x[~kept] - (f[~kept] * found[context[~kept]]).sum(1)).square().sum())
        return total

    return _ridge(f, context, contexts, x, min(_RIDGES, key=missed))


def _ridge(f: Tensor, context: Tensor, contexts: int, x: Tensor, ridge: float) -> Tensor:
    """Least squares of all rows, and of every context drawn towards them; the first feature, 1, is drawn by one item.

    Returns (C, F).
    """
    weak = torch.full_like(f[0], 1e-3)
    pooled: Tensor = torch.linalg.solve(f.T @ f + torch.diag(weak), f.T @ x)
    found: Tensor = pooled.repeat(contexts, 1)
    if contexts == 1:
        return found
    pull = torch.full_like(weak, ridge)
    pull[0] = 1.0
    order = context.argsort(stable=True)
    counts = torch.bincount(context, minlength=contexts).tolist()
    for c, rows in enumerate(order.split(counts)):
        if len(rows):
            own = f[rows]
            found[c] += torch.linalg.solve(own.T @ own + torch.diag(pull), own.T @ (x[rows] - own @ pooled))
    return found


class Scores:
    """log p(column | parents) of the training rows, less what the parameters cost: what the search adds up.

    A code or a bin has the BDeu evidence of its table, a number that of its bin and its density within it. A number
    with a numeric parent may instead have a linear regression, of which the residual is such a number in its place,
    at half log n nats a coefficient (Schwarz 1978); the better of the two counts. All are log-densities of the same
    column, so they can be compared.
    """

    def __init__(self, x: Tensor, codes: Tensor, sizes: list[int], numeric: list[int], grid: Grid | None) -> None:
        """Rows x (n, D), states (n, N), how many states a node has, which nodes are numbers, and the numbers' grid."""
        places = torch.linspace(0, len(x) - 1, min(len(x), _JUDGES), dtype=torch.float64, device=x.device).long()
        x, self._codes, self._sizes = x[places], codes[places], sizes
        self._within = {}
        if grid is not None:
            self._bins, self._fine = grid.bins, grid.fine
            sums = grid.nats(x[:, numeric]).sum(0) - grid.cells / 2  # the shares that the rows chose flatter them
            self._within = dict(zip(numeric, sums.tolist(), strict=True))
        parts, self._places, start = [torch.ones(len(x), 1, dtype=torch.float64, device=x.device)], {}, 1
        for node, size in enumerate(sizes):
            if node in self._within:
                z = x[:, node].double().unsqueeze(1)
                knots = torch.quantile(z, z.new_tensor([0.25, 0.5, 0.75]))
                own = torch.cat([z, (z - knots).clamp(min=0.0)], 1)
            elif size <= _WIDEST:
                own = torch.nn.functional.one_hot(self._codes[:, node], size)[:, 1:].double()
            else:
                continue
            self._places[node] = list(range(start, start + own.shape[1]))
            parts.append(own)
            start += own.shape[1]
        self._features = torch.cat(parts, 1)
        self._gram = self._features.T @ self._features
        self._price = math.log(len(x))  # twice what a parameter costs

    def __call__(self, node: int, parents: tuple[int, ...], strength: float) -> float:
        cells = math.prod([self._sizes[p] for p in parents]) * self._sizes[node]
        found = -math.inf
        if cells <= _CELLS:
            found = bdeu(family_counts(self._codes, node, parents, self._sizes), strength)
            found += self._within.get(node, 0.0)
        if node in self._within and any(p in self._within for p in parents):
            found = max(found, self._regression(node, parents, strength))
        return found

    def _regression(self, node: int, parents: tuple[int, ...], strength: float) -> float:
        """The better of two: one curve for all categories, shifted by each, and a line for every joint category."""
        kinds = tuple(p for p in parents if p not in self._within)
        contexts = math.prod([self._sizes[p] for p in kinds])
        context = joint_state(self._codes, kinds, self._sizes)
        if contexts > _CONTEXTS:
            contexts, context = 1, torch.zeros_like(context)
        target = self._features[:, self._places[node][0]]
        found = -math.inf
        if all(p in self._places for p in parents):
            rows = [0, *(i for p in parents for i in self._places[p])]
            inner = self._gram[rows][:, rows] + 1e-3 * torch.eye(len(rows), dtype=torch.float64, device=target.device)
            curve = torch.linalg.solve(inner, self._gram[rows, self._places[node][0]])
            left = target - self._features[:, rows] @ curve
            found = self._scored(node, kinds, left, context, contexts, strength) - 0.5 * len(rows) * self._price
        if contexts > 1:
            f = self._features[:, [0, *(self._places[p][0] for p in parents if p in self._within)]]
            outer = f.unsqueeze(2) * torch.cat([f, target.unsqueeze(1)], 1).unsqueeze(1)
            sums = f.new_zeros((contexts, *outer.shape[1:])).index_add_(0, context, outer)
            inner = sums[:, :, :-1] + 1e-3 * torch.eye(f.shape[1], dtype=torch.float64, device=f.device)
            left = target - (f * torch.linalg.solve(inner, sums[:, :, -1])[context]).sum(1)
            lines = contexts * f.shape[1]
            found = max(found, self._scored(node, kinds, left, context, contexts, strength) - 0.5 * lines * self._price)
        return found

    def _scored(
        self, node: int, kinds: tuple[int, ...], left: Tensor, context: Tensor, contexts: int, strength: float
    ) -> float:
        """The log-density of residuals (n,), each category's in units of its own scale, by a grid and a table."""
        counts = torch.bincount(context, minlength=contexts).double()
        squares = torch.bincount(context, left.square(), minlength=contexts)
        pooled = left.square().mean()
        deviation = ((squares + pooled) / (counts + 1.0)).sqrt().clamp(min=_LEAST)
        grid = Grid(1, self._bins, self._fine)
        scaled = (left / deviation[context]).unsqueeze(1)
        grid.fit(scaled)
        codes = self._codes.clone()
        codes[:, node] = grid.bin(scaled)[:, 0]
        nats = float(grid.nats(scaled).sum()) - grid.cells / 2 - float((counts * deviation.log()).sum())
        table = bdeu(family_counts(codes, node, kinds, self._sizes), strength)
        return nats + table - 0.5 * (contexts - 1) * self._price
