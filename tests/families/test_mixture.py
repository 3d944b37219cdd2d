"""Mixture: EM climbs, agrees with scikit-learn's, finds planted components, and mixes numbers with codes."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from makar.core.errors import NonFinite
from makar.core.learner import Batch, Learner
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space
from makar.families.mixture import Config, Mixture

TABLE = Columns((Numeric("a"), Categorical("b", 3), Numeric("c"), Categorical("d", 4)))


def climb(learner: Learner, batch: Batch, steps: int = 500) -> list[dict[str, float]]:
    told: list[dict[str, float]] = []
    while not learner.done and len(told) < steps:
        told.append(learner.step(batch, Noise.step(0, len(told), len(batch.x))))
    return told


def fit(space: Space, x: Tensor, labels: Tensor | None = None, classes: int = 0, **settings: Any) -> Mixture:
    model = Mixture(space, Classes(classes) if classes else None, Config(**settings))
    learner = model.learner()
    climb(learner, Batch(x, labels))
    assert learner.done
    return model


def islands(n: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    which = torch.randint(3, (n,), generator=g)
    centres = torch.tensor([[0.0, 0.0], [3.0, 1.0], [-1.0, 3.0]])
    return centres[which] + torch.randn(n, 2, generator=g) * torch.tensor([0.5, 0.3])


def rows(n: int, seed: int = 0) -> Tensor:
    """Two latent classes that tie every column to every other."""
    g = torch.Generator().manual_seed(seed)
    k = torch.randint(2, (n,), generator=g)
    keep = torch.rand(2, n, generator=g) < 0.9
    return torch.stack(
        [
            torch.randn(n, generator=g) * 0.3 + 2.0 * k,
            torch.where(keep[0], 2 * k, torch.randint(3, (n,), generator=g)).float(),
            torch.randn(n, generator=g) * 0.5 - k,
            torch.where(keep[1], 3 - k, torch.randint(4, (n,), generator=g)).float(),
        ],
        1,
    )


@pytest.mark.parametrize("covariance", ["tied", "full"])
@pytest.mark.parametrize("prior", [0.0, 2.0])
@pytest.mark.parametrize("kind", ["reals", "table", "levels"])
def test_no_iteration_lowers_the_objective(covariance: str, prior: float, kind: str) -> None:
    """At prior 0 the objective is the log-likelihood itself (for levels, the bound of the header)."""
    x = {"reals": islands(300), "table": rows(300), "levels": (islands(300) + 2).round().clamp(0, 6).long()}[kind]
    spaces: dict[str, Space] = {"reals": Reals((2,)), "table": TABLE, "levels": Levels((2,), 7)}
    config = Config(components=4, covariance=covariance, prior=prior, tolerance=0.0)  # type: ignore[arg-type]
    told = climb(Mixture(spaces[kind], None, config).learner(), Batch(x, None), 60)
    values = [t["objective"] for t in told]
    # An empty latent class at prior 0 has a table of 0 / 0; seeding from the data leaves none empty here.
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(values))
    assert values[-1] > values[0] + 1e-3
    if prior == 0.0 and kind != "levels":
        assert values[-1] == pytest.approx(-told[-1]["loss"], abs=1e-9)


def test_loss_is_what_log_prob_says() -> None:
    x = islands(300)
    model = Mixture(Reals((2,)), None, Config(components=3))
    learner = model.learner()
    climb(learner, Batch(x))
    loss = learner.step(Batch(x), Noise.step(0, 99, 300))["loss"]
    assert loss == pytest.approx(-float(model.log_prob(x, Noise.rows(0, range(300))).nats.mean()), abs=1e-3)


@pytest.mark.parametrize("covariance", ["tied", "full"])
def test_from_one_start_it_ends_where_scikit_learn_ends(covariance: str) -> None:
    x = islands(600)
    model = fit(Reals((2,)), x, components=3, covariance=covariance, prior=0.0, tolerance=1e-10)
    start = GaussianMixture(
        3, covariance_type=covariance, means_init=model.means[0].numpy(), tol=1e-9, reg_covar=0.0, max_iter=1000
    ).fit(x.double().numpy())
    ours = float(model.log_prob(x, Noise.rows(0, range(600))).nats.mean())
    assert ours == pytest.approx(float(start.score(x.double().numpy())), abs=1e-5)


def test_planted_islands_are_found() -> None:
    model = fit(Reals((2,)), islands(3000), components=3, covariance="full")
    found = sorted(model.means[0].tolist())
    for got, wanted in zip(found, [[-1, 3], [0, 0], [3, 1]], strict=True):
        assert got == pytest.approx(wanted, abs=0.08)
    assert torch.allclose(model.weights.exp(), torch.full((1, 3), 1 / 3, dtype=torch.float64), atol=0.03)


def test_density_in_the_plane_integrates_to_one() -> None:
    x = islands(400)
    model = fit(Reals((2,)), x, (x[:, 0] > 0).long(), 2, components=3, covariance="full")
    side = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(side, side)
    total = float(model.log_prob(grid, Noise.rows(0, range(len(grid)))).nats.double().exp().sum()) * 0.04**2
    assert total == pytest.approx(1.0, abs=2e-3)


def test_codes_alone_are_a_latent_class_model_that_sums_to_one() -> None:
    space = Columns((Categorical("a", 2), Categorical("b", 3), Categorical("c", 2)))
    g = torch.Generator().manual_seed(0)
    k = torch.randint(2, (500, 1), generator=g)
    x = torch.cat([k, k + (torch.rand(500, 1, generator=g) < 0.3), 1 - k], 1).float()
    model = fit(space, x, components=3)
    items = torch.tensor(list(itertools.product(range(2), range(3), range(2)))).float()
    p = model.log_prob(items, Noise.rows(0, range(12))).nats.double().exp()
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-6)
    seen = torch.stack([(x == item).all(1).double().mean() for item in items])
    assert torch.allclose(p, seen, atol=0.02)


def test_a_table_keeps_what_ties_numbers_to_codes() -> None:
    x = rows(3000)
    model = fit(TABLE, x, components=2, covariance="full")
    assert model.log_prob(x, Noise.rows(0, range(3000))).kind == "exact"
    made = model.draw(Noise.rows(0, range(6000)))
    assert TABLE.holds(made)
    assert torch.allclose(torch.corrcoef(made.T), torch.corrcoef(x.T), atol=0.05)
    for code in range(3):
        own, other = made[made[:, 1] == code], x[x[:, 1] == code]
        assert len(own) / 6000 == pytest.approx(len(other) / 3000, abs=0.02)
        assert float(own[:, 0].mean()) == pytest.approx(float(other[:, 0].mean()), abs=0.1)


def test_moments_of_draws_for_every_class() -> None:
    x = islands(4000)
    labels = (x[:, 1] > 1.8).long()
    model = fit(Reals((2,)), x, labels, 2, components=3)
    for c in (0, 1):
        made = model.draw(Noise.rows(1, range(6000)), torch.full((6000,), c))
        own = x[labels == c]
        assert torch.allclose(made.mean(0), own.mean(0), atol=0.08)
        assert torch.allclose(torch.cov(made.T), torch.cov(own.T), atol=0.12)


def test_levels_have_a_lower_bound() -> None:
    space = Levels((1, 1, 2), 7)
    model = fit(space, (islands(500) + 2).round().clamp(0, 6).long().reshape(-1, 1, 1, 2), components=3)
    items = torch.tensor(list(itertools.product(range(7), repeat=2))).reshape(-1, 1, 1, 2)
    results = [model.log_prob(items, Noise.rows(s, range(49))) for s in range(16)]
    assert results[0].kind == "lower"
    total = float(torch.stack([r.nats for r in results]).double().mean(0).exp().sum())
    assert 0.7 < total <= 1.0
    assert space.holds(model.draw(Noise.rows(0, range(20))))


def test_more_components_than_items_are_no_trouble() -> None:
    model = fit(Reals((2,)), islands(3), components=5, covariance="full")
    assert bool(torch.isfinite(model.draw(Noise.rows(0, range(20)))).all())


def test_a_collapse_is_refused() -> None:
    config = Config(components=2, covariance="full", prior=0.0, floor=0.0)
    learner = Mixture(Reals((2,)), None, config).learner()
    x = torch.cat([torch.zeros(5, 2), torch.ones(5, 2)])
    with pytest.raises(NonFinite, match="collapsed"):
        climb(learner, Batch(x), 5)


def test_resumed_it_is_the_unbroken_climb() -> None:
    x = islands(300)
    settings = Config(components=5, tolerance=0.0)
    whole, broken, resumed = (Mixture(Reals((2,)), None, settings) for _ in range(3))
    climb(whole.learner(), Batch(x), 8)
    first = broken.learner()
    climb(first, Batch(x), 3)
    second = resumed.learner()
    resumed.restore(dict(broken.state_dict()))
    second.load_state_dict(first.state_dict())
    climb(second, Batch(x), 5)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_before_training_it_is_standard() -> None:
    nats = Mixture(TABLE, None, Config()).log_prob(torch.zeros(1, 4), Noise.rows(0, [0])).nats
    assert float(nats) == pytest.approx(-math.log(2 * math.pi) - math.log(12), abs=1e-5)


def test_a_row_does_not_depend_on_its_place() -> None:
    model = fit(TABLE, rows(200), torch.arange(200) % 2, 2)
    order = [5, 2, 7, 0, 1, 6, 3, 4]
    labels = torch.tensor([0, 1, -1, 0, 1, -1, 0, 1])
    straight = model.draw(Noise.rows(3, range(8)), labels)
    assert torch.equal(model.draw(Noise.rows(3, order), labels[order]), straight[order])


def test_each_full_covariance_is_about_its_own_mean() -> None:
    """Taken about the mean of all, it would hold the distance between the islands too, ten times as much."""
    for covariance in ("full", "tied"):
        model = fit(Reals((2,)), islands(3000), components=3, covariance=covariance)
        for factor in model.factors[0]:
            wanted = torch.tensor([[0.25, 0.0], [0.0, 0.09]], dtype=torch.float64)
            assert torch.allclose(factor @ factor.T, wanted, atol=0.03)
