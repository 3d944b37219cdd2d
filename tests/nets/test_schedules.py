"""Paths between data and noise: their grids end where they say; and inpainting ends with the known part in place."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from makar.core.noise import Noise
from makar.core.spaces import Reals
from makar.families._inpaint import inpaint
from makar.families.diffusion import Config, Diffusion
from makar.nets.schedules import StraightPath, VarianceExploding


@pytest.mark.parametrize("steps", [2, 5, 20])
def test_an_exploding_grid_goes_from_most_to_least_and_then_to_nothing(steps: int) -> None:
    """Karras et al. 2022, eq. 5, written out."""
    grid = VarianceExploding(0.02, 28.0, 7.0).grid(steps)
    wanted = [(28 ** (1 / 7) + i / (steps - 1) * (0.02 ** (1 / 7) - 28 ** (1 / 7))) ** 7 for i in range(steps)]
    assert len(grid) == steps + 1
    torch.testing.assert_close(grid[:-1], torch.tensor(wanted, dtype=torch.float64))
    assert float(grid[0]) == 28.0
    assert float(grid[-2]) == pytest.approx(0.02)
    assert float(grid[-1]) == 0.0


def test_one_step_goes_from_most_to_nothing() -> None:
    assert VarianceExploding(0.02, 28.0).grid(1).tolist() == [28.0, 0.0]


def test_a_straight_grid_is_even() -> None:
    grid = StraightPath().grid(4)
    assert grid.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert all(t > s for t, s in pairwise(grid.tolist()))


def _model() -> Diffusion:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Diffusion(Reals((6,)), None, Config(width=16, depth=1, steps=3, passes=2))
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1 * torch.randn(p.shape))
    return model.eval()


def test_inpainting_ends_with_the_known_part_in_its_place() -> None:
    model = _model()
    known = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([True, True, False, True, False, False]).expand(3, 6)
    with torch.no_grad():
        made = inpaint(model, known, mask, Noise.rows(0, range(3)), None, 3, 2)
    assert torch.equal(made[mask], known[mask])
    assert not torch.equal(made[~mask], known[~mask])


def test_what_is_known_comes_back_to_the_last_bit() -> None:
    """Not by way of standard units and back, which would round it."""
    model = _model()
    x = 0.7 + 3.0 * torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    model.learner().prepare(x, None)
    assert not torch.equal(model.units.inverse(model.units(x)), x)
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    made = model.complete(x, mask, Noise.rows(0, range(50)))
    assert torch.equal(made[mask], x[mask])
