"""Hidden Markov models: sums over all paths, maxima over all paths, and what expectation-maximisation promises."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.core.spaces import Classes, Levels, Space, Tokens
from makar.families.hmm import HMM, BaumWelch, Config


def made(space: Space, classes: int = 0, seed: int = 0, **settings: float) -> HMM:
    config = Config(**{"states": 3, **settings})  # type: ignore[arg-type]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return HMM(space, Classes(classes) if classes else None, config)


def symbols(n: int, length: int, vocab: int, seed: int) -> Tensor:
    return torch.randint(vocab, (n, length), generator=torch.Generator().manual_seed(seed))


def joint(model: HMM, x: Tensor, path: tuple[int, ...]) -> float:
    """log p(x, path) of one item of a model without classes, factor by factor."""
    seen = model.observations(x.unsqueeze(0))[0]
    nats = model.initial[0, path[0]].log()
    for t, (a, b) in enumerate(itertools.pairwise(path)):
        nats = nats + model.transition[0, min(t, model.steps - 1), a, b].log()
    for state, row in zip(path, seen, strict=True):
        for m, value in enumerate(row.tolist()):
            nats = nats + model.emission[0, state, m, value].log()
    return float(nats)


@pytest.mark.parametrize("space", [Tokens(4, 5), Levels((2, 3, 2), 3)])
def test_forward_sums_and_viterbi_maximises_over_every_path(space: Space) -> None:
    model = made(space)
    if isinstance(space, Levels):
        x = symbols(3, 12, 3, seed=1).reshape(3, 2, 3, 2)
    else:
        x = symbols(3, 5, 4, seed=1)
    paths = list(itertools.product(range(3), repeat=model.times))
    nats = model.log_prob(x, Noise.rows(0, range(3))).nats
    states, best = model.viterbi(x)
    for i in range(3):
        every = torch.tensor([joint(model, x[i], path) for path in paths])
        assert float(nats[i]) == pytest.approx(float(every.logsumexp(0)), abs=1e-4)
        assert float(best[i]) == pytest.approx(float(every.max()), abs=1e-4)
        assert tuple(states[i].tolist()) == paths[int(every.argmax())]


def test_an_ended_item_is_scored_as_the_shorter_one() -> None:
    model = made(Tokens(4, 6))
    x = symbols(5, 6, 4, seed=2)
    short = x.clone()
    short[:, 4:] = -1
    noise = Noise.rows(0, range(5))
    assert torch.allclose(model.log_prob(short, noise).nats, model.log_prob(x[:, :4], noise).nats)
    states, nats = model.viterbi(short)
    own, own_nats = model.viterbi(x[:, :4])
    assert torch.equal(states[:, :4], own)
    assert bool((states[:, 4:] == -1).all())
    assert torch.allclose(nats, own_nats)


@pytest.mark.parametrize("space", [Tokens(5, 7), Levels((1, 4, 3), 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_expectation_maximisation_never_loses(space: Space, smoothing: float) -> None:
    model = made(space, classes=2, smoothing=smoothing, tolerance=-1.0)
    x, labels = symbols(60, 12, 3, seed=3).reshape(60, 1, 4, 3), torch.arange(60) % 3 - 1
    if isinstance(space, Tokens):
        x = symbols(60, 7, 5, seed=3)
        x[::4, 5:] = -1
    learner = model.learner()
    values = [learner.step(Batch(x, labels), Noise.step(0, n, 60)) for n in range(40)]
    objective = torch.tensor([v["objective"] for v in values], dtype=torch.float64)
    assert bool((objective.diff() > -1e-9).all())
    assert float(objective[-1] - objective[0]) > 0.05
    if smoothing == 0:
        loss = torch.tensor([v["loss"] for v in values], dtype=torch.float64)
        assert bool((loss.diff() < 1e-8).all())


def test_tables_stay_distributions() -> None:
    model = made(Tokens(5, 7), classes=2)
    learner = model.learner()
    for n in range(5):
        learner.step(Batch(symbols(30, 7, 5, seed=4), torch.arange(30) % 2), Noise.step(0, n, 30))
    for table in (model.prior, model.initial, model.transition, model.emission):
        assert torch.allclose(table.sum(-1), torch.ones_like(table.sum(-1)))


def test_no_class_is_the_mixture_of_the_classes() -> None:
    model = made(Tokens(4, 5), classes=3)
    model.prior.copy_(torch.tensor([0.5, 0.3, 0.2]))
    x, noise = symbols(6, 5, 4, seed=5), Noise.rows(0, range(6))
    each = torch.stack([model.log_prob(x, noise, torch.full((6,), c)).nats for c in range(3)], 1)
    mixture = (each + model.prior.log()).logsumexp(1)
    assert torch.allclose(model.log_prob(x, noise, torch.full((6,), -1)).nats, mixture)
    assert torch.allclose(model.log_prob(x, noise).nats, mixture)


def test_classes_learn_apart() -> None:
    """What one class is trained on leaves the other's states where they were, and a sharp class does not blind one."""
    model = made(Levels((1, 40, 8), 3), classes=2, smoothing=0.0)
    before = model.emission[1].clone()
    x = torch.zeros((10, 1, 40, 8), dtype=torch.int64)
    learner = model.learner()
    for n in range(3):
        learner.step(Batch(x, torch.zeros(10, dtype=torch.int64)), Noise.step(0, n, 10))
    assert torch.equal(model.emission[1], before)
    other = torch.full_like(x, 2)
    learner.step(Batch(torch.cat([x, other]), torch.arange(20) // 10), Noise.step(0, 4, 20))
    nats = model.log_prob(other[:1], Noise.rows(0, [0]), torch.tensor([1])).nats
    assert float(nats) == pytest.approx(0.0, abs=1e-6)


def _planted() -> HMM:
    model = made(Tokens(6, 40))
    model.initial.copy_(torch.tensor([[0.6, 0.3, 0.1]]))
    model.transition.copy_(torch.tensor([[[[0.85, 0.1, 0.05], [0.1, 0.6, 0.3], [0.25, 0.05, 0.7]]]]))
    emission = [[0.45, 0.45, 0.04, 0.02, 0.02, 0.02], [0.02, 0.04, 0.45, 0.45, 0.02, 0.02]]
    model.emission.copy_(torch.tensor([[*emission, [0.02, 0.02, 0.02, 0.04, 0.45, 0.45]]]).unsqueeze(2))
    return model


@pytest.mark.slow
def test_a_planted_transition_matrix_is_recovered_up_to_relabelling() -> None:
    planted = _planted()
    x = planted.draw(Noise.rows(0, range(1500)))
    model = made(Tokens(6, 40), seed=1, smoothing=0.0)
    learner = model.learner()
    for n in range(200):
        learner.step(Batch(x), Noise.step(0, n, len(x)))
        if learner.done:
            break
    assert learner.done
    orders = [list(order) for order in itertools.permutations(range(3))]
    errors = [float((model.transition[0, 0][o][:, o] - planted.transition[0, 0]).abs().max()) for o in orders]
    best = orders[min(range(6), key=errors.__getitem__)]
    assert min(errors) < 0.03
    assert torch.allclose(model.emission[0][best], planted.emission[0], atol=0.03)


def test_drawn_states_last_as_long_as_they_should() -> None:
    """A state left with probability 1 - a lasts 1 / (1 - a) steps; here each state shows as a symbol of its own."""
    model = made(Tokens(3, 400))
    model.transition.copy_(torch.tensor([[[[0.9, 0.05, 0.05], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8]]]]))
    model.emission.copy_(torch.eye(3).reshape(1, 3, 1, 3))
    x = model.draw(Noise.rows(3, range(100)))
    ends = x[:, 1:] != x[:, :-1]
    for state, lasts in enumerate([10.0, 2.0, 5.0]):
        here = x[:, :-1] == state
        assert float(here.sum() / (here & ends).sum()) == pytest.approx(lasts, rel=0.06)


def test_what_is_drawn_is_of_the_class_asked_for_and_in_the_space() -> None:
    space = Levels((2, 3, 4), 5)
    model = made(space, classes=2)
    model.emission[0, ..., 1:] = 0.0
    model.emission[1, ..., 0] = 0.0
    x = model.draw(Noise.rows(0, range(8)), torch.tensor([0, 1] * 4))
    assert space.holds(x)
    assert not x[::2].any()
    assert bool((x[1::2] > 0).all())


def test_a_learner_goes_on_from_its_state() -> None:
    learner = made(Tokens(4, 5)).learner()
    assert isinstance(learner, BaumWelch)
    learner.load_state_dict(learner.state_dict() | {"last": float("inf")})
    learner.step(Batch(symbols(9, 5, 4, seed=6)), Noise.step(0, 0, 9))
    assert learner.done


def test_steps_by_parts_make_the_iteration_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the items are cut, the tables after one pass are the same, and a cut pass resumes to the last bit."""
    x, labels = symbols(40, 5, 4, seed=6), torch.arange(40) % 3 - 1
    whole, cut, resumed = (made(Tokens(4, 5), 2) for _ in range(3))
    whole.learner().step(Batch(x, labels), Noise.step(0, 0, 40))
    monkeypatch.setattr(HMM, "piece", 16)
    learner, second = cut.learner(), resumed.learner()
    told = [learner.step(Batch(x, labels), Noise.step(0, n, 40)) for n in range(3)]
    assert ["objective" in numbers for numbers in told] == [False, False, True]
    for a, b in zip(whole.state_dict().values(), cut.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-12)
    third = resumed.learner()
    second.step(Batch(x, labels), Noise.step(0, 0, 40))
    third.load_state_dict(second.state_dict())
    for n in (1, 2):
        third.step(Batch(x, labels), Noise.step(0, n, 40))
    for a, b in zip(cut.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_first_pass_that_was_cut_short_still_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HMM, "piece", 16)
    x = torch.zeros((40, 5), dtype=torch.int64)
    model = made(Tokens(4, 5))
    before = model.log_prob(x, Noise.rows(0, range(40))).nats.mean()
    learner = model.learner()
    learner.step(Batch(x), Noise.step(0, 0, 40))
    learner.finish()
    assert float(model.log_prob(x, Noise.rows(0, range(40))).nats.mean()) > float(before) + 1.0
