"""Blends: the mixture is taken symbol by symbol, and each part learns in its own way."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from makar.core.errors import CapabilityError, MakarError
from makar.core.learner import Batch
from makar.core.model import ScoresSymbols
from makar.core.noise import Noise
from makar.core.spaces import Tokens
from makar.families.blend import Blend, Config
from makar.families.ngram import NGram

SPACE = Tokens(5, 8)
NETWORK = {"width": 16, "depth": 1, "heads": 2, "optimiser": {"batch": 8}}


def source(n: int, seed: int) -> Tensor:
    """Symbols that mostly count upwards."""
    g = torch.Generator().manual_seed(seed)
    steps = (torch.rand(n, 8, generator=g) < 0.7).long() + (torch.rand(n, 8, generator=g) < 0.2).long()
    return steps.cumsum(1) % 5


def made(**settings: Any) -> Blend:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Blend(SPACE, None, Config(**settings))


def trained(steps: int, **settings: Any) -> Blend:
    model, x = made(**settings), source(60, 1)
    learner = model.learner()
    learner.prepare(x, None)
    for n in range(steps):
        learner.step(Batch(x if learner.batch is None else x[: learner.batch]), Noise.step(0, n, learner.batch or 60))
    learner.finish()
    return model


def test_mixes_symbol_by_symbol() -> None:
    model = trained(1, second="ngram", weight=0.3, first_config={"order": 1}, second_config={"order": 3})
    x = source(9, 2)
    x[4, 5:] = -1
    first, second = (part for part in model.parts if isinstance(part, NGram))
    mixed = (0.3 * first.symbol_nats(x).exp() + 0.7 * second.symbol_nats(x).exp()).log()
    assert torch.allclose(model.symbol_nats(x), torch.where(x >= 0, mixed, 0.0), atol=1e-9)
    assert torch.allclose(model.log_prob(x, Noise.rows(0, range(9))).nats, torch.where(x >= 0, mixed, 0.0).sum(1))


def test_what_is_drawn_from_is_what_is_scored() -> None:
    model = trained(3, second_config=NETWORK)
    x = source(6, 3)
    with torch.no_grad():
        nats, cache = model.symbol_nats(x), None
        for t in range(8):
            alone, _ = model.next(x[:, :t], None)
            logits, cache = model.next(x[:, :t], cache)
            assert torch.allclose(alone, logits, atol=1e-5)
            assert torch.allclose(logits.logsumexp(1), torch.zeros(6), atol=1e-5)
            assert torch.allclose(logits.double().gather(1, x[:, t : t + 1])[:, 0], nats[:, t], atol=1e-5)


def test_is_at_most_its_share_worse_than_either_part() -> None:
    model = trained(3, second_config=NETWORK, weight=0.25)
    x = source(20, 4)
    with torch.no_grad():
        mixed = model.symbol_nats(x)
        for part, share in zip(model.parts, (0.25, 0.75), strict=True):
            assert isinstance(part, ScoresSymbols)
            assert bool((mixed >= part.symbol_nats(x) + math.log(share) - 1e-6).all())


def test_the_counting_part_learns_once_from_everything_and_the_network_in_batches() -> None:
    model = made(second_config=NETWORK)
    learner = model.learner()
    assert learner.batch == 8
    x = source(60, 1)
    learner.prepare(x, None)
    alone = NGram(SPACE, None, model.parts[0].config)  # type: ignore[arg-type]
    alone.learner().step(Batch(x), Noise.step(0, 0, 60))
    counted = model.parts[0].state_dict()
    assert all(torch.equal(v, counted[k]) for k, v in alone.state_dict().items())
    before = [p.clone() for p in model.parts[1].parameters()]
    numbers = [learner.step(Batch(x[:8]), Noise.step(0, n, 8)) for n in range(4)]
    assert all(torch.equal(v, counted[k]) for k, v in model.parts[0].state_dict().items())
    assert not all(torch.equal(a, b) for a, b in zip(before, model.parts[1].parameters(), strict=True))
    assert not learner.done
    assert {"loss", "second_loss", "second_gradient_norm"} <= set(numbers[-1])


def test_two_counting_parts_are_done_after_one_step() -> None:
    model = made(second="ngram", second_config={"order": 2})
    learner, x = model.learner(), source(30, 1)
    assert learner.batch is None
    learner.prepare(x, None)
    learner.step(Batch(x), Noise.step(0, 0, 30))
    assert learner.done


def test_refuses_what_cannot_be_mixed() -> None:
    with pytest.raises(CapabilityError, match="blend: hmm does not say how likely each symbol is"):
        made(second="hmm")
    with pytest.raises(MakarError, match="weight is 1"):
        made(weight=1.0)
    with pytest.raises(MakarError, match="blend: ngram has no setting 'ordr'"):
        made(first_config={"ordr": 3})


def test_on_text_that_neither_knows_well_the_mixture_is_better() -> None:
    """Half of the rows count upwards, half are noise: an n-gram and a unigram each err elsewhere."""
    model = trained(1, second="ngram", first_config={"order": 4}, second_config={"order": 1})
    x = torch.cat([source(40, 5), torch.randint(5, (40, 8), generator=torch.Generator().manual_seed(6))])
    parts = [float(part.symbol_nats(x).sum()) for part in model.parts if isinstance(part, NGram)]
    assert float(model.symbol_nats(x).sum()) > max(parts)
