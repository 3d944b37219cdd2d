"""Adversarial networks: gradients, penalties and refusals of the two players, and that no mode is lost."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from makar.core.errors import NonFinite
from makar.core.learner import Batch
from makar.core.model import HasLogProb
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space
from makar.families.gan import GAN, Adversaries, Config, Player, discriminator_loss, generator_loss
from makar.nets.pictures import Reader
from tests.laws import problems

Loss = Literal["relativistic", "hinge"]
LOSSES: list[Loss] = ["relativistic", "hinge"]
TABLE = Columns((Numeric("a"), Categorical("b", 3), Numeric("c"), Categorical("d", 2)))


def small(space: Space, classes: int = 0, loss: Loss = "relativistic", seed: int = 0) -> GAN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = Config(loss=loss, latent=4, width=16)
        return GAN(space, Classes(classes) if classes else None, config)


def learner_of(model: GAN) -> Adversaries:
    learner = model.learner()
    assert isinstance(learner, Adversaries)
    return learner


def points(n: int) -> Batch:
    return Batch(torch.randn(n, 2, generator=torch.Generator().manual_seed(5)), None, 1.0)


def test_losses_at_known_scores() -> None:
    real, made = torch.tensor([0.0, 2.0, -3.0]), torch.tensor([0.0, -2.0, 1.0])
    log = [math.log(2.0), math.log1p(math.exp(-4.0)), math.log1p(math.exp(4.0))]
    torch.testing.assert_close(discriminator_loss("relativistic", real, made), torch.tensor(log))
    torch.testing.assert_close(discriminator_loss("hinge", real, made), torch.tensor([2.0, 0.0, 6.0]))
    torch.testing.assert_close(generator_loss("hinge", real, made), torch.tensor([0.0, 2.0, -1.0]))
    mirrored = discriminator_loss("relativistic", made, real)
    torch.testing.assert_close(generator_loss("relativistic", real, made), mirrored)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_the_two_losses(loss: Loss) -> None:
    model = small(Reals((2,)), loss=loss)
    batch = points(32)  # at progress 1, where the noise is 0 and gamma has settled
    numbers = learner_of(model).gradients(batch, Noise.step(0, 0, 32))
    labels = model.labels(None, 32)
    made = model.make(Noise.step(0, 0, 32), labels)
    real, fake = model.judge(batch.x, labels), model.judge(made, labels)
    wanted = torch.autograd.grad(
        generator_loss(loss, real, fake).mean(), list(model.generator.parameters()), retain_graph=True
    )
    for parameter, gradient in zip(model.generator.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-4)

    penalties = []
    for seen in (batch.x, made.detach()):
        seen = seen.clone().requires_grad_()
        (slope,) = torch.autograd.grad(model.judge(seen, labels).sum(), seen, create_graph=True)
        penalties.append(slope.square().sum(1).mean())
    gamma = model.config.gamma * model.config.settled
    penalty = sum(penalties, torch.zeros(())) if loss == "relativistic" else penalties[0]
    total = discriminator_loss(loss, real, fake).mean() + 0.5 * gamma * penalty
    players = list(model.discriminator.parameters())
    for parameter, gradient in zip(players, torch.autograd.grad(total, players, allow_unused=True), strict=True):
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found, torch.zeros_like(found) if gradient is None else gradient)
    assert numbers["r1"] == pytest.approx(penalties[0].item(), rel=1e-5)
    assert numbers["r2"] == pytest.approx(penalties[1].item(), rel=1e-5)
    assert numbers["margin"] == pytest.approx((real - fake).mean().item(), abs=1e-6)


def test_the_penalty_of_a_linear_discriminator_is_its_squared_weight() -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([3.0, -4.0]))

        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            return (x @ self.weight).unsqueeze(1)

    model = small(Reals((2,)))
    model.discriminator = Linear()  # type: ignore[assignment]
    numbers = learner_of(model).gradients(points(8), Noise.step(0, 0, 8))
    assert numbers["r1"] == numbers["r2"] == pytest.approx(25.0)


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_gradient_that_is_not_finite_moves_neither_player(player: str) -> None:
    model = small(Reals((2,)))
    learner = learner_of(model)
    learner.step(points(16), Noise.step(0, 0, 16))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    broken = next(model.get_submodule(player).parameters())
    hook = broken.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(NonFinite, match=player):
        learner.step(Batch(points(16).x, None, 0.3), Noise.step(0, 1, 16))
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())
    hook.remove()
    learner.step(Batch(points(16).x, None, 0.3), Noise.step(0, 1, 16))
    assert not torch.equal(before[f"{player}.enter.weight"], model.get_parameter(f"{player}.enter.weight"))


def test_the_discriminator_sees_items_of_the_space_and_the_gradient_passes_through() -> None:
    spaces: list[Space] = [TABLE, Levels((1, 2, 2), 5)]
    for space in spaces:
        model = small(space)
        made = model.make(Noise.step(0, 0, 20), model.labels(None, 20))
        drawn = model.draw(Noise.step(0, 0, 20))
        assert space.holds(drawn)
        torch.testing.assert_close(made.detach(), model.view(drawn), atol=1e-5, rtol=1e-5)
        (made * torch.arange(1, made.shape[1] + 1)).sum().backward()
        assert isinstance(model.generator, Player)
        last = model.generator.body[-1]
        assert isinstance(last, nn.Linear)
        gradient = last.weight.grad
        assert isinstance(gradient, Tensor)
        assert bool((gradient.abs().sum(1) > 0).all())


def test_categories_are_drawn_as_often_as_the_generator_says() -> None:
    space = Columns((Categorical("a", 3),))
    model = small(space)
    assert isinstance(model.generator, Player)
    final = model.generator.body[-1]
    assert isinstance(final, nn.Linear)
    nn.init.zeros_(final.weight)
    final.bias.data = torch.tensor([0.5, 0.2, 0.3]).log()
    shares = model.draw(Noise.step(0, 0, 20_000))[:, 0].long().bincount(minlength=3) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.2, 0.3]), atol=0.015, rtol=0.0)


def test_without_a_class_one_is_drawn_as_often_as_training_had_it() -> None:
    model = small(Reals((2,)), classes=3)
    learner = learner_of(model)
    learner.step(Batch(points(8).x, torch.full((8,), 1), 0.0), Noise.step(0, 0, 8))
    learner.finish()
    assert model.seen.tolist() == [0, 0, 8, 0]
    rows = range(12)
    asked = model.draw(Noise.rows(0, rows), torch.full((12,), 1))
    assert torch.equal(model.draw(Noise.rows(0, rows)), asked)
    assert not torch.equal(model.draw(Noise.rows(0, rows), torch.full((12,), 2)), asked)


def test_it_has_no_likelihood() -> None:
    assert not isinstance(small(Reals((2,))), HasLogProb)


def test_finishing_puts_the_averaged_generator_in_place() -> None:
    model = small(Reals((2,)))
    learner = learner_of(model)
    for i in range(5):
        learner.step(Batch(points(16).x, None, i / 5), Noise.step(0, i, 16))
    averaged = learner.state_dict()["average"]["values"]
    learner.finish()
    assert all(torch.equal(a, p) for a, p in zip(averaged, model.generator.parameters(), strict=True))


@pytest.mark.slow
def test_all_eight_modes_are_covered_in_four_of_five_seeds() -> None:
    x, _ = problems.draw(problems.RING, 8192, seed=1)
    angle = torch.arange(8) * (math.pi / 4)
    centres = torch.stack([angle.cos(), angle.sin()], 1) * 2.0 / 1.5
    steps, covered = 800, []
    for seed in range(5):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = GAN(problems.RING, None, Config())
        learner = model.learner()
        for i in range(steps):
            rows = Noise.step(1000 + seed, i, 128).integers(len(x))
            learner.step(Batch(x[rows], None, i / steps), Noise.step(seed, i, 128))
        learner.finish()
        near = torch.cdist(model.draw(Noise.rows(3, range(2000))), centres) < 3 * 0.2 / 1.5
        covered.append(int((near.float().mean(0) >= 0.02).sum()))
    assert sum(modes >= 7 for modes in covered) >= 4


@pytest.mark.slow
def test_it_learns_which_class_was_asked_for() -> None:
    x, labels = problems.draw(problems.RING, 8192, seed=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GAN(problems.RING, Classes(2), GAN.tiny(problems.RING).config)
    learner = model.learner()
    for i in range(800):
        rows = Noise.step(7, i, 128).integers(len(x))
        learner.step(Batch(x[rows], labels[rows], i / 800), Noise.step(0, i, 128))
    learner.finish()
    asked = torch.arange(1000) % 2
    drawn = model.draw(Noise.rows(3, range(1000)), asked)
    octant = torch.round(torch.atan2(drawn[:, 1], drawn[:, 0]) / (math.pi / 4)).long() % 2
    assert float((octant == asked).float().mean()) >= 0.65  # the classes alternate round the ring; chance is 0.5


def test_large_pictures_are_made_by_convolutions() -> None:
    space = Levels((1, 17, 18), 256)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GAN(space, Classes(2), Config(width=32, latent=4))
    x = torch.randint(256, (8, *space.shape), generator=torch.Generator().manual_seed(0))
    learner = model.learner()
    assert learner.batch == 32
    learner.step(Batch(x, torch.arange(8) % 2), Noise.step(0, 0, 8))
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    assert isinstance(model.discriminator, Reader)
    made = model.draw(Noise.rows(0, range(3)), torch.tensor([0, 1, -1]))
    assert space.holds(made)
    assert not torch.equal(made[0], made[1])
