"""Independent dimensions: known counts, exact totals, the grid's density, what is drawn."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space, Tokens
from makar.families._stat_grid import Grid
from makar.families.independent import Config, Independent

PICTURE = Levels((1, 2, 2), 3)
TABLE = Columns((Numeric("a"), Categorical("b", 3), Numeric("c"), Categorical("d", 5)))


def fit(space: Space, x: Tensor, labels: Tensor | None = None, classes: int = 0, **settings: float) -> Independent:
    model = Independent(space, Classes(classes) if classes else None, Config(**settings))  # type: ignore[arg-type]
    learner = model.learner()
    learner.step(Batch(x, labels), Noise.step(0, 0, len(x)))
    assert learner.done
    return model


def every_picture() -> Tensor:
    return torch.tensor(list(itertools.product(range(3), repeat=4))).reshape(-1, 1, 2, 2)


def nats(model: Independent, x: Tensor, labels: Tensor | None = None) -> Tensor:
    result = model.log_prob(x, Noise.rows(0, range(len(x))), labels)
    assert result.kind == "exact"
    return result.nats.double()


def test_frequencies_are_smoothed_counts() -> None:
    x = torch.tensor([0, 0, 0, 2]).reshape(4, 1).expand(4, 4).reshape(4, 1, 2, 2).contiguous()
    model = fit(PICTURE, x, smoothing=0.5)
    wanted = torch.tensor([3.5, 0.5, 1.5], dtype=torch.float64) / 5.5
    assert torch.allclose(model.table.exp(), wanted.expand(1, 4, 3))


def test_pictures_sum_to_one_for_every_class_and_for_none() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randint(3, (50, 1, 2, 2), generator=g)
    model = fit(PICTURE, x, (x[:, 0, 0, 0] > 0).long(), classes=2)
    for label in (0, 1, -1):
        labels = torch.full((81,), label)
        assert float(nats(model, every_picture(), labels).exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_no_class_is_the_prior_mixture() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randint(3, (30, 1, 2, 2), generator=g)
    labels = torch.tensor([0] * 20 + [1] * 10)
    model = fit(PICTURE, x, labels, classes=2)
    parts = [nats(model, x, torch.full((30,), c)).exp() for c in (0, 1)]
    wanted = (21 * parts[0] + 11 * parts[1]) / 32
    assert torch.allclose(nats(model, x, torch.full((30,), -1)).exp(), wanted, rtol=1e-5)
    assert torch.allclose(nats(model, x).exp(), wanted, rtol=1e-5)


def test_untrained_levels_cost_log2_levels_bits() -> None:
    model = Independent(Levels((3, 4, 5), 17), None, Config())
    bits = -nats(model, torch.zeros((2, 3, 4, 5), dtype=torch.int64)) / math.log(2) / 60
    assert torch.allclose(bits, torch.full((2,), math.log2(17), dtype=torch.float64), atol=1e-6)


def test_short_items_are_scored_symbol_by_symbol_and_lengths_are_drawn_as_seen() -> None:
    space = Tokens(4, 6)
    x = torch.tensor([[0, 0, 1, -1, -1, -1], [0, 2, 0, 0, 1, -1]])
    model = fit(space, x, smoothing=1.0)
    p = torch.tensor([6.0, 3.0, 2.0, 1.0]) / 12
    assert float(nats(model, x)[0]) == pytest.approx(float(p[0].log() * 2 + p[1].log()))
    made = model.draw(Noise.rows(0, range(4000)))
    assert space.holds(made)
    lengths = (made >= 0).sum(1)
    assert set(lengths.tolist()) == {3, 5}
    assert float((lengths == 3).double().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((made[made >= 0] == 0).double().mean()) == pytest.approx(0.5, abs=0.02)


def test_a_table_integrates_and_sums_to_one() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.stack([torch.randn(300, generator=g), torch.randint(3, (300,), generator=g).float()], 1)
    model = fit(Columns((Numeric("a"), Categorical("b", 3))), x, bins=12)
    side = torch.linspace(-12, 12, 24001)
    total = sum(nats(model, torch.stack([side, torch.full_like(side, c)], 1)).exp().sum() for c in range(3))
    assert float(total) * 0.001 == pytest.approx(1.0, abs=3e-3)


def test_draws_have_the_marginals_of_the_data() -> None:
    g = torch.Generator().manual_seed(0)
    columns = [torch.randn(3000, generator=g).exp(), torch.randint(2, (3000,), generator=g).float()]
    columns += [torch.rand(3000, generator=g), (torch.rand(3000, generator=g) * 5).floor()]
    x = torch.stack(columns, 1)
    made = fit(TABLE, x).draw(Noise.rows(1, range(3000)))
    assert TABLE.holds(made)
    ranks = torch.linspace(0.05, 0.95, 10)
    for d in (0, 2):
        assert torch.allclose(made[:, d].quantile(ranks), x[:, d].quantile(ranks), rtol=0.1, atol=0.03)
    for d, k in ((1, 3), (3, 5)):
        counts = [torch.bincount(v[:, d].long(), minlength=k) / 3000 for v in (made, x)]
        assert torch.allclose(counts[0], counts[1], atol=0.03)


def test_an_atom_and_a_constant_are_no_trouble() -> None:
    x = torch.cat([torch.zeros(100, 1), torch.linspace(1, 2, 100).unsqueeze(1)])
    x = torch.cat([x, torch.full((200, 1), 3.0)], 1)
    model = fit(Reals((2,)), x, bins=16)
    assert bool(torch.isfinite(nats(model, x)).all())
    made = model.draw(Noise.rows(0, range(2000)))
    assert float((made[:, 0].abs() < 0.01).double().mean()) == pytest.approx(0.5, abs=0.06)
    assert float((made[:, 1] - 3).abs().median()) < 0.02


def test_a_grid_draws_by_its_own_density() -> None:
    """The share of draws in an interval is the density's integral over it, tails included."""
    g = torch.Generator().manual_seed(0)
    data = torch.randn(500, 1, generator=g)
    grid = Grid(1, bins=4, fine=3)
    grid.fit(data)
    made = grid.draw(torch.tensor([[0], [1], [2], [3]]).repeat(5000, 1), Noise.rows(0, range(20000)))
    side = torch.arange(-8, 8, 0.001).unsqueeze(1) + 0.0005
    density = grid.nats(side).exp()[:, 0] / 4
    assert float(density.sum()) * 0.001 == pytest.approx(1.0, abs=2e-3)
    for low, high in ((-9.0, -1.5), (-1.0, 0.0), (0.3, 0.5), (1.5, 9.0)):
        share = float(((made > low) & (made <= high)).double().mean())
        mass = float(density[(side[:, 0] > low) & (side[:, 0] <= high)].sum()) * 0.001
        assert share == pytest.approx(mass, abs=0.012)


@pytest.mark.parametrize("space", [PICTURE, TABLE, Tokens(3, 4), Reals((2, 2))])
def test_a_row_does_not_depend_on_its_place(space: Space) -> None:
    model = Independent(space, Classes(2), Config())
    order = [5, 2, 7, 0, 1, 6, 3, 4]
    labels = torch.tensor([0, 1, -1, 0, 1, -1, 0, 1])
    straight = model.draw(Noise.rows(3, range(8)), labels)
    assert torch.equal(model.draw(Noise.rows(3, order), labels[order]), straight[order])


def test_unlabelled_rows_count_for_every_class() -> None:
    x = torch.zeros((4, 1, 2, 2), dtype=torch.int64)
    model = fit(PICTURE, x, torch.tensor([0, 0, -1, -1]), classes=2)
    assert model.counts[:, 0, 0].tolist() == [4.0, 2.0]


def test_restored_it_is_the_same() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randint(3, (50, 1, 2, 2), generator=g)
    model, other = fit(PICTURE, x), Independent(PICTURE, None, Config())
    other.restore(dict(model.state_dict()))
    assert torch.equal(nats(model, x), nats(other, x))
