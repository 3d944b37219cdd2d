"""The recurrent family: both cells are causal, cached as uncached, and exact."""

from __future__ import annotations

import itertools
from typing import Literal

import pytest
import torch

from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Space, Tokens
from makar.families.recurrent import Config, Recurrent

CELLS: list[Literal["lstm", "gru"]] = ["lstm", "gru"]


def built(space: Space, cell: Literal["lstm", "gru"], dropout: float = 0.0) -> Recurrent:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Recurrent(space, Classes(2), Config(cell=cell, width=12, depth=2, dropout=dropout))
        torch.nn.init.normal_(model.head.weight, std=0.5)
    return model.eval()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("space", [Tokens(3, 4), Levels((1, 2, 2), 3)], ids=str)
def test_probabilities_sum_to_one(space: Space, cell: Literal["lstm", "gru"]) -> None:
    model = built(space, cell).double()
    every = torch.tensor(list(itertools.product(range(3), repeat=4)))
    items = model.finish(every, Noise.rows(0, range(81)))
    for label in (-1, 1):
        nats = model.log_prob(items, Noise.rows(0, range(81)), torch.full((81,), label)).nats
        assert nats.exp().sum().item() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_cached_logits_are_the_uncached_and_give_the_likelihood(cell: Literal["lstm", "gru"]) -> None:
    model = built(Levels((2, 2, 3), 4), cell)
    x = torch.randint(4, (3, 2, 2, 3), generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, -1])
    symbols, cache = model.serial.encode(x), None
    nats = model.symbol_nats(x, labels)
    for t in range(12):
        cached, cache = model.next(symbols[:, :t], cache, labels)
        assert torch.allclose(cached, model.next(symbols[:, :t], None, labels)[0], atol=1e-5)
        assert torch.allclose(cached.log_softmax(1).gather(1, symbols[:, t : t + 1])[:, 0], nats[:, t], atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_no_logit_depends_on_later_symbols_and_all_on_the_first(cell: Literal["lstm", "gru"]) -> None:
    model = built(Tokens(5, 9), cell)
    x = torch.randint(5, (1, 9), generator=torch.Generator().manual_seed(0))
    base = model.symbol_nats(x)[0]
    for t in range(9):
        other = x.clone()
        other[0, t] = (other[0, t] + 1) % 5
        moved = model.symbol_nats(other)[0] != base
        assert not bool(moved[:t].any())
        assert bool(moved[t:].all())  # the state carries it further than the neighbours' three places


def test_dropout_is_of_training_alone() -> None:
    model = built(Tokens(5, 6), "lstm", dropout=0.5)
    x = torch.randint(5, (2, 6), generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.symbol_nats(x), model.symbol_nats(x))
    losses = [model.loss(Batch(x), Noise.step(0, n, 2)) for n in (0, 0, 1)]
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])


def test_refuses_a_finished_item() -> None:
    with pytest.raises(ValueError, match="prefix"):
        built(Tokens(5, 3), "gru").next(torch.zeros(1, 3, dtype=torch.int64), None)
