"""Discrete Bayesian networks: scores, structure search, and exact inference by variable elimination.

A network over nodes 0..N-1 with r_i states each is a parent set for every node and a table of counts N_ijk: how often
node i was in state k while its parents were in their joint state j. With Dirichlet pseudo-counts a / (q_i r_i), where
q_i = prod of the parents' r, the evidence of the data for a structure is a product over nodes (Heckerman, Geiger &
Chickering 1995, eq. 35, called BDeu):

    log P(D | G) = sum_ij  [lgamma(a / q_i)               - lgamma(a / q_i + N_ij)]
                 + sum_ijk [lgamma(a / (q_i r_i) + N_ijk) - lgamma(a / (q_i r_i))]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

Parents = tuple[tuple[int, ...], ...]
"""For every node its parents, in increasing order."""


def family_counts(codes: Tensor, node: int, parents: tuple[int, ...], sizes: list[int]) -> Tensor:
    """N_jk of one node, float64 (q, r), from int64 codes (n, N)."""
    slot = joint_state(codes, parents, sizes) * sizes[node] + codes[:, node]
    q = _states(parents, sizes)
    return torch.bincount(slot, minlength=q * sizes[node]).double().reshape(q, sizes[node])


def joint_state(codes: Tensor, nodes: tuple[int, ...], sizes: list[int]) -> Tensor:
    """The joint state of some nodes as one number, int64 (n,); the last node varies fastest."""
    state = torch.zeros(len(codes), dtype=torch.int64, device=codes.device)
    for node in nodes:
        state = state * sizes[node] + codes[:, node]
    return state


def _states(nodes: tuple[int, ...], sizes: list[int]) -> int:
    count = 1
    for node in nodes:
        count *= sizes[node]
    return count


def bdeu(counts: Tensor, strength: float) -> float:
    """The log-evidence of one node's counts (q, r) with `strength` pseudo-items in all."""
    q, r = counts.shape
    seen = counts[counts.sum(1) > 0]
    row, cell = strength / q, strength / (q * r)
    rows = torch.lgamma(torch.tensor(row, dtype=torch.float64)) - torch.lgamma(row + seen.sum(1))
    cells = torch.lgamma(cell + seen) - torch.lgamma(torch.tensor(cell, dtype=torch.float64))
    return float(rows.sum() + cells.sum())


def order(parents: Parents) -> list[int] | None:
    """The nodes, every one after its parents; None where there is a cycle."""
    placed: list[int] = []
    waiting = list(range(len(parents)))
    while waiting:
        ready = [i for i in waiting if all(p in placed for p in parents[i])]
        if not ready:
            return None
        placed.append(ready[0])
        waiting.remove(ready[0])
    return placed


@dataclass(frozen=True)
class Rules:
    """What the search must respect."""

    fixed: frozenset[tuple[int, int]]  # (parent, child) that must be there
    roots: frozenset[int]  # nodes that have no parents
    most: int  # parents a node


def climb(score: Callable[[int, tuple[int, ...]], float], nodes: int, rules: Rules, patience: int = 10) -> Parents:
    """Hill climbing by the arc whose addition, removal or turning gains most, with a tabu list (Glover 1989).

    From a peak it walks on over the best structures not yet seen, up to `patience` moves without a new best: the first
    arcs laid are often turned the wrong way, which no single move mends. `score(node, parents)` is that of one family
    and is asked once for each.
    """
    known: dict[tuple[int, tuple[int, ...]], float] = {}

    def family(node: int, parents: tuple[int, ...]) -> float:
        if (node, parents) not in known:
            known[node, parents] = score(node, parents)
        return known[node, parents]

    def gain(move: Move) -> float:
        return sum(family(i, new) - family(i, current[i]) for i, new in move.items())

    current: Parents = tuple(tuple(sorted(p for p, c in rules.fixed if c == i)) for i in range(nodes))
    best, height, top, idle, seen = current, 0.0, 0.0, 0, {current}
    while idle < patience:
        ranked = sorted(((gain(move), move) for move in _moves(current, rules)), key=lambda pair: -pair[0])
        steps = ((gained, tuple(move.get(i, own) for i, own in enumerate(current))) for gained, move in ranked)
        taken = next(((gained, to) for gained, to in steps if to not in seen and order(to) is not None), None)
        if taken is None:
            break
        current, height, idle = taken[1], height + taken[0], idle + 1
        seen.add(current)
        if height > top + 1e-9:
            best, top, idle = current, height, 0
    return best


Move = dict[int, tuple[int, ...]]
"""The nodes whose parents change, and their new parents."""


def _moves(current: Parents, rules: Rules) -> Iterator[Move]:
    """Every change of one arc that the rules allow; cycles are not yet ruled out."""

    def fits(node: int) -> bool:
        return node not in rules.roots and len(current[node]) < rules.most

    for child, own in enumerate(current):
        for other in range(len(current)):
            if other not in own:
                if other != child and child not in current[other] and fits(child):
                    yield {child: tuple(sorted((*own, other)))}
            elif (other, child) not in rules.fixed:
                fewer = tuple(p for p in own if p != other)
                yield {child: fewer}
                if fits(other):
                    yield {child: fewer, other: tuple(sorted((*current[other], child)))}


@dataclass(frozen=True)
class Factor:
    """A non-negative function of some nodes for every row: values (B, r_n1, r_n2, ...)."""

    nodes: tuple[int, ...]
    values: Tensor

    def spread(self, nodes: tuple[int, ...]) -> Tensor:
        """The values with an axis for each of `nodes`, which include its own; of length 1 for those that do not."""
        kept = tuple(n for n in nodes if n in self.nodes)
        values = self.values.permute(0, *(1 + self.nodes.index(n) for n in kept))
        for axis, node in enumerate(nodes):
            if node not in self.nodes:
                values = values.unsqueeze(1 + axis)
        return values


def evidence_factor(table: Tensor, family: tuple[int, ...], codes: Tensor, hidden: frozenset[int]) -> Factor:
    """A table P(node | parents), shape (r_p1, ..., r_node), with each row's known codes (B, N) put in."""
    known = [n for n in family if n not in hidden]
    unknown = tuple(n for n in family if n in hidden)
    moved = table.permute(*(family.index(n) for n in known), *(family.index(n) for n in unknown))
    if not known:
        return Factor(unknown, moved.unsqueeze(0))
    return Factor(unknown, moved[tuple(codes[:, n] for n in known)])


def sample_hidden(factors: list[Factor], codes: Tensor, hidden: frozenset[int], uniform: Tensor) -> Tensor:
    """Codes (B, N) with the hidden nodes drawn from their exact joint posterior, one uniform (B, N) for each.

    Nodes are eliminated one by one, cheapest product first; the products, kept, give each node's distribution given
    those eliminated after it, and are sampled in reverse. That is forward filtering, backward sampling on a graph.
    """
    trail: list[tuple[int, Factor]] = []
    left = set(hidden)
    while left:
        node = min(left, key=lambda n: (_cost(factors, n), n))
        touching = [f for f in factors if node in f.nodes]
        others = tuple(sorted({n for f in touching for n in f.nodes} - {node}))
        product = torch.ones((), dtype=torch.float64, device=codes.device)
        for f in touching:
            product = product * f.spread((*others, node))
        # A common factor changes no conditional; without it, long products would underflow.
        product = product / product.flatten(1).amax(1).clamp(min=1e-300).reshape(-1, *[1] * (product.ndim - 1))
        trail.append((node, Factor((*others, node), product)))
        factors = [f for f in factors if node not in f.nodes] + [Factor(others, product.sum(-1))]
        left.remove(node)
    codes = codes.clone()
    rows = torch.arange(len(codes), device=codes.device)
    for node, factor in reversed(trail):
        values = factor.values.expand(len(codes), *factor.values.shape[1:])
        chances = values[(rows, *(codes[:, n] for n in factor.nodes[:-1]))]
        cdf = chances.cumsum(1)
        codes[:, node] = (cdf <= uniform[:, node : node + 1] * cdf[:, -1:]).sum(1).clamp(max=chances.shape[1] - 1)
    return codes


def _cost(factors: list[Factor], node: int) -> int:
    """Entries of the product of all factors that contain the node."""
    lengths: dict[int, int] = {}
    for f in factors:
        if node in f.nodes:
            lengths.update(zip(f.nodes, f.values.shape[1:], strict=True))
    total = 1
    for length in lengths.values():
        total *= length
    return total


def backed_off(counts: Tensor, strength: float) -> Tensor:
    """log P(node | parents) from counts (r_p1, ..., r_pk, r), same shape, each context drawn to one with fewer parents.

        P_0 = (N_k + s / r) / (N + s)        P_i = (N_jk + a_i P_i-1) / (N_j + a_i)

    Parents join in the order of what each adds to the evidence, so that what determines the node joins first; in a
    joint state that was never seen the node still follows those of its parents that say something. a_i is the
    strength that makes the counts likeliest (MacKay & Peto 1995): next to none where a parent determines the node.
    """
    axes = list(range(counts.ndim - 1))
    root = counts.sum(axes, keepdim=True) if axes else counts
    p = (root + strength / counts.shape[-1]) / (root.sum() + strength)
    kept: list[int] = []
    while len(kept) < len(axes):
        tried = []
        for axis in axes:
            if axis not in kept:
                others = [a for a in axes if a not in kept and a != axis]
                seen = counts.sum(others, keepdim=True) if others else counts
                a = max(_STRENGTHS, key=lambda a, seen=seen, p=p: _evidence(seen, p, a))  # type: ignore[misc]
                tried.append((_evidence(seen, p, a), -axis, a, seen))
        _, axis, a, seen = max(tried, key=lambda found: found[:2])
        kept.append(-axis)
        p = (seen + a * p) / (seen.sum(-1, keepdim=True) + a)
    return p.log()


_STRENGTHS = tuple(0.001 * 4.0**i for i in range(10))


def _evidence(counts: Tensor, p: Tensor, strength: float) -> float:
    """The log-evidence of counts (..., r) under Dirichlet priors with `strength` pseudo-items shared as p says."""
    p = p.expand(counts.shape)
    seen = counts > 0
    n, share = counts[seen], strength * p[seen]
    totals = counts.sum(-1)
    totals = totals[totals > 0]
    whole = torch.lgamma(torch.full_like(totals, strength)) - torch.lgamma(strength + totals)
    return float((torch.lgamma(share + n) - torch.lgamma(share)).sum() + whole.sum())
