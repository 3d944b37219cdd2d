"""The rotation to principal coordinates: it inverts, its volume is autograd's, what it makes is white, few items do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from makar.nets.coupling import AffineCoupling, Chain
from makar.nets.principal import Leading, Principal

NONE = torch.zeros(0)


def fitted(n: int, size: int = 24, rank: int = 10) -> tuple[Principal, Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(n, size, generator=draw) @ (torch.randn(size, size, generator=draw) * torch.linspace(2, 0.1, size))
    x = x - x.mean(0)
    model = Principal(size, rank)
    model.fit(x)
    return model, x


@pytest.mark.parametrize("n", [400, 6])
def test_it_inverts_and_its_volume_is_that_of_autograd(n: int) -> None:
    model, x = fitted(n)
    z, volume = model(x, NONE)
    torch.testing.assert_close(model.inverse(z, NONE), x, rtol=1e-4, atol=1e-3)
    jacobian = torch.func.jacrev(lambda v: model(v[None], NONE)[0][0])(x[0])
    assert float(volume[0]) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]), abs=1e-3)


def test_the_first_coordinates_are_white() -> None:
    model, x = fitted(400)
    z = model(x, NONE)[0][:, :10]
    torch.testing.assert_close(z.T @ z / len(z), torch.eye(10), rtol=0, atol=1e-3)


def test_before_it_is_fitted_it_is_the_identity() -> None:
    x = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    z, volume = Principal(7, 3)(x, NONE)
    assert torch.equal(z, x)
    assert not bool(volume.any())


def test_a_chain_on_the_first_leaves_the_others() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Leading(4, Chain([AffineCoupling(4, 0, 8, 2, 0.0)]))
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn(p.shape))
    x = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    z, volume = model(x, torch.full((5,), -1))
    assert torch.equal(z[:, 4:], x[:, 4:])
    assert not torch.equal(z[:, :4], x[:, :4])
    torch.testing.assert_close(model.inverse(z, torch.full((5,), -1)), x, rtol=1e-5, atol=1e-5)
    assert volume.shape == (5,)
