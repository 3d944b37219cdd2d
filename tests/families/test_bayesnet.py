"""Bayesian network: planted graphs are found, inference equals enumeration, prior knowledge is honoured."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Numeric
from makar.families._stat_network import backed_off, bdeu, order
from makar.families._stat_warp import Warp
from makar.families.bayesnet import BayesianNetwork, Config

FIVE = Columns(tuple(Categorical(n, k) for n, k in (("a", 2), ("b", 3), ("c", 2), ("d", 3), ("e", 2))))
SKELETON = {("a", "c"), ("b", "c"), ("c", "d"), ("c", "e")}


def planted(n: int, seed: int = 0) -> Tensor:
    """a -> c <- b, c -> d, c -> e."""
    g = torch.Generator().manual_seed(seed)

    def toss(p: Tensor) -> Tensor:
        return (torch.rand(n, generator=g) < p).long()

    a = toss(torch.full((n,), 0.4))
    b = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n, True, generator=g)
    c = toss(torch.tensor([[0.1, 0.5, 0.8], [0.9, 0.3, 0.6]])[a, b])
    d = torch.multinomial(torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])[c], 1, True, generator=g)[:, 0]
    e = toss(torch.tensor([0.2, 0.75])[c])
    return torch.stack([a, b, c, d, e], 1).float()


def fit(
    space: Columns, x: Tensor, labels: Tensor | None = None, classes: int = 0, config: Config | None = None
) -> BayesianNetwork:
    model = BayesianNetwork(space, Classes(classes) if classes else None, config or Config())
    learner = model.learner()
    learner.step(Batch(x, labels), Noise.step(0, 0, len(x)))
    assert learner.done
    return model


def every_row() -> Tensor:
    return torch.tensor(list(itertools.product(range(2), range(3), range(2), range(3), range(2)))).float()


def chances(model: BayesianNetwork, x: Tensor, labels: Tensor | None = None) -> Tensor:
    result = model.log_prob(x, Noise.rows(0, range(len(x))), labels)
    assert result.kind == "exact"
    return result.nats.double().exp()


def arcs(model: BayesianNetwork) -> set[tuple[str, str]]:
    names = [c.name for c in FIVE.columns]
    return {(names[p], names[c]) for p, c in torch.nonzero(model.arcs).tolist() if max(p, c) < 5}


def shares(x: Tensor) -> Tensor:
    """Share of every row of `every_row` among x."""
    code = (x.long() * torch.tensor([36, 12, 6, 2, 1])).sum(1)
    return torch.bincount(code, minlength=72).double() / len(x)


def test_a_planted_graph_is_found_with_its_collider() -> None:
    found = arcs(fit(FIVE, planted(4000)))
    assert {tuple(sorted(arc)) for arc in found} == SKELETON
    assert {("a", "c"), ("b", "c")} <= found  # the only arcs whose direction the data tell


def test_the_score_is_the_evidence_of_the_counts_in_sequence() -> None:
    """P(D) as the product of predictive chances, one item after another (Heckerman et al. 1995, section 3)."""
    draws = [0, 1, 1, 2, 0, 1]
    alpha, counts, total = 2.0 / 6, torch.zeros(2, 3), 0.0
    for t, k in enumerate(draws):
        j = t % 2
        total += math.log((float(counts[j, k]) + alpha) / (float(counts[j].sum()) + 3 * alpha))
        counts[j, k] += 1
    assert bdeu(counts.double(), 2.0) == pytest.approx(total, abs=1e-9)


def test_it_sums_to_one_and_converges_to_the_source() -> None:
    gaps = []
    truth = shares(planted(400_000, seed=9))
    for n in (300, 20_000):
        p = chances(fit(FIVE, planted(n)), every_row())
        assert float(p.sum()) == pytest.approx(1.0, abs=1e-5)
        gaps.append(float((p - truth).abs().sum()))
    assert gaps[1] < 0.03 < gaps[0]


def test_ancestral_draws_have_the_joint_distribution() -> None:
    model = fit(FIVE, planted(3000))
    made = model.draw(Noise.rows(0, range(40_000)))
    assert FIVE.holds(made)
    assert float((shares(made) - chances(model, every_row())).abs().max()) < 0.006


@pytest.mark.parametrize("known", [(), (0,), (3, 4), (1, 3), (0, 1, 2, 3, 4), (2,), (0, 3, 4)])
def test_completion_follows_the_enumerated_posterior(known: tuple[int, ...]) -> None:
    model = fit(FIVE, planted(3000))
    evidence = torch.tensor([1.0, 2.0, 0.0, 2.0, 1.0])
    mask = torch.zeros(5, dtype=torch.bool)
    mask[list(known)] = True
    joint = chances(model, every_row())
    joint = joint * (every_row() == evidence)[:, mask].all(1)
    n = 20_000
    junk = torch.where(mask, evidence, torch.ones(5)).expand(n, 5)
    made = model.complete(junk, mask.expand(n, 5), Noise.rows(1, range(n)))
    assert bool((made[:, mask] == evidence[mask]).all())
    assert float((shares(made) - joint / joint.sum()).abs().max()) < 0.015


def test_rows_with_other_gaps_are_each_completed_in_their_own_way() -> None:
    model = fit(FIVE, planted(3000))
    g = torch.Generator().manual_seed(0)
    x = planted(64, 3)
    mask = torch.rand(64, 5, generator=g) < 0.5
    whole = model.complete(x, mask, Noise.rows(1, range(64)))
    assert torch.equal(whole[mask], x[mask])
    back = torch.arange(63, -1, -1)
    assert torch.equal(model.complete(x[back], mask[back], Noise.rows(1, back)), whole[back])
    spoilt = torch.where(mask, x, 0.0)
    assert torch.equal(model.complete(spoilt, mask, Noise.rows(1, range(64))), whole)


def test_fixed_edges_stay_and_most_parents_are_kept() -> None:
    model = fit(FIVE, planted(2000), config=Config(edges=(("e", "a"), ("c", "b")), parents=2))
    found = arcs(model)
    assert {("e", "a"), ("c", "b")} <= found
    assert int(model.arcs.sum(0).max()) <= 2
    assert order(model.parents) is not None


def test_impossible_prior_knowledge_is_refused() -> None:
    with pytest.raises(MakarError, match=r"'bb'.*did you mean 'b'|'bb'"):
        BayesianNetwork(FIVE, None, Config(edges=(("a", "bb"),)))
    with pytest.raises(MakarError, match="cycle"):
        BayesianNetwork(FIVE, None, Config(edges=(("a", "b"), ("b", "c"), ("c", "a"))))


def test_the_prior_is_worth_its_strength() -> None:
    space = Columns((Categorical("a", 4),))
    x = torch.tensor([[0.0], [0.0], [1.0]])
    wanted = (torch.tensor([2.0, 1.0, 0.0, 0.0]) + 2.0) / 11
    p = chances(fit(space, x, config=Config(strength=8.0)), torch.arange(4.0).unsqueeze(1))
    assert torch.allclose(p, wanted.double(), atol=1e-6)


def test_classes_are_a_node_and_can_be_asked_for() -> None:
    x = planted(6000)
    labels, rest = x[:, 2].long(), Columns(tuple(c for i, c in enumerate(FIVE.columns) if i != 2))
    model = fit(rest, x[:, [0, 1, 3, 4]].contiguous(), labels, 2)
    assert not bool(model.arcs[:, -1].any())
    for c, wanted in ((0, 0.2), (1, 0.75)):
        made = model.draw(Noise.rows(0, range(8000)), torch.full((8000,), c))
        assert float(made[:, 3].mean()) == pytest.approx(wanted, abs=0.03)
    rows = torch.tensor(list(itertools.product(range(2), range(3), range(3), range(2)))).float()
    parts = [chances(model, rows, torch.full((36,), c)) for c in (0, 1)]
    assert float(parts[1].sum()) == pytest.approx(1.0, abs=1e-5)
    prior = model.prior.exp()
    assert torch.allclose(chances(model, rows), prior[0] * parts[0] + prior[1] * parts[1], atol=1e-6)
    # With no class given, what is known tells on the class, and through it on the rest.
    n = 8000
    known = torch.tensor([False, False, False, True]).expand(n, 4)
    made = model.complete(torch.ones(n, 4), known, Noise.rows(2, range(n)))
    posterior = sum(parts[c] * prior[c] for c in (0, 1)) * (rows[:, 3] == 1)
    posterior = posterior / posterior.sum()
    for d in (0, 1, 2):
        assert float(made[:, d].mean()) == pytest.approx(float((posterior * rows[:, d]).sum()), abs=0.03)


def test_numbers_are_tied_and_keep_their_shapes() -> None:
    space = Columns((Numeric("a"), Numeric("b"), Categorical("c", 2)))
    g = torch.Generator().manual_seed(0)
    a = torch.randn(4000, generator=g).exp()
    b = a + 0.2 * torch.randn(4000, generator=g)
    x = torch.stack([a, b, (b > 1).float()], 1)
    model = fit(space, x)
    made = model.draw(Noise.rows(0, range(4000)))
    ranks = torch.linspace(0.05, 0.95, 10)
    for d in (0, 1):
        assert torch.allclose(made[:, d].quantile(ranks), x[:, d].quantile(ranks), rtol=0.08, atol=0.04)
    tied = torch.corrcoef(made[:, :2].clamp(max=4).T)[0, 1]
    assert float(tied) > 0.9
    # Given a number, the others follow it.
    n = 2000
    low = model.complete(
        torch.tensor([0.3, 0.0, 0.0]).expand(n, 3),
        torch.tensor([True, False, False]).expand(n, 3),
        Noise.rows(1, range(n)),
    )
    assert float(low[:, 1].mean()) == pytest.approx(0.3, abs=0.12)
    assert float(low[:, 2].mean()) < 0.05


def test_density_of_numbers_integrates_to_one() -> None:
    space = Columns((Numeric("a"), Categorical("c", 2)))
    g = torch.Generator().manual_seed(0)
    a = torch.randn(500, generator=g)
    model = fit(space, torch.stack([a, (a > 0.3).float()], 1))
    side = torch.arange(-10, 10, 0.001) + 0.0005
    total = sum(chances(model, torch.stack([side, torch.full_like(side, c)], 1)).sum() for c in (0, 1))
    assert float(total) * 0.001 == pytest.approx(1.0, abs=3e-3)


def test_restored_and_rearranged_it_draws_the_same() -> None:
    x = planted(500)
    model, other = fit(FIVE, x, torch.arange(500) % 2, 2), BayesianNetwork(FIVE, Classes(2), Config())
    other.restore(dict(model.state_dict()))
    order_ = [5, 2, 7, 0, 1, 6, 3, 4]
    labels = torch.tensor([0, 1, -1, 0, 1, -1, 0, 1])
    straight = model.draw(Noise.rows(3, range(8)), labels)
    assert torch.equal(other.draw(Noise.rows(3, order_), labels[order_]), straight[order_])
    assert torch.equal(chances(model, x), chances(other, x))


def test_many_columns_are_searched_in_little_time_and_stay_acyclic() -> None:
    space = Columns(tuple(Categorical(f"c{i}", 2) for i in range(25)))
    g = torch.Generator().manual_seed(0)
    columns = [torch.randint(2, (400,), generator=g)]
    for _ in range(24):
        keep = torch.rand(400, generator=g) < 0.85
        columns.append(torch.where(keep, columns[-1], 1 - columns[-1]))
    model = fit(space, torch.stack(columns, 1).float())
    assert order(model.parents) is not None
    found = {tuple(sorted(arc)) for arc in torch.nonzero(model.arcs).tolist()}
    assert len({(i, i + 1) for i in range(24)} - found) <= 1


def correlations(x: Tensor) -> Tensor:
    return torch.corrcoef(x.double().T)


@pytest.mark.parametrize("rho", [0.3, 0.7, 0.9, 0.98, 0.997, -0.5, -0.98])
def test_a_planted_correlation_comes_back(rho: float) -> None:
    """Bins alone made 0.58 of 0.997 and 0.64 of 0.70."""
    g = torch.Generator().manual_seed(int(1000 * rho) + 2000)
    a, e = torch.randn(2, 3000, generator=g)
    x = torch.stack([a, rho * a + math.sqrt(1 - rho**2) * e], 1)
    made = fit(Columns((Numeric("a"), Numeric("b"))), x).draw(Noise.rows(0, range(20_000)))
    assert float(correlations(made)[0, 1]) == pytest.approx(float(correlations(x)[0, 1]), abs=0.03)


TIED = Columns((Numeric("a"), Numeric("b"), Numeric("c"), Categorical("k", 2), Numeric("d")))


@pytest.fixture(scope="module")
def tied() -> tuple[BayesianNetwork, Tensor]:
    """d follows three numbers at once; c follows a, upwards in one category and downwards in the other."""
    g = torch.Generator().manual_seed(5)
    a, b, e, f = torch.randn(4, 3000, generator=g)
    k = torch.randint(2, (3000,), generator=g)
    c = torch.where(k == 0, 0.95 * a, -0.95 * a) + 0.3 * e
    d = (a + b + c) / 2 + 0.1 * f
    x = torch.stack([a, b, c, k.float(), d], 1)
    return fit(TIED, x), x


def test_numbers_follow_several_numbers_and_categories(tied: tuple[BayesianNetwork, Tensor]) -> None:
    model, x = tied
    made = model.draw(Noise.rows(0, range(20_000)))
    for k in (0, 1):
        own, real = (correlations(v[v[:, 3] == k][:, [0, 1, 2, 4]]) for v in (made, x))
        assert float((own - real).abs().max()) < 0.05
    numeric = [0, 1, 2, 4]
    assert float((correlations(made[:, numeric]) - correlations(x[:, numeric])).abs().max()) < 0.03


def test_a_number_that_follows_numbers_keeps_its_own_distribution() -> None:
    """A leap that no smooth mean follows: without the monotone map the distance is 0.046."""
    g = torch.Generator().manual_seed(4)
    a, e = torch.randn(2, 4000, generator=g)
    b = torch.where(a > 0, 1.0, -1.0) * (1 + 0.3 * e.abs()) + 0.2 * a
    config = Config(edges=(("a", "b"),))
    made = fit(Columns((Numeric("a"), Numeric("b"))), torch.stack([a, b], 1), config=config).draw(
        Noise.rows(3, range(20_000))
    )
    assert ks_2samp(made[:, 1].numpy(), b.numpy()).statistic < 0.025


def test_a_monotone_map_takes_quantiles_to_quantiles_and_back() -> None:
    g = torch.Generator().manual_seed(1)
    made, real = torch.randn(5000, generator=g).double(), torch.rand(3000, generator=g).double() ** 2
    warp = Warp(2)
    warp.fit(1, made, real)
    y = torch.linspace(-5, 5, 101, dtype=torch.float64).unsqueeze(1).expand(-1, 2).clone().requires_grad_()
    x = warp(y)
    assert torch.equal(x[:, 0], y[:, 0])  # the other column is as it was
    assert bool((x.diff(dim=0) > 0).all())
    assert ks_2samp(warp(made.unsqueeze(1), slice(1, 2))[:, 0].numpy(), real.numpy()).statistic < 0.03
    back, slopes = warp.inverse(x)
    assert torch.allclose(back, y)
    (forward,) = torch.autograd.grad(x.sum(), y)
    assert torch.allclose(slopes, -forward.log(), atol=1e-6)


def test_density_of_numbers_that_follow_numbers_integrates_to_one() -> None:
    g = torch.Generator().manual_seed(1)
    a, e = torch.randn(2, 800, generator=g)
    model = fit(Columns((Numeric("a"), Numeric("b"))), torch.stack([a, 0.9 * a + 0.4 * e * (1 + a.abs())], 1))
    assert any(model._response(m).used for m in (0, 1))
    corner = torch.cartesian_prod(*[torch.arange(-12, 12, 0.02)] * 2)
    points = corner + 0.02 * torch.rand(
        corner.shape, generator=g
    )  # one in each square: cells are narrower than a square
    assert float(chances(model, points).sum()) * 0.02**2 == pytest.approx(1.0, abs=0.01)


def test_draws_belong_to_the_density_where_numbers_follow_numbers() -> None:
    """Shares of draws in boxes are the integrals of the density over them."""
    g = torch.Generator().manual_seed(3)
    a, e = torch.randn(2, 1500, generator=g)
    model = fit(Columns((Numeric("a"), Numeric("b"))), torch.stack([a, a.square() - 1 + 0.3 * e], 1))
    made = model.draw(Noise.rows(7, range(40_000)))
    corner = torch.cartesian_prod(*[torch.arange(-2, 2, 0.01)] * 2)
    points = corner + 0.01 * torch.rand(corner.shape, generator=g)
    p = chances(model, points) * 0.01**2
    for low in torch.cartesian_prod(*[torch.arange(-2.0, 2.0)] * 2):
        wanted = float(p[((points >= low) & (points < low + 1)).all(1)].sum())
        share = float(((made >= low) & (made < low + 1)).all(1).double().mean())
        assert share == pytest.approx(wanted, abs=0.012)


def test_what_is_known_of_a_number_tells_of_the_number_behind_it(tied: tuple[BayesianNetwork, Tensor]) -> None:
    """Given b, c, k and d, a is known to 0.2 or so: its posterior mean is that of the planted model."""
    model, x = tied
    rows = x[:300]
    mask = torch.tensor([False, True, True, True, True]).expand(300, 5)
    made = model.complete(torch.where(mask, rows, 99.0), mask, Noise.rows(1, range(300)))
    assert torch.equal(made[mask], rows[mask])
    assert float((made[:, 0] - rows[:, 0]).square().mean().sqrt()) < 0.35


def test_what_one_column_determines_stays_determined() -> None:
    """A country has its cities, a sum its terms, also where a joint state of the parents was never seen."""
    g = torch.Generator().manual_seed(2)
    city = torch.randint(200, (4000,), generator=g) ** 2 // 200
    a, noise = torch.randint(5, (4000,), generator=g), torch.randn(4000, generator=g)
    country = city * 7919 % 20
    space = Columns((Categorical("city", 200), Categorical("country", 20), Categorical("a", 5), Categorical("sum", 24),
                     Numeric("size")))  # fmt: skip
    x = torch.stack([city, country, a, country + a, noise + country / 10], 1)
    made = fit(space, x.float()).draw(Noise.rows(0, range(8000)))[:, :4].long()
    assert float((made[:, 0] * 7919 % 20 == made[:, 1]).double().mean()) > 0.99
    assert float((made[:, 1] + made[:, 2] == made[:, 3]).double().mean()) > 0.98


def test_a_joint_state_never_seen_follows_the_parent_that_determines() -> None:
    """Node c copies its first parent; with the second the state (0, 1) never came."""
    counts = torch.zeros(2, 2, 2, dtype=torch.float64)
    counts[0, 0, 0], counts[1, 0, 1], counts[1, 1, 1] = 50, 30, 20
    p = backed_off(counts, 10.0).exp()
    assert torch.allclose(p.sum(-1), torch.ones(2, 2, dtype=torch.float64))
    assert float(p[0, 1, 0]) > 0.95
