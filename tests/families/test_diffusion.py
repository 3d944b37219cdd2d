"""Diffusion: the preconditioned denoiser, its bound, inpainting, and (slow) agreement with a known density."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from makar.core.learner import Batch, Optimiser
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space
from makar.families.diffusion import Config, Diffusion
from makar.nets.unet import Patched
from makar.samplers import heun
from makar.verbs.sample import make_sampler
from tests.laws.problems import energy_distance


def make(space: Space, classes: int = 0, moved: bool = False, **settings: object) -> Diffusion:
    config = Config(**{"width": 32, "depth": 1, "steps": 4, "passes": 2} | settings)  # type: ignore[arg-type]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Diffusion(space, Classes(classes) if classes else None, config)
        if moved:
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(0.1 * torch.randn(p.shape))
    return model.eval()


def train(model: Diffusion, x: Tensor, steps: int) -> None:
    learner = model.learner()
    learner.prepare(x, None)
    for n in range(steps):
        rows = torch.randint(len(x), (128,), generator=torch.Generator().manual_seed(n))
        learner.step(Batch(x[rows], None, n / steps), Noise.step(0, n, 128))
    learner.finish()


def test_untrained_it_is_the_best_denoiser_of_a_standard_normal() -> None:
    """F = 0 leaves D = x / (sigma^2 + 1), the posterior mean of N(0, 1)."""
    model = make(Reals((3,)))
    x, t = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0.02, 0.3, 1.0, 4.0, 20.0])
    torch.testing.assert_close(model.denoise(x, t).mean, x / (t.square() + 1.0).unsqueeze(1))


def test_loss_is_the_weighted_error_of_the_denoiser() -> None:
    """lambda |D - y|^2 with lambda = (sigma^2 + 1) / sigma^2 (Karras et al. table 1), at the same draws."""
    model = make(Reals((2,)), moved=True, p_std=1e-9, p_mean=math.log(0.7))
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))
    loss = model.loss(Batch(x), Noise.step(3, 0, 64))
    noise = Noise.step(3, 0, 64)
    noise.uniform()
    seen = x + 0.7 * noise.normal(2)
    mean = model.denoise(seen, torch.full((64,), 0.7)).mean
    torch.testing.assert_close(loss, (0.49 + 1.0) / 0.49 * (mean - x).square().mean(1), rtol=1e-3, atol=1e-4)


def test_the_bound_of_a_standard_normal_is_its_entropy() -> None:
    """Where the denoiser is the posterior mean, the bound is tight up to the smallest noise: -E log p = entropy."""
    model = make(Reals((2,)), draws=64)
    x = torch.randn(4000, 2, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        bound = model.log_prob(x, Noise.step(0, 0, 4000))
    assert bound.kind == "lower"
    entropy = math.log(2 * math.pi * math.e)
    assert float(-bound.nats.mean()) == pytest.approx(entropy, abs=0.06)


@pytest.mark.parametrize(
    ("space", "x"),
    [
        (Levels((1, 3, 3), 5), torch.arange(18).reshape(2, 1, 3, 3) % 5),
        (Reals((3,)), torch.tensor([[0.1, -2.0, 0.7], [1.0, 0.0, 0.5]])),
        (Columns((Numeric("a"), Categorical("b", 3))), torch.tensor([[0.3, 2.0], [-1.0, 0.0]])),
    ],
)
def test_what_is_known_is_returned_as_it_was(space: Space, x: Tensor) -> None:
    model = make(space, moved=True)
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    made = model.complete(x, mask, Noise.rows(0, range(2)))
    assert space.holds(made)
    assert torch.equal(made[mask], x[mask])
    assert not torch.equal(made, model.complete(x, mask, Noise.rows(1, range(2)))) or bool(mask.all())


def test_untrained_it_is_the_best_linear_denoiser_of_correlated_data() -> None:
    """Told the covariance and nothing else, D(x) = C (C + s^2)^-1 x."""
    mix = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.5, 0.0], [-0.3, 0.9, 0.2]])
    z = torch.randn(2000, 3, generator=torch.Generator().manual_seed(3)) @ mix.T
    z = z - z.mean(0)
    model = make(Levels((1, 1, 3), 9))
    model.wiener.fit(z.reshape(-1, 1, 1, 3))
    covariance = z.T @ z / len(z)
    x, t = torch.randn(4, 3, generator=torch.Generator().manual_seed(4)), 0.6
    wanted = x @ torch.linalg.solve(covariance + t**2 * torch.eye(3), covariance)
    mean = model.denoise(x.reshape(4, 1, 1, 3), torch.full((4,), t)).mean
    torch.testing.assert_close(mean.flatten(1), wanted, rtol=1e-3, atol=1e-3)


def test_the_last_read_weighs_all_levels() -> None:
    """E log P(x | x_least) of levels is a share among all of them, as computed at once."""
    space = Levels((1, 2, 3), 5)
    model = make(space)
    x = torch.arange(12).reshape(2, 1, 2, 3) % 5
    noisy = model.scaled.relax(x) + 0.3 * torch.randn(2, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    places = torch.linspace(-1.0, 1.0, 5)
    logits = -0.5 * ((places - noisy.unsqueeze(-1)) / 0.02).double().square()
    wanted = logits.log_softmax(-1).gather(-1, x.unsqueeze(-1)).flatten(1).sum(1)
    torch.testing.assert_close(model._read(x, noisy), wanted, rtol=1e-4, atol=1e-3)


def test_large_pictures_get_a_unet_over_patches() -> None:
    model = make(Levels((1, 17, 19), 4), classes=2)
    assert isinstance(model.net, Patched)
    made = heun.Heun(heun.Config(steps=2)).sample(model, Noise.rows(0, range(2)), torch.tensor([0, -1]))
    assert model.space.holds(made)


@pytest.mark.slow
def test_it_draws_and_bounds_a_known_density() -> None:
    """A two-moon-like mixture of normals: draws pass beside fresh data, the bound lies just under the truth."""
    means = torch.tensor([[1.5, 0.0], [-1.0, 1.2], [-1.0, -1.2]])
    mixture = torch.distributions.Independent(torch.distributions.Normal(means, 0.35), 1)
    g = torch.Generator().manual_seed(5)
    x = means[torch.randint(3, (6000,), generator=g)] + 0.35 * torch.randn(6000, 2, generator=g)
    model = make(Reals((2,)), width=64, depth=2, draws=64, optimiser=Optimiser(rate=4e-3, average=0.99))
    train(model, x[:4000], 1500)
    made = heun.Heun(heun.Config(steps=18)).sample(model, Noise.rows(0, range(2000))).detach()
    assert energy_distance(made, x[4000:]) < 0.02
    with torch.no_grad():
        bound = model.log_prob(x[4000:], Noise.step(1, 1, 2000)).nats.mean()
    truth = (mixture.log_prob(x[4000:].unsqueeze(1)).logsumexp(1) - math.log(3)).mean()
    assert float(truth) - 0.3 < float(bound) < float(truth) + 0.05


def test_pictures_of_a_class_are_drawn_with_guidance_by_default_and_without_where_asked() -> None:
    model = make(Levels((1, 3, 3), 5), classes=2)
    default, plain = make_sampler(model), make_sampler(model, "dpm_solver", {"guidance": 1.0})
    assert default is not None
    assert plain is not None
    assert (default.config.steps, default.config.guidance) == (10, 1.3)
    assert (plain.config.steps, plain.config.guidance) == (10, 1.0)
    other, unlabelled = make_sampler(model, "heun"), make_sampler(make(Levels((1, 3, 3), 5)))
    assert other is not None
    assert unlabelled is not None
    assert other.config.guidance == unlabelled.config.guidance == 1.0
