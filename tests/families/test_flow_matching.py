"""Flow matching: the velocity as a denoiser, the change of variables, and (slow) agreement with a known density."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from makar.core.learner import Batch, Optimiser
from makar.core.noise import Noise
from makar.core.spaces import Levels, Reals, Space
from makar.families import flow_matching
from makar.families.flow_matching import Config, FlowMatching
from makar.nets.unet import Patched
from makar.samplers import midpoint
from tests.laws.problems import energy_distance


def make(space: Space, moved: float = 0.0, **settings: object) -> FlowMatching:
    config = Config(**{"width": 32, "depth": 1, "steps": 4, "passes": 2} | settings)  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = FlowMatching(space, None, config)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(moved * torch.randn(p.shape))
    return model.eval()


class Exact(torch.nn.Module):
    """The velocity of N(0, s^2): v = (t - (1 - t) s^2) / ((1 - t)^2 s^2 + t^2) x."""

    def __init__(self, std: Tensor) -> None:
        super().__init__()
        self.variance = std.square()

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        t = t.unsqueeze(1)
        out: Tensor = (t - (1 - t) * self.variance) / ((1 - t).square() * self.variance + t.square()) * x
        return out


def test_untrained_the_velocity_of_large_pictures_is_that_of_a_normal_of_their_covariance() -> None:
    std = torch.linspace(0.5, 1.6, 306)
    model = make(Levels((1, 17, 18), 5))
    model.wiener.variances.copy_(std[:128].square())
    model.wiener.basis.copy_(torch.eye(128, 306))
    model.wiener.rest.fill_(1.0)
    std = torch.where(torch.arange(306) < 128, std, 1.0)
    x, t = torch.randn(4, 306, generator=torch.Generator().manual_seed(0)), torch.linspace(0.0, 1.0, 4)
    none = torch.full((4,), -1)
    velocity = model.velocity(x.reshape(4, 1, 17, 18), t, none).flatten(1)
    torch.testing.assert_close(velocity, Exact(std)(x, t, none), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3, 12])
def test_change_of_variables_gives_a_normals_density(size: int) -> None:
    """With the exact velocity the estimate is the density; 12 dimensions take the stochastic divergence.

    A diagonal Jacobian makes Hutchinson's estimate with Rademacher vectors exact.
    """
    std = torch.linspace(0.5, 1.6, size)
    model = make(Reals((size,)), likelihood_steps=64)
    model.net = Exact(std)  # type: ignore[assignment]
    x = std * torch.randn(50, size, generator=torch.Generator().manual_seed(0))
    result = model.log_prob(x, Noise.rows(0, range(50)))
    assert result.kind == "estimate"
    truth = torch.distributions.Normal(torch.zeros(size), std).log_prob(x).sum(1)
    torch.testing.assert_close(result.nats, truth, rtol=0, atol=0.01)


def test_the_estimated_divergence_is_the_exact_one_on_average(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(Reals((3,)), moved=0.3)
    x = torch.randn(1, 3, generator=torch.Generator().manual_seed(0)).expand(20_000, 3)
    t, labels = torch.full((20_000,), 0.4), torch.full((20_000,), -1)
    _, exact = model._with_divergence(x[:1], t[:1], labels[:1], Noise.step(0, 0, 1))
    jacobian = torch.func.jacrev(lambda v: model.velocity(v.unsqueeze(0), t[:1], labels[:1])[0])(x[0])
    assert float(exact) == pytest.approx(float(jacobian.detach().trace()), rel=1e-4)
    monkeypatch.setattr(flow_matching, "_EXACT", 0)
    _, guesses = model._with_divergence(x, t, labels, Noise.step(0, 0, 20_000))
    assert float(guesses.std()) > 0.0
    error = float(guesses.std()) / 20_000**0.5
    assert abs(float(guesses.mean()) - float(exact)) < 5 * error + 1e-5


def test_the_posterior_mean_and_the_velocity_are_one_thing() -> None:
    model = make(Reals((2,)), moved=0.1)
    x, t = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.linspace(0.1, 1.0, 6)
    velocity = model.velocity(x, t, torch.full((6,), -1))
    mean = model.denoise(x, t).mean
    torch.testing.assert_close((x - mean) / t.unsqueeze(1), velocity, rtol=1e-4, atol=1e-5)


def test_likelihood_works_in_inference_mode() -> None:
    model = make(Levels((1, 3, 3), 4), moved=0.1)
    x = torch.randint(4, (5, 1, 3, 3), generator=torch.Generator().manual_seed(0))
    plain = model.log_prob(x, Noise.rows(0, range(5))).nats
    with torch.inference_mode():
        inside = model.log_prob(x.clone(), Noise.rows(0, range(5))).nats
    assert torch.equal(plain, inside)


def test_what_is_known_is_returned_as_it_was() -> None:
    space = Levels((1, 4, 4), 5)
    model = make(space, moved=0.1)
    x = torch.randint(5, (3, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(x.shape, dtype=torch.bool)
    mask[:, :, :2] = True
    made = model.complete(x, mask, Noise.rows(0, range(3)))
    assert space.holds(made)
    assert torch.equal(made[mask], x[mask])


def test_large_pictures_get_a_unet_over_patches() -> None:
    model = make(Levels((1, 17, 18), 4))
    assert isinstance(model.net, Patched)
    made = midpoint.Midpoint(midpoint.Config(steps=2)).sample(model, Noise.rows(0, range(2)))
    assert model.space.holds(made)


@pytest.mark.slow
def test_it_draws_and_scores_a_known_density() -> None:
    means = torch.tensor([[1.5, 0.0], [-1.0, 1.2], [-1.0, -1.2]])
    g = torch.Generator().manual_seed(5)
    x = means[torch.randint(3, (6000,), generator=g)] + 0.35 * torch.randn(6000, 2, generator=g)
    model = make(Reals((2,)), width=64, depth=2, optimiser=Optimiser(rate=4e-3, average=0.99))
    learner = model.learner()
    learner.prepare(x[:4000], None)
    for n in range(1500):
        rows = torch.randint(4000, (128,), generator=torch.Generator().manual_seed(n))
        learner.step(Batch(x[rows], None, n / 1500), Noise.step(0, n, 128))
    learner.finish()
    made = midpoint.Midpoint(midpoint.Config(steps=16)).sample(model, Noise.rows(0, range(2000))).detach()
    assert energy_distance(made, x[4000:]) < 0.02
    mixture = torch.distributions.Independent(torch.distributions.Normal(means, 0.35), 1)
    truth = mixture.log_prob(x[4000:].unsqueeze(1)).logsumexp(1) - math.log(3)
    nats = model.log_prob(x[4000:], Noise.step(1, 1, 2000)).nats
    assert float(nats.mean()) == pytest.approx(float(truth.mean()), abs=0.1)
