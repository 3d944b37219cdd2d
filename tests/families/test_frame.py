"""Gaussian families in more dimensions than a D x D matrix allows: exact where the items span no more directions than
are kept, a density in any case, and small at the size of pictures."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from makar.core.errors import MakarError
from makar.core.learner import Batch
from makar.core.model import Model
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Reals, Space
from makar.families import _stat_frame, ppca
from makar.families.gaussian import Gaussian
from makar.families.independent import Independent
from makar.families.kernel import Kernel
from makar.families.mixture import Mixture
from makar.families.ppca import PPCA
from makar.verbs.train import make_model

WIDE = Reals((30,))


@pytest.fixture
def framed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number of dimensions is too many."""
    monkeypatch.setattr(_stat_frame, "DENSE", 1)
    monkeypatch.setattr(ppca, "DENSE", 1)


def few(n: int = 12, seed: int = 0, d: int = 30) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=g) @ torch.randn(d, d, generator=g) / 4 + torch.randn(d, generator=g)


def trained(kind: Any, space: Space, x: Tensor, labels: Tensor | None = None, **settings: Any) -> Any:
    model = kind(space, None if labels is None else Classes(2), kind.Config(**settings))
    learner = model.learner()
    for step in range(40):
        learner.step(Batch(x, labels), Noise.step(0, step, len(x)))
        if learner.done:
            break
    return model


def nats(model: Any, x: Tensor, labels: Tensor | None = None) -> Tensor:
    found: Tensor = model.log_prob(x, Noise.rows(0, range(len(x))), labels).nats
    return found.double()


@pytest.mark.parametrize("n", [12, 25])
def test_with_few_items_it_is_the_gaussian_of_the_whole_covariance(n: int, request: pytest.FixtureRequest) -> None:
    x, other = few(n), few(50, seed=0)[20:]
    labels = torch.arange(n) % 2
    whole = trained(Gaussian, WIDE, x, labels)
    request.getfixturevalue("framed")
    framed = trained(Gaussian, WIDE, x, labels)
    assert framed.factor.shape[-1] == n - 1
    assert whole.factor.shape[-1] == 30
    for given in (torch.zeros(30, dtype=torch.int64), torch.ones(30, dtype=torch.int64), torch.full((30,), -1)):
        assert torch.allclose(nats(framed, other, given), nats(whole, other, given), rtol=1e-6)


def test_draws_have_the_covariance_that_is_scored(framed: None) -> None:
    x = few(12)
    for kind, name, value in ((Gaussian, "floor", 1e-6), (PPCA, "latent", 3), (Mixture, "components", 1)):
        model = trained(kind, WIDE, x, None, **{name: value})
        made = model.draw(Noise.rows(1, range(30_000)))
        gaussian = MultivariateNormal(made.double().mean(0), torch.cov(made.double().T))
        # The family is one Gaussian, so its density is that of its moments.
        assert torch.allclose(nats(model, x), gaussian.log_prob(x.double()), atol=0.6), kind.__name__


def test_ppca_of_few_items_is_that_of_the_whole_covariance(request: pytest.FixtureRequest) -> None:
    x = few(12)
    by_gram = trained(PPCA, WIDE, x, latent=4)
    values, vectors = torch.linalg.eigh(torch.cov(x.double().T, correction=0))
    variance = values[:26].mean()
    loadings = vectors[:, 26:] * (values[26:] - variance).sqrt()
    wanted = MultivariateNormal(x.double().mean(0), loadings @ loadings.T + variance * torch.eye(30).double())
    assert torch.allclose(nats(by_gram, x), wanted.log_prob(x.double()), atol=1e-4)


def test_a_mixture_in_a_frame_is_the_mixture_of_gaussians_that_it_says(framed: None) -> None:
    x = torch.cat([few(20), few(20, 1) + 2.0])
    model = trained(Mixture, WIDE, x, components=3, covariance="full")
    u, q = model.frame.basis, model.frame.rank
    assert 1 < q < 30
    assert torch.allclose(u.T @ u, torch.eye(q).double(), atol=1e-9)
    beside = model.variance[0] * (torch.eye(30).double() - u @ u.T)
    parts = [
        MultivariateNormal(model.centres[0] + u @ m, u @ f @ f.T @ u.T + beside).log_prob(x.double())
        for m, f in zip(model.means[0], model.factors[0], strict=True)
    ]
    assert torch.allclose(nats(model, x), (torch.stack(parts, 1) + model.weights[0]).logsumexp(1), atol=1e-4)


@pytest.mark.parametrize("kind", [Gaussian, PPCA, Mixture])
def test_in_the_plane_the_framed_density_integrates_to_one(kind: Any, framed: None) -> None:
    x = few(200, d=2)
    model = trained(kind, Reals((2,)), x, (x[:, 0] > 0).long())
    side = torch.linspace(-12, 12, 601)
    assert float(nats(model, torch.cartesian_prod(side, side)).exp().sum()) * 0.04**2 == pytest.approx(1.0, abs=2e-3)


def test_resumed_a_framed_mixture_is_the_unbroken_climb(framed: None) -> None:
    x = few(60)
    models = [Mixture(WIDE, None, Mixture.Config(components=3, tolerance=0.0)) for _ in range(3)]
    learners = [m.learner() for m in models]

    def go(i: int, first: int, last: int) -> None:
        for step in range(first, last):
            learners[i].step(Batch(x), Noise.step(0, step, len(x)))

    go(0, 0, 5)
    go(1, 0, 2)
    models[2].restore(dict(models[1].state_dict()))
    learners[2].load_state_dict(learners[1].state_dict())
    go(2, 2, 5)
    for a, b in zip(models[0].state_dict().values(), models[2].state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", [Gaussian, PPCA, Mixture, Independent, Kernel])
def test_pictures_of_64_pixels_take_little(kind: Any) -> None:
    """A D x D matrix of one class alone would be 1.2 GB."""
    space = Levels((3, 64, 64), 256)
    g = torch.Generator().manual_seed(0)
    tone = torch.randint(40, 200, (40, 3, 1, 1), generator=g)
    x = (tone + torch.randint(0, 30, (40, 3, 64, 64), generator=g)).clamp(0, 255)
    labels = torch.arange(40) % 2
    model = trained(kind, space, x, labels)
    assert sum(v.numel() * v.element_size() for v in model.state_dict().values()) < 64 * 2**20
    assert space.holds(model.draw(Noise.rows(0, range(4)), labels[:4]))
    assert bool(torch.isfinite(nats(model, x[:4], labels[:4])).all())
    assert 0 < kind.memory(space, Classes(2), model.config, 2000) < 2**30


def test_what_does_not_fit_says_so_before_anything_is_made() -> None:
    with pytest.raises(MakarError, match=r"'independent' would need [\d.]+ GiB for items of 12,288 numbers in 20,000"):
        make_model("independent", Levels((3, 64, 64), 256), Classes(20_000), {}, 0)


def test_a_family_says_what_it_needs_and_others_nothing() -> None:
    space = Reals((1000,))
    need = Gaussian.memory(space, None, Gaussian.Config(), 10)
    assert need >= 8 * 1000**2
    assert Model.memory(space, None, None, 10) == 0


def test_leading_directions_are_those_of_the_covariance() -> None:
    for n, d in ((8, 30), (100, 6)):
        centred = few(n, d=d).double()
        centred = centred - centred.mean(0)
        vectors, values = _stat_frame.leading(centred, 5)
        covariance = centred.T @ centred / n
        assert torch.allclose(covariance @ vectors, vectors * values, atol=1e-8)
        assert torch.allclose(vectors.T @ vectors, torch.eye(5).double(), atol=1e-10)
        assert math.isclose(float(values[0]), float(torch.linalg.eigvalsh(covariance)[-1]), rel_tol=1e-9)
