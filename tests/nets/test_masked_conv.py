"""The gated PixelCNN's stacks: what each pixel sees, that nothing is hidden from it, and drawing pixel by pixel."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from makar.core.noise import Noise
from makar.nets.masked_conv import GatedLayer, GatedPixelCNN


def built(shape: tuple[int, int, int], levels: int, layers: int = 3, reach: int = 1, classes: int = 2) -> GatedPixelCNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = GatedPixelCNN(shape, levels, classes, 8, layers, reach)
        torch.nn.init.normal_(net.head.weight)
    return net


def pictures(shape: tuple[int, int, int], levels: int, count: int) -> Tensor:
    return torch.randint(levels, (count, *shape), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("shape", "levels"), [((1, 2, 2), 2), ((2, 1, 2), 2), ((1, 1, 3), 3)])
def test_probabilities_of_all_pictures_sum_to_one(shape: tuple[int, int, int], levels: int) -> None:
    net = built(shape, levels).double()
    size = shape[0] * shape[1] * shape[2]
    every = torch.tensor(list(itertools.product(range(levels), repeat=size))).reshape(-1, *shape)
    for label in (-1, 1):
        nats = net(every, torch.full((len(every),), label)).log_softmax(-1)
        chosen = nats.gather(-1, every.permute(0, 2, 3, 1)[..., None]).flatten(1).sum(1)
        assert chosen.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def seen(net: GatedPixelCNN, row: int, column: int) -> Tensor:
    """Which input pixels move the features at one pixel, bool (H, W), by autograd through the embedded picture."""
    _, rows, columns = net.shape
    e = torch.randn(1, rows, columns, net.width, generator=torch.Generator().manual_seed(2), requires_grad=True)
    net._embedded = lambda x: e  # type: ignore[method-assign]
    features = net.features(torch.zeros(1, 1, rows, columns, dtype=torch.int64), torch.tensor([0]))
    grad = torch.autograd.grad(features[0, row, column].square().sum(), e)[0]
    return grad[0].abs().sum(-1) > 0


@pytest.mark.parametrize("reach", [1, 2])
def test_each_pixel_sees_those_before_it_and_no_other(reach: int) -> None:
    rows, columns = 5, 6
    net = built((1, rows, columns), 4, layers=6, reach=reach)
    order = torch.arange(rows * columns).reshape(rows, columns)
    for row, column in itertools.product(range(rows), range(columns)):
        assert torch.equal(seen(net, row, column), order < order[row, column]), (row, column)


def test_the_field_of_one_layer_has_no_blind_spot() -> None:
    """After n layers of reach 1: n columns to the left and the whole cone above, its right half included."""
    for layers in (1, 2):
        got = seen(built((1, 7, 9), 4, layers=layers), 5, 4)
        expected = torch.zeros(7, 9, dtype=torch.bool)
        expected[5, 4 - layers - 1 : 4] = True
        expected[5 - 1 - layers : 5, 4 - layers : 4 + layers + 1] = True
        assert torch.equal(got, expected)


def test_a_layer_is_masked_convolutions_of_type_b() -> None:
    reach, width = 2, 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layer = GatedLayer(width, reach, 0)
    x = torch.randn(2, 6, 7, width, generator=torch.Generator().manual_seed(4))
    size = 2 * reach + 1
    kernel = torch.zeros(2 * width, width, size, size)
    taps = layer.vertical.weight.reshape(2 * width, reach + 1, size, width)
    kernel[:, :, : reach + 1] = taps.permute(0, 3, 1, 2)
    expected = F.conv2d(x.permute(0, 3, 1, 2), kernel, layer.vertical.bias, padding=reach).permute(0, 2, 3, 1)
    assert torch.allclose(layer.above(F.pad(x, (0, 0, 0, 0, reach, 0))), expected, atol=1e-5)
    kernel = torch.zeros(2 * width, width, 1, size)
    taps = layer.horizontal.weight.reshape(2 * width, reach + 1, width)
    kernel[:, :, 0, : reach + 1] = taps.permute(0, 2, 1)
    expected = F.conv2d(x.permute(0, 3, 1, 2), kernel, layer.horizontal.bias, padding=(0, reach)).permute(0, 2, 3, 1)
    assert torch.allclose(layer.beside(F.pad(x, (0, 0, reach, 0))), expected, atol=1e-5)


def test_a_channel_sees_the_channels_before_it() -> None:
    shape, levels = (3, 2, 2), 3
    net = built(shape, levels)
    x = pictures(shape, levels, 1)
    labels = torch.tensor([1])
    base = net(x, labels)
    raster = torch.arange(12).reshape(2, 2, 3)
    for c, r, w in itertools.product(range(3), range(2), range(2)):
        other = x.clone()
        other[0, c, r, w] = (other[0, c, r, w] + 1) % levels
        moved = (net(other, labels) - base)[0].abs().amax(-1) > 0
        place = raster[r, w, c]
        assert not bool(moved[raster <= place].any())
        assert bool(moved[raster == place + 1].all())


@pytest.mark.parametrize(("shape", "reach"), [((1, 5, 4), 1), ((3, 3, 4), 2), ((1, 1, 5), 1), ((1, 4, 1), 1)])
def test_pixel_by_pixel_it_is_the_whole_picture(shape: tuple[int, int, int], reach: int) -> None:
    net = built(shape, 5, reach=reach)
    x = pictures(shape, 5, 3)
    labels = torch.tensor([-1, 0, 1])
    whole = net.features(x, labels).flatten(1, 2)
    past = None
    for n in range(whole.shape[1]):
        past = net.step(x.flatten(2)[:, :, :n], past, labels)
        assert torch.allclose(past.features, whole[:, n], atol=1e-5)


def test_a_step_cannot_skip_a_pixel() -> None:
    net = built((1, 2, 2), 2)
    with pytest.raises(ValueError, match="pixel 0 comes next"):
        net.step(torch.zeros(1, 1, 2, dtype=torch.int64), None, torch.tensor([0]))


def test_classes_and_dropout_are_heard() -> None:
    net = built((1, 3, 3), 4)
    net.dropout = 0.5
    x = pictures((1, 3, 3), 4, 2)
    labels = torch.tensor([0, 1])
    plain = net(x, labels)
    assert torch.equal(plain, net(x, labels))
    assert not torch.equal(plain, net(x, labels, Noise.step(0, 0, 2)))
    assert not torch.allclose(plain, net(x, torch.tensor([1, 0])), atol=1e-3)


def test_flops_are_those_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    net = built((3, 4, 5), 6)
    with FlopCounterMode(display=False) as counter:
        net(pictures((3, 4, 5), 6, 1), torch.tensor([0]))
    assert net.flops() == counter.get_total_flops()
