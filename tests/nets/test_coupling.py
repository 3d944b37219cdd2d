"""Invertible layers: the inverse inverts, and the log-determinant is autograd's, in two, three and five dimensions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from makar.nets.coupling import AffineCoupling, Chain, Invertible, Mixing, Spline, SplineCoupling

KINDS = ["affine", "spline", "mixing", "chain"]
SIZES = [1, 2, 3, 5]


def layer(kind: str, size: int, moved: float = 0.4) -> Invertible:
    """A layer whose parameters are far from their beginning."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made: Invertible
        if kind == "affine":
            made = AffineCoupling(size, 3, 16, 2, 0.0)
        elif kind == "spline":
            made = SplineCoupling(size, 3, 16, 2, 0.0, bins=5, reach=2.5)
        elif kind == "mixing":
            made = Mixing(size)
        else:
            made = Chain([Mixing(size), SplineCoupling(size, 3, 16, 2, 0.0), Mixing(size),
                          AffineCoupling(size, 3, 16, 2, 0.0)])  # fmt: skip
        with torch.no_grad():
            for p in made.parameters():
                p.add_(moved * torch.randn(p.shape))
    return made.double()


def points(size: int, n: int = 40) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    x = 2.0 * torch.randn(n, size, generator=draw, dtype=torch.float64)  # inside a spline's reach, and outside
    return x, torch.randint(-1, 3, (n,), generator=draw)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_inverse_inverts(kind: str, size: int) -> None:
    f, (x, labels) = layer(kind, size), points(size)
    z, _ = f(x, labels)
    assert float((z - x).detach().abs().max()) > 0.1
    torch.testing.assert_close(f.inverse(z, labels), x, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(f(f.inverse(x, labels), labels)[0], x, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_log_determinant_is_autograds(kind: str, size: int) -> None:
    f, (x, labels) = layer(kind, size), points(size, 12)
    _, volume = f(x, labels)
    for i in range(len(x)):
        label = labels[i : i + 1]
        jacobian = torch.func.jacrev(lambda v, c: f(v.unsqueeze(0), c)[0][0])(x[i], label)
        torch.testing.assert_close(volume[i], torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_in_single_precision_the_round_trip_is_close(kind: str) -> None:
    f, (x, labels) = layer(kind, 3, moved=0.1).float(), points(3, 200)
    z, _ = f(x.float(), labels)
    assert float((f.inverse(z, labels) - x.float()).detach().abs().max()) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_label_is_heard(kind: str) -> None:
    f, (x, _) = layer(kind, 2), points(2)
    apart = [f(x, torch.full((len(x),), c))[0] for c in (-1, 0, 2)]
    if kind == "mixing":
        assert torch.equal(apart[0], apart[1])
    else:
        assert not torch.allclose(apart[0], apart[1])
        assert not torch.allclose(apart[1], apart[2])


@pytest.mark.parametrize("make", [AffineCoupling, SplineCoupling])
def test_a_coupling_begins_as_the_identity(make: type[AffineCoupling] | type[SplineCoupling]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        f = make(5, 0, 16, 2, 0.0)
    x, labels = points(5)
    z, volume = f(x.float(), labels)
    torch.testing.assert_close(z, x.float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(volume, torch.zeros(len(x)), rtol=0, atol=1e-4)


def test_a_spline_is_increasing_and_meets_its_tails() -> None:
    raw = torch.randn(1, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    spline = Spline.read(raw.expand(1001, 14), 5, 2.0)
    x = torch.linspace(-3, 3, 1001, dtype=torch.float64).unsqueeze(1)
    y, slope = spline(x)
    assert bool((y.diff(dim=0) > 0).all())
    outside = x.abs() >= 2.0
    assert torch.equal(y[outside], x[outside])
    ends = torch.tensor([[-2.0 + 1e-9], [2.0 - 1e-9]], dtype=torch.float64)
    y, slope = Spline.read(raw.expand(2, 14), 5, 2.0)(ends)
    torch.testing.assert_close(y, ends, rtol=0, atol=1e-7)
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-6)
