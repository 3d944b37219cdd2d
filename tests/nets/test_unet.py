"""The U-Net: odd sizes, skips in use, every parameter learns, rows are their own, and the cost is what torch counts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from makar.core.errors import MakarError
from makar.nets.unet import Attention, Flat, Patched, Seen, UNet, backbone, backbone_flops


def small(channels: int = 2, classes: int = 3) -> UNet:
    """A U-Net whose zeroed layers have been moved, as training would."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = UNet(channels, classes, width=16, mults=(1, 2, 2), depth=1)
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.1 * torch.randn(p.shape))
    return net


def inputs(height: int, width: int, channels: int = 2, batch: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(batch, channels, height, width, generator=draw)
    return x, torch.rand(batch, generator=draw), torch.tensor([0, -1, 2])[:batch]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 7), (5, 4), (17, 3), (1, 1)])
def test_any_size_goes_in_and_comes_out(height: int, width: int) -> None:
    x, t, labels = inputs(height, width)
    assert small()(x, t, labels).shape == x.shape


def test_it_begins_at_zero() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = UNet(1, 0, width=16)
    x, t, labels = inputs(8, 8, channels=1)
    assert not bool(net(x, t, labels).any())


def test_every_parameter_gets_a_gradient() -> None:
    net = small()
    net(*inputs(9, 7)).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert bool(p.grad.any()), name


def test_skips_are_used() -> None:
    """Without what comes up from below, a change of one pixel still reaches the output through the skips alone."""
    net = small()
    x, t, labels = inputs(8, 8)
    net.after.register_forward_hook(lambda module, given, out: torch.zeros_like(out))
    moved = x.clone()
    moved[:, :, 2, 3] += 1.0
    assert not torch.allclose(net(x, t, labels), net(moved, t, labels))


def test_attention_reaches_everywhere() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = Attention(16)
        with torch.no_grad():
            layer.out.weight.add_(torch.randn(layer.out.weight.shape))
    x = torch.randn(1, 16, 6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, :, 0, 0].sum(), x)
    assert bool(gradient.abs().sum(1).gt(0).all())


def test_time_and_label_are_heard() -> None:
    net = small()
    x, t, labels = inputs(6, 6)
    out = net(x, t, labels)
    assert not torch.allclose(out, net(x, t + 0.3, labels))
    assert not torch.allclose(out, net(x, t, torch.tensor([1, 1, 1])))


def test_a_row_depends_on_itself_alone() -> None:
    net = small()
    x, t, labels = inputs(7, 6)
    other = torch.cat([x[:1] * 5.0, x[1:2], x[2:] - 3.0])
    torch.testing.assert_close(net(x, t, labels)[1], net(other, t, labels)[1], rtol=1e-5, atol=1e-5)


def test_the_cost_is_what_torch_counts() -> None:
    net = small()
    x, t, labels = inputs(9, 7, batch=1)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(x, t, labels)
    assert net.flops(9, 7) == pytest.approx(counter.get_total_flops(), rel=0.02)


def seen(x: Tensor, rank: int) -> Seen:
    """The first `rank` values of a picture stand for its coordinates."""
    size = x[0].numel()
    return Seen(x.flatten(1)[:, :rank], lambda z: torch.nn.functional.pad(z, (0, size - rank)).reshape(x.shape))


@pytest.mark.parametrize(("height", "width", "patch"), [(28, 28, 2), (64, 50, 4), (17, 20, 2), (33, 65, 8)])
def test_over_patches_any_size_comes_out_and_costs_what_torch_counts(height: int, width: int, patch: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = backbone((2, height, width), 3, "auto", 96, 2, 16)
        assert isinstance(net, Patched)
        assert net.patch == patch
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.1 * torch.randn(p.shape))
    x, t, labels = inputs(height, width)
    assert net(x, t, labels, seen(x, 16)).shape == x.shape
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(x[:1], t[:1], labels[:1], seen(x[:1], 16))
    assert backbone_flops(net, (2, height, width)) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_coarse_and_fine_nets_are_both_heard() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = backbone((1, 20, 18), 0, "auto", 96, 2, 8)
        with torch.no_grad():
            for p in net.parameters():
                p.add_(0.1 * torch.randn(p.shape))
    x, t, labels = inputs(20, 18, channels=1)
    net(x, t, labels, seen(x, 8)).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert bool(p.grad.any()), name


def test_the_backbone_fits_the_shape() -> None:
    with torch.random.fork_rng(devices=[]):
        assert isinstance(backbone((3, 32, 32), 0, "unet", 64, 2, 9), UNet)
        assert isinstance(backbone((3, 32, 32), 0, "auto", 64, 2, 9), Patched)
        assert isinstance(backbone((1, 8, 8), 0, "auto", 64, 2, 9), Flat)
        assert isinstance(backbone((3, 32, 32), 0, "mlp", 64, 2, 9), Flat)
        assert isinstance(backbone((500,), 0, "auto", 64, 2, 9), Flat)
        assert backbone_flops(backbone((4,), 0, "auto", 8, 1, 4), (4,)) > 0
        with pytest.raises(MakarError, match="U-Net is for pictures"):
            backbone((500,), 0, "unet", 64, 2, 9)
