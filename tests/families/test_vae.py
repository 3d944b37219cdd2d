"""Variational autoencoder: closed forms, a model whose likelihood is known, and the law of importance weights."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from makar.core.learner import Batch, Optimiser
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Reals
from makar.families.vae import VAE, Config, Gaussian, Trunk
from makar.nets.pictures import Reader
from tests.laws import problems

TOP, HIGH = 2, 3  # latent and data dimensions of the linear model
MIX = torch.tensor([[1.2, 0.0], [0.0, 0.7], [0.0, -0.5]])  # orthogonal columns: the true posterior is diagonal
SPREAD = 0.5


class LinearDecoder(nn.Module):
    """p(x | z) = N(W z, SPREAD^2 I), whose p(x) is N(0, W W^T + SPREAD^2 I) (probabilistic PCA)."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(MIX)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        raw = math.log(math.expm1(SPREAD - 1e-2))
        return torch.cat([z @ self.mix.T, torch.full((len(z), HIGH), raw)], 1)


class LinearEncoder(nn.Module):
    """The true posterior N(S W^T x / SPREAD^2, S), S = (I + W^T W / SPREAD^2)^-1, with its mean off by `wrong`."""

    def __init__(self, wrong: float) -> None:
        super().__init__()
        self.wrong = wrong

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        variance = 1.0 / (1.0 + MIX.square().sum(0) / SPREAD**2)
        raw = 5.0 * torch.atanh(0.5 * variance.log() / 5.0)
        return torch.cat([x @ MIX / SPREAD**2 * variance + self.wrong, raw.expand(len(x), TOP)], 1)


def small(space: Reals | Levels, classes: int = 0, config: Config | None = None) -> VAE:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = VAE(space, Classes(classes) if classes else None, config or Config(latent=2, width=16, depth=1))
    return made.eval()


def linear(wrong: float, weights: int) -> VAE:
    model = small(Reals((HIGH,)), config=Config(latent=TOP, width=4, weights=weights))
    model.encoder, model.decoder = LinearEncoder(wrong), LinearDecoder()  # type: ignore[assignment]
    return model


def linear_data(n: int) -> tuple[Tensor, Tensor]:
    """Items of the linear model and their exact log-likelihoods."""
    covariance = MIX @ MIX.T + SPREAD**2 * torch.eye(HIGH)
    x = torch.randn(n, HIGH, generator=torch.Generator().manual_seed(1)) @ torch.linalg.cholesky(covariance).T
    return x, torch.distributions.MultivariateNormal(torch.zeros(HIGH), covariance).log_prob(x)


def test_kl_is_that_of_torch() -> None:
    g = torch.Generator().manual_seed(0)
    q = Gaussian(torch.randn(5, 3, generator=g), torch.rand(5, 3, generator=g) + 0.1)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(q.mean, q.std), normal(torch.tensor(0.0), torch.tensor(1.0)))
    torch.testing.assert_close(q.kl(), expected.sum(1))


@pytest.mark.parametrize("weights", [1, 5, 40])
def test_with_the_true_posterior_the_bound_is_the_likelihood(weights: int) -> None:
    x, exact = linear_data(50)
    bound = linear(0.0, weights).log_prob(x, Noise.step(0, 0, 50))
    assert bound.kind == "lower"
    torch.testing.assert_close(bound.nats, exact, atol=1e-4, rtol=1e-4)


def test_with_a_wrong_posterior_the_bound_is_lower_and_more_weights_tighten_it() -> None:
    x, exact = linear_data(400)
    gaps = [float((exact - linear(0.5, k).log_prob(x, Noise.step(0, 0, 400)).nats).mean()) for k in (1, 4, 64)]
    assert gaps[0] > gaps[1] > gaps[2] > 0.0
    # The gap of the plain bound is KL(q || true posterior) = |0.5|^2 / 2 variance, summed.
    known = float((0.125 * (1.0 + MIX.square().sum(0) / SPREAD**2)).sum())
    assert gaps[0] == pytest.approx(known, rel=0.15)
    assert gaps[2] < 0.1 * gaps[0]


def test_the_training_loss_is_the_negative_bound() -> None:
    x, exact = linear_data(4000)
    loss = linear(0.0, 1).loss(Batch(x, progress=1.0), Noise.step(0, 1, 4000)).mean()
    assert loss.item() == pytest.approx(-float(exact.mean()), abs=0.05)


def test_beta_weighs_the_divergence() -> None:
    x, _ = linear_data(20)
    losses = []
    for beta in (0.0, 1.0, 3.0):
        model = linear(0.3, 1)
        model.config = replace(model.config, beta=beta)
        losses.append(model.loss(Batch(x, progress=1.0), Noise.step(0, 1, 20)))
    kl = linear(0.3, 1).posterior(x, torch.full((20,), -1)).kl()
    torch.testing.assert_close(losses[1] - losses[0], kl)
    torch.testing.assert_close(losses[2] - losses[0], 3.0 * kl)


def test_importance_weights_are_unbiased_so_the_bound_sums_to_one() -> None:
    space = Levels((1, 1, 2), 3)
    model = small(space, config=Config(latent=2, width=16, depth=1, weights=4000))
    assert isinstance(model.encoder, Trunk)
    final = model.encoder.leave[-1]
    assert isinstance(final, nn.Linear)
    nn.init.zeros_(final.weight)
    final.bias.data = torch.tensor([0.4, -0.2, 0.4, 0.3])  # wider than the prior, so that no weight is large
    every = torch.tensor(list(itertools.product(range(3), repeat=2))).reshape(-1, 1, 1, 2)
    total = float(model.log_prob(every, Noise.step(0, 0, 9)).nats.exp().sum())
    assert total == pytest.approx(1.0, abs=0.02)


def test_the_reparameterised_gradient_is_the_score_functions_with_less_variance() -> None:
    n = 40_000
    model = linear(0.0, 1)
    x = torch.tensor([[0.8, -0.4, 0.3]])
    mean = torch.tensor([0.2, -0.1], requires_grad=True)
    eps = torch.randn(n, TOP, generator=torch.Generator().manual_seed(2))
    labels = torch.full((n,), -1)

    def inside(z: Tensor) -> Tensor:
        return model.likelihood.log_prob(model.decoder(z, labels), x.expand(n, -1)) - 0.5 * z.square().sum(1)

    shifted = mean.expand(n, TOP)
    q = Gaussian(shifted, torch.full((n, TOP), 0.6))
    z = q.draw(eps)
    (through,) = torch.autograd.grad(inside(z).sum(), shifted)
    score = inside(z).detach().unsqueeze(1) * eps / 0.6  # f(z) * d log q(z) / d mean
    error = torch.sqrt((through.var(0) + score.var(0)) / n)
    assert bool(((through.mean(0) - score.mean(0)).abs() < 4.0 * error).all())
    assert bool((through.var(0) < 0.2 * score.var(0)).all())


def test_active_units_tell_a_collapsed_posterior() -> None:
    x, _ = linear_data(200)
    model = linear(0.0, 1)
    assert model.active_units(x) == TOP
    collapsed = small(Reals((HIGH,)))
    for parameter in collapsed.encoder.leave.parameters():
        nn.init.zeros_(parameter)
    assert collapsed.active_units(x) == 0


def test_decoding_is_without_chance_and_encoding_gives_posterior_means() -> None:
    space = Levels((1, 3, 3), 5)
    model = small(space, classes=2)
    x = torch.randint(5, (6, 1, 3, 3), generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, -1, 0, 1, -1])
    z = model.encode(x, labels)
    torch.testing.assert_close(z, model.posterior(x, labels).mean)
    assert space.holds(model.decode(z, labels))
    assert torch.equal(model.decode(z, labels), model.decode(z, labels))


def test_output_is_a_draw_or_its_centre() -> None:
    space = Levels((1, 4, 4), 5)
    drawn = small(space)
    centred = small(space, config=replace(drawn.config, output="centre"))
    z = Noise.rows(1, range(9)).normal(2)
    assert torch.equal(centred.draw(Noise.rows(1, range(9))), centred.decode(z))
    assert not torch.equal(drawn.draw(Noise.rows(1, range(9))), drawn.decode(z))


def test_a_class_is_withheld_from_some_rows_only_while_training() -> None:
    model = small(Reals((2,)), classes=3)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    with_class = model.log_prob(x, Noise.step(0, 0, 5), torch.zeros(5, dtype=torch.int64)).nats
    without = model.log_prob(x, Noise.step(0, 0, 5), None).nats
    assert not torch.allclose(with_class, without)
    model.loss(Batch(x.repeat(60, 1), torch.zeros(300, dtype=torch.int64)), Noise.step(0, 0, 300)).sum().backward()
    table = model.encoder.label
    assert table is not None
    moved = table.table.weight.grad
    assert moved is not None
    assert moved.abs().sum(1).gt(0).tolist() == [True, True, False, False]


@pytest.mark.slow
def test_learns_the_density_of_a_ring_of_gaussians() -> None:
    x, _ = problems.draw(problems.RING, 4096, seed=1)
    held, _ = problems.draw(problems.RING, 1000, seed=2)
    optimiser = Optimiser(rate=4e-3, average=0.99)
    model = small(problems.RING, config=Config(latent=4, width=64, depth=1, weights=256, optimiser=optimiser))
    learner = model.learner()
    for i in range(800):
        rows = Noise.step(7, i, 128).integers(len(x))
        learner.step(Batch(x[rows], None, i / 800), Noise.step(0, i, 128))
    learner.finish()
    bound = model.log_prob(held, Noise.step(0, 0, 1000)).nats.mean()
    centres = torch.stack([torch.tensor([math.cos(k * math.pi / 4), math.sin(k * math.pi / 4)]) for k in range(8)])
    distance = (held.unsqueeze(1) - centres * 2.0 / 1.5).square().sum(2)
    deviation = 0.2 / 1.5
    exact = torch.logsumexp(-distance / (2 * deviation**2), 1) - math.log(8 * 2 * math.pi * deviation**2)
    assert float(bound) <= float(exact.mean()) + 0.05
    variance = held.var(0)
    gaussian = -0.5 * (torch.log(2.0 * math.pi * variance) + 1.0).sum()  # the best that one Gaussian can do
    assert float(bound) >= float(gaussian) + 0.6
    assert model.active_units(held) >= 1


def test_large_pictures_are_read_and_written_by_convolutions_and_come_without_snow() -> None:
    """Drawn twice with the same latent they are the same, as they are not where each pixel's own chance is drawn."""
    space = Levels((1, 17, 18), 256)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VAE(space, None, Config(width=32, latent=4))
    assert isinstance(model.encoder, Reader)
    x = torch.randint(256, (3, *space.shape), generator=torch.Generator().manual_seed(0))
    assert bool(model.log_prob(x, Noise.rows(0, range(3))).nats.isfinite().all())
    noise = Noise.rows(0, range(3))
    made = model.draw(noise)
    assert space.holds(made)
    assert torch.equal(made, model.decode(Noise.rows(0, range(3)).normal(4)))
    snowy = VAE(space, None, Config(width=32, latent=4, output="draw"))
    snowy.load_state_dict(model.state_dict())
    assert not torch.equal(snowy.draw(Noise.rows(0, range(3))), made)
