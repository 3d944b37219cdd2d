"""Kneser-Ney n-grams: equal to the textbook recursion, proper everywhere, better than Laplace."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Space, Tokens
from makar.families import ngram
from makar.families.ngram import Config, NGram, _discounts


def fitted(space: Space, x: Tensor, order: int, labels: Tensor | None = None, classes: int = 0) -> NGram:
    model = NGram(space, Classes(classes) if classes else None, Config(order=order))
    learner = model.learner()
    learner.step(Batch(x, labels), Noise.step(0, 0, len(x)))
    assert learner.done
    return model


def source(rows: int, length: int, vocab: int, seed: int) -> Tensor:
    """A second-order source with a long tail: the next symbol is a Zipf draw shifted by what came before."""
    g = torch.Generator().manual_seed(seed)
    zipf = 1.0 / torch.arange(1, vocab + 1) ** 1.5
    x = torch.randint(vocab, (rows, length), generator=g)
    for t in range(2, length):
        step = torch.multinomial(zipf, rows, replacement=True, generator=g)
        x[:, t] = (3 * x[:, t - 1] + x[:, t - 2] + step) % vocab
    return x


class Textbook:
    """Chen & Goodman's recursion with dictionaries, for sentences that begin with the symbol "^"."""

    def __init__(self, sentences: list[list[int]], order: int, vocab: int) -> None:
        self.order, self.vocab = order, vocab
        marked: list[list[int | str]] = [["^", *s] for s in sentences]
        raw = [
            Counter(tuple(s[i : i + k]) for s in marked for i in range(len(s) - k + 1) if i + k > 1)
            for k in range(1, order + 1)
        ]
        self.counts: list[dict[tuple[int | str, ...], int]] = []
        for k in range(1, order + 1):
            if k == order:
                self.counts.append(dict(raw[k - 1]))
                continue
            before: dict[tuple[int | str, ...], set[int | str]] = {}
            for gram in raw[k]:
                before.setdefault(gram[1:], set()).add(gram[0])
            kept = {g: len(s) for g, s in before.items()}
            kept |= {g: n for g, n in raw[k - 1].items() if g[0] == "^"}
            self.counts.append(kept)

    def p(self, word: int, history: tuple[int | str, ...]) -> float:
        return self._p(word, history[max(0, len(history) - self.order + 1) :])

    def _p(self, word: int, h: tuple[int | str, ...]) -> float:
        counts = self.counts[len(h)]
        lower = self._p(word, h[1:]) if h else 1.0 / self.vocab
        following = {g[-1]: n for g, n in counts.items() if g[:-1] == h}
        if not following:
            return lower
        many = Counter(counts.values())
        if all(many[i] for i in (1, 2, 3, 4)):
            y = many[1] / (many[1] + 2 * many[2])
            d = [0.0] + [i - (i + 1) * y * many[i + 1] / many[i] for i in (1, 2, 3)]
            d = [v if 0 <= v <= i else i / 2 for i, v in enumerate(d)]
        else:
            d = [0.0, 0.5, 1.0, 1.5]
        total = sum(following.values())
        rest = sum(d[min(n, 3)] for n in following.values()) / total
        own = following.get(word, 0)
        return (own - d[min(own, 3)]) / total + rest * lower


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equals_the_textbook_recursion(order: int) -> None:
    x = source(12, 9, 5, seed=0)
    x[3, 5:] = -1
    model = fitted(Tokens(5, 9), x, order)
    oracle = Textbook([[int(v) for v in row if v >= 0] for row in x], order, 5)
    held_out = source(6, 9, 5, seed=1)
    nats = model.symbol_nats(held_out)
    for row, found in zip(held_out.tolist(), nats.tolist(), strict=True):
        for t in range(9):
            assert math.exp(found[t]) == pytest.approx(oracle.p(row[t], ("^", *row[:t])), rel=1e-5)


def test_every_context_seen_or_not_has_a_distribution_that_sums_to_one() -> None:
    space = Tokens(4, 6)
    model = fitted(space, source(5, 6, 4, seed=2), 4)
    for length in range(6):
        prefixes = torch.tensor(list(itertools.product(range(4), repeat=length)), dtype=torch.int64)
        prefixes = prefixes.reshape(4**length, length)
        p = model.next(prefixes, None)[0].double().exp()
        assert torch.allclose(p.sum(1), torch.ones(len(p), dtype=torch.float64), atol=1e-6)
        assert bool((p > 0).all())


@pytest.mark.parametrize("order", [1, 2, 5])
def test_what_is_drawn_from_is_what_is_scored(order: int) -> None:
    x = source(40, 8, 6, seed=3)
    model = fitted(Tokens(6, 8), x, order)
    held_out = source(10, 8, 6, seed=4)
    nats, cache = model.symbol_nats(held_out), None
    for t in range(8):
        alone, _ = model.next(held_out[:, :t], None)
        logits, cache = model.next(held_out[:, :t], cache)
        assert torch.equal(alone, logits)
        assert torch.allclose(logits.double().gather(1, held_out[:, t : t + 1])[:, 0], nats[:, t], atol=1e-5)


def test_discounts_of_known_counts() -> None:
    # n1 = 4, n2 = 2, n3 = 1, n4 = 1, so Y = 4 / 8
    assert _discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4])).tolist() == [0.0, 0.5, 1.25, 1.0]
    assert _discounts(np.array([7, 7, 9])).tolist() == [0.0, 0.5, 1.0, 1.5]


def test_a_frequent_symbol_of_few_contexts_is_unlikely_in_a_new_one() -> None:
    """Symbol 1 ("Francisco") always follows 0; symbol 2 is rarer but follows many."""
    rows = [[0, 1]] * 20 + [[k, 2] for k in range(3, 9)]
    model = fitted(Tokens(10, 2), torch.tensor(rows), 2)
    p = model.next(torch.tensor([[9]]), None)[0][0]
    assert p[2] > p[1]
    assert model.next(torch.tensor([[0]]), None)[0][0].argmax() == 1


def test_beats_laplace_on_held_out_symbols() -> None:
    """STA-3. Add-one smoothing of the same trigram counts is far behind where most contexts are rare."""
    vocab = 30
    x, held_out = source(150, 20, vocab, seed=5), source(50, 20, vocab, seed=6)
    model = fitted(Tokens(vocab, 20), x, 3)
    counts = torch.ones(vocab, vocab, vocab, dtype=torch.float64)
    grams = x.unfold(1, 3, 1).reshape(-1, 3)
    counts.index_put_(tuple(grams.T), torch.ones(len(grams), dtype=torch.float64), accumulate=True)
    p = counts / counts.sum(2, keepdim=True)
    laplace = -p[tuple(held_out.unfold(1, 3, 1).reshape(-1, 3).T)].log().mean()
    own = -model.symbol_nats(held_out)[:, 2:].mean()
    assert float(own) < float(laplace) - 0.1


def test_unseen_symbols_have_finite_perplexity() -> None:
    model = fitted(Tokens(5, 4), torch.zeros((3, 4), dtype=torch.int64), 3)
    assert bool(torch.isfinite(model.symbol_nats(torch.tensor([[4, 3, 4, 0]]))).all())


def test_rows_are_independent_and_their_order_does_not_matter() -> None:
    x = source(30, 7, 5, seed=7)
    a, b = fitted(Tokens(5, 7), x, 4), fitted(Tokens(5, 7), x.flip(0), 4)
    assert all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_padding_is_not_scored() -> None:
    x = source(30, 7, 5, seed=8)
    model = fitted(Tokens(5, 7), x, 3)
    short = x.clone()
    short[:, 4:] = -1
    assert torch.equal(model.symbol_nats(short)[:, :4], model.symbol_nats(x)[:, :4])
    assert not model.symbol_nats(short)[:, 4:].any()
    padded, cut = (fitted(Tokens(5, 7), rows, 3).state_dict() for rows in (short, x[:, :4]))
    assert all(torch.equal(value, cut[name]) for name, value in padded.items())


def test_a_class_has_its_own_symbols_and_none_has_all() -> None:
    labels = torch.arange(40) % 2
    x = labels.unsqueeze(1).expand(40, 5) * 2 + torch.arange(5) % 2
    model = fitted(Tokens(4, 5), x, 3, labels, classes=2)
    empty = torch.empty((3, 0), dtype=torch.int64)
    p = model.next(empty, None, torch.tensor([0, 1, -1]))[0].exp()
    assert torch.allclose(p.sum(1), torch.ones(3))
    assert p[0, 0] > 0.9
    assert p[1, 2] > 0.9
    assert p[2, 0] == pytest.approx(float(p[2, 2]))


def test_rows_without_a_class_count_for_none_only() -> None:
    x, labels = source(30, 6, 5, seed=10), torch.arange(30) % 3 - 1
    mixed, pooled = fitted(Tokens(5, 6), x, 2, labels, classes=2), fitted(Tokens(5, 6), x, 2)
    last = mixed.state_dict()["orders.1.keys"] // 6
    roots = mixed.state_dict()["orders.0.keys"][last] // 6  # of which class each bigram is
    assert int((roots == 2).sum()) == len(pooled.state_dict()["orders.1.keys"])


def test_a_picture_is_read_by_place() -> None:
    """Alternate pixels that an n-gram of order 1 can only know by where they are."""
    x = torch.tensor([[[[0, 2], [1, 2]]]]).expand(20, 1, 2, 2)
    space = Levels((1, 2, 2), 3)
    model = fitted(space, x, 1)
    assert float(model.log_prob(x[:1], Noise.rows(0, [0])).nats) > 4 * math.log(0.9)
    assert torch.equal(model.finish(x[:2].flatten(1), Noise.rows(0, [0, 1])), x[:2])


def test_untrained_it_is_uniform() -> None:
    model = NGram(Tokens(8, 3), None, Config())
    assert torch.allclose(model.symbol_nats(torch.zeros((1, 3), dtype=torch.int64)).exp(), torch.tensor(1 / 8).double())
    assert torch.allclose(model.next(torch.zeros((1, 2), dtype=torch.int64), None)[0].exp(), torch.tensor(1 / 8))


def test_drawn_bigrams_match_the_table() -> None:
    """STA-2: 20,000 symbols drawn after each first symbol, against the model's own conditional probabilities."""
    model = fitted(Tokens(4, 6), source(200, 6, 4, seed=9), 2)
    first = torch.arange(4).repeat_interleave(20_000).unsqueeze(1)
    logits, _ = model.next(first, None)
    drawn = Noise.rows(1, range(len(first))).choice(logits)
    table = torch.zeros(4, 4).index_put_((first[:, 0], drawn), torch.tensor(1 / 20_000), accumulate=True)
    assert torch.allclose(table, logits[::20_000].exp(), atol=0.015)  # > 4 standard deviations


def test_order_by_order_and_resumed_it_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of a large set counts one order; cut after any, it is the model of that order."""
    g = torch.Generator().manual_seed(3)
    space, x = Tokens(5, 12), torch.randint(5, (60, 12), generator=g)
    whole, parted, resumed = (NGram(space, None, Config(order=4)) for _ in range(3))
    whole.count(x, None)
    monkeypatch.setattr(ngram, "_STEP", 1)
    learner = parted.learner()
    for k in (1, 2, 3, 4):
        learner.step(Batch(x), Noise.step(0, k, 60))
        alone = NGram(space, None, Config(order=k))
        alone.count(x, None)
        assert torch.allclose(parted.symbol_nats(x), alone.symbol_nats(x))
        if k == 2:
            saved, state = dict(parted.state_dict()), learner.state_dict()
            saved = {name: value.clone() for name, value in saved.items()}
    assert learner.done
    resumed.restore(saved)
    second = resumed.learner()
    second.load_state_dict(state)
    while not second.done:
        second.step(Batch(x), Noise.step(0, 9, 60))
    for a, b, c in zip(*(m.state_dict().values() for m in (whole, parted, resumed)), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
