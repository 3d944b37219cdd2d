"""The PixelCNN: an exact likelihood, and drawing that does only the new pixel's work and gives the same pixels."""

from __future__ import annotations

import itertools
import time

import pytest
import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels
from makar.families.pixelcnn import Config, PixelCNN
from makar.samplers.ancestral import Ancestral
from makar.samplers.ancestral import Config as Cut


def built(space: Levels, classes: int = 2, config: Config | None = None) -> PixelCNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = PixelCNN(space, Classes(classes) if classes else None, config or Config(width=8, layers=2, dropout=0.0))
        torch.nn.init.normal_(model.net.head.weight, std=0.5)
        if model.net.expected is not None:
            torch.nn.init.normal_(model.net.expected, std=0.5)
    return model.eval()


def raster(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(1)


@pytest.mark.parametrize("classes", [0, 2])
def test_probabilities_of_all_binary_pictures_sum_to_one(classes: int) -> None:
    model = built(Levels((1, 2, 2), 2), classes).double()
    every = torch.tensor(list(itertools.product(range(2), repeat=4))).reshape(16, 1, 2, 2)
    for label in (-1, 1):
        labels = torch.full((16,), label)
        nats = model.log_prob(every, Noise.rows(0, range(16)), labels).nats
        assert nats.exp().sum().item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("space", [Levels((1, 4, 3), 5), Levels((3, 2, 3), 4)], ids=str)
def test_cached_logits_are_the_uncached_and_give_the_likelihood(space: Levels) -> None:
    model = built(space)
    x = torch.randint(space.levels, (3, *space.shape), generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, -1])
    symbols, cache = raster(x), None
    assert torch.equal(model.finish(symbols, Noise.rows(0, range(3))), x)
    nats = model.symbol_nats(x, labels)
    for t in range(model.length):
        cached, cache = model.next(symbols[:, :t], cache, labels)
        assert torch.allclose(cached, model.next(symbols[:, :t], None, labels)[0], atol=1e-5)
        assert torch.allclose(cached.log_softmax(1).gather(1, symbols[:, t : t + 1])[:, 0], nats[:, t], atol=1e-5)
    with pytest.raises(ValueError, match="all are there"):
        model.next(symbols, cache, labels)


def naive(model: PixelCNN, noise: Noise, labels: Tensor) -> Tensor:
    """Draws by running the whole net on the whole picture for every value."""
    assert isinstance(model.space, Levels)
    channels, height, width = model.space.shape
    x = torch.zeros(noise.batch, channels, height, width, dtype=torch.int64)
    for r, c, k in itertools.product(range(height), range(width), range(channels)):
        x[:, k, r, c] = noise.choice(model.net(x, labels)[:, r, c, k])
    return x


@pytest.mark.parametrize("space", [Levels((1, 8, 8), 17), Levels((3, 4, 5), 6)], ids=str)
def test_cached_drawing_gives_the_pixels_of_the_naive(space: Levels) -> None:
    model = built(space, config=Config(width=16, layers=4))
    labels = torch.arange(8) % 3 - 1
    with torch.inference_mode():
        fast = Ancestral(Cut()).sample(model, Noise.rows(0, range(8)), labels)
        assert torch.equal(fast, naive(model, Noise.rows(0, range(8)), labels))


@pytest.mark.slow
@pytest.mark.parametrize(("side", "rows", "gain"), [(8, 32, 10.0), (28, 16, 30.0)])
def test_cached_drawing_is_faster(side: int, rows: int, gain: float) -> None:
    model = built(Levels((1, side, side), 17), config=Config())
    labels = torch.zeros(rows, dtype=torch.int64)
    with torch.inference_mode():
        start = time.process_time()
        Ancestral(Cut()).sample(model, Noise.rows(0, range(rows)), labels)
        fast = time.process_time() - start
        x = torch.zeros(rows, 1, side, side, dtype=torch.int64)
        start = time.process_time()
        model.net(x, labels)
        slow = (time.process_time() - start) * side * side
    assert slow > gain * fast


def test_loss_is_the_likelihood_and_prepare_sets_the_start() -> None:
    space = Levels((1, 2, 2), 3)
    model = built(space, classes=0)
    x = torch.tensor([0, 0, 0, 1, 1, 2, 0, 0]).reshape(2, 1, 2, 2)
    noise = Noise.step(0, 0, 2)
    assert torch.allclose(model.loss(Batch(x), noise), -model.log_prob(x, noise).nats)
    torch.nn.init.zeros_(model.net.head.weight)
    model.learner().prepare(x, None)
    share = torch.tensor([5.1, 2.1, 1.1]) / 8.3
    assert torch.allclose(model.symbol_nats(x), share.log()[x.flatten(1)], atol=1e-5)


def test_is_for_pictures() -> None:
    with pytest.raises(TypeError, match="pictures"):
        PixelCNN(Levels((4,), 3), None, Config())
