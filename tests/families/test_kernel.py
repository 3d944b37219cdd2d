"""Kernel density: scikit-learn's value, exact totals in every space, a sensible bandwidth, and that it copies."""

from __future__ import annotations

import itertools

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KernelDensity
from torch import Tensor

from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Space
from makar.families.kernel import Config, Kernel

TABLE = Columns((Numeric("a"), Categorical("b", 3)))


def fit(space: Space, x: Tensor, labels: Tensor | None = None, classes: int = 0, **settings: float) -> Kernel:
    model = Kernel(space, Classes(classes) if classes else None, Config(**settings))
    learner = model.learner()
    learner.step(Batch(x, labels), Noise.step(0, 0, len(x)))
    assert learner.done
    return model


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def nats(model: Kernel, x: Tensor, labels: Tensor | None = None) -> Tensor:
    result = model.log_prob(x, Noise.rows(0, range(len(x))), labels)
    assert result.kind == "exact"
    return result.nats.double()


def test_density_is_scikit_learns() -> None:
    x, y = normal(80, 3), normal(50, 3, 1)
    model = fit(Reals((3,)), x, bandwidth=0.4)
    wanted = KernelDensity(bandwidth=0.4).fit(x.double().numpy()).score_samples(y.double().numpy())
    assert torch.allclose(nats(model, y), torch.from_numpy(wanted), atol=1e-5)


def test_the_bandwidth_is_about_that_of_theory() -> None:
    """For a Gaussian in one dimension the best bandwidth in squared error is 1.06 n^(-1/5) (Silverman 1986, 3.28)."""
    for n in (100, 1000):
        chosen = float(fit(Reals((1,)), normal(n, 1)).bandwidth[0])
        assert 0.5 < chosen / (1.06 * n**-0.2) < 2.0


def test_the_loss_is_the_leave_one_out_likelihood() -> None:
    x = normal(40, 2)
    model = Kernel(Reals((2,)), None, Config(bandwidth=0.5))
    loss = model.learner().step(Batch(x), Noise.step(0, 0, 40))["loss"]
    one_out = [float(nats(fit(Reals((2,)), x[torch.arange(40) != i], bandwidth=0.5), x[i : i + 1])) for i in range(40)]
    assert loss == pytest.approx(-sum(one_out) / 40, abs=1e-5)


def test_the_chosen_blur_beats_others_on_new_items() -> None:
    x, new = normal(300, 2), normal(2000, 2, 5)
    best = fit(Reals((2,)), x)
    h = float(best.bandwidth[0])
    for factor in (0.3, 3.0):
        assert float(nats(fit(Reals((2,)), x, bandwidth=h * factor), new).mean()) < float(nats(best, new).mean())


@pytest.mark.parametrize("bandwidth", [0.02, 0.3, 2.0])
def test_pictures_sum_to_one_and_are_drawn_as_scored(bandwidth: float) -> None:
    space = Levels((1, 1, 3), 4)
    x = torch.tensor([[0, 1, 3], [3, 3, 3], [0, 0, 2]]).reshape(3, 1, 1, 3)
    model = fit(space, x, bandwidth=bandwidth)
    items = torch.tensor(list(itertools.product(range(4), repeat=3))).reshape(-1, 1, 1, 3)
    p = nats(model, items).exp()
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-5)
    made = model.draw(Noise.rows(0, range(20000)))
    share = torch.bincount((made.reshape(-1, 3) * torch.tensor([16, 4, 1])).sum(1), minlength=64) / 20000
    assert torch.allclose(share.double(), p, atol=0.012)


def test_a_table_integrates_and_sums_to_one_and_is_drawn_as_scored() -> None:
    x = torch.tensor([[0.0, 0.0], [0.2, 0.0], [2.0, 1.0], [2.2, 2.0]])
    model = fit(TABLE, x, bandwidth=0.3, swap=0.1)
    side = torch.arange(-3, 5, 0.01)
    masses = []
    made = model.draw(Noise.rows(0, range(20000)))
    for code in range(3):
        mass = float(nats(model, torch.stack([side, torch.full_like(side, code)], 1)).exp().sum()) * 0.01
        assert float((made[:, 1] == code).double().mean()) == pytest.approx(mass, abs=0.012)
        masses.append(mass)
    assert sum(masses) == pytest.approx(1.0, abs=1e-3)
    own = made[made[:, 1] == 0]
    assert float((own[:, 0] < 1.0).double().mean()) == pytest.approx(0.9 * 0.5 / masses[0], abs=0.02)


def test_codes_tell_on_numbers() -> None:
    g = torch.Generator().manual_seed(0)
    code = torch.randint(3, (600,), generator=g)
    x = torch.stack([code + 0.2 * torch.randn(600, generator=g), code.float()], 1)
    model = fit(TABLE, x)
    assert float(model.swap[0]) < 0.01
    made = model.draw(Noise.rows(0, range(1000)))
    assert TABLE.holds(made)
    assert float((made[:, 0].round() == made[:, 1]).double().mean()) > 0.9


def test_every_class_keeps_to_its_own_items() -> None:
    x = torch.cat([normal(50, 2) - 10, normal(100, 2, 1) + 10])
    labels = torch.tensor([0] * 50 + [1] * 100)
    model = fit(Reals((2,)), x, labels, 2)
    made = model.draw(Noise.rows(0, range(3000)), torch.arange(3000) % 3 - 1)
    which = torch.arange(3000) % 3 - 1
    assert bool((made[which == 0] < 0).all())
    assert bool((made[which == 1] > 0).all())
    assert float((made[which == -1, 0] > 0).double().mean()) == pytest.approx(101 / 152, abs=0.05)
    parts = [nats(model, x, torch.full((150,), c)).exp() for c in (0, 1)]
    assert torch.allclose(nats(model, x).exp(), (51 * parts[0] + 101 * parts[1]) / 152, rtol=1e-4)


def test_sums_over_items_in_pieces_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(100, 2)
    model = fit(Reals((2,)), x)
    whole = nats(model, x)
    monkeypatch.setattr("makar.families.kernel._CHUNK", 300)
    assert torch.allclose(nats(model, x), whole, atol=1e-6)


def test_digits_are_copied() -> None:
    """A draw lies nearer to the item that it blurs than unseen digits lie to any: what a copying score must see."""
    pictures = torch.tensor(load_digits().data).long().reshape(-1, 1, 8, 8)[:700]
    labels = torch.tensor(load_digits().target).long()[:700]
    train, new = pictures[:500], pictures[500:]
    model = fit(Levels((1, 8, 8), 17), train, labels[:500], 10, bandwidth=0.15)
    made = model.draw(Noise.rows(0, range(200)), labels[500:])

    def nearest(x: Tensor) -> float:
        return float(torch.cdist(x.flatten(1).float(), train.flatten(1).float()).min(1).values.mean())

    assert nearest(made) < 0.75 * nearest(new)


def test_before_training_it_draws_in_its_space() -> None:
    for space in (TABLE, Levels((1, 2, 2), 5), Reals((2, 2))):
        assert space.holds(Kernel(space, Classes(2), Config()).draw(Noise.rows(0, range(9))))


def test_restored_and_rearranged_it_draws_the_same() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.stack([torch.randn(60, generator=g), torch.randint(3, (60,), generator=g).float()], 1)
    model, other = fit(TABLE, x, torch.arange(60) % 2, 2), Kernel(TABLE, Classes(2), Config())
    other.restore(dict(model.state_dict()))
    order = [5, 2, 7, 0, 1, 6, 3, 4]
    labels = torch.tensor([0, 1, -1, 0, 1, -1, 0, 1])
    straight = model.draw(Noise.rows(3, range(8)), labels)
    assert torch.equal(other.draw(Noise.rows(3, order), labels[order]), straight[order])
    assert torch.equal(nats(model, x), nats(other, x))
