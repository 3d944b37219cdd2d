"""Data of known answer: the densities are densities, their samples follow them, and the entropies are right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from makar.data import load
from makar.data.sources import grammar, toy


def midpoints(half: float, step: float) -> np.ndarray:
    side = np.arange(-half + step / 2, half, step)
    return np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)


@pytest.mark.parametrize("name", toy.NAMES)
def test_a_density_integrates_to_one_and_has_the_stated_entropy(name: str) -> None:
    step = {"grid25": 0.02, "rings": 0.05, "moons": 0.05, "two_spirals": 0.05}.get(name, 0.04)
    log_p = toy.log_density(name, midpoints(5.0, step))
    p = np.exp(log_p)
    some = p > 0
    assert p.sum() * step**2 == pytest.approx(1.0, abs=1e-5)
    assert -(p[some] * log_p[some]).sum() * step**2 == pytest.approx(toy.ENTROPY[name], abs=1e-4)


@pytest.mark.parametrize("name", toy.NAMES)
def test_samples_follow_the_density(name: str) -> None:
    points, component = toy.sample(name, 4000, seed=3)
    again, _ = toy.sample(name, 4000, seed=3)
    other, _ = toy.sample(name, 4000, seed=4)
    assert points.dtype == np.float32
    assert (points == again).all()
    assert not (points == other).any(1).all()
    assert set(component) == set(range(toy.density(name).components))
    surprise = -toy.log_density(name, points)
    error = max(surprise.std() / math.sqrt(4000), 1e-6)
    assert abs(surprise.mean() - toy.ENTROPY[name]) < 4 * error
    # and beyond one number: the mass of each quadrant, by the density and by counting
    grid = midpoints(5.0, 0.1)
    p = np.exp(toy.log_density(name, grid)) * 0.1**2
    for x in (-1, 1):
        for y in (-1, 1):
            mass = p[(grid[:, 0] * x > 0) & (grid[:, 1] * y > 0)].sum()
            share = ((points[:, 0] * x > 0) & (points[:, 1] * y > 0)).mean()
            assert abs(mass - share) < 4 * 0.5 / math.sqrt(4000)


def test_known_values_of_the_densities() -> None:
    at = np.array([[2.0, 0.0]])
    assert toy.log_density("ring8", at)[0] == pytest.approx(-math.log(8 * 2 * math.pi * 0.04), abs=1e-9)
    assert toy.log_density("checkerboard", np.array([[-3.0, -3.0], [-1.0, -3.0], [9.0, 0.0]])).tolist() == [
        pytest.approx(-math.log(32)),
        -math.inf,
        -math.inf,
    ]
    # a ring of radius r seen from far closer than its noise is a line: p = N(0; s) / (3 * 2 pi r)
    ring = toy.log_density("rings", np.array([[3.0, 0.0]]))[0]
    assert ring == pytest.approx(-math.log(3 * 2 * math.pi * 3 * 0.08 * math.sqrt(2 * math.pi)), abs=1e-3)


def test_a_toy_as_a_dataset() -> None:
    data = load("toy:ring8", n=400, labelled=True)
    assert (len(data.train), len(data.held_out), data.modality) == (320, 80, "points")
    assert data.train.labels is not None
    angle = np.arctan2(*np.stack(data.train.things).T[::-1]) * 8 / (2 * math.pi)
    assert (np.rint(angle) % 8 == data.train.labels).mean() > 0.99
    assert data.entropy == pytest.approx(toy.ENTROPY["ring8"] / 2)
    assert load("toy:ring8", n=400).train.labels is None


@pytest.mark.parametrize("name", grammar.NAMES)
def test_grammars_are_probabilities_and_tell_their_choices(name: str) -> None:
    for choices in grammar.grammar(name).values():
        assert sum(p for _, p, _ in choices) == pytest.approx(1.0)
        written = [text for text, _, _ in choices if text]
        for one in written:
            assert not any(two != one and two.startswith(one) for two in written), "texts must be prefix-free"


@pytest.mark.parametrize("name", ["golden", "even"])
def test_known_entropy_rates(name: str) -> None:
    assert grammar.entropy_bits_per_symbol(name) == pytest.approx(2 / 3, abs=1e-12)


@pytest.mark.parametrize("name", grammar.NAMES)
def test_the_entropy_is_what_the_grammars_own_probabilities_give(name: str) -> None:
    documents = grammar.sample(name, 600, seed=5)
    assert documents == grammar.sample(name, 600, seed=5)
    bits = np.array([-grammar.log2_probability(name, d) for d in documents])
    symbols = np.array([len(d) for d in documents])
    rate = grammar.entropy_bits_per_symbol(name)
    error = (bits - rate * symbols).std() / math.sqrt(600) / symbols.mean()
    assert abs(bits.sum() / symbols.sum() - rate) < 4 * max(error, 1e-12)


@pytest.mark.parametrize("name", ["golden", "even"])
def test_documents_of_one_round_sum_to_one(name: str) -> None:
    import itertools

    one = [2.0 ** grammar.log2_probability(name, "".join(w)) for n in (1, 2) for w in itertools.product("ab", repeat=n)]
    ends = ["a", "ba"] if name == "golden" else ["a", "bb"]
    assert sum(2.0 ** grammar.log2_probability(name, w) for w in ends) == pytest.approx(1.0)
    assert max(one) <= 1.0
    assert grammar.log2_probability("small", "the sea") == -math.inf


def test_a_grammar_as_a_dataset() -> None:
    data = load("grammar:small", n=100)
    assert (data.modality, len(data.train)) == ("text", 80)
    assert data.entropy == pytest.approx(grammar.entropy_bits_per_symbol("small") * math.log(2))
    assert not set(data.train.things) & set(data.held_out.things)
    assert all(set(document) <= set("abcdefghijklmnopqrstuvwxyz .,") for document in data.train.things)
