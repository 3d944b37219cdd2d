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

    def _matrices(self) -> list[Tensor]:
        """All classes' transitions as one matrix (S, S), for each of the T - 1 steps and the one after the last."""
        own = [torch.block_diag(*blocks) for blocks in self.transition.unbind(1)]
        return own + own[-1:] * (self.times - len(own))

    def _emitted(self, x: Tensor) -> Tensor:
        """log b(x_t | z), (T, B, S); 0 past an item's end."""
        seen = self.observations(x)
        offsets = torch.arange(self.places, device=x.device) * self.values
        bags = (seen.clamp(min=0) + offsets).flatten(0, 1)
        table = self.emission.flatten(0, 1).flatten(1).T.clamp(min=_TINY).log()  # (M V, S)
        logs = F.embedding_bag(bags, table, mode="sum").unflatten(0, seen.shape[:2])
        return torch.where(seen[:, :, :1] >= 0, logs, 0.0).transpose(0, 1)

    def forward_pass(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Posteriors of z_t given x_1..x_t, (T, B, S), and log p(x), (B,). Rabiner 1989, section V.A."""
        emitted, matrices = self._emitted(x), self._matrices()
        expected = self._start(condition, len(x))
        posteriors, nats = [], torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for logs, matrix in zip(emitted, matrices, strict=False):
            joint = expected.log() + logs
            peak = joint.amax(1, keepdim=True)
            weights = (joint - peak).exp()
            total = weights.sum(1, keepdim=True)
            posteriors.append(weights / total)
            nats = nats + (total.log() + peak).squeeze(1)
            expected = posteriors[-1] @ matrix
        return torch.stack(posteriors), nats

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
        return LogProb(self.forward_pass(x, condition)[1], "exact")

    def draw(self, noise: Noise, condition: Tensor | None = None) -> Tensor:
        state = noise.choice(self._start(condition, noise.batch).log())
        table = self.emission.flatten(0, 1).log()
        rows = []
        for matrix in self._matrices():
            rows.append(noise.choice(table[state]))
            state = noise.choice(matrix.log()[state])
        seen = torch.stack(rows, 1)  # (B, T, M)
        items: Tensor = seen.unflatten(2, (*self.shape[:-2], self.shape[-1])).movedim(1, -2)
        return items.reshape(-1, *self.space.shape) if isinstance(self.space, Levels) else items.squeeze(2)

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
    """Expectation-maximisation over the whole training set; done when an iteration gains next to nothing."""

    def __init__(self, model: HMM) -> None:
        self._model = model
        self._last = float("-inf")

    @torch.no_grad()
    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        """One iteration; "loss" is -log p(x) an item and "objective" adds the prior, both before the iteration."""
        model = self._model
        seen = model.observations(batch.x)
        nats, tables = _expected(model, batch.x, batch.condition)
        held = (model.initial, model.transition, model.emission)
        smoothing = model.config.smoothing
        prior = sum(float(t.clamp(min=_TINY).log().mean(-1).sum()) for t in (*held, model.prior)) * smoothing
        objective = (float(nats.sum()) + prior) / max(1, int((seen >= 0).sum()))
        model.prior, model.initial, model.transition, model.emission = (
            _normalised(counts, table, smoothing) for counts, table in zip(tables, (model.prior, *held), strict=True)
        )
        self.done = objective - self._last < model.config.tolerance
        self._last = objective
        return {"loss": -float(nats.mean()), "objective": objective}

    def state_dict(self) -> dict[str, Any]:
        return {"last": self._last, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._last, self.done = float(state["last"]), bool(state["done"])


def _normalised(counts: Tensor, held: Tensor, smoothing: float) -> Tensor:
    """Tables that maximise the expected objective; a table that nothing was counted for stays as it is."""
    counts = counts + smoothing / counts.shape[-1]
    total = counts.sum(-1, keepdim=True)
    return torch.where(total > 0, counts / total.clamp(min=_TINY), held)


def _expected(model: HMM, x: Tensor, condition: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """log p(x), (B,), and the expected counts of classes, first states, transitions and emissions.

    Backward recursion and posteriors: Rabiner 1989, eqs. 25, 27 and 37, each row in its own scale.
    """
    posteriors, nats = model.forward_pass(x, condition)
    emitted, matrices, seen = model._emitted(x), model._matrices(), model.observations(x)
    valid = (seen[:, :, 0].T >= 0).unsqueeze(2)  # (T, B, 1)
    groups, k = model.initial.shape
    chosen = model._start(condition, len(x)).unflatten(1, (groups, k)).sum(2) > 0
    barred = ~chosen.repeat_interleave(k, 1)  # other classes' likelihoods must not set the scale of a row
    ahead = torch.ones_like(posteriors[0])  # p(x_{t+1}.. | z_t) up to a factor for every row
    moves = torch.zeros_like(torch.stack(matrices[: model.steps]))
    occupied = [posteriors[-1]]
    for t in range(len(emitted) - 1, 0, -1):
        joint = (ahead.log() + emitted[t]).masked_fill(barred, float("-inf"))
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
    return nats, (first.sum(1), first, blocks, emissions.permute(2, 0, 1).unflatten(0, (groups, k)))
