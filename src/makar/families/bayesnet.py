"""Bayesian network (Pearl 1985): a table's columns as nodes of an acyclic graph, every one given its parents.

    p(x) = prod_i P(x_i | x_parents(i))

A numeric column enters as one of `bins` bins of equal mass; within its bin it follows the interpolated empirical
distribution. Structure is found by tabu search on the BDeu score from the arcs that prior knowledge fixes; tables
have the same Dirichlet prior that the score has. Classes, where there are any, are one more node, without parents.
What is missing is drawn from its exact posterior given what is there, by variable elimination.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.errors import MakarError, did_you_mean
from makar.core.learner import Batch
from makar.core.model import Completes, LogProb, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Space
from makar.families._stat import OnePass, PerClass
from makar.families._stat_grid import Grid
from makar.families._stat_network import (
    Parents,
    Rules,
    bdeu,
    climb,
    evidence_factor,
    family_counts,
    joint_state,
    order,
    sample_hidden,
)

_CHUNK = 256  # rows completed at once


@dataclass(frozen=True)
class Config:
    bins: int = 8  # of a numeric column
    fine: int = 8  # cells within a bin, whose shares shape its density
    parents: int = 3  # most parents a node, the class among them
    strength: float = 10.0  # equivalent sample size of the Dirichlet prior
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
        self.register_buffer("counts", torch.zeros(sum(self.sizes), dtype=torch.float64))
        self.arcs: Tensor  # (N, N): arcs[p, c] where p is a parent of c
        self.counts: Tensor  # every node's N_jk, one after another

    @property
    def parents(self) -> Parents:
        """For every node its parents."""
        return tuple(tuple(torch.nonzero(column).flatten().tolist()) for column in self.arcs.T)

    def tables(self) -> list[Tensor]:
        """log P(node | parents) of every node, float64 (q, r), the posterior mean under the Dirichlet prior."""
        shapes = [(math.prod([self.sizes[p] for p in own]), r) for own, r in zip(self.parents, self.sizes, strict=True)]
        parts = self.counts.split([q * r for q, r in shapes])
        tables = []
        for part, (q, r) in zip(parts, shapes, strict=True):
            smoothed = part.reshape(q, r) + self.config.strength / (q * r)
            tables.append((smoothed / smoothed.sum(1, keepdim=True)).log())
        if self.classes:
            tables[-1] = self.prior.unsqueeze(0)
        return tables

    def learner(self) -> OnePass:
        return OnePass(self._fit)

    def _fit(self, batch: Batch) -> float:
        if self.grid is not None:
            self.grid.fit(batch.x[:, self.numeric])
        codes = self._codes(batch.x)
        members = self.members(batch)
        if self.classes:
            codes = torch.cat([F.pad(codes[rows], (0, 1), value=g) for g, rows in enumerate(members)])
        nodes, strength = len(self.sizes), self.config.strength
        roots = frozenset([nodes - 1] if self.classes else [])
        found = climb(
            lambda node, parents: bdeu(family_counts(codes, node, parents, self.sizes), strength),
            nodes,
            Rules(self.fixed, roots, self.config.parents),
        )
        arcs = torch.zeros_like(self.arcs)
        for child, own in enumerate(found):
            arcs[list(own), child] = True
        self.arcs = arcs
        self.counts = torch.cat([family_counts(codes, i, own, self.sizes).flatten() for i, own in enumerate(found)])
        return -float(self._nats(batch.x, batch.condition).mean())

    def _codes(self, x: Tensor) -> Tensor:
        """The state of every column, int64 (B, D)."""
        codes = x.long()
        if self.grid is not None:
            codes[:, self.numeric] = self.grid.bin(x[:, self.numeric])
        return codes

    def _values(self, codes: Tensor, noise: Noise) -> Tensor:
        """Items in the states of int64 (B, N)."""
        x = codes[:, : self.space.dimensions].float()
        if self.grid is not None:
            x[:, self.numeric] = self.grid.draw(codes[:, self.numeric], noise)
        return x

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """Ancestral sampling: every node after its parents."""
        codes = torch.zeros((noise.batch, len(self.sizes)), dtype=torch.int64, device=self.prior.device)
        if self.classes:
            codes[:, -1] = self.choose(noise, condition)
        parents, tables = self.parents, self.tables()
        for node in self._columns_in_order():
            codes[:, node] = noise.choice(tables[node][joint_state(codes, parents[node], self.sizes)])
        return self._values(codes, noise)

    def _columns_in_order(self) -> list[int]:
        nodes = order(self.parents)
        assert nodes is not None, "the search makes no cycle"
        return [n for n in nodes if n < self.space.dimensions]

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        return LogProb(self._nats(x, condition).float(), "exact")

    def _nats(self, x: Tensor, condition: Tensor | None) -> Tensor:
        codes = self._codes(x)
        parents, tables = self.parents, self.tables()
        per_class = []
        for g in range(self.groups):
            whole = torch.cat([codes, torch.full_like(codes[:, :1], g)], 1) if self.classes else codes
            terms = [
                tables[i][joint_state(whole, parents[i], self.sizes), whole[:, i]] for i in range(self.space.dimensions)
            ]
            per_class.append(torch.stack(terms, 1).sum(1))
        nats = torch.stack(per_class, 1)
        if self.grid is not None:
            nats = nats + self.grid.nats(x[:, self.numeric]).sum(1, keepdim=True)
        return self.mix(nats, condition)

    def complete(self, x: Tensor, mask: Tensor, noise: Noise, condition: Tensor | None = None) -> Tensor:
        """Rows equal to x where mask is True, the rest drawn from its exact posterior given that.

        A known number counts as evidence by its bin; given the bin, its place within tells nothing of other columns.
        """
        uniform = noise.uniform(len(self.sizes)).double()
        codes = self._codes(torch.where(mask, x, 0.0))
        known = mask
        if self.classes:
            labels = self.labels(condition, len(x))
            codes = torch.cat([codes, labels.clamp(min=0).unsqueeze(1)], 1)
            known = torch.cat([mask, (labels >= 0).unsqueeze(1)], 1)
        family_tables = [
            (table.exp().reshape([self.sizes[n] for n in (*own, node)]), (*own, node))
            for node, (table, own) in enumerate(zip(self.tables(), self.parents, strict=True))
        ]
        patterns, which = known.unique(dim=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            hidden = frozenset(torch.nonzero(~pattern).flatten().tolist())
            for rows in torch.nonzero(which == number).flatten().split(_CHUNK):
                factors = [evidence_factor(table, family, codes[rows], hidden) for table, family in family_tables]
                codes[rows] = sample_hidden(factors, codes[rows], hidden, uniform[rows])
        return torch.where(mask, x, self._values(codes, noise))

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
