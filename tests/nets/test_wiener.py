"""The linear denoiser: the known answer for a known covariance, both Gram matrices, and what few items leave open."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from makar.nets.wiener import Wiener, cosines, principal


def items(n: int, size: int) -> Tensor:
    """Centred items, whose variance falls from dimension to dimension and which are correlated."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(n, size, generator=draw) * torch.linspace(2.0, 0.2, size) @ torch.randn(size, size, generator=draw)
    return x - x.mean(0)


@pytest.mark.parametrize("n", [8, 200])
def test_principal_directions_are_those_of_the_covariance(n: int) -> None:
    x = items(n, 12)
    basis, variances, rest = principal(x, 5)
    wanted, _ = torch.linalg.eigh(x.double().T @ x.double() / n)
    torch.testing.assert_close(variances, wanted.flip(0)[:5], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(basis @ basis.T, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-4)
    torch.testing.assert_close((x.double() @ basis.T).square().mean(0), variances, rtol=1e-4, atol=1e-6)
    assert rest == pytest.approx(float(wanted.flip(0)[5:].sum()) / 7, rel=1e-3)


def test_fewer_items_than_directions_leave_zeros() -> None:
    basis, variances, _ = principal(items(4, 12), 6)
    assert bool(variances[:3].gt(0).all())
    assert not bool(variances[3:].any() or basis[3:].any())


def test_of_a_whole_covariance_it_is_wieners_filter() -> None:
    x = items(300, 6)
    model = Wiener((6,))
    model.fit(x)
    covariance = x.T @ x / len(x)
    wanted = x @ torch.linalg.solve(covariance + 0.3 * torch.eye(6), covariance)
    torch.testing.assert_close(model(x, lambda v: v / (v + 0.3)), wanted, rtol=1e-3, atol=1e-3)


def test_what_is_left_of_pictures_is_told_by_frequency() -> None:
    """Rows of constant brightness and a little snow: the filter takes away most of fresh snow and keeps the rows."""
    draw = torch.Generator().manual_seed(1)
    clean = torch.randn(400, 1, 12, 1, generator=draw).cumsum(2).expand(-1, -1, -1, 10).contiguous()
    clean = clean - clean.mean(0)
    model = Wiener((1, 12, 10), rank=3)
    model.fit(clean)
    fresh = clean[:50] + 0.5 * torch.randn(50, 1, 12, 10, generator=draw)
    left = model(fresh, lambda v: v / (v + 0.25)) - clean[:50]
    assert float(left.square().mean()) < 0.15 * 0.25
    same = model(fresh, torch.ones_like)
    torch.testing.assert_close(same, fresh, rtol=1e-4, atol=1e-4)


def test_cosines_are_orthonormal() -> None:
    table = cosines(7)
    torch.testing.assert_close(table @ table.T, torch.eye(7, dtype=torch.float64), rtol=0, atol=1e-12)
