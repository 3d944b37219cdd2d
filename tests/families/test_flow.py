"""Coupling flows: density and draw belong together, mass is one, classes and temperature do what they say."""

from __future__ import annotations

import math

import pytest
import torch

from makar.core.learner import Batch, Optimiser
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space
from makar.families.flow import Config, Flow
from tests.laws.problems import energy_distance

COUPLINGS = ["affine", "spline"]


def make(space: Space, classes: int = 0, moved: float = 0.2, **settings: object) -> Flow:
    """A flow whose parameters are away from their beginning."""
    config = Config(**{"layers": 3, "width": 24} | settings)  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Flow(space, Classes(classes) if classes else None, config)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(moved * torch.randn(p.shape))
            model.units.mean.add_(0.3)
            model.units.std.mul_(0.7)
    return model.eval()


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_mass_is_one(coupling: str) -> None:
    model = make(Reals((2,)), classes=2, coupling=coupling)
    side = torch.linspace(-12, 12, 601)
    grid = torch.cartesian_prod(side, side)
    for label in (-1, 1):
        with torch.no_grad():
            result = model.log_prob(grid, Noise.step(0, 0, len(grid)), torch.full((len(grid),), label))
        assert result.kind == "exact"
        assert float(result.nats.double().exp().sum()) * (24 / 600) ** 2 == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_density_of_a_draw_is_the_bases_less_the_volume(coupling: str) -> None:
    """In three dimensions, by autograd through the inverse: log p(y) = log N(z; m, s) - log |det dy/dz|."""
    model = make(Reals((3,)), classes=2, coupling=coupling)
    label = torch.tensor([1])
    mean, log_scale = model.base(label)
    for i in range(4):
        z = (mean + log_scale.exp() * Noise.rows(1, [i]).normal(3))[0].detach()
        y = model.units.inverse(model.chain.inverse(z.unsqueeze(0), label))

        def back(v: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = model.units.inverse(model.chain.inverse(v.unsqueeze(0), label))[0]
            return out

        volume = torch.linalg.slogdet(torch.func.jacrev(back)(z)).logabsdet
        base = torch.distributions.Normal(mean[0], log_scale[0].exp()).log_prob(z).sum()
        nats = model.log_prob(y, Noise.rows(0, [0]), label).nats[0]
        torch.testing.assert_close(nats, base - volume, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize(
    ("space", "x"),
    [
        (Reals((3,)), torch.tensor([[0.3, -1.2, 0.8], [0.0, 0.5, -0.4]])),
        (Levels((1, 3, 3), 5), torch.arange(18).reshape(2, 1, 3, 3) % 5),
        (Columns((Numeric("a"), Categorical("b", 3))), torch.tensor([[0.3, 2.0], [-1.0, 0.0]])),
    ],
)
def test_decode_undoes_encode(space: Space, x: torch.Tensor, coupling: str) -> None:
    model = make(space, classes=2, coupling=coupling)
    labels = torch.tensor([1, -1])
    back = model.decode(model.encode(x, labels), labels)
    assert space.holds(back)
    torch.testing.assert_close(back, x, rtol=1e-4, atol=1e-4)


def test_untrained_on_uniform_cells_it_scores_the_normal_it_is() -> None:
    """One level: the only item has the mass of its cell, [-1, 1], under a standard normal; the bound lies below."""
    model = make(Levels((1,), 1), moved=0.0, draws=512)
    model.units.mean.zero_()
    model.units.std.fill_(1.0)
    with torch.no_grad():
        nats = model.log_prob(torch.zeros(1, 1, dtype=torch.int64), Noise.rows(0, [0])).nats
    assert float(nats.exp()) == pytest.approx(math.erf(2**-0.5), abs=0.02)


def test_temperature_narrows_the_draws_and_not_the_density() -> None:
    warm, cool = make(Reals((2,)), layers=1), make(Reals((2,)), layers=1, temperature=0.5)
    z = [m.encode(m.draw(Noise.rows(0, range(2000)))) for m in (warm, cool)]
    mean, log_scale = warm.base(torch.tensor([-1]))
    spread = [((v - mean) / log_scale.exp()).std().item() for v in z]
    assert spread[0] == pytest.approx(1.0, abs=0.05)
    assert spread[1] == pytest.approx(0.5, abs=0.03)
    x, noise = torch.zeros(1, 2), Noise.rows(0, [0])
    assert torch.equal(warm.log_prob(x, noise).nats, cool.log_prob(x, noise).nats)


@pytest.mark.slow
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_it_learns_a_known_density(coupling: str) -> None:
    means = torch.tensor([[1.5, 0.0], [-1.0, 1.2], [-1.0, -1.2]])
    g = torch.Generator().manual_seed(5)
    x = means[torch.randint(3, (6000,), generator=g)] + 0.35 * torch.randn(6000, 2, generator=g)
    rate = Optimiser(rate=4e-3, average=0.99)
    model = make(Reals((2,)), moved=0.0, coupling=coupling, layers=6, width=48, optimiser=rate)
    learner = model.learner()
    learner.prepare(x[:4000], None)
    for n in range(1200):
        rows = torch.randint(4000, (128,), generator=torch.Generator().manual_seed(n))
        learner.step(Batch(x[rows], None, n / 1200), Noise.step(0, n, 128))
    learner.finish()
    assert energy_distance(model.draw(Noise.rows(0, range(2000))), x[4000:]) < 0.02
    mixture = torch.distributions.Independent(torch.distributions.Normal(means, 0.35), 1)
    truth = mixture.log_prob(x[4000:].unsqueeze(1)).logsumexp(1) - math.log(3)
    with torch.no_grad():
        nats = model.log_prob(x[4000:], Noise.rows(0, range(2000))).nats
    # affine couplings leave bridges between the modes: 0.18 nats measured
    assert float(truth.mean() - nats.mean()) < {"affine": 0.25, "spline": 0.12}[coupling]
    assert float(truth.mean() - nats.mean()) > -0.02


def test_large_pictures_are_bent_in_their_principal_coordinates() -> None:
    """The map inverts, its volume is autograd's, and no matrix of D x D is among its weights."""
    space = Levels((1, 17, 18), 5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Flow(space, None, Config(layers=2, width=16, rank=12, dropout=0.0))
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.05 * torch.randn(p.shape))
    x = torch.randint(5, (40, *space.shape), generator=torch.Generator().manual_seed(0))
    model.learner().prepare(x, None)
    model.eval()
    assert torch.equal(model.decode(model.encode(x)), x)
    none = torch.full((1,), -1)
    y = torch.randn(306, generator=torch.Generator().manual_seed(1))
    jacobian = torch.func.jacrev(lambda v: model.chain(v[None], none)[0][0])(y)
    volume = model.chain(y[None], none)[1].detach()
    assert float(volume) == pytest.approx(float(torch.linalg.slogdet(jacobian.detach())[1]), abs=0.02)
    assert max(p.numel() for p in model.parameters()) < 306 * 40
