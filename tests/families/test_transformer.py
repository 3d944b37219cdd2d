"""What next-symbol families share, held on the transformer: a space as symbols, exact densities, causality."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from makar.core.learner import Batch, Optimiser
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space, Tokens
from makar.families._serial import Bins, Serial, quantile_levels
from makar.families.transformer import Config, Transformer
from makar.nets.ordered import FreeEmbedding, OrderedEmbedding

TABLE = Columns((Numeric("a"), Categorical("b", 3), Numeric("c"), Categorical("d", 4)))
SMALL = Config(width=16, depth=2, heads=2, bins=8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def built(space: Space, classes: int = 0, config: Config = SMALL) -> Transformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Transformer(space, Classes(classes) if classes else None, config)
        torch.nn.init.normal_(model.head.weight, std=0.5)
    return model.eval()


def rows(count: int, seed: int = 0) -> Tensor:
    """Rows of TABLE: a normal column, one that is often exactly zero, and codes."""
    g = generator(seed)
    a = torch.randn(count, generator=g)
    c = torch.where(torch.rand(count, generator=g) < 0.5, 0.0, 3.0 * torch.randn(count, generator=g).exp())
    codes = [torch.randint(k, (count,), generator=g).float() for k in (3, 4)]
    return torch.stack([a, codes[0], c, codes[1]], 1)


@pytest.mark.parametrize("space", [Levels((3, 4, 5), 7), Levels((6,), 4), Tokens(9, 5), TABLE], ids=str)
def test_symbols_and_back(space: Space) -> None:
    serial = Serial(space, 8)
    if isinstance(space, Columns):
        x = rows(500)
        serial.learn(x)
        symbols = serial.encode(x)
        back = serial.decode(symbols, Noise.rows(0, range(500)))
        assert torch.equal(serial.encode(back), symbols)
        assert torch.equal(back[:, [1, 3]], x[:, [1, 3]])
    else:
        shape = space.shape if isinstance(space, Levels) else (5,)
        x = torch.randint(4, (50, *shape), generator=generator())
        symbols = serial.encode(x)
        assert torch.equal(serial.decode(symbols, Noise.rows(0, range(50))), x)
    assert symbols.shape[1] == serial.length
    assert int(symbols.min()) >= 0
    assert int(symbols.max()) < serial.vocab


def test_pictures_are_read_row_by_row_channels_together() -> None:
    serial = Serial(Levels((2, 2, 2), 8), 8)
    x = torch.arange(8).reshape(1, 2, 2, 2)  # channel, row, column
    assert serial.encode(x).tolist() == [[0, 4, 1, 5, 2, 6, 3, 7]]


def test_neighbours_of_a_pixel_lie_before_it_around_it() -> None:
    serial = Serial(Levels((1, 5, 6), 3), 8)
    neighbours = serial.neighbours()
    assert bool((neighbours < torch.arange(30)[:, None]).all())
    place = 3 * 6 + 3
    near = {(r, c) for r in (1, 2) for c in (1, 2, 3, 4, 5)} | {(3, 1), (3, 2)}
    assert set(neighbours[place].tolist()) == {r * 6 + c for r, c in near}
    assert set(neighbours[6].tolist()) == {-1, 0, 1, 2}  # at the left edge of the second row
    colour = Serial(Levels((3, 2, 2), 3), 8).neighbours()
    assert bool((colour < torch.arange(12)[:, None]).all())
    assert {9, 10} <= set(colour[11].tolist())  # the earlier channels of the last pixel


def test_quantiles_halve_towards_the_ends() -> None:
    levels = quantile_levels(32)
    assert len(levels) == 31
    gaps = torch.tensor([0.0, *levels, 1.0]).diff()
    assert bool((gaps > 0).all())
    assert torch.allclose(gaps, gaps.flip(0), atol=1e-6)
    assert float(gaps[0]) == pytest.approx(float(gaps[16]) / 16, rel=1e-4)


@pytest.mark.parametrize("kind", ["fresh", "normal", "zeros", "two", "constant", "few", "heavy"])
def test_a_bin_has_a_density_that_integrates_to_one_and_is_what_is_drawn(kind: str) -> None:
    g = generator(1)
    values = {
        "fresh": None,
        "normal": torch.randn(2000, generator=g),
        "zeros": torch.where(torch.rand(2000, generator=g) < 0.7, 0.0, torch.randn(2000, generator=g)),
        "two": torch.randint(2, (2000,), generator=g).float(),
        "constant": torch.full((100,), 0.3),
        "few": torch.tensor([0.1, 0.5, 2.0]),
        "heavy": torch.randn(2000, generator=g) / torch.rand(2000, generator=g),
    }[kind]
    bins = Bins(1, 16)
    if values is not None:
        bins.learn(values[:, None])
    used = bins.used()[0]
    edges = bins.edges[0][bins.edges[0].isfinite()]
    assert bool((edges.diff() > 0).all())
    assert int(used.sum()) == len(edges) + 1 <= 16
    u = (torch.arange(1_000) + 0.5) / 1_000
    for code in used.nonzero()[:, 0].tolist():
        codes = torch.full((1_000, 1), code)
        drawn = bins.draw(codes, u[:, None].double()).double()
        # What is drawn by inversion has density p if and only if p(x(u)) |dx / du| = 1.
        density = bins.log_density(drawn, codes).exp()[:, 0]
        slope = density[1:-1] * (drawn[2:, 0] - drawn[:-2, 0]).abs() / (u[2:] - u[:-2])
        assert float((slope - 1.0).abs().median()) < 2e-2
        inside = bins.find(drawn[10:-10].float())
        assert float((inside == code).double().mean()) > 0.99


def test_many_equal_values_get_a_bin_of_their_own() -> None:
    x = rows(4000)[:, 2:3]
    bins = Bins(1, 16)
    bins.learn(x)
    zero = int(bins.find(torch.zeros(1, 1)))
    assert bool((x[bins.find(x)[:, 0] == zero] == 0.0).all())
    counts = torch.bincount(bins.find(x)[:, 0], minlength=16)
    assert int(counts[zero]) == int((x == 0).sum())


def test_bins_hold_even_shares() -> None:
    x = torch.randn(6400, 1, generator=generator())
    bins = Bins(1, 32)
    bins.learn(x)
    counts = torch.bincount(bins.find(x)[:, 0], minlength=32)
    assert counts.tolist() == pytest.approx(
        (torch.tensor([0.0, *quantile_levels(32), 1.0]).diff() * 6400).tolist(), abs=1.5
    )


@pytest.mark.parametrize("classes", [0, 2])
def test_density_of_a_row_sums_and_integrates_to_one(classes: int) -> None:
    space = Columns((Categorical("b", 3), Numeric("a")))
    model = built(space, classes)
    x = torch.stack([torch.zeros(400), torch.randn(400, generator=generator())], 1)
    model.prepare(x)
    grid = torch.linspace(-12, 12, 12_001)
    total = 0.0
    for code in range(3):
        items = torch.stack([torch.full_like(grid, code), grid], 1)
        labels = torch.full((len(grid),), classes - 1) if classes else None
        nats = model.log_prob(items, Noise.rows(0, range(len(grid))), labels).nats.detach()
        total += float(nats.exp().sum()) * 24 / 12_000
    assert total == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("space", [Levels((1, 2, 2), 2), Levels((2, 1, 2), 3), Tokens(3, 4)], ids=str)
def test_probabilities_sum_to_one(space: Space) -> None:
    model = built(space, classes=2).double()
    size, values = model.length, model.serial.vocab
    every = torch.tensor(list(itertools.product(range(values), repeat=size)))
    items = model.finish(every, Noise.rows(0, range(len(every))))
    for label in (-1, 0):
        nats = model.log_prob(items, Noise.rows(0, range(len(items))), torch.full((len(items),), label)).nats
        assert nats.exp().sum().item() == pytest.approx(1.0, abs=1e-9)


def test_no_logit_depends_on_later_symbols() -> None:
    space = Levels((1, 3, 4), 5)
    model = built(space)
    x = torch.randint(5, (1, 1, 3, 4), generator=generator())
    base = model.symbol_nats(x)[0]
    for t in range(12):
        other = x.clone().flatten()
        other[t] = (other[t] + 1) % 5
        moved = model.symbol_nats(other.reshape(x.shape))[0] != base
        assert not bool(moved[:t].any())
        assert bool(moved[t])


@pytest.mark.parametrize("space", [Tokens(9, 7), Levels((3, 2, 3), 4), TABLE], ids=str)
def test_cached_logits_are_the_uncached_and_give_the_likelihood(space: Space) -> None:
    model = built(space, classes=2)
    labels = torch.tensor([0, 1, -1])
    x = rows(3)
    if not isinstance(space, Columns):
        x = torch.randint(4, (3, *(space.shape if isinstance(space, Levels) else (7,))), generator=generator())
    symbols = model.serial.encode(x)
    cache, nats = None, []
    for t in range(model.length):
        cached, cache = model.next(symbols[:, :t], cache, labels)
        fresh, _ = model.next(symbols[:, :t], None, labels)
        assert torch.equal(cached.isfinite(), fresh.isfinite())
        assert torch.allclose(cached, fresh, atol=1e-5)
        nats.append(cached.log_softmax(1).gather(1, symbols[:, t : t + 1]))
    total = torch.cat(nats, 1)
    volume = model.serial.volume(x, symbols)
    expected = total if volume is None else total + volume
    assert torch.allclose(model.symbol_nats(x, labels), expected.float(), atol=1e-4)
    with pytest.raises(ValueError, match="prefix"):
        model.next(symbols, cache, labels)


def test_what_lies_past_the_end_is_not_scored() -> None:
    model = built(Tokens(9, 6))
    x = torch.randint(9, (2, 6), generator=generator())
    cut = x.clone()
    cut[:, 4:] = -1
    nats = model.symbol_nats(cut)
    assert bool((nats[:, 4:] == 0).all())
    assert torch.allclose(nats[:, :4], model.symbol_nats(x)[:, :4], atol=1e-6)
    assert torch.allclose(nats[:, :4], model.symbol_nats(x[:, :4]), atol=1e-6)


def test_impossible_symbols_are_never_drawn() -> None:
    model = built(TABLE)
    model.prepare(rows(300))
    logits, _ = model.next(torch.zeros(2, 0, dtype=torch.int64), None)
    assert bool(logits[:, :2].isfinite().any())
    assert not bool(logits[:, 8:].isfinite().any())


def test_a_fresh_model_prepared_is_the_independent_one() -> None:
    """With a head of zeros the output's start is the symbols' shares, so each level costs its entropy."""
    space = Levels((1, 2, 2), 3)
    model = built(space)
    torch.nn.init.zeros_(model.head.weight)
    x = torch.tensor([0, 0, 0, 1, 1, 2, 0, 0]).reshape(2, 1, 2, 2)
    model.prepare(x)
    share = torch.tensor([5.1, 2.1, 1.1]) / 8.3
    assert torch.allclose(model.symbol_nats(x), share.log()[x.flatten(1)], atol=1e-5)


def test_the_recorded_loss_is_nats_an_item() -> None:
    space = Tokens(5, 6)
    model = built(space, config=Config(width=16, depth=1, heads=2, optimiser=Optimiser(batch=4)))
    x = torch.randint(5, (4, 6), generator=generator())
    before = -model.symbol_nats(x).sum(1).mean()
    learner = model.learner()
    assert learner.step(Batch(x), Noise.step(0, 0, 4))["loss"] == pytest.approx(before.item(), rel=1e-5)


def test_embeddings_are_sums_of_their_tables() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        ordered, free = OrderedEmbedding(2, 4, 3), FreeEmbedding(2, 4, 3)
    x = torch.tensor([[[0, 3], [2, 1]]])
    steps = ordered.steps
    assert torch.allclose(ordered(x)[0, 1], steps[0, :3].sum(0) + steps[1, :2].sum(0))
    assert torch.allclose(free(x)[0, 1], free.table.weight[2] + free.table.weight[4 + 1])


def test_real_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match="not symbols"):
        built(Reals((2,)))
    with pytest.raises(ValueError, match="4 bins"):
        Bins(1, 3)


def test_flops_are_three_forward_passes() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = built(Levels((1, 3, 4), 5))
    with FlopCounterMode(display=False) as counter:
        model.symbol_nats(torch.zeros(1, 1, 3, 4, dtype=torch.int64))
    assert 0.9 < model.flops() / 3 / counter.get_total_flops() < 1.1


@pytest.mark.slow
def test_learns_a_source_to_its_entropy() -> None:
    """A first-order chain of known entropy: the model comes within 5 % of it (LLM-9)."""
    chain = torch.softmax(2.0 * torch.randn(6, 6, generator=generator(3)), 1)

    def draw(count: int, g: torch.Generator) -> Tensor:
        x = torch.zeros(count, 16, dtype=torch.int64)
        for t in range(1, 16):
            x[:, t] = torch.multinomial(chain[x[:, t - 1]], 1, generator=g)[:, 0]
        return x

    model = built(Tokens(6, 16), config=Config(width=32, depth=1, heads=2, optimiser=Optimiser(rate=3e-3, batch=64)))
    learner, g = model.learner(), generator(4)
    learner.prepare(draw(1000, g), None)
    for step in range(400):
        learner.step(Batch(draw(64, g), progress=step / 400), Noise.step(0, step, 64))
    learner.finish()
    x = draw(2000, generator(5))
    true = -sum(chain[x[:, t - 1], x[:, t]].log() for t in range(1, 16))
    found = -model.symbol_nats(x).sum(1)
    assert found.mean().item() < 1.05 * float(torch.as_tensor(true).mean())
    assert math.isfinite(found.sum().item())
