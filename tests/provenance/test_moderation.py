"""Moderation: disguises are seen through, plain text raises no alarm, and what is not caught is known.

The bypass suite below writes 12 terms in 14 disguises and has each found (168 of 168); four further ways to say the
same are not found, which the last test of it states. False alarms are counted on over 400 000 characters of English
prose on Python, which hold none of the terms.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.provenance import moderation
from makar.provenance.moderation import Blocklist, Limits, jaccard, normal, shingles, similar_share

TERMS = (
    "van gogh", "Studio Ghibli", "Frida Kahlo", "Banksy", "Hokusai", "Basquiat", "Jane Q. Painter", "bomb recipe",
    "Zdzisław Beksiński", "Tove Jansson", "Moebius", "gore",
)  # fmt: skip
CYRILLIC = str.maketrans("aeopcxyijsABEHKMOPCTX", "аеорсхуіјѕАВЕНКМОРСТХ")
LEET = str.maketrans("aeiostbgAEIOSTBG", "4310578943105789")


def _leet(term: str) -> str:
    """Every second letter that has a digit form, so that most stay letters."""
    done, swap = [], True
    for c in term:
        digit = c.translate(LEET)
        done.append(digit if swap and digit != c else c)
        swap = not swap if digit != c else swap
    return "".join(done)


DISGUISES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "capitals": str.upper,
    "look-alikes": lambda t: t.translate(CYRILLIC),
    "accents": lambda t: "".join(c + "\u0301" if c.isalpha() else c for c in t),
    "struck out": lambda t: "".join(c + "\u0336" for c in t),
    "zero width": lambda t: "\u200b".join(t),
    "soft hyphens": lambda t: "\u00ad".join(t),
    "tags": lambda t: "".join(c + "\U000e0061" for c in t),
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
    "mathematical": lambda t: "".join(chr(0x1D41A + ord(c) - ord("a")) if "a" <= c <= "z" else c for c in t),
    "digits": _leet,
    "set apart": lambda t: " ".join(t),
    "dotted": lambda t: ".".join(t.replace(" ", "").replace(".", "")),
    "drawn out": lambda t: "".join(c * 3 if c in "aeiou" else c for c in t),
}
MISSED: dict[str, Callable[[str], str]] = {
    "reversed": lambda t: t[::-1],
    "encoded": lambda t: base64.b64encode(t.encode()).decode(),
    "misspelt": lambda t: t[:2] + t[3:],
    "described": lambda t: "the painter of the starry night",
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_disguises_are_seen_through(disguise: str) -> None:
    for term in TERMS:
        text = f"a boat by {DISGUISES[disguise](term)}, at dawn"
        assert Blocklist(TERMS).found(text) == [term], text


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("violet harbour", "v10137 h4rb0ur"), ("violet harbour", "v1013t h4rb0ur"), ("Banksy", "8ank5y"),
        ("Basquiat", "8a5qu1a7"), ("Studio Ghibli", "57ud10 9h1811"), ("Hokusai", "h0ku541"),
        ("Tove Jansson", "70v3 j4n550n"),
    ],
)  # fmt: skip
def test_more_digits_than_letters_are_seen_through(term: str, text: str) -> None:
    assert Blocklist((term,)).found(f"a boat by {text}, at dawn") == [term]


def test_codes_of_letters_and_digits_raise_no_alarm() -> None:
    """100 000 random codes from the letters and digits that stand for each other, and 100 000 hexadecimal numbers.

    A code that is the term itself in another spelling counts: at least half of it is letters, as it was before.
    """
    generator = np.random.Generator(np.random.PCG64(1))
    signs = np.array(list("4831057972aeiostlbgz"))
    codes = ["".join(signs[generator.integers(0, 20, n)]) for n in generator.integers(4, 9, 100_000)]
    digests = [f"{n:08x}" for n in generator.integers(0, 1 << 32, 100_000)]
    names = ("Banksy", "Basquiat", "goebbels", "tolstoi", "loblolli", "obelisk", "isabella", "lolita", "bagatelle")
    assert Blocklist(names).found(" ".join(codes + digests)) == []


def test_what_is_not_caught_is_known() -> None:
    caught = {name for name, change in MISSED.items() if Blocklist(("van gogh",)).found(f"by {change('van gogh')} now")}
    assert caught == set()


def test_plain_text_raises_no_alarm() -> None:
    topics: dict[str, Any] = import_module("pydoc_data.topics").topics
    prose = "\n".join(topics[name] for name in sorted(topics))[:500_000]
    assert len(prose) > 400_000
    plainly = [term for term in TERMS if re.search(rf"\b{re.escape(term)}\b", prose, re.IGNORECASE)]
    assert Blocklist(TERMS).found(prose) == plainly == []


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("ill", "I'll be there"), ("ill", "a skill"), ("go", "90 boats"), ("gore", "categorey"),
        ("ass", "as so, a class"),
        ("art", "start a rt party"), ("gore", "Gorey"), ("banksy", "banks yellow"), ("sex", "Essex is six"),
        ("hell", "hello shell he'll"), ("tit", "title 717"),
        ("tit", "t17 of 71t"), ("gogol", "90901"), ("bible", "81b13"), ("isbel", "15831"), ("loss", "1055 l055"),
    ],
)  # fmt: skip
def test_words_that_hold_a_term_are_left_alone(term: str, text: str) -> None:
    assert Blocklist((term,)).found(text) == []


def test_scripts_without_spaces() -> None:
    assert Blocklist(("梵高",)).found("一幅梵高的画") == ["梵高"]
    assert Blocklist(("北斎",)).found("葛飾北斎風") == ["北斎"]


def test_tags_are_matched_alone_and_after_their_kind() -> None:
    """FTA-18: by name."""
    terms = Blocklist(("Van Gogh",))
    assert terms.tagged(["style:Vincent VAN GOGH", "boat"]) == ["Van Gogh"]
    assert terms.tagged(["van_gogh"]) == ["Van Gogh"]
    assert terms.tagged(["boat", "style:gogh"]) == []


def test_a_refusal_names_the_terms() -> None:
    assert Blocklist(("gore",)).refusal("G0RE", "prompt") == "the prompt holds what the policy blocks: gore"
    assert Blocklist(("gore",)).refusal("a boat", "prompt") is None
    assert Blocklist(()).refusal("gore", "prompt") is None
    with pytest.raises(MakarError, match="has no letter"):
        Blocklist(("!?",))


@given(st.text(max_size=40))
def test_any_text_has_one_normal_form(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12), st.text(max_size=30))
def test_any_word_is_found_beside_anything(word: str, text: str) -> None:
    assert Blocklist((word,)).found(f"{text} {word} {text}") == [word]


def test_long_and_hostile_texts_take_no_time() -> None:
    import time

    terms = Blocklist(("illicit lists", "aaaa", "van gogh"))
    begun = time.process_time()
    for text in ("1" * 50_000, "a " * 50_000, "il1|" * 20_000, "v a n " * 20_000, "\u0301" * 50_000):
        terms.found(text)
    assert time.process_time() - begun < 10


def test_jaccard_of_known_sets() -> None:
    a, b = (np.array(s, dtype=np.uint64) for s in ([1, 2, 3, 4], [3, 4, 5, 6]))
    assert jaccard(a, b) == pytest.approx(2 / 6)
    assert jaccard(a, a) == 1.0
    assert len(shingles("one two three four")) == 2
    assert len(shingles("")) == 1


def _texts(n: int, words: int, seed: int) -> list[str]:
    generator = np.random.Generator(np.random.PCG64(seed))
    return [" ".join(f"w{i}" for i in generator.integers(0, 5000, words)) for _ in range(n)]


def test_near_duplicates_are_counted() -> None:
    """Of 300 texts of 60 words 60 are another with two words changed: Jaccard about 0.82."""
    texts = _texts(240, 60, 1)
    generator = np.random.Generator(np.random.PCG64(2))
    for text in texts[:60]:
        words = text.split()
        for place in generator.choice(60, 2, replace=False):
            words[place] = "changed"
        texts.append(" ".join(words))
    share = similar_share(texts, 0.7)
    assert 0.38 <= share <= 0.40  # 120 of 300
    assert similar_share(_texts(300, 60, 3), 0.7) == 0.0
    assert similar_share([], 0.7) == 0.0


def test_limits_on_bulk() -> None:
    """GOV-27."""
    limits = Limits(an_hour=100)
    spam = [
        f"Dear customer {i}, your parcel is waiting, please pay the small fee on our page today." for i in range(50)
    ]
    assert "near-duplicates" in limits.refusals(spam, 0)[0]
    assert limits.refusals(_texts(50, 20, 4), 0) == []
    assert limits.refusals(spam[:5], 0) == []  # a few alike are no bulk
    assert "51 within the hour" in limits.refusals(_texts(50, 20, 4), 51)[0]


def test_the_bound_on_what_banding_misses() -> None:
    rows = moderation._HASHES // moderation._BANDS
    assert 1 - (1 - 0.5**rows) ** moderation._BANDS > 0.996
