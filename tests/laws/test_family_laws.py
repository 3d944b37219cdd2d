"""The laws that every family obeys, on every space it says it is for. A new family file is held to them as it stands.

`pytest tests/laws --family NAME` holds one family to them, a third party's by its entry point included.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from makar.core import registry, state
from makar.core.model import Denoises, Draws, HasLogProb, Model, PredictsNext
from makar.core.noise import Noise
from makar.core.spaces import Classes, Space
from makar.verbs.budget import Budget
from makar.verbs.sample import TILE, draw_rows
from makar.verbs.train import Run, make_model, training
from tests.laws import problems


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    only = metafunc.config.getoption("--family")
    names = [only] if only else list(registry.modules("families"))
    cases = [
        pytest.param((name, space), id=f"{name}-{label}")
        for name in names
        for label, space in problems.SPACES.items()
        if isinstance(space, registry.load("families", name).spaces)
    ]
    metafunc.parametrize("case", cases)


Case = tuple[str, Space]


def tiny(case: Case) -> Any:
    return registry.load("families", case[0]).tiny(case[1])


def build(case: Case, seed: int = 0, classes: int = 2) -> Model:
    settings = dict(vars(tiny(case).config))
    return make_model(case[0], case[1], Classes(classes) if classes else None, settings, seed)


def start(case: Case, steps: int, seed: int = 0, classes: int = 2) -> Run:
    x, labels = problems.draw(case[1], 2048, seed=1)
    run = Run(build(case, seed, classes), x, labels if classes else None, Budget(steps=steps), seed)
    if run.learner.batch is not None:
        run.learner.batch = tiny(case).batch
    return run


def trained(case: Case, steps: int, seed: int = 0, classes: int = 2) -> Model:
    run = start(case, steps, seed, classes)
    for _ in training(run):
        pass
    return run.model


def some(model: Model, indices: list[int], seed: int = 5) -> Tensor:
    labels = torch.tensor([i % 2 for i in indices]) if model.classes else None
    return draw_rows(model, seed, indices, labels)


def test_generates_in_exactly_one_way_and_in_its_space(case: Case) -> None:
    model = trained(case, 2)
    assert sum(isinstance(model, way) for way in (Draws, Denoises, PredictsNext)) == 1
    assert model.space.holds(some(model, list(range(40))))


def test_same_seed_same_bytes_for_any_split(case: Case) -> None:
    model = trained(case, 3)
    whole = some(model, list(range(TILE + 8)))
    for indices in ([0], [1, 2, 3], [7, 3, TILE + 2], list(range(8))):
        assert torch.equal(some(model, indices), whole[indices])
    assert not torch.equal(some(model, list(range(8)), seed=6), whole[:8])


def test_strangers_in_the_tile_change_nothing(case: Case) -> None:
    model = trained(case, 3)
    own = draw_rows(model, 5, [3], torch.tensor([1]) if model.classes else None)
    beside = draw_rows(model, 5, list(range(8)), torch.tensor([0, 1, 0, 1, 1, -1, 0, -1]) if model.classes else None)
    assert torch.equal(own[0], beside[3])


def test_retrained_from_the_same_seed_it_is_the_same_model(case: Case) -> None:
    a, b = (dict(trained(case, 4).state_dict()) for _ in range(2))
    assert state.same(a, b)


def test_stopped_and_resumed_it_is_the_unbroken_run(case: Case) -> None:
    unbroken = start(case, 7)
    for _ in training(unbroken):
        pass
    broken = start(case, 7)
    for step in training(broken):
        if step.step == 3:
            break
    resumed = start(case, 7)
    resumed.restore(state.unpack(*state.pack(broken.state())))
    for _ in training(resumed):
        pass
    assert state.same(dict(unbroken.model.state_dict()), dict(resumed.model.state_dict()))


def test_saved_and_loaded_it_makes_the_same_samples(case: Case) -> None:
    model = trained(case, 3)
    other = build(case, seed=9)
    other.restore(state.load_tensors(state.save_tensors(dict(model.state_dict())), "the bundle"))
    other.eval()
    assert torch.equal(some(model, [0, 1, 2]), some(other, [0, 1, 2]))


def test_every_parameter_gets_a_gradient(case: Case) -> None:
    run = start(case, 4)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    for _ in training(run):
        pass
    still = [name for name, p in run.model.named_parameters() if torch.equal(before[name], p)]
    assert not still, f"these parameters never moved: {still}"


def test_no_global_generator_is_touched(case: Case) -> None:
    run = start(case, 2)
    before = torch.random.get_rng_state()
    for _ in training(run):
        pass
    some(run.model, [0])
    if isinstance(run.model, HasLogProb):
        x, labels = problems.draw(case[1], 8, seed=2)
        run.model.log_prob(x, Noise.rows(0, range(8)), labels)
    assert torch.equal(before, torch.random.get_rng_state())


def test_works_without_classes(case: Case) -> None:
    model = trained(case, 3, classes=0)
    assert model.space.holds(draw_rows(model, 1, [0, 1, 2]))


def test_states_its_cost(case: Case) -> None:
    assert build(case).flops() > 0


def test_learns_its_problem(case: Case) -> None:
    wanted = tiny(case)
    x, labels = problems.draw(case[1], 512, seed=77)
    model = trained(case, wanted.steps)
    made = draw_rows(model, 3, range(512), labels if model.classes else None)
    assert problems.distance(case[1], made, x) <= wanted.bar
