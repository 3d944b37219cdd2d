"""Gaussian: scikit-learn's shrinkage, the textbook density, moments of what is drawn."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from sklearn.covariance import ledoit_wolf as reference
from torch import Tensor
from torch.distributions import MultivariateNormal

from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space
from makar.families.gaussian import Config, Gaussian, ledoit_wolf


def fit(space: Space, x: Tensor, labels: Tensor | None = None, classes: int = 0, **settings: float) -> Gaussian:
    model = Gaussian(space, Classes(classes) if classes else None, Config(**settings))
    model.learner().step(Batch(x, labels), Noise.step(0, 0, len(x)))
    return model


def correlated(n: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    mix = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [-0.5, 0.2, 0.7]])
    return torch.randn(n, 3, generator=g) @ mix.T + torch.tensor([1.0, -2.0, 0.5])


@pytest.mark.parametrize(("n", "d"), [(8, 20), (40, 20), (500, 5)])
def test_shrinkage_is_scikit_learns(n: int, d: int) -> None:
    g = torch.Generator().manual_seed(n)
    x = torch.randn(n, d, generator=g).double() @ torch.randn(d, d, generator=g).double()
    assert ledoit_wolf(x) == pytest.approx(float(reference(x.numpy())[1]), rel=1e-9)


def test_constant_items_are_no_trouble() -> None:
    model = fit(Reals((2,)), torch.ones(3, 2))
    assert torch.allclose(model.draw(Noise.rows(0, range(9))), torch.ones(9, 2), atol=0.01)


def test_density_is_the_textbooks() -> None:
    x = correlated(200)
    model = fit(Reals((3,)), x, shrinkage=0.0, floor=0.0)
    wanted = MultivariateNormal(x.double().mean(0), torch.cov(x.double().T, correction=0)).log_prob(x.double())
    result = model.log_prob(x, Noise.rows(0, range(200)))
    assert result.kind == "exact"
    assert torch.allclose(result.nats.double(), wanted, atol=1e-5)


def test_loss_is_the_mean_negative_log_likelihood() -> None:
    x = correlated(100)
    model = Gaussian(Reals((3,)), None, Config())
    loss = model.learner().step(Batch(x), Noise.step(0, 0, 100))["loss"]
    assert loss == pytest.approx(-float(model.log_prob(x, Noise.rows(0, range(100))).nats.mean()), abs=1e-5)


def test_moments_of_draws_for_every_class() -> None:
    x = torch.cat([correlated(4000, 0), 4.0 - 0.5 * correlated(4000, 1)])
    labels = torch.tensor([0] * 4000 + [1] * 4000)
    model = fit(Reals((3,)), x, labels, 2)
    for c in (0, 1):
        made = model.draw(Noise.rows(7, range(8000)), torch.full((8000,), c))
        own = x[labels == c]
        assert torch.allclose(made.mean(0), own.mean(0), atol=0.06)
        assert torch.allclose(torch.cov(made.T), torch.cov(own.T), atol=0.08)
    mixed = model.draw(Noise.rows(8, range(8000)))
    assert torch.allclose(mixed.mean(0), x.mean(0), atol=0.1)


def test_density_in_the_plane_integrates_to_one() -> None:
    x = correlated(300)[:, :2].contiguous()
    model = fit(Reals((2,)), x, (x[:, 0] > 1).long(), 2)
    side = torch.linspace(-8, 8, 321)
    grid = torch.cartesian_prod(side, side)
    total = float(model.log_prob(grid, Noise.rows(0, range(len(grid)))).nats.double().exp().sum()) * 0.05**2
    assert total == pytest.approx(1.0, abs=2e-3)


def test_levels_have_a_lower_bound_and_the_right_moments() -> None:
    space = Levels((1, 1, 3), 9)
    g = torch.Generator().manual_seed(0)
    base = torch.randint(2, 6, (2000, 1), generator=g)
    x = (base + torch.randint(0, 3, (2000, 3), generator=g)).reshape(-1, 1, 1, 3)
    model = fit(space, x)
    items = torch.tensor(list(itertools.product(range(9), repeat=3))).reshape(-1, 1, 1, 3)
    nats = torch.stack([model.log_prob(items, Noise.rows(s, range(len(items)))).nats for s in range(8)])
    assert model.log_prob(items, Noise.rows(0, range(len(items)))).kind == "lower"
    assert float(nats.mean(0).double().exp().sum()) < 1.0
    made = model.draw(Noise.rows(0, range(4000)))
    assert space.holds(made)
    assert torch.allclose(made.double().mean(0), x.double().mean(0), atol=0.1)
    assert float(torch.corrcoef(made.flatten(1).T.double())[0, 1]) == pytest.approx(
        float(torch.corrcoef(x.flatten(1).T.double())[0, 1]), abs=0.08
    )


def test_a_table_is_drawn_in_its_space() -> None:
    space = Columns((Numeric("a"), Categorical("b", 3)))
    x = torch.stack([torch.linspace(-1, 1, 300), (torch.arange(300) // 100).float()], 1)
    made = fit(space, x).draw(Noise.rows(0, range(1000)))
    assert space.holds(made)
    assert float(torch.corrcoef(made.T)[0, 1]) > 0.7


def test_before_training_it_is_the_standard_normal() -> None:
    nats = Gaussian(Reals((4,)), None, Config()).log_prob(torch.zeros(1, 4), Noise.rows(0, [0])).nats
    assert float(nats) == pytest.approx(-2 * math.log(2 * math.pi), abs=1e-6)


def test_a_row_does_not_depend_on_its_place() -> None:
    model = fit(Reals((3,)), correlated(100), torch.arange(100) % 2, 2)
    order = [5, 2, 7, 0, 1, 6, 3, 4]
    labels = torch.tensor([0, 1, -1, 0, 1, -1, 0, 1])
    straight = model.draw(Noise.rows(3, range(8)), labels)
    assert torch.equal(model.draw(Noise.rows(3, order), labels[order]), straight[order])


def test_restored_it_is_the_same() -> None:
    model, other = fit(Reals((3,)), correlated(100)), Gaussian(Reals((3,)), None, Config())
    other.restore(dict(model.state_dict()))
    assert torch.equal(model.draw(Noise.rows(0, [1, 2])), other.draw(Noise.rows(0, [1, 2])))
