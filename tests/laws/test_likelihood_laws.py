"""Laws of every family that has a likelihood: it sums or integrates to one, and it belongs to what is drawn."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from makar.core import registry
from makar.core.model import HasLogProb, Model
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Reals, Space, Tokens
from makar.verbs.budget import Budget
from makar.verbs.train import Run, make_model, training
from tests.laws import problems

SMALL_PICTURE = Levels((1, 2, 2), 3)
SMALL_CHAIN = Tokens(3, 4)


def names(space: Space) -> list[str]:
    return [
        name
        for name in registry.modules("families")
        if issubclass(registry.load("families", name), HasLogProb)
        and isinstance(space, registry.load("families", name).spaces)
    ]


def train(name: str, space: Space, x: Tensor, steps: int) -> Model:
    settings = dict(vars(registry.load("families", name).tiny(space).config))
    run = Run(make_model(name, space, None, settings, 0), x, None, Budget(steps=steps), 0)
    for _ in training(run):
        pass
    return run.model


def every(space: Levels | Tokens) -> Tensor:
    symbols = space.levels if isinstance(space, Levels) else space.vocab
    shape = space.shape if isinstance(space, Levels) else (space.length,)
    return torch.tensor(list(itertools.product(range(symbols), repeat=math.prod(shape)))).reshape(-1, *shape)


def biased(space: Levels | Tokens, n: int) -> Tensor:
    """Training items that are far from uniform."""
    g = torch.Generator().manual_seed(0)
    shape = space.shape if isinstance(space, Levels) else (space.length,)
    first = torch.randint(2, (n, 1), generator=g)
    return (first + torch.randint(2, (n, math.prod(shape)), generator=g)).clamp(max=2).reshape(n, *shape)


def total(model: Model, items: Tensor, repeats: int) -> tuple[float, str]:
    """The sum of exp log_prob over all items; a bound is averaged over its own chance, in nats."""
    assert isinstance(model, HasLogProb)
    nats = torch.zeros(len(items), dtype=torch.float64)
    kind = ""
    with torch.no_grad():
        for r in range(repeats):
            result = model.log_prob(items, Noise.rows(r, range(len(items))))
            nats, kind = nats + result.nats.double() / repeats, result.kind
    return float(nats.exp().sum()), kind


@pytest.mark.parametrize("name", names(SMALL_PICTURE))
def test_picture_probabilities_sum_to_one(name: str) -> None:
    model = train(name, SMALL_PICTURE, biased(SMALL_PICTURE, 500), 20)
    value, kind = total(model, every(SMALL_PICTURE), 1 if kind_of(model) == "exact" else 8)
    if kind == "exact":
        assert value == pytest.approx(1.0, abs=1e-4)
    elif kind == "lower":
        assert 0.0 < value <= 1.02  # a bound on every log-probability: the sum cannot pass one
    else:
        assert 0.3 < value < 2.0


def kind_of(model: Model) -> str:
    assert isinstance(model, HasLogProb)
    with torch.no_grad():
        return model.log_prob(every(SMALL_PICTURE)[:2], Noise.rows(0, [0, 1])).kind


@pytest.mark.parametrize("name", names(SMALL_CHAIN))
def test_sequence_probabilities_sum_to_one(name: str) -> None:
    model = train(name, SMALL_CHAIN, biased(SMALL_CHAIN, 500), 20)
    value, kind = total(model, every(SMALL_CHAIN), 1)
    assert kind == "exact"
    assert value == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("name", names(Reals((2,))))
def test_density_integrates_to_one(name: str) -> None:
    x, _ = problems.draw(problems.RING, 2048, seed=1)
    model = train(name, problems.RING, x, 60)
    assert isinstance(model, HasLogProb)
    with torch.no_grad():
        kind = model.log_prob(x[:2], Noise.rows(0, [0, 1])).kind
    cells, repeats = (160, 1) if kind == "exact" else (60, 2)  # a bound costs more, and is averaged in nats
    side = torch.linspace(-4, 4, cells + 1)
    mass = total(model, torch.cartesian_prod(side, side), repeats)[0] * (8 / cells) ** 2
    if kind == "exact":
        assert mass == pytest.approx(1.0, abs=0.02)
    elif kind == "lower":
        assert 0.0 < mass <= 1.05
    else:
        assert mass == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", names(Reals((3,))))
def test_samples_belong_to_the_density(name: str) -> None:
    """Stein's identity E[x . grad log p(x)] = -d ties what is drawn to what is scored, in three dimensions."""
    from makar.verbs.sample import draw_rows

    x, _ = problems.draw(problems.CLOUD, 2048, seed=1)
    model = train(name, problems.CLOUD, x, 60)
    assert isinstance(model, HasLogProb)
    made = draw_rows(model, 3, range(2000)).requires_grad_()
    result = model.log_prob(made, Noise.rows(0, range(2000)))
    if result.kind != "exact" or not result.nats.requires_grad:
        pytest.skip("the identity needs an exact, differentiable log-density")
    (gradient,) = torch.autograd.grad(result.nats.sum(), made)
    terms = (made * gradient).sum(1).detach().double()
    error = float(terms.std() / len(terms) ** 0.5)
    assert abs(float(terms.mean()) + 3.0) < 5.0 * error + 0.02


def test_an_untrained_uniform_model_has_log2_levels_bits() -> None:
    space = Levels((1, 3, 3), 5)
    model = make_model("independent", space, Classes(2), {}, 0)
    assert isinstance(model, HasLogProb)
    x = torch.zeros((4, 1, 3, 3), dtype=torch.int64)
    nats = model.log_prob(x, Noise.rows(0, range(4)), torch.tensor([0, 1, -1, 0])).nats
    bits = -nats.double() / math.log(2) / 9
    assert torch.allclose(bits, torch.full((4,), math.log2(5), dtype=torch.float64), atol=1e-6)
