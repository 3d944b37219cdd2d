"""Spaces, digests, configurations, errors and learners: small laws of the core."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from makar.core import config, registry, spaces
from makar.core.artifact import Artifact
from makar.core.digest import digest
from makar.core.errors import MakarError, NonFinite
from makar.core.learner import Average, Batch, Descent, Optimiser, annealed
from makar.core.noise import Noise
from makar.core.spaces import Categorical, Classes, Columns, Levels, Numeric, Reals, Tokens

TABLE = Columns((Numeric("a"), Categorical("b", 3)))


@pytest.mark.parametrize("space", [Tokens(5, 7), Reals((2, 3)), Levels((1, 8, 8), 17), TABLE, Classes(4)])
def test_spaces_survive_json(space: object) -> None:
    assert spaces.from_json(spaces.to_json(space)) == space  # type: ignore[arg-type]


def test_spaces_hold_what_they_say() -> None:
    assert Tokens(5, 3).holds(torch.tensor([[0, 4, -1]]))
    assert not Tokens(5, 3).holds(torch.tensor([[0, 5, 1]]))
    assert not Tokens(5, 3).holds(torch.zeros(1, 4, dtype=torch.int64))
    assert Levels((1, 2, 2), 3).holds(torch.full((2, 1, 2, 2), 2))
    assert not Levels((1, 2, 2), 3).holds(torch.full((2, 1, 2, 2), 3))
    assert not Reals((2,)).holds(torch.tensor([[float("nan"), 0.0]]))
    assert TABLE.holds(torch.tensor([[0.3, 2.0]]))
    assert not TABLE.holds(torch.tensor([[0.3, 1.5]]))
    assert Classes(2).holds(torch.tensor([-1, 0, 1]))


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(MakarError, match="a space must be one of"):
        spaces.from_json({"space": "Banana"})


def test_digests_tell_values_apart() -> None:
    values = [
        None, 0, 0.0, "0", b"0", [0], [[0]], {"0": 0}, ["a", "b"], ["ab"], ["a", ["b"]], True, "", [], {},
        torch.tensor([0.0]), torch.tensor([0]), torch.tensor([[0.0]]), np.array([0.0]), np.array([0], dtype=np.uint8),
    ]  # fmt: skip
    assert len({digest(v) for v in values}) == len(values)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_an_artifact_is_its_recipe_parents_and_content() -> None:
    one = Artifact("picture", np.zeros(3), {"seed": 1}, ("p",))
    assert one.id == Artifact("picture", np.zeros(3), {"seed": 1}, ("p",), {"cpu": 3.0}, {"cores": 2}).id
    assert one.id != Artifact("picture", np.zeros(3), {"seed": 2}, ("p",)).id
    assert one.id != Artifact("picture", np.ones(3), {"seed": 1}, ("p",)).id
    assert one.id != Artifact("picture", np.zeros(3), {"seed": 1}, ("q",)).id


@dataclass(frozen=True)
class Settings:
    width: int = 4
    kind: Literal["a", "b"] = "a"
    pairs: tuple[tuple[str, str], ...] = ()


def test_configurations_are_checked() -> None:
    assert config.build(Settings, {"width": 8, "pairs": [["x", "y"]]}, "it") == Settings(8, pairs=(("x", "y"),))
    with pytest.raises(MakarError, match="did you mean 'width'"):
        config.build(Settings, {"widht": 8}, "it")
    with pytest.raises(MakarError, match="setting 'kind' was given 'c'"):
        config.build(Settings, {"kind": "c"}, "it")


def test_an_unknown_part_is_named_with_its_nearest() -> None:
    with pytest.raises(MakarError, match="did you mean"):
        registry.load("families", "gausian")


@pytest.mark.parametrize("room", ["families", "codecs", "samplers", "metrics"])
def test_every_part_loads_and_has_a_line(room: str) -> None:
    for name in registry.modules(room):
        assert registry.load(room, name)
        assert len(registry.summary(room, name)) > 10


def test_the_rate_warms_up_and_anneals() -> None:
    assert annealed(0.0, 0.1) == pytest.approx(0.01)
    assert annealed(0.05, 0.1) == pytest.approx(0.5)
    assert annealed(0.1, 0.1) == pytest.approx(1.0)
    assert annealed(0.55, 0.1) == pytest.approx(0.5)
    assert annealed(1.0, 0.1) == pytest.approx(0.0)


def test_the_average_follows_its_formula() -> None:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(0.0)
        average = Average(layer, 0.5)
        expected = 0.0
        for n in range(1, 30):
            layer.weight.fill_(float(n))
            average.update()
            decay = min(0.5, (1 + n) / (10 + n))
            expected = decay * expected + (1 - decay) * n
        average.put()
    assert layer.weight.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bad", ["loss", "gradient"])
def test_a_number_that_is_not_finite_stops_before_the_step(bad: str) -> None:
    layer = nn.Linear(2, 1)

    def loss(batch: Batch, noise: Noise) -> torch.Tensor:
        out: torch.Tensor = layer(batch.x)[:, 0]
        if bad == "loss":
            return out * math.inf
        return (out - out.detach()).abs().sqrt()  # 0, with a gradient that is not a number

    learner = Descent(layer, loss, Optimiser())
    before = [p.detach().clone() for p in layer.parameters()]
    with pytest.raises(NonFinite, match="the step was not taken"):
        learner.step(Batch(torch.ones(3, 2)), Noise.step(0, 0, 3))
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))
