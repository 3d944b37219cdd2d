"""n-gram model with interpolated modified Kneser-Ney smoothing (Chen & Goodman 1999, section 4.1.6).

A symbol w depends on the n - 1 before it, h. Counts c(hw) are discounted, and what is taken away goes to the model of
the next lower order, whose context h' is h without its first symbol:

    p(w | h) = (c(hw) - D(c(hw))) / c(h.) + g(h) p(w | h')        g(h) = sum_w D(c(hw)) / c(h.)

down to p = 1 / V. D takes one value each for counts 1, 2 and >= 3, estimated from how many n-grams occur once, twice,
three and four times (their eq. 17). At the highest order c is the number of occurrences; below, it is the number of
different symbols seen before hw (Kneser & Ney 1995): "Francisco" is frequent but follows few words. Every row begins
with a marker that is never predicted. What follows it, or the symbol that starts a document within a row, has nothing
before it: contexts do not reach beyond, and n-grams that begin with either keep their counts.

All orders form one trie. The node of an n-gram is its place among the sorted keys of its order, and its key is
(node of its first n - 1 symbols) * (V + 1) + last symbol: exact, no hashing. The roots are the empty contexts. Where
there are classes each has its own, and one more, under which all rows are counted, answers where no class is given. A
picture is read pixel by pixel in raster order, and each of its places has its own: what follows depends on where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from makar.core.errors import MakarError
from makar.core.learner import Batch, Learner
from makar.core.model import HasLogProb, LogProb, Model, PredictsNext, ScoresSymbols, Tiny
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Space, Tokens

_PIXELS = 8 << 20  # symbols of pictures that are counted, at most, those of a class twice
_STEP = 1 << 21  # symbols counted in one step, as many whole orders as that takes
_READ = 1 << 18  # symbols of training rows whose loss is told, at most


@dataclass(frozen=True)
class Config:
    order: int = 5  # n: a symbol depends on the n - 1 before it


class Order(nn.Module):
    """The n-grams of one order and what the interpolation needs of them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("keys", torch.empty(0, dtype=torch.int64))  # (N,), increasing
        self.register_buffer("share", torch.empty(0))  # (N,): (c(hw) - D) / c(h.)
        self.register_buffer("rest", torch.empty(0))  # (contexts,): g(h), 1 where nothing follows h
        self.keys: Tensor
        self.share: Tensor
        self.rest: Tensor

    def find(self, keys: Tensor) -> Tensor:
        """Node of each key; -1 where there is none."""
        if len(self.keys) == 0:
            return torch.full_like(keys, -1)
        places = torch.searchsorted(self.keys, keys).clamp_(max=len(self.keys) - 1)
        return torch.where(self.keys[places] == keys, places, -1)


class NGram(Model, PredictsNext, HasLogProb, ScoresSymbols):
    """Kneser-Ney n-grams of symbols, or of pixels in raster order."""

    Config: TypeAlias = Config
    config: Config
    spaces = (Tokens, Levels)

    def __init__(self, space: Space, condition: Classes | None, config: Config) -> None:
        super().__init__(space, condition, config)
        assert isinstance(space, Tokens | Levels)
        if config.order < 1:
            raise MakarError(f"ngram: order is {config.order}; it must be at least 1, which looks at no symbol before")
        self.vocab = space.vocab if isinstance(space, Tokens) else space.levels
        self.start = space.start if isinstance(space, Tokens) else None
        self.places = 1 + space.dimensions if isinstance(space, Levels) else 1  # roots of a class
        self.orders = nn.ModuleList(Order() for _ in range(config.order))

    def _order(self, k: int) -> Order:
        found = self.orders[k - 1]
        assert isinstance(found, Order)
        return found

    def _labels(self, condition: Tensor | None, batch: int) -> Tensor:
        """The class of each row, the last of all where none is given."""
        labels = self.labels(condition if self.classes else None, batch)
        return torch.where(labels < 0, self.classes, labels)

    def _roots(self, labels: Tensor, place: int | Tensor) -> Tensor:
        """The empty contexts of symbols at a place (the marker has place 0) of rows of these classes."""
        return labels * self.places + (place if self.places > 1 else 0)

    def _find(self, k: int, parents: Tensor, symbols: Tensor) -> Tensor:
        """Nodes of the k-grams that extend `parents` by `symbols`."""
        known = (parents >= 0) & (symbols >= 0)
        return self._order(k).find(torch.where(known, parents * (self.vocab + 1) + symbols, -1))

    @property
    def length(self) -> int:
        return self.space.dimensions

    @property
    def end(self) -> int | None:
        return self.start

    def next(self, prefix: Tensor, cache: Any, condition: Tensor | None = None) -> tuple[Tensor, Any]:
        """The cache holds how much was read and the nodes (B, n) of the last 0, 1, ..., n - 1 symbols."""
        labels = self._labels(condition, len(prefix))
        start, nodes = self._begin(prefix, labels) if cache is None else cache
        for place in range(start, prefix.shape[1]):
            nodes = self._advance(nodes, prefix[:, place], self._roots(labels, place + 2))
        return self._predict(nodes).log().float(), (prefix.shape[1], nodes)

    def _begin(self, prefix: Tensor, labels: Tensor) -> tuple[int, Tensor]:
        """Where to begin reading a prefix, as only its last n - 1 symbols count, and the nodes before that."""
        nodes = prefix.new_full((len(prefix), self.config.order), -1)
        skipped = max(0, prefix.shape[1] - (self.config.order - 1))
        if skipped:
            nodes[:, 0] = self._roots(labels, skipped + 1)
            return skipped, nodes
        nodes[:, 0] = self._roots(labels, 0)
        return 0, self._advance(nodes, torch.full_like(labels, self.vocab), self._roots(labels, 1))

    def _advance(self, nodes: Tensor, symbols: Tensor, roots: Tensor) -> Tensor:
        """Nodes after one more symbol, with the empty context of what follows it."""
        found = [self._find(k, nodes[:, k - 1], symbols) for k in range(1, self.config.order)]
        return torch.stack([roots, *found[:1], *(self._begun(node, symbols) for node in found[1:])], 1)

    def _begun(self, nodes: Tensor, symbols: Tensor) -> Tensor:
        """Contexts of two and more symbols, but for those that end with a document's start and so reach beyond it."""
        return nodes if self.start is None else torch.where(symbols == self.start, -1, nodes)

    def _predict(self, nodes: Tensor) -> Tensor:
        """Probabilities of the next symbol, float64 (B, V), in the contexts `nodes` (B, n)."""
        radix = self.vocab + 1
        p = torch.full((len(nodes), radix), 1.0 / self.vocab, dtype=torch.float64, device=nodes.device)
        flat = p.view(-1)
        for k in range(1, self.config.order + 1):
            order, contexts = self._order(k), nodes[:, k - 1]
            p *= _pick(order.rest, contexts, 1.0).unsqueeze(1)
            first = torch.searchsorted(order.keys, contexts * radix)
            count = torch.searchsorted(order.keys, (contexts + 1) * radix) - first
            rows = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), count)
            children = torch.arange(len(rows), device=nodes.device) + (first - (count.cumsum(0) - count))[rows]
            # A child's key is its context's times the radix and its symbol; no two children have one place.
            flat[order.keys[children] + ((rows - contexts[rows]) * radix)] += order.share[children].double()
        return p[:, : self.vocab]

    def finish(self, symbols: Tensor, noise: Noise) -> Tensor:
        return symbols.unflatten(1, self.space.shape) if isinstance(self.space, Levels) else symbols

    def symbol_nats(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log-probability of each symbol, float64 (B, T); 0 where x is -1."""
        rows = _marked(x.flatten(1), self.vocab)
        nodes = self._everywhere(self._labels(condition, len(rows)), rows)
        p = torch.full(rows.shape, 1.0 / self.vocab, dtype=torch.float64, device=rows.device)
        for k in range(1, self.config.order + 1):
            contexts = nodes if k == 1 else _shifted(nodes)
            nodes = self._find(k, contexts, rows)
            p = _pick(self._order(k).rest, contexts, 1.0) * p + _pick(self._order(k).share, nodes, 0.0)
            nodes = nodes if k == 1 else self._begun(nodes, rows)
        return torch.where(rows >= 0, p.log(), 0.0)[:, 1:]

    def _everywhere(self, labels: Tensor, rows: Tensor) -> Tensor:
        """The empty context at every place of marked rows (B, 1 + T)."""
        return self._roots(labels.unsqueeze(1), torch.arange(rows.shape[1], device=rows.device)).expand(rows.shape)

    def log_prob(self, x: Tensor, noise: Noise, condition: Tensor | None = None) -> LogProb:
        """Exact, nats an item, float64 (B,)."""
        return LogProb(self.symbol_nats(x, condition).sum(1), "exact")

    @torch.no_grad()
    def count(self, x: Tensor, condition: Tensor | None) -> None:
        """Take up the n-grams of the items `x`, in place of any that were held."""
        counter = _Counter(self, x, condition)
        for _ in range(self.config.order):
            counter.advance()

    @classmethod
    def memory(cls, space: Space, condition: Classes | None, config: Config, items: int) -> int:
        symbols = items * space.dimensions * (2 if condition else 1)
        return 100 * (min(symbols, _PIXELS) if isinstance(space, Levels) else symbols)

    def learner(self) -> Learner:
        return Counting(self)

    def flops(self) -> float:
        """A difference, a quotient and a sum for every n-gram of every order that ends at a symbol."""
        return float(3 * self.config.order * self.space.dimensions)

    @classmethod
    def tiny(cls, space: Space) -> Tiny:
        return Tiny(Config(order=3), steps=1, bar=0.03 if isinstance(space, Tokens) else 0.05)


class Counting(Learner):
    """One pass over the whole training set for every order: all in one step where the set is small, else one a step.

    Stopped early it is a model of the orders that were counted.
    """

    def __init__(self, model: NGram) -> None:
        self._model = model
        self._counted = 0  # orders
        self._counter: _Counter | None = None

    @torch.no_grad()
    def step(self, batch: Batch, noise: Noise) -> dict[str, float]:
        """Counts; the loss is that of training rows (some, where they are many), which the counts have seen."""
        model, order = self._model, self._model.config.order
        work = 0
        while self._counted < order and work < _STEP:
            if self._counter is None:  # of a resumed run the tries below are built again
                self._counter = _Counter(model, batch.x, batch.condition)
                for _ in range(self._counted):
                    self._counter.advance()
            self._counter.advance()
            self._counted += 1
            work += batch.x.numel()
        if self._counted == order:
            self.done, self._counter = True, None
        rows = _spread(len(batch.x), max(1, _READ // max(1, batch.x[0].numel()))).to(batch.x.device)
        nats = model.symbol_nats(batch.x[rows], None if batch.condition is None else batch.condition[rows])
        ngrams = sum(len(model.get_buffer(f"orders.{k}.keys")) for k in range(order))
        return {"loss": -float(nats.sum()) / max(1, len(rows)), "ngrams": float(ngrams)}

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done, "counted": self._counted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done, self._counted = bool(state["done"]), int(state["counted"])
        self._counter = None


class _Counter:
    """Counts a training set order by order and puts what the interpolation needs into the model.

    The counts of an order depend on the next (Kneser & Ney): each is smoothed as the highest when it is counted, and
    again when the next has been.
    """

    def __init__(self, model: NGram, x: Tensor, condition: Tensor | None) -> None:
        self._model, self._device = model, x.device
        labels = model._labels(condition, len(x))
        if isinstance(model.space, Levels):
            copies = 2 if model.classes else 1
            kept = _spread(len(x), max(1, _PIXELS // (copies * model.space.dimensions))).to(x.device)
            x, labels = x[kept], labels[kept]
        rows = _marked(x.flatten(1), model.vocab)
        of_class = labels < model.classes  # these are counted twice: under their class, and under none
        rows = torch.cat([rows, rows[of_class]])
        labels = torch.cat([labels, torch.full_like(labels[of_class], model.classes)])
        self._nodes = model._everywhere(labels, rows).cpu().numpy()
        self._rows = rows.cpu().numpy()
        self._contexts = (model.classes + 1) * model.places
        self._below: tuple[_Grams, int] | None = None  # the last order's, and how many contexts it has
        self._k = 0

    def advance(self) -> None:
        """Count the next order."""
        model, self._k = self._model, self._k + 1
        last = None if self._below is None else self._below[0]
        gram, self._nodes = _distinct(self._rows, self._nodes, self._k, last, model.vocab, model.start)
        if self._below is not None:
            self._put(self._k - 1, *self._below, gram.suffixes)
        self._put(self._k, gram, self._contexts, None)
        self._below, self._contexts = (gram, self._contexts), len(gram.keys)

    def _put(self, k: int, gram: _Grams, contexts: int, above: np.ndarray | None) -> None:
        kept = gram.marked if k > 1 else False  # a beginning alone is a symbol like any other
        share, rest = _smooth(gram, _adjusted(gram, above, kept), contexts, self._model.vocab + 1)
        order = self._model._order(k)
        order.keys = torch.from_numpy(gram.keys).to(self._device)
        order.share = torch.from_numpy(share.astype(np.float32)).to(self._device)
        order.rest = torch.from_numpy(rest.astype(np.float32)).to(self._device)


def _spread(n: int, most: int) -> Tensor:
    """At most so many of n row numbers, spread evenly."""
    return torch.arange(n) if n <= most else torch.linspace(0, n - 1, most, dtype=torch.float64).long()


@dataclass(frozen=True)
class _Grams:
    """The distinct n-grams of one order: sorted keys, occurrences, the node of each without its first symbol (in the
    order below), and whether it begins with the marker or a document's start."""

    keys: np.ndarray
    counts: np.ndarray
    suffixes: np.ndarray
    marked: np.ndarray


def _marked(rows: Tensor, marker: int) -> Tensor:
    """The rows with the marker before their first symbol."""
    return torch.cat([torch.full_like(rows[:, :1], marker), rows], 1)


def _shifted(nodes: Tensor) -> Tensor:
    """Each position's predecessor; -1 at the first."""
    return torch.cat([torch.full_like(nodes[:, :1], -1), nodes[:, :-1]], 1)


def _pick(table: Tensor, nodes: Tensor, missing: float) -> Tensor:
    """Float64 entries of a table, `missing` where a node is -1."""
    if len(table) == 0:
        return torch.full(nodes.shape, missing, dtype=torch.float64, device=nodes.device)
    return torch.where(nodes >= 0, table[nodes.clamp(min=0)].double(), missing)


def _distinct(
    rows: np.ndarray, nodes: np.ndarray, k: int, below: _Grams | None, marker: int, start: int | None
) -> tuple[_Grams, np.ndarray]:
    """The n-grams of order k in `rows` (B, 1 + T), whose first column is the marker; the node that ends at each place.

    `nodes` (B, 1 + T) are those of order k - 1, `below` its n-grams; `start` is the symbol that begins a document.
    """
    radix = marker + 1
    parents = nodes
    if k > 1:
        # a context does not reach beyond a beginning
        reaching = nodes if k == 2 else np.where(rows == (marker if start is None else start), -1, nodes)
        parents = np.pad(reaching[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    here = (parents >= 0) & (rows >= 0)
    keys, inverse, counts = np.unique(parents[here] * radix + rows[here], return_inverse=True, return_counts=True)
    suffixes = np.zeros(len(keys), dtype=np.int64)
    suffixes[inverse] = nodes[here]  # every occurrence has the same one
    if below is None:
        marked = np.isin(keys % radix, [marker] if start is None else [marker, start])
    else:
        marked = below.marked[keys // radix]
    found = np.full(rows.shape, -1, dtype=np.int64)
    found[here] = inverse
    return _Grams(keys, counts, suffixes, marked), found


def _adjusted(gram: _Grams, above: np.ndarray | None, kept: np.ndarray | bool) -> np.ndarray:
    """Kneser & Ney's counts: occurrences at the highest order or after a beginning, else distinct symbols before it.

    `above` has the suffix of every n-gram of the next higher order; `kept` says which begin with a beginning.
    """
    if above is None:
        return gram.counts
    return np.where(kept, gram.counts, np.bincount(above, minlength=len(gram.keys)))


def _discounts(counts: np.ndarray) -> np.ndarray:
    """D(0), D(1), D(2), D(3+): Chen & Goodman 1999, eq. 17; 0, 1/2, 1, 3/2 where the data are too few for it."""
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)
    fallback = np.array([0.0, 0.5, 1.0, 1.5])
    if (n[1:5] == 0).any():
        return fallback
    y = n[1] / (n[1] + 2 * n[2])
    found = np.array([0.0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]])
    return np.asarray(np.where((found >= 0) & (found <= np.arange(4)), found, fallback))


def _smooth(gram: _Grams, counts: np.ndarray, contexts: int, radix: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of every n-gram and rest of every context."""
    parents = gram.keys // radix
    counts = np.where(gram.keys % radix == radix - 1, 0, counts)  # the marker is a context and never predicted
    discount = _discounts(counts)[np.minimum(counts, 3)]
    total = np.bincount(parents, counts, minlength=contexts)
    taken = np.bincount(parents, discount, minlength=contexts)
    rest = np.divide(taken, total, out=np.ones(contexts), where=total > 0)
    share = (counts - discount) / np.maximum(total, 1)[parents]
    return share, rest
