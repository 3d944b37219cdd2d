"""Probabilistic PCA: equals the Gaussian N(m, W W^T + s^2 I) and scikit-learn's, and its codes are posterior means."""

from __future__ import annotations

import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.distributions import MultivariateNormal

from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Reals, Space
from makar.families.ppca import PPCA, Config


def fit(space: Space, x: Tensor, latent: int, labels: Tensor | None = None, classes: int = 0) -> PPCA:
    model = PPCA(space, Classes(classes) if classes else None, Config(latent=latent))
    model.learner().step(Batch(x, labels), Noise.step(0, 0, len(x)))
    return model


def planted(n: int, seed: int = 0) -> Tensor:
    """Two latents in six dimensions, noise of variance 0.04."""
    g = torch.Generator().manual_seed(seed)
    loadings = torch.tensor([[2.0, 0, 1, 0, -1, 0.5], [0, 1.5, 0, -1, 0.5, 1]])
    return torch.randn(n, 2, generator=g) @ loadings + 0.2 * torch.randn(n, 6, generator=g) + 1.0


def test_density_is_that_of_the_gaussian() -> None:
    x = planted(300)
    model = fit(Reals((6,)), x, 2)
    w, s2 = model.loadings[0], model.variance[0]
    wanted = MultivariateNormal(model.mean[0], w @ w.T + s2 * torch.eye(6, dtype=torch.float64)).log_prob(x.double())
    result = model.log_prob(x, Noise.rows(0, range(300)))
    assert result.kind == "exact"
    assert torch.allclose(result.nats.double(), wanted, atol=1e-5)


def test_likelihood_is_scikit_learns() -> None:
    x = planted(5000)
    ours = float(fit(Reals((6,)), x, 2).log_prob(x, Noise.rows(0, range(5000))).nats.double().mean())
    # scikit-learn divides the covariance by n - 1, we by n, as the likelihood has it.
    assert ours == pytest.approx(float(PCA(2).fit(x.numpy()).score(x.numpy())), abs=1e-3)


def test_no_other_parameters_are_likelier() -> None:
    x = planted(400)
    model = fit(Reals((6,)), x, 2)
    rows = Noise.rows(0, range(400))
    best = float(model.log_prob(x, rows).nats.mean())
    g = torch.Generator().manual_seed(1)
    kept = model.loadings.clone()
    for _ in range(10):
        model.loadings = kept + 0.05 * torch.randn(kept.shape, generator=g, dtype=torch.float64)
        assert float(model.log_prob(x, rows).nats.mean()) < best
    model.loadings = kept
    for factor in (0.9, 1.1):
        model.variance *= factor
        assert float(model.log_prob(x, rows).nats.mean()) < best
        model.variance /= factor


def test_planted_noise_is_found() -> None:
    assert float(fit(Reals((6,)), planted(20000), 2).variance[0]) == pytest.approx(0.04, rel=0.05)


def test_draws_have_the_model_covariance() -> None:
    model = fit(Reals((6,)), planted(2000), 2)
    made = model.draw(Noise.rows(0, range(20000))).double()
    w = model.loadings[0]
    wanted = w @ w.T + model.variance[0] * torch.eye(6, dtype=torch.float64)
    assert torch.allclose(torch.cov(made.T), wanted, atol=0.15)
    assert torch.allclose(made.mean(0), model.mean[0], atol=0.06)


def test_codes_are_posterior_means_and_decode_to_the_plane() -> None:
    x = planted(500)
    model = fit(Reals((6,)), x, 2)
    w, s2 = model.loadings[0], model.variance[0]
    joint = w.T @ torch.linalg.inv(w @ w.T + s2 * torch.eye(6, dtype=torch.float64))  # regression of z on x
    z = model.encode(x)
    assert torch.allclose(z.double(), (x.double() - model.mean[0]) @ joint.T, atol=1e-5)
    residual = (model.decode(z) - x).square().mean()
    assert float(residual) < 0.05


def test_every_class_has_its_subspace_and_no_class_that_of_all() -> None:
    x = torch.cat([planted(500), planted(500, 1) * torch.tensor([1.0, -1, 1, -1, 1, -1])])
    labels = torch.tensor([0] * 500 + [1] * 500)
    model = fit(Reals((6,)), x, 2, labels, 2)
    alone = fit(Reals((6,)), x[:500], 2)
    together = fit(Reals((6,)), x, 2)
    none = torch.full((500,), -1)
    assert torch.allclose(model.encode(x[:500], labels[:500]).abs(), alone.encode(x[:500]).abs(), atol=1e-4)
    assert torch.allclose(model.encode(x[:500], none).abs(), together.encode(x[:500]).abs(), atol=1e-4)
    assert torch.equal(model.encode(x[:500]), model.encode(x[:500], none))


def test_levels_are_drawn_and_coded_in_their_space() -> None:
    space = Levels((1, 3, 3), 8)
    g = torch.Generator().manual_seed(0)
    x = (torch.randint(3, (400, 1, 1, 1), generator=g) * 2 + torch.randint(2, (400, 1, 3, 3), generator=g)).long()
    model = fit(space, x, 1)
    assert space.holds(model.draw(Noise.rows(0, range(50))))
    assert space.holds(model.decode(model.encode(x)))
    assert float((model.decode(model.encode(x)) - x).abs().double().mean()) < 0.7
    assert model.log_prob(x, Noise.rows(0, range(400))).kind == "lower"


def test_one_dimension_leaves_no_latent() -> None:
    model = fit(Reals((1,)), torch.linspace(-1, 1, 100).unsqueeze(1), 4)
    assert model.encode(torch.zeros(3, 1)).shape == (3, 0)
    assert float(model.draw(Noise.rows(0, range(4000))).std()) == pytest.approx(0.583, abs=0.03)


def test_restored_and_rearranged_it_draws_the_same() -> None:
    model = fit(Reals((6,)), planted(100), 2, torch.arange(100) % 2, 2)
    other = PPCA(Reals((6,)), Classes(2), Config(latent=2))
    other.restore(dict(model.state_dict()))
    order = [5, 2, 7, 0, 1, 6, 3, 4]
    labels = torch.tensor([0, 1, -1, 0, 1, -1, 0, 1])
    straight = model.draw(Noise.rows(3, range(8)), labels)
    assert torch.equal(other.draw(Noise.rows(3, order), labels[order]), straight[order])
