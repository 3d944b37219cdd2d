"""Blocked styles: further works of a style are refused in a sentence, clean items at the stated rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import makar
from makar.core.errors import MakarError
from makar.data import Dataset
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.verbs.audits import style
from makar.verbs.audits._distort import blur


@cache
def digits() -> Dataset:
    return makar.data("digits")


@cache
def sentences() -> Dataset:
    return makar.data("grammar:small", n=400)


def inverted(picture: np.ndarray) -> np.ndarray:
    return (16 - picture).astype(np.uint8)


def soft(picture: np.ndarray) -> np.ndarray:
    return blur(picture, 17, 0)


def of_pictures(how: Callable[[np.ndarray], np.ndarray], name: str = "the style") -> style.Style:
    things = digits().train.things
    return style.build(name, [how(p) for p in things[:12]], things[100:900], "pictures", 17)


def shout(text: str) -> str:
    return text.replace(".", "!").replace(",", ";")


@pytest.mark.parametrize("how", [inverted, soft])
def test_works_of_a_style_are_refused_and_clean_pictures_are_not(how: Callable[[np.ndarray], np.ndarray]) -> None:
    found = of_pictures(how)
    result = style.blocked(found, digits().held_out.things, [how(p) for p in digits().held_out.things[:200]])
    assert result.finding == "none", result.why
    assert result.figure("refused[works").low > 0.9
    assert result.figure("refused[clean").low <= found.rate


def test_works_of_a_style_are_refused_in_text() -> None:
    things = sentences().train.things
    found = style.build("shouting", [shout(t) for t in things[:8]], things[50:250], "text")
    result = style.blocked(found, things[250:], [shout(t) for t in things[250:300]])
    assert result.figure("refused[works").value > 0.95
    assert result.figure("refused[clean").low <= found.rate


def test_references_without_a_manner_of_their_own_block_nothing_and_the_audit_says_so() -> None:
    things = digits().train.things
    found = style.build("nothing in particular", things[:12], things[100:], "pictures", 17)
    result = style.blocked(found, digits().held_out.things[:250], digits().held_out.things[250:])
    assert result.finding == "alarm", result.why
    assert result.figure("refused[works").high < 0.2


def test_the_stated_rate_holds_over_many_calibrations() -> None:
    """k / (n + 1) in expectation, by exchange of clean items."""
    chance = np.random.default_rng(0)
    things = list(digits().train.things)
    references = [inverted(t) for t in things[:12]]
    shares, rates = [], []
    for _ in range(25):
        order = chance.permutation(np.arange(12, len(things)))
        found = style.build("x", references, [things[i] for i in order[:100]], "pictures", 17, rate=0.05)
        shares.append(np.mean(found.distances([things[i] for i in order[100:300]]) < found.threshold))
        rates.append(found.rate)
    assert rates[0] == pytest.approx(5 / 101)
    assert abs(np.mean(shares) - rates[0]) < 4 * np.std(shares) / 5


def test_a_refusal_is_a_sentence_that_names_the_style_and_its_rate() -> None:
    found = of_pictures(inverted, "ink on black")
    refused, kept = found.refusals([inverted(digits().train.things[50]), digits().held_out.things[0]])
    assert "blocked style 'ink on black'" in refused
    assert f"of {len(found.clean)} clean items" in refused
    assert kept == ""


def test_it_is_kept_and_in_force_by_the_policys_names(home: Path) -> None:
    workspace = Home(home)
    made = of_pictures(soft, "Soft Focus")
    style.save(made, workspace)
    again = style.load(workspace, "soft focus")
    assert again is not None
    things = digits().held_out.things[:30]
    assert np.array_equal(again.distances(things), made.distances(things))
    assert again.threshold == made.threshold
    policy = Policy(blocked=["Soft Focus", "somebody else"])
    assert [s.name for s in style.in_force(workspace, policy, "pictures")] == ["Soft Focus"]
    assert style.in_force(workspace, policy, "text") == []
    assert style.load(workspace, "somebody else") is None


@pytest.mark.parametrize("name", ["style.json", "style.safetensors"])
def test_an_altered_style_is_refused(home: Path, name: str) -> None:
    place = style.save(of_pictures(soft), Home(home))
    for changed in ((place / name).read_bytes()[:-3], b"", b"[]", b"[" * 100_000):
        (place / name).write_bytes(changed)
        with pytest.raises(MakarError, match="cannot be used"):
            style.load(Home(home), "the style")


def test_its_arguments_are_checked() -> None:
    things = digits().train.things
    with pytest.raises(MakarError, match="at least 5"):
        style.build("few", things[:3], things, "pictures", 17)
    for name in ("", "../up", "x" * 100):
        with pytest.raises(MakarError, match="cannot name a style"):
            style.build(name, things[:9], things, "pictures", 17)
    assert style.blocked(of_pictures(soft), [], []).finding == "not measurable"
