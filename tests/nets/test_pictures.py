"""Convolutional readers and writers: any size, every parameter learns, and the cost is what torch counts."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from makar.core.spaces import Levels, Reals, Tokens
from makar.nets.pictures import Reader, Writer, large_picture


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 50), (2, 64, 33)])
def test_any_size_is_read_and_written_at_the_cost_that_is_counted(shape: tuple[int, int, int]) -> None:
    size = shape[0] * shape[1] * shape[2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reader, writer = Reader(shape, 5, 3, 8, 16), Writer(5, shape, 3, 8, 16, maps=2)
    labels = torch.tensor([0, -1])
    x = torch.randn(2, size, generator=torch.Generator().manual_seed(0))
    z = reader(x, labels)
    out = writer(z, labels)
    assert z.shape == (2, 5)
    assert out.shape == (2, 2 * size)
    out.square().sum().backward()
    for name, p in [*reader.named_parameters(), *writer.named_parameters()]:
        assert p.grad is not None, name
        assert bool(p.grad.any()), name
    for net, given in ((reader, x), (writer, z.detach())):
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            net(given[:1], labels[:1])
        assert net.flops() == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_signals_keep_their_size() -> None:
    """From noise of unit size come pictures of unit size, that differ from one another: a GAN can begin."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        writer = Writer(32, (1, 28, 28), 0, 16, 128)
    out = writer(torch.randn(64, 32, generator=torch.Generator().manual_seed(0)), torch.full((64,), -1))
    assert 0.3 < float(out.detach().std(0).mean()) < 3.0


def test_a_fresh_writer_shows_no_grid_of_patches() -> None:
    """Neighbours across the edge of two patches differ no more than the smoothness within patches lets expect."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        writer = Writer(32, (1, 64, 64), 0, 16, 128)
    out = writer(torch.randn(64, 32, generator=torch.Generator().manual_seed(0)), torch.full((64,), -1))
    inner = out.detach().reshape(64, 16, 4, 64)[:, 1:-1]
    assert float((inner[:, :, 1] - inner[:, :, 2]).square().mean() / inner.var(0).mean()) < 0.05


def test_what_is_a_large_picture() -> None:
    assert large_picture(Levels((1, 28, 28), 256))
    assert not large_picture(Levels((1, 8, 8), 17))
    assert not large_picture(Reals((3, 64, 64)))
    assert not large_picture(Tokens(5, 1000))
