"""The guard: what the policy refuses is withheld with its reason, clean outputs pass, and off is off."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import makar
from makar.core.artifact import Artifact
from makar.data import Dataset, planted
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.verbs.audits import style
from makar.verbs.chain import Chain
from makar.verbs.guard import Kept, guard, remember_items
from makar.verbs.sample import sample
from makar.verbs.train import fit
from makar.verbs.trained import Trained

COUNT = 12


@cache
def digits() -> Dataset:
    return makar.data("digits")


@cache
def sentences() -> Dataset:
    return makar.data("grammar:small", n=300)


@cache
def clean() -> Trained:
    return fit("gaussian", digits(), "1 steps")


@cache
def copier() -> Trained:
    """Training items with next to nothing added."""
    return fit("kernel", digits(), "1 steps", 0, {"bandwidth": 0.001})


@cache
def writer() -> Trained:
    """It knows which letters follow which two, and no sentence."""
    return fit("ngram", sentences(), "1 steps", 0, {"order": 3})


def under(home: Path, on: bool = True, **rules: Any) -> Chain:
    return Chain(Home(home), Policy(**rules), on)


def drawn(chain: Chain, trained: Trained, data: Dataset, n: int = COUNT) -> Kept:
    remember_items(chain, data, trained)
    return guard(chain, trained, sample(trained, n, 0))


def texts(*contents: str) -> list[Artifact]:
    return [Artifact("text", text, {"index": i}, (writer().id,)) for i, text in enumerate(contents)]


def pictures(contents: Sequence[np.ndarray]) -> list[Artifact]:
    return [Artifact("pictures", picture, {"index": i}, (clean().id,)) for i, picture in enumerate(contents)]


def inverted(picture: np.ndarray) -> np.ndarray:
    return (16 - picture).astype(np.uint8)


def block_inverted(home: Path, levels: int = 17) -> None:
    """A style of dark ink on black, made from pictures of so many levels."""
    things = [np.rint(p * ((levels - 1) / 16)).astype(np.uint8) for p in digits().train.things[:700]]
    references = [(levels - 1 - p).astype(np.uint8) for p in things[:12]]
    style.save(style.build("inverted", references, things[12:], "pictures", levels), Home(home))


def test_copies_are_refused_where_the_policy_refuses_them(home: Path) -> None:
    kept = drawn(under(home, copies="refuse"), copier(), digits())
    assert not kept.artifacts
    assert len(kept.withheld) == COUNT
    assert kept.withheld[3].startswith("output 3: the output is a near copy of training item ")


def test_copies_are_recorded_with_their_attribution_where_the_policy_records_them(home: Path) -> None:
    kept = drawn(under(home, copies="record"), copier(), digits())
    assert not kept.withheld
    assert len(kept.nearest) == len(kept.artifacts) == COUNT
    for near in kept.nearest:
        assert near is not None
        assert near.distance < near.threshold
        assert near.item in digits().manifest.items["train"]
        assert near.attribution == digits().manifest.attribution


def test_copies_are_not_looked_for_where_the_policy_does_not_ask(home: Path) -> None:
    kept = drawn(under(home, copies="off"), copier(), digits())
    assert kept.nearest == [None] * COUNT
    assert not kept.withheld
    assert not Home(home).indices.exists()


def test_quotations_are_refused_with_their_length_and_item(home: Path) -> None:
    chain = under(home, verbatim=60)
    remember_items(chain, sentences(), writer())
    item = next(i for i, text in enumerate(sentences().train.things) if len(text) >= 120)
    quote = sentences().train.things[item]
    kept = guard(chain, writer(), texts(f"Someone said: {quote[:80]} and left.", quote[:50], "Nothing of the kind."))
    assert [a.recipe["index"] for a in kept.artifacts] == [1, 2]
    (why,) = kept.withheld
    assert why.startswith("output 0: it quotes ")
    assert int(why.split()[4]) >= 80
    assert "the policy allows 59" in why


@pytest.mark.parametrize("setting", ["refuse", "off"])
def test_personal_data_are_refused_only_where_the_policy_refuses_them(home: Path, setting: str) -> None:
    plants = planted.plants(30, seed=5)
    kept = guard(under(home, pii=setting), writer(), texts(*(p.text for p in plants), "The river is wide."))
    assert any(a.content == "The river is wide." for a in kept.artifacts)
    if setting != "refuse":
        assert not kept.withheld
        return
    assert len(kept.withheld) >= 27
    assert all("personal data" in why for why in kept.withheld)
    assert not [p.secret for p in plants if any(p.secret in why for why in kept.withheld)], "reasons repeat nothing"


def test_personal_data_in_a_column_of_words_are_refused(home: Path) -> None:
    rows = [{"name": planted.plants(1, seed=5)[0].text, "age": 3.0}, {"name": "blue", "age": 4.0}]
    made = [Artifact("rows", row, {"index": i}, (clean().id,)) for i, row in enumerate(rows)]
    kept = guard(under(home, pii="refuse", copies="off"), clean(), made)
    assert [a.recipe["index"] for a in kept.artifacts] == [1]


@pytest.mark.parametrize("levels", [17, 256])
def test_a_blocked_style_is_refused_whatever_levels_it_is_known_in(home: Path, levels: int) -> None:
    block_inverted(home, levels)
    works, plain = [inverted(p) for p in digits().held_out.things[:20]], digits().held_out.things[20:40]
    kept = guard(under(home, blocked=["Inverted"], copies="off"), clean(), pictures([*works, *plain]))
    refused = {int(why.removeprefix("output ").partition(":")[0]) for why in kept.withheld}
    assert len(refused & set(range(20))) >= 18
    assert len(refused & set(range(20, 40))) <= 1
    assert all("blocked style 'inverted'" in why for why in kept.withheld)


def test_a_style_that_the_policy_does_not_name_and_one_of_text_block_no_picture(home: Path) -> None:
    block_inverted(home)
    things = sentences().train.things
    style.save(style.build("shouting", [t.upper() for t in things[:8]], things[50:200], "text"), Home(home))
    made = pictures([inverted(p) for p in digits().held_out.things[:5]])
    assert len(guard(under(home, copies="off"), clean(), made).artifacts) == 5
    assert len(guard(under(home, copies="off", blocked=["shouting"]), clean(), made).artifacts) == 5


def test_a_style_of_text_is_refused(home: Path) -> None:
    things = sentences().train.things
    shouted = [t.replace(".", "!").replace(",", ";") for t in things]
    style.save(style.build("shouting", shouted[:8], things[50:250], "text"), Home(home))
    kept = guard(under(home, blocked=["shouting"]), writer(), texts(*shouted[20:30], *things[20:30]))
    assert len(kept.withheld) >= 9
    assert all(why.partition(":")[0] in {f"output {i}" for i in range(10)} for why in kept.withheld)


def test_the_first_reason_is_the_one_that_is_given(home: Path) -> None:
    """One sentence an output: a copy in a blocked style is a copy."""
    block_inverted(home)
    data = digits()
    chain = under(home, copies="refuse", blocked=["inverted"])
    remember_items(chain, data, clean())
    kept = guard(chain, clean(), pictures([data.train.things[0], inverted(data.held_out.things[0])]))
    assert ["near copy" in why for why in kept.withheld] == [True, False]


def test_clean_models_have_nothing_withheld_under_the_strictest_policy(home: Path) -> None:
    block_inverted(home)
    strict = under(home, copies="refuse", verbatim=80, pii="refuse", blocked=["inverted"])
    for trained, data in ((clean(), digits()), (writer(), sentences())):
        kept = drawn(strict, trained, data)
        assert not kept.withheld
        assert len(kept.artifacts) == COUNT


def test_with_the_chain_off_nothing_is_looked_at(home: Path) -> None:
    block_inverted(home)
    rules: dict[str, Any] = {"copies": "refuse", "verbatim": 40, "pii": "refuse", "blocked": ["inverted"]}
    remember_items(under(home, **rules), digits(), copier())
    remember_items(under(home, **rules), sentences(), writer())
    off = under(home, on=False, **rules)
    for trained, made in (
        (copier(), sample(copier(), COUNT, 0)),
        (clean(), pictures([inverted(p) for p in digits().held_out.things[:5]])),
        (writer(), texts(sentences().train.things[0], planted.plants(1, seed=5)[0].text)),
    ):
        kept = guard(off, trained, made)
        assert kept.artifacts == list(made)
        assert not kept.withheld
        assert kept.nearest == [None] * len(made)
