"""Hidden Markov model, fitted by expectation-maximisation (Baum et al. 1970; Rabiner 1989).

A hidden state z moves by a transition matrix A and emits what is seen of it:

    p(x) = sum_z  i(z_1) prod_t A(z_{t-1}, z_t) prod_t b(x_t | z_t)

A symbol is one emission. A picture is read row by row: a row is one emission, b the product over its pixels (and
channels) of one categorical distribution each, and each step to the next row has a matrix A of its own, since what
follows depends on where in the picture it is. Where there are classes, each has K states of its own and no way leads
from one class to another; the whole is one HMM whose matrices are block-diagonal, and asking for a class is asking for
where to begin. Row t of the forward recursion is the posterior of z_t given x_1..x_t, so nothing underflows.

One learner step is one iteration of Baum & Welch over all data. With `smoothing` pseudo-counts spread evenly over every
distribution (a Dirichlet prior), what never falls is log p(x) + log prior; with 0 it is log p(x) itself.

The length of an item is given and not scored: -1 ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.errors import MakarError
from makar.core.learner import Batch, Learner
from makar.core.model import Draws, HasLogProb, LogProb, Model, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Space, Tokens

_TINY = 1e-300
_WORK = 1 << 27  # products of states and pixels that are looked at together
_ALL = slice(None)


@dataclass(frozen=True)
class Config:
    states: int = 12  # K, of each class
    smoothing: float = 0.3  # pseudo-counts in all of every distribution
    tolerance: float = 1e-5  # done when an iteration gains less than this, in nats a symbol
    contrast: float = 1.0  # standard deviation of the first tables' log-probabilities


class HMM(Model, Draws, HasLogProb):
    """K states for each class; emissions are categorical, one table for every place m of an observation."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Tokens, Levels)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        assert isinstance(space, Tokens | Levels)
        if config.states < 1:
            raise MakarError(f"hmm: states is {config.states}; there must be at least 1")
        self.values = space.vocab if isinstance(space, Tokens) else space.levels
        # (..., T, width): a picture's rows; a sequence is a picture of width 1
        self.shape = (*space.shape,) if isinstance(space, Levels) and len(space.shape) > 1 else (space.dimensions, 1)
        self.times, self.places = self.shape[-2], space.dimensions // self.shape[-2]
        self.steps = self.times - 1 if isinstance(space, Levels) and self.times > 1 else 1  # with a matrix of its own
        groups, k = max(1, self.classes), config.states
        first = {
            "prior": torch.zeros(groups),  # of the classes
            "initial": config.contrast * torch.randn(groups, k),
            "transition": config.contrast * torch.randn(groups, self.steps, k, k),
            "emission": config.contrast * torch.randn(groups, k, self.places, self.values),
        }
        for name, logits in first.items():
            self.register_buffer(name, torch.softmax(logits.double(), -1))
        self.prior: Tensor
        self.initial: Tensor
        self.transition: Tensor
        self.emission: Tensor

    def observations(self, x: Tensor) -> Tensor:
        """Items as sequences of observations, int64 (B, T, M), by which the tables are indexed; -1 past the end."""
        seen: Tensor = (x if x.ndim > 2 else x.unsqueeze(2)).movedim(-2, 1).flatten(2)
        return seen

    def _start(self, condition: Tensor | None, batch: int) -> Tensor:
        """Probabilities of the first state, (B, S), S = classes x K: a given class's states or, for -1, all."""
        labels = self.labels(condition if self.classes else None, batch)
        groups = torch.where(labels < 0, len(self.prior), labels)
        given = F.one_hot(groups, len(self.prior) + 1)[:, :-1].double()
        weights = torch.where(labels.unsqueeze(1) < 0, self.prior, given)
        start: Tensor = (weights.unsqueeze(2) * self.initial).flatten(1)
        return start

    def _matrices(self, own: slice = _ALL) -> list[Tensor]:
        """Transitions of some classes as one matrix (S, S), for each of the T - 1 steps and the one after the last."""
        matrices = [torch.block_diag(*blocks) for blocks in self.transition[own].unbind(1)]
        return matrices + matrices[-1:] * (self.times - len(matrices))

    def _emitted(self, x: Tensor, own: slice = _ALL) -> Tensor:
        """log b(x_t | z), (T, B, S); 0 past an item's end."""
        seen = self.observations(x)
        offsets = torch.arange(self.places, device=x.device) * self.values
        bags = (seen.clamp(min=0) + offsets).flatten(0, 1)
        table = self.emission[own].flatten(0, 1).flatten(1).T.clamp(min=_TINY).log()  # (M V, S)
        logs = F.embedding_bag(bags, table, mode="sum").unflatten(0, seen.shape[:2])
        return torch.where(seen[:, :, :1] >= 0, logs, 0.0).transpose(0, 1)

    def parts(self, condition: Tensor | None, batch: int) -> list[tuple[Tensor, slice]]:
        """Rows that are of one class, and that class; of rows without one, all classes.

        No way leads from class to class, so of a given class only its own states need be looked at.
        """
        labels = self.labels(condition if self.classes else None, batch)
        found = [(torch.nonzero(labels == g).flatten(), slice(g, g + 1)) for g in range(len(self.prior))]
        found.append((torch.nonzero(labels < 0).flatten(), _ALL))
        return [(rows, own) for rows, own in found if len(rows)]

    def forward_pass(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Posteriors of z_t given x_1..x_t, (T, B, S), and log p(x), (B,). Rabiner 1989, section V.A."""
        return self.filtered(self._emitted(x), self._matrices(), self._start(condition, len(x)))

    def filtered(self, emitted: Tensor, matrices: list[Tensor], start: Tensor) -> tuple[Tensor, Tensor]:
        """The forward recursion on log b (T, B, S) from the first state's probabilities (B, S)."""
        expected = start
        posteriors, nats = [], torch.zeros(len(start), dtype=torch.float64, device=start.device)
        for logs, matrix in zip(emitted, matrices, strict=False):
            joint = expected.log() + logs
            peak = joint.amax(1, keepdim=True)
            weights = (joint - peak).exp()
            total = weights.sum(1, keepdim=True)
            posteriors.append(weights / total)
            nats = nats + (total.log() + peak).squeeze(1)
            expected = posteriors[-1] @ matrix
        return torch.stack(posteriors), nats

    def start(self, rows: int, own: slice) -> Tensor:
        """Probabilities of the first state among some classes, (B, S)."""
        weights = self.prior if own == _ALL else torch.ones_like(self.prior[own])
        return (weights.unsqueeze(1) * self.initial[own]).flatten().expand(rows, -1)

    def viterbi(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The likeliest states, int64 (B, T) with -1 past an item's end, and log p(x, states), (B,).

        State s belongs to class s // K.
        """
        emitted, matrices = self._emitted(x), [matrix.log() for matrix in self._matrices()]
        best = self._start(condition, len(x)).log() + emitted[0]
        ended = self.observations(x)[:, :, 0].T < 0
        stay = torch.arange(best.shape[1], device=x.device).expand(best.shape)
        back = []
        for logs, past, matrix in zip(emitted[1:], ended[1:].unsqueeze(2), matrices, strict=False):
            values, origins = (best.unsqueeze(2) + matrix).max(1)
            best = torch.where(past, best, values + logs)
            back.append(torch.where(past, stay, origins))
        nats, state = best.max(1)
        path = [state]
        for origins in reversed(back):
            path.append(origins.gather(1, path[-1].unsqueeze(1)).squeeze(1))
        states = torch.stack(path[::-1], 1)
        return torch.where(ended.T, -1, states), nats

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        """Exact, by the forward recursion, nats an item, float64 (B,)."""
        nats = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for rows, own in self.parts(condition, len(x)):
            for some in rows.split(self.piece):
                emitted, matrices = self._emitted(x[some], own), self._matrices(own)
                nats[some] = self.filtered(emitted, matrices, self.start(len(some), own))[1]
        return LogProb(nats, "exact")

    @property
    def piece(self) -> int:
        """Items looked at together, so that what is held of them stays small."""
        return max(1, _WORK // (self.times * self.config.states * (self.places + 50)))

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        state = noise.choice(self._start(condition, noise.batch).log())
        tables = self.emission.flatten(0, 1)
        ends = tables.cumsum(2)
        rows = []
        for matrix in self._matrices():
            if self.places == 1:  # a symbol: chance may be keyed
                rows.append(noise.choice(tables[state].log()))
            else:
                u = noise.uniform(self.places).double()
                rows.append(_search(ends, state, u * ends[state, :, -1]))
            state = noise.choice(matrix.log()[state])
        seen = torch.stack(rows, 1)  # (B, T, M)
        items: Tensor = seen.unflatten(2, (*self.shape[:-2], self.shape[-1])).movedim(1, -2)
        return items.reshape(-1, *self.space.shape) if isinstance(self.space, Levels) else items.squeeze(2)

    @classmethod
    def memory(cls, space: Space, condition: Classes | None, config: Config, items: int) -> int:
        assert isinstance(space, Tokens | Levels)
        values = space.vocab if isinstance(space, Tokens) else space.levels
        wide = isinstance(space, Levels) and len(space.shape) > 1
        places = space.dimensions // space.shape[-2] if isinstance(space, Levels) and wide else 1
        table = max(1, condition.count if condition else 1) * config.states * places * values
        return 8 * (5 * table + 8 * _WORK // 50)

    def learner(self) -> Learner:
        return BaumWelch(self)

    def flops(self) -> float:
        """Forward, backward and expected transitions are a product with the matrix each; emissions are read twice."""
        states = self.initial.numel()
        return 2.0 * self.times * states * (3 * states + 2 * self.places)

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        return Tiny(Config(states=12), steps=60, bar=0.03)


class BaumWelch(Learner):
    """Expectation-maximisation over the whole training set; done when an iteration gains next to nothing.

    A step looks at one part of the items, so that it is short however many there are; the tables change when all parts
    have been seen (after every step, where the items make one part).
    """

    def __init__(self, model: HMM) -> None:
        self._model = model
        self._last = float("-inf")
        self._next = 0  # first row of the next part
        self._passes = 0
        self._nats, self._symbols = 0.0, 0
        self._counts: list[Tensor] = []  # expected so far in this pass, of classes, first states, moves and emissions

    @torch.no_grad()
    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        """A part of an iteration; "loss" is -log p(x) an item of it, "objective" adds the prior when all were seen."""
        model, size = self._model, self._model.piece
        part = slice(self._next, self._next + size)
        x = batch.x[part]
        nats, counts = _expected(model, x, None if batch.condition is None else batch.condition[part])
        self._counts = [a + b for a, b in zip(self._counts, counts, strict=True)] if self._counts else list(counts)
        self._nats += nats
        self._symbols += int((model.observations(x) >= 0).sum())
        self._next += size
        numbers = {"loss": -nats / len(x)}
        if self._next >= len(batch.x):
            numbers["objective"] = self._maximise()
        return numbers

    def _maximise(self) -> float:
        """The tables that the expected counts make likeliest; returns the objective that they had before."""
        model = self._model
        held = (model.initial, model.transition, model.emission)
        smoothing = model.config.smoothing
        prior = sum(float(t.clamp(min=_TINY).log().mean(-1).sum()) for t in (*held, model.prior)) * smoothing
        objective = (self._nats + prior) / max(1, self._symbols)
        model.prior, model.initial, model.transition, model.emission = (
            _normalised(counts, table, smoothing)
            for counts, table in zip(self._counts, (model.prior, *held), strict=True)
        )
        self.done = objective - self._last < model.config.tolerance
        self._last = objective
        self._passes += 1
        self._next, self._nats, self._symbols, self._counts = 0, 0.0, 0, []
        return objective

    @torch.no_grad()
    def finish(self) -> None:
        """A first pass that was cut short is better than none; of a later one, what it would change is left."""
        if self._passes == 0 and self._counts:
            self._maximise()

    def state_dict(self) -> dict[str, Any]:
        return {
            "last": self._last, "done": self.done, "next": self._next, "passes": self._passes,
            "nats": self._nats, "symbols": self._symbols, "counts": [c.clone() for c in self._counts],
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._last, self.done = float(state["last"]), bool(state["done"])
        self._next, self._passes = int(state["next"]), int(state["passes"])
        self._nats, self._symbols = float(state["nats"]), int(state["symbols"])
        self._counts = list(state["counts"])


def _normalised(counts: Tensor, held: Tensor, smoothing: float) -> Tensor:
    """Tables that maximise the expected objective; a table that nothing was counted for stays as it is."""
    counts = counts + smoothing / counts.shape[-1]
    total = counts.sum(-1, keepdim=True)
    return torch.where(total > 0, counts / total.clamp(min=_TINY), held)


def _search(ends: Tensor, state: Tensor, target: Tensor) -> Tensor:
    """The first value of every place (B, M) whose cumulative share in `ends` (S, M, V) passes the target: halving."""
    _, places, values = ends.shape
    flat = ends.flatten()
    first = (state.unsqueeze(1) * places + torch.arange(places, device=state.device)) * values
    low, high = torch.zeros_like(first), torch.full_like(first, values - 1)
    for _ in range(values.bit_length()):
        middle = (low + high) // 2
        beyond = (flat[first + middle] <= target) & (low < high)
        low, high = torch.where(beyond, middle + 1, low), torch.where(beyond, high, middle)
    return low


def _expected(model: HMM, x: Tensor, condition: Tensor | None) -> tuple[float, tuple[Tensor, ...]]:
    """log p(x) in all, and the expected counts of classes, first states, transitions and emissions."""
    nats = 0.0
    counts = tuple(torch.zeros_like(t) for t in (model.prior, model.initial, model.transition, model.emission))
    for rows, own in model.parts(condition, len(x)):
        found, tables = _expected_of(model, x[rows], own)
        nats += found
        for held, more in zip(counts, tables, strict=True):
            held[own] += more
    return nats, counts


def _expected_of(model: HMM, x: Tensor, own: slice) -> tuple[float, tuple[Tensor, ...]]:
    """The same for items of some classes, any of which may have made each.

    Backward recursion and posteriors: Rabiner 1989, eqs. 25, 27 and 37, each row in its own scale.
    """
    emitted, matrices, seen = model._emitted(x, own), model._matrices(own), model.observations(x)
    posteriors, nats = model.filtered(emitted, matrices, model.start(len(x), own))
    valid = (seen[:, :, 0].T >= 0).unsqueeze(2)  # (T, B, 1)
    groups, k = model.initial[own].shape
    ahead = torch.ones_like(posteriors[0])  # p(x_{t+1}.. | z_t) up to a factor for every row
    moves = torch.zeros_like(torch.stack(matrices[: model.steps]))
    occupied = [posteriors[-1]]
    for t in range(len(emitted) - 1, 0, -1):
        joint = ahead.log() + emitted[t]
        following = (joint - joint.amax(1, keepdim=True)).exp()
        ahead = following @ matrices[t - 1].T
        evidence = (posteriors[t - 1] * ahead).sum(1, keepdim=True).clamp(min=_TINY)
        pairs = (posteriors[t - 1] * valid[t] / evidence).T @ following
        moves[min(t, model.steps) - 1] += matrices[t - 1] * pairs
        occupied.append(posteriors[t - 1] * ahead / evidence)
    states = torch.stack(occupied[::-1]) * valid  # (T, B, S)
    first = states[0].sum(0).unflatten(0, (groups, k))
    blocks = moves.unflatten(1, (groups, k)).unflatten(3, (groups, k)).diagonal(dim1=1, dim2=3).movedim(-1, 0)
    emissions = torch.zeros(model.places, model.values, groups * k, dtype=torch.float64, device=x.device)
    flat = states.transpose(0, 1).flatten(0, 1)
    for m, column in enumerate(seen.clamp(min=0).flatten(0, 1).unbind(1)):
        emissions[m].index_add_(0, column, flat)
    shares = emissions.permute(2, 0, 1).unflatten(0, (groups, k))
    return float(nats.sum()), (first.sum(1), first, blocks, shares)
