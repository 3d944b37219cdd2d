"""Observation models: normalised exactly, equal to known densities, and drawn from as they are scored."""

from __future__ import annotations

import itertools
import math

import pytest
import scipy.stats
import torch
from torch import Tensor

from makar.core.noise import Noise
from makar.core.spaces import Categorical, Columns, Levels, Numeric, Reals, Space, Tokens
from makar.nets.likelihood import DiscretisedLogistic, Gaussian, Levelwise, Likelihood, Tabular, likelihood

TABLE = Columns((Categorical("a", 3), Numeric("b"), Categorical("c", 2), Numeric("d")))
SPACES: list[Space] = [Reals((2, 3)), Levels((1, 2, 3), 5), Levels((3, 2, 2), 256), TABLE]


def parameters(model: Likelihood, rows: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(rows, model.width, generator=torch.Generator().manual_seed(seed))


def items(space: Levels) -> Tensor:
    """Every item of a small space."""
    values = itertools.product(range(space.levels), repeat=space.dimensions)
    return torch.tensor(list(values)).reshape(-1, *space.shape)


@pytest.mark.parametrize("space", [Levels((1, 2, 2), 3), Levels((2,), 17), Levels((1,), 40), Levels((1,), 256)])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_probabilities_of_all_items_sum_to_one(space: Levels, scale: float) -> None:
    every = items(space)
    for kind in (Levelwise(space), DiscretisedLogistic(space)):
        for row in parameters(kind, 3, scale=scale):
            nats = kind.log_prob(row.expand(len(every), -1).double(), every)
            assert bool(torch.isfinite(nats).all())
            assert float(nats.exp().sum()) == pytest.approx(1.0, abs=1e-6)


def test_discretised_logistic_is_the_difference_of_two_sigmoids() -> None:
    space = Levels((1,), 9)
    model, every = DiscretisedLogistic(space), torch.arange(9).reshape(9, 1)
    row = torch.tensor([[0.3, 0.5]], dtype=torch.float64)
    mean, scale = (float(v) for v in model.split(row))
    edges = torch.linspace(-1 - 1 / 8, 1 + 1 / 8, 10, dtype=torch.float64)
    cdf = torch.sigmoid((edges - mean) / scale)
    cdf[0], cdf[-1] = 0.0, 1.0
    nats = model.log_prob(row.expand(9, -1), every)
    torch.testing.assert_close(nats.exp(), cdf.diff())


def test_gaussian_and_student_are_those_of_torch() -> None:
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(3))
    gaussian = Gaussian(Reals((2,)))
    values = parameters(gaussian, 6)
    normal = torch.distributions.Normal(*gaussian.split(values))
    torch.testing.assert_close(gaussian.log_prob(values, x), normal.log_prob(x).sum(1))

    table = Tabular(Columns((Numeric("a"), Numeric("b"))))
    values = parameters(table, 6)
    location, raw, free = values.chunk(3, 1)
    softplus = torch.nn.functional.softplus
    student = torch.distributions.StudentT(1 + softplus(free + 4.0), location, 0.01 + softplus(raw))
    torch.testing.assert_close(table.log_prob(values, x), student.log_prob(x).sum(1))


def test_a_density_integrates_to_one_over_numbers_and_categories() -> None:
    model = Tabular(Columns((Categorical("a", 3), Numeric("b"))))
    assert model.width == 6
    # Along x = sinh u the tails of Student's t, however heavy, are within a finite grid.
    u = torch.linspace(-25.0, 25.0, 20001, dtype=torch.float64)
    for row in parameters(model, 4).double():
        total = 0.0
        for code in range(3):
            x = torch.stack([torch.full_like(u, code), u.sinh()], 1)
            total += float(torch.trapezoid((model.log_prob(row.expand(len(u), -1), x)).exp() * u.cosh(), u))
        assert total == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", [Levelwise, DiscretisedLogistic])
def test_levels_are_drawn_as_often_as_they_are_probable(kind: type[Levelwise | DiscretisedLogistic]) -> None:
    space = Levels((1,), 6)
    model = kind(space)
    row = parameters(model, 1, seed=2)
    n = 20_000
    counts = model.draw(row.expand(n, -1), Noise.step(0, 1, n)).flatten().bincount(minlength=6).double()
    expected = n * model.log_prob(row.expand(6, -1), items(space)).exp().double()
    kept = expected > 5  # chi-square needs a few in each cell
    statistic = float(((counts - expected).square() / expected)[kept].sum())
    assert statistic < scipy.stats.chi2.ppf(0.9999, int(kept.sum()))


@pytest.mark.parametrize("freedom", [-6.0, -3.0, 2.0])
def test_numbers_of_a_table_are_drawn_from_students_t(freedom: float) -> None:
    model = Tabular(Columns((Numeric("a"),)))
    n = 8000
    values = torch.tensor([[0.5, 1.0, freedom]]).expand(n, -1)
    drawn = model.draw(values, Noise.step(0, 2, n))[:, 0].double().numpy()
    softplus = torch.nn.functional.softplus
    degrees, scale = 1.0 + float(softplus(torch.tensor(freedom + 4.0))), 0.01 + float(softplus(torch.tensor(1.0)))
    assert scipy.stats.kstest(drawn, scipy.stats.t(degrees, 0.5, scale).cdf).pvalue > 1e-3


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_draws_lie_in_the_space_and_each_depends_on_its_own_row(space: Space) -> None:
    model = likelihood(space)
    values = parameters(model, 12, scale=3.0)
    whole = model.draw(values, Noise.rows(4, range(12)))
    assert space.holds(whole)
    assert torch.equal(model.draw(values[5:8], Noise.rows(4, [5, 6, 7])), whole[5:8])
    assert model.log_prob(values, whole).shape == (12,)
    assert space.holds(model.centre(values))


def test_an_extreme_uniform_number_still_gives_a_finite_draw() -> None:
    class Zero(Noise):
        @property
        def batch(self) -> int:
            return 1

        def uniform(self, *shape: int) -> Tensor:
            return torch.zeros(1, *shape)

        def normal(self, *shape: int) -> Tensor:
            return torch.zeros(1, *shape)

    for space in SPACES:
        model = likelihood(space)
        assert space.holds(model.draw(torch.full((1, model.width), -9.0), Zero()))


def test_the_centre_is_the_mean_of_what_is_ordered_and_the_mode_of_what_is_not() -> None:
    levels = Levelwise(Levels((1,), 3))
    assert levels.centre(torch.tensor([[0.0, -9.0, 0.0]])).tolist() == [[1]]
    logistic = DiscretisedLogistic(Levels((2,), 256))
    assert logistic.centre(torch.tensor([[-1.0, 1.0, 0.0, 0.0]])).tolist() == [[0, 255]]
    table = Tabular(TABLE)
    row = torch.tensor([[1.5, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 1.0, 0.0]])
    assert table.centre(row).tolist() == [[2.0, 1.5, 0.0, -2.0]]


def test_likelihoods_of_a_uniform_model_are_known() -> None:
    levels = Levelwise(Levels((1, 4, 4), 16))
    nats = levels.log_prob(torch.zeros(1, levels.width), torch.zeros(1, 1, 4, 4, dtype=torch.int64))
    assert float(nats) == pytest.approx(-16 * math.log(16), rel=1e-6)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_gradients_stay_finite_far_from_the_data(space: Space) -> None:
    model = likelihood(space)
    values = parameters(model, 4, scale=50.0).requires_grad_()
    x = model.draw(torch.zeros(4, model.width), Noise.step(0, 0, 4))
    model.log_prob(values, x).sum().backward()
    assert values.grad is not None
    assert bool(torch.isfinite(values.grad).all())


def test_symbols_have_no_observation_model() -> None:
    with pytest.raises(TypeError, match="symbols"):
        likelihood(Tokens(5, 5))
