"""Bayesian network (Pearl 1985): a table's columns as nodes of an acyclic graph, every one given its parents.

    p(x) = prod_i P(x_i | x_parents(i))

A numeric column is to its children one of `bins` bins of equal mass. As a child of categories it is such a bin, and
within the bin follows the interpolated empirical distribution; as a child of numbers it follows a regression on them,
and what is left is binned in its place (see `_stat_regress.py`), so that a tie is as tight as in the data; a monotone
map then gives the number the distribution that it has in the data (`_stat_warp.py`). Structure is found by tabu search
on the evidence of each node given its parents, from the arcs that prior knowledge fixes. In a joint state of the
parents that was seldom seen, a node follows fewer of them (`backed_off`). Classes, where there are any, are one more
node, without parents.

What is missing is drawn from its posterior given what is there: among codes exactly, by variable elimination; where
regressions are touched, that of the binned network is corrected by importance resampling (Rubin 1987) of `particles`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from makar.core.errors import MakarError, did_you_mean
from makar.core.learner import Batch
from makar.core.model import Completes, LogProb, Tiny
from makar.core.noise import Noise, Replay
from makar.core.spaces import Categorical, Classes, Columns, Space
from makar.families._stat import OnePass, PerClass
from makar.families._stat_grid import Grid
from makar.families._stat_network import (
    Parents,
    Rules,
    backed_off,
    climb,
    evidence_factor,
    family_counts,
    joint_state,
    order,
    sample_hidden,
)
from makar.families._stat_regress import Response, Scores
from makar.families._stat_warp import Warp

_CHUNK = 1 << 22  # entries of the largest table, in all rows, that are completed at once
_CHECKED = 8192  # rows drawn to see whether correlations are kept
_MISSED = 0.025  # a correlation that is further off asks for an arc


@dataclass(frozen=True)
class Config:
    bins: int = 12  # of a numeric column
    fine: int = 12  # cells within a bin, whose shares shape its density
    parents: int = 3  # most parents a node, the class among them
    strength: float = 10.0  # equivalent sample size of the Dirichlet prior of a node without parents, and of the search
    particles: int = 32  # completions that are proposed for each that is kept, where numbers follow numbers
    edges: tuple[tuple[str, str], ...] = ()  # prior knowledge: (parent, child) column names that are surely arcs


class BayesianNetwork(PerClass, Completes):
    """Nodes 0..D-1 are the columns; node D, where there are classes, is the class."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Columns,)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        assert isinstance(space, Columns)
        self.numeric = [j for j, c in enumerate(space.columns) if not isinstance(c, Categorical)]
        self.grid = Grid(len(self.numeric), config.bins, config.fine) if self.numeric else None
        self.sizes = [c.levels if isinstance(c, Categorical) else config.bins for c in space.columns]
        if self.classes:
            self.sizes.append(self.classes)
        nodes = len(self.sizes)
        self.fixed = _numbered(config.edges, [c.name for c in space.columns])
        self.register_buffer("arcs", torch.zeros(nodes, nodes, dtype=torch.bool))
        flat = torch.cat([torch.full((r,), -math.log(r), dtype=torch.float64) for r in self.sizes])
        self.register_buffer("states", flat)
        self.register_buffer("rest", flat.clone())
        self.left = Grid(len(self.numeric), config.bins, config.fine) if self.numeric else None
        self.warp = Warp(len(self.numeric))
        self.responses = nn.ModuleList(Response() for _ in self.numeric)
        self.arcs: Tensor  # (N, N): arcs[p, c] where p is a parent of c
        self.states: Tensor  # log P(state | parents' states) of every node, one after another
        self.rest: Tensor  # the same of what a regression leaves, where there is one

    @property
    def parents(self) -> Parents:
        """For every node its parents."""
        return tuple(tuple(torch.nonzero(column).flatten().tolist()) for column in self.arcs.T)

    def tables(self, flat: Tensor) -> list[Tensor]:
        """log P(node | parents) of every node, float64 (q, r): views of `states` or `rest`."""
        shapes = [(math.prod([self.sizes[p] for p in own]), r) for own, r in zip(self.parents, self.sizes, strict=True)]
        parts = flat.split([q * r for q, r in shapes])
        tables = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        if self.classes:
            tables[-1] = self.prior.unsqueeze(0)
        return tables

    def learner(self) -> OnePass:
        return OnePass(self._fit)

    def _fit(self, batch: Batch) -> float:
        members = self.members(batch)
        x = batch.x
        if self.grid is not None:
            self.grid.fit(x[:, self.numeric])
        codes = self._codes(x)
        if self.classes:
            x = x[torch.cat(members)]
            codes = torch.cat([F.pad(codes[rows], (0, 1), value=g) for g, rows in enumerate(members)])
        nodes, strength = len(self.sizes), self.config.strength
        scores = Scores(x, codes, self.sizes, self.numeric, self.grid)
        roots = frozenset([nodes - 1] if self.classes else [])
        rules = Rules(self.fixed, roots, self.config.parents)
        found = climb(lambda node, parents: scores(node, parents, strength), nodes, rules)
        self._settle(found, x, codes)
        if len(self.numeric) > 1:
            for round_ in range(2 * len(self.numeric)):
                arc = self._untied(x, Noise.step(0, round_, _CHECKED, x.device))
                if arc is None:
                    break
                found = tuple(tuple(sorted((*own, arc[0]))) if i == arc[1] else own for i, own in enumerate(found))
                self._settle(found, x, codes)
        return -float(self._nats(batch.x, batch.condition).mean())

    def _settle(self, parents: Parents, x: Tensor, codes: Tensor) -> None:
        """Take these arcs, and learn what hangs on them."""
        arcs = torch.zeros_like(self.arcs)
        for child, own in enumerate(parents):
            arcs[list(own), child] = True
        self.arcs = arcs
        self.states = self._counted(codes)
        self.warp.reset()
        self._regress(x, codes)
        if any(self._response(m).used for m in range(len(self.numeric))):
            count = max(_CHECKED, min(4 * _CHECKED, _CHUNK // max(self.sizes)))
            self._ancestral(Noise.step(1, 0, count, x.device), None, x)

    def _untied(self, x: Tensor, noise: Noise) -> tuple[int, int] | None:
        """The arc between two numbers whose correlation the network misses most, where one can be added.

        Likelihood alone may leave out a tie that a person sees: the bins of a third column say as much of the number,
        but not how it moves with the other. A node may get one parent more than the search gave it.
        """
        made = self.draw(noise)
        real, own = (torch.corrcoef(v[:, self.numeric].T.double()).nan_to_num() for v in (x, made))
        missed = (real - own).abs().triu(1)
        places = {node: i for i, node in enumerate(order(self.parents) or ())}
        for flat in missed.flatten().argsort(descending=True).tolist():
            i, j = divmod(flat, len(self.numeric))
            if float(missed[i, j]) < _MISSED:
                return None
            first, last = sorted((self.numeric[i], self.numeric[j]), key=lambda node: places[node])
            # where the arc is there, what they have in common may be missing: another parent of the later one
            others = [p for p in self.parents[last] if places[p] < places[first]]
            for parent, child in ((first, last), *((p, first) for p in others)):
                if not self.arcs[parent, child] and int(self.arcs[:, child].sum()) <= self.config.parents:
                    return parent, child
        return None

    def _counted(self, codes: Tensor) -> Tensor:
        """log P(state | parents' states) of every node, smoothed, one after another."""
        flat = []
        for i, own in enumerate(self.parents):
            counts = family_counts(codes, i, own, self.sizes)
            shape = [self.sizes[n] for n in (*own, i)]
            flat.append(backed_off(counts.reshape(shape), self.config.strength).flatten())
        return torch.cat(flat)

    def _regress(self, x: Tensor, codes: Tensor) -> None:
        """Fit every number that has numeric parents, and the tables of what is left of it."""
        self.rest = self.states
        if self.left is None or self.grid is None:
            return
        left, own_codes = x[:, self.numeric].double(), codes.clone()
        for m, node in enumerate(self.numeric):
            numbers, kinds = self._kinds(node)
            response = self._response(m)
            if numbers:
                contexts = math.prod([self.sizes[p] for p in kinds])
                response.fit(x[:, list(numbers)], joint_state(codes, kinds, self.sizes), contexts, x[:, node])
                mean, logs = response(x[:, list(numbers)], joint_state(codes, kinds, self.sizes))
                left[:, m] = (left[:, m] - mean) / logs.exp()
        self.left.fit(left)
        own_codes[:, self.numeric] = self.left.bin(left)
        tables = []
        for i, own in enumerate(self.parents):
            mixed = codes.clone()
            mixed[:, i] = own_codes[:, i]  # parents keep their own bins
            counts = family_counts(mixed, i, own, self.sizes).reshape([self.sizes[n] for n in (*own, i)])
            tables.append(backed_off(counts, self.config.strength).flatten())
        self.rest = torch.cat(tables)

    def _response(self, m: int) -> Response:
        found = self.responses[m]
        assert isinstance(found, Response)
        return found

    def _kinds(self, node: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """A node's numeric parents, and the others."""
        own = self.parents[node]
        numbers = tuple(p for p in own if p in self.numeric)
        return numbers, tuple(p for p in own if p not in self.numeric)

    def _codes(self, x: Tensor) -> Tensor:
        """The state of every column, int64 (B, D)."""
        codes = x.long()
        if self.grid is not None:
            codes[:, self.numeric] = self.grid.bin(x[:, self.numeric])
        return codes

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        return self._ancestral(noise, condition, None)

    def _ancestral(self, noise: Noise, condition: Tensor | None, real: Tensor | None) -> Tensor:
        """Ancestral sampling: every node after its parents. Warps are fitted on the way to rows `real`, if given."""
        codes = torch.zeros((noise.batch, len(self.sizes)), dtype=torch.int64, device=self.prior.device)
        if self.classes:
            codes[:, -1] = self.choose(noise, condition)
        x = torch.zeros((noise.batch, self.space.dimensions), device=self.prior.device)
        parents, tables = self.parents, self.tables(self.rest)
        for node in self._columns_in_order():
            state = noise.choice(tables[node][joint_state(codes, parents[node], self.sizes)])
            codes[:, node], x[:, node] = state, state.float()
            if node in self.numeric and self.left is not None and self.grid is not None:
                m = self.numeric.index(node)
                own = slice(m, m + 1)
                value = self.left.draw(state.unsqueeze(1), noise, own)[:, 0]
                mean, logs = self._given(m, x, codes)
                value = mean + logs.exp() * value
                if real is not None and self._response(m).used:
                    self.warp.fit(m, value, real[:, node])
                x[:, node] = self.warp(value.unsqueeze(1), own)[:, 0].float()
                codes[:, node] = self.grid.bin(x[:, self.numeric])[:, m]
        return x

    def _given(self, m: int, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log s, (B,), of the m-th number given its parents; 0 and 0 where no regression serves it."""
        response = self._response(m)
        if not response.used:
            nothing = x.new_zeros(len(x), dtype=torch.float64)
            return nothing, nothing
        numbers, kinds = self._kinds(self.numeric[m])
        mean, logs = response(x[:, list(numbers)], joint_state(codes, kinds, self.sizes))
        return mean, logs

    def _columns_in_order(self) -> list[int]:
        nodes = order(self.parents)
        assert nodes is not None, "the search makes no cycle"
        return [n for n in nodes if n < self.space.dimensions]

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        return LogProb(self._nats(x, condition).float(), "exact")

    def _nats(self, x: Tensor, condition: Tensor | None) -> Tensor:
        return self.asked(x, condition, self._own_nats)

    def _own_nats(self, x: Tensor, group: int) -> Tensor:
        """log p(x | class), float64 (B,)."""
        codes = self._codes(x)
        whole = torch.cat([codes, torch.full_like(codes[:, :1], group)], 1) if self.classes else codes
        states, nats = whole.clone(), x.new_zeros(len(x), dtype=torch.float64)
        if self.left is not None:
            left, slopes = self.warp.inverse(x[:, self.numeric].double())
            nats = slopes.sum(1)
            for m in range(len(self.numeric)):
                mean, logs = self._given(m, x, whole)
                left[:, m] = (left[:, m] - mean) / logs.exp()
                nats = nats - logs
            nats = nats + self.left.nats(left).sum(1)
            states[:, self.numeric] = self.left.bin(left)
        return nats + self._table_nats(whole, states, self.rest)

    def _table_nats(self, codes: Tensor, states: Tensor, flat: Tensor) -> Tensor:
        """log P of the states of all columns, given the parents' codes, (B,)."""
        parents, tables = self.parents, self.tables(flat)
        columns = range(self.space.dimensions)
        terms = [tables[i][joint_state(codes, parents[i], self.sizes), states[:, i]] for i in columns]
        return torch.stack(terms, 1).sum(1)

    def complete(self, x: Tensor, mask: Tensor, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """Rows equal to x where mask is True, the rest drawn from its posterior given that.

        In the binned network a known number counts as evidence by its bin; given the bin, its place within tells
        nothing of other columns. Where it does tell, several completions are drawn, and one of them is kept by how
        much likelier it is in this network than in that.
        """
        if not any(self._response(m).used for m in range(len(self.numeric))):
            return self._proposed(x, mask, noise, condition)[0]
        count, numbers = self.config.particles, len(self.numeric)
        parts = [noise.uniform(count, k).flatten(0, 1) for k in (len(self.sizes), numbers, numbers)]

        def again(v: Tensor) -> Tensor:
            return v.repeat_interleave(count, 0)

        known = None if condition is None else again(condition)
        made, codes = self._proposed(again(x), again(mask), Replay(*parts), known)
        assert self.grid is not None
        proposal = self._table_nats(codes, codes, self.states) + self.grid.nats(made[:, self.numeric]).sum(1)
        classes = codes[:, -1] if self.classes else None
        weights = (self._nats(made, classes) - proposal).reshape(-1, count)
        return made.reshape(-1, count, x.shape[1])[torch.arange(len(x), device=x.device), noise.choice(weights)]

    def _proposed(self, x: Tensor, mask: Tensor, noise: Noise, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Completed rows and their states (B, N), the class's last, by the binned network."""
        uniform = noise.uniform(len(self.sizes)).double()
        codes = self._codes(torch.where(mask, x, 0.0))
        known = mask
        if self.classes:
            labels = self.labels(condition, len(x))
            codes = torch.cat([codes, labels.clamp(min=0).unsqueeze(1)], 1)
            known = torch.cat([mask, (labels >= 0).unsqueeze(1)], 1)
        family_tables = [
            (table.exp().reshape([self.sizes[n] for n in (*own, node)]), (*own, node))
            for node, (table, own) in enumerate(zip(self.tables(self.states), self.parents, strict=True))
        ]
        size = max(1, _CHUNK // max(table.numel() for table, _ in family_tables))
        patterns, which = known.unique(dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            hidden = frozenset(torch.nonzero(~pattern).flatten().tolist())
            for rows in torch.nonzero(which == number).flatten().split(min(256, size)):
                factors = [evidence_factor(table, family, codes[rows], hidden) for table, family in family_tables]
                codes[rows] = sample_hidden(factors, codes[rows], hidden, uniform[rows])
        made = codes[:, : self.space.dimensions].float()
        if self.grid is not None:
            made[:, self.numeric] = self.grid.draw(codes[:, self.numeric], noise).float()
        return torch.where(mask, x, made), codes

    def flops(self) -> float:
        """Counting one item into every family that the first sweep of the search looks at."""
        return float(len(self.sizes) ** 2)

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        return Tiny(Config(), steps=1, bar=0.015)


def _numbered(edges: tuple[tuple[str, str], ...], names: list[str]) -> frozenset[tuple[int, int]]:
    """Arcs by column number. Raises MakarError for an unknown column and for a cycle."""
    for name in (name for edge in edges for name in edge):
        if name not in names:
            raise MakarError(f"the fixed edge names a column '{name}' that the table lacks{did_you_mean(name, names)}")
    fixed = frozenset((names.index(p), names.index(c)) for p, c in edges)
    if order(tuple(tuple(sorted(p for p, c in fixed if c == i)) for i in range(len(names)))) is None:
        raise MakarError(f"the fixed edges {edges} make a cycle; a Bayesian network has none")
    return fixed
