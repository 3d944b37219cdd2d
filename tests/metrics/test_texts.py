"""Planted texts: what a reader calls good, salad, a loop or a copy is ranked and named so, in words and in strings."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from makar.core.model import LogProb
from makar.core.registry import load
from makar.core.score import Generated, Reference, Score
from makar.core.spaces import Levels

from .sets import of_text, scores, things

METRICS = ("reader", "variety", "text", "strings")


class Language:
    """Words of syllables, each followed by few others: an order that a shuffle destroys."""

    def __init__(self, seed: int, space: str = " ") -> None:
        chance = random.Random(seed)
        syllables = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in ("", "n", "r", "s")]
        self.space = space
        self.words = sorted({"".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3)))) for _ in range(300)})
        self.after = {w: chance.choices(self.words, k=6) for w in self.words}

    def text(self, chance: random.Random, size: int) -> str:
        word = chance.choice(self.words)
        out: list[str] = []
        while sum(map(len, out)) < size:
            out.append(word)
            word = chance.choice(self.after[word]) if chance.random() < 0.9 else chance.choice(self.words)
            if chance.random() < 0.1:
                out[-1] += "."
        return self.space.join(out)[:size]

    def texts(self, count: int, seed: int, size: int = 500) -> list[str]:
        chance = random.Random(seed)
        return [self.text(chance, size) for _ in range(count)]


def expression(chance: random.Random, depth: int = 0) -> str:
    """A string with brackets that pair: `fa(b,gc[d])`."""
    name = "".join(chance.choices("abcdefgh", k=chance.randint(1, 3)))
    if depth > 2 or chance.random() < 0.3:
        return name
    inside = ",".join(expression(chance, depth + 1) for _ in range(chance.randint(1, 3)))
    return f"{name}({inside})" if chance.random() < 0.7 else f"{name}[{inside}]"


def expressions(count: int, seed: int) -> list[str]:
    """Different ones, as a split by content would leave them, of 4 to 60 characters."""
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found.update({e: None for e in [expression(chance)] if 4 < len(e) <= 60})
    return list(found)


def shuffled(text: str, chance: random.Random) -> str:
    return "".join(chance.sample(text, len(text)))


def with_typos(text: str, chance: random.Random, rate: float) -> str:
    return "".join(chance.choice("aeioumnst") if chance.random() < rate else c for c in text)


def bigram(texts: list[str], chance: random.Random, size: int) -> str:
    """A salad of syllables: each character as often after the last as in the texts."""
    whole = "".join(texts[:40])
    after: dict[str, list[str]] = {}
    for a, b in pairwise(whole):
        after.setdefault(a, []).append(b)
    out = [chance.choice(whole)]
    while len(out) < size:
        out.append(chance.choice(after.get(out[-1], [" "])))
    return "".join(out)


def all_scores(reference: Reference, texts: list[str], metrics: tuple[str, ...] = METRICS) -> dict[str, Score]:
    return {name: s for metric in metrics for name, s in scores(metric, reference, Generated(things(texts))).items()}


def alarms(found: dict[str, Score]) -> set[str]:
    return {c.partition(":")[0] for s in found.values() for c in s.caveats if c.partition(":")[0].isupper()}


@pytest.fixture(scope="module")
def planted() -> dict[str, dict[str, Score]]:
    language, chance = Language(1), random.Random(7)
    train, held, fresh = language.texts(200, 1, 350), language.texts(60, 2, 350), language.texts(24, 3, 350)
    reference = of_text(train, held)
    words = [" ".join(chance.sample(t.split(), len(t.split()))) for t in fresh]
    sets = {
        "good": fresh,
        "words": words,
        "salad": [bigram(train, chance, 350) for _ in range(24)],
        "trivial": [shuffled(t, chance) for t in fresh],
        "loop": [(t[:35] * 20)[:350] for t in fresh],
        "one": [fresh[0]] * 24,
        "copied": train[:24],
        "typos": [with_typos(t, chance, 0.01) for t in train[:24]],
    }
    return {name: all_scores(reference, texts) for name, texts in sets.items()}


def test_texts_rank_as_a_reader_would(planted: dict[str, dict[str, Score]]) -> None:
    apart = {name: found["told apart"] for name, found in planted.items()}
    assert apart["good"].low < 0.5 < apart["good"].high
    assert apart["good"].high < apart["words"].low < apart["words"].high < apart["salad"].low
    assert apart["salad"].high <= apart["trivial"].high
    assert apart["copied"].low < 0.55, "real text is not told from real text"
    assert min(apart[k].low for k in ("loop", "one")) > 0.8


def test_each_planted_text_has_its_alarm_and_no_other(planted: dict[str, dict[str, Score]]) -> None:
    found = {name: alarms(each) for name, each in planted.items()}
    assert found["good"] == set()
    assert found["words"] == found["salad"] == found["trivial"] == {"NOISE"}
    assert "COLLAPSE" in found["loop"]
    assert "COLLAPSE" in found["one"]
    assert found["copied"] == {"COPYING"}
    assert "COPYING" in found["typos"]


def test_salad_is_said_in_words(planted: dict[str, dict[str, Score]]) -> None:
    salad, words = planted["salad"], planted["words"]
    assert "of its words are not words of the data" in salad["told apart"].caveats[0]
    assert words["known"].value > 0.95 > 0.7 > salad["known"].value
    assert "bits for each of its characters" in words["told apart"].caveats[0]
    assert planted["good"]["reference bits/char"].high < words["reference bits/char"].low
    assert planted["one"]["recall"].high < 0.5 < 0.9 < planted["good"]["recall"].low
    assert "told from 0.5 four times in five" in planted["good"]["told apart"].caveats[0]


def test_a_script_without_spaces_is_read_by_its_strings() -> None:
    language, chance = Language(2, space=""), random.Random(3)
    reference = of_text(language.texts(150, 1), language.texts(40, 2))
    good = all_scores(reference, language.texts(20, 3), ("reader",))
    salad = all_scores(reference, [bigram(language.texts(40, 1), chance, 500) for _ in range(20)], ("reader",))
    assert alarms(good) == set()
    assert "strings of 5 characters are not strings of 5 characters of the data" in salad["told apart"].caveats[0]


@pytest.fixture(scope="module")
def strings() -> tuple[Reference, list[str]]:
    pool = expressions(1700, 5)
    return of_text(pool[:1200], pool[1200:1500]), pool[1500:]


def test_strings_that_break_the_rules_are_found(strings: tuple[Reference, list[str]]) -> None:
    reference, fresh = strings
    chance = random.Random(1)
    good = all_scores(reference, fresh)
    torn = all_scores(reference, [t.replace(")", "", 1) if chance.random() < 0.5 else t for t in fresh], ("reader",))
    salad = all_scores(reference, [shuffled(t, chance) for t in fresh], ("reader",))
    assert alarms(good) == set()
    assert good["rules kept"].value == 1.0
    assert torn["rules kept"].high < 0.8
    assert good["told apart"].high < torn["told apart"].low < torn["told apart"].high < salad["told apart"].low
    assert alarms(salad) == {"NOISE"}


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("memorised", lambda train, fresh: train[:100] + fresh[:100], {"COPYING"}),
        ("one off", lambda train, fresh: [t[:2] + "h" + t[3:] for t in train[:200] if t[2] != "h"], {"COPYING"}),
        ("one item", lambda train, fresh: [fresh[0]] * 200, {"COLLAPSE"}),
    ],
)
def test_short_strings_that_are_copied_or_all_alike(
    strings: tuple[Reference, list[str]],
    name: str,
    make: Callable[[list[str], list[str]], list[str]],
    expected: set[str],
) -> None:
    reference, fresh = strings
    found = all_scores(reference, make(list(reference.train.things), fresh), ("variety", "strings"))
    assert alarms(found) == expected, name


def test_names_that_come_again_by_nature_are_no_copies() -> None:
    """Of common names fresh data repeat many; so may a model, and one that hits unseen names as often as seen ones."""
    chance = random.Random(2)
    names = ["".join(chance.choices("abcdefghij", k=7)) for _ in range(300)]
    common = chance.choices(names, [1 / (i + 1) for i in range(300)], k=2000)
    kept = set(chance.sample(names, 240))  # a split by content
    train, held = [n for n in common if n in kept], [n for n in common if n not in kept]
    drawn = chance.choices(names, [1 / (i + 1) for i in range(300)], k=500)
    reference = of_text(train, held)
    honest, memory = (all_scores(reference, made, ("strings",)) for made in (drawn, chance.choices(train, k=500)))
    assert honest["copies"].value > 0.5
    assert alarms(honest) == set()
    unique = of_text(sorted(set(train)), sorted(set(held)))
    assert alarms(all_scores(unique, chance.choices(sorted(set(train)), k=500), ("strings",))) == {"COPYING"}
    assert alarms(all_scores(unique, chance.choices(names, k=500), ("strings",))) == set()
    assert memory["copies"].value == 1.0


def test_bits_beyond_those_of_guessing_are_said_so() -> None:
    blank = things([torch.zeros(1)] * 8)
    reference = Reference(Levels((1, 2, 2), 256), "pictures", blank, blank)
    nats = torch.full((8,), -4 * 25.94 * math.log(2.0), dtype=torch.float64)
    for kind, why in (("lower", "the bound is loose"), ("exact", "next to no mass")):
        said = LogProb(nats, kind)  # type: ignore[arg-type]
        (score,) = load("metrics", "bits")()(reference, Generated(blank, said, units=32))
        assert score.value == pytest.approx(25.94)
        assert "worse than guessing uniformly (8 bits)" in score.caveats[0]
        assert why in score.caveats[0]
    fine = LogProb(nats / 10, "exact")
    facts = {"share of held-out items read": 0.25}
    (score,) = load("metrics", "bits")()(reference, Generated(blank, fine, units=32, facts=facts))
    assert score.caveats == ("read from 25 % of the held-out data, taken at random",)
