"""The verbatim guard: planted quotes are found at their length, held-out text passes at the stated rate."""

from __future__ import annotations

import difflib
import pydoc_data.topics
import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.provenance import verbatim
from makar.provenance.home import Home

DIGEST = "cd" * 32


def ids(count: int) -> list[str]:
    return [f"{i:064x}" for i in range(count)]


@cache
def documents() -> list[str]:
    """The reference manual of Python, every line once, as its topics repeat each other, in pieces and in no order."""
    text = "\n".join(dict.fromkeys(line for t in pydoc_data.topics.topics.values() for line in t.splitlines()))
    found = [text[i : i + 3000] for i in range(0, len(text), 3000)]
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))]


@cache
def quotes() -> verbatim.Quotes:
    train = documents()[::2]
    return verbatim.build(train, ids(len(train)), DIGEST)


def even(text: str) -> str:
    """Case and white space evened out, the other way."""
    return re.sub(r"\s+", " ", text).casefold()


@pytest.mark.parametrize("length", [20, 21, 23, 24, 50, 400])
def test_planted_quotes_are_found_at_their_length(length: int) -> None:
    train, chance = documents()[::2], np.random.default_rng(length)
    usable = [i for i, d in enumerate(train) if len(d) > 1000]
    for _ in range(30):
        which = int(chance.choice(usable))
        place = int(chance.integers(0, len(train[which]) - length))
        quote = train[which][place : place + length]
        if len(even(quote)) < verbatim.SHORTEST:
            continue  # indented code: too little is left to be surely found
        text = "\x01" * 30 + quote + "\x02" * 30
        found = quotes().longest(text)
        assert (found.start, found.length, found.evened) == (30, length, len(even(quote)))
        document = train[ids(len(train)).index(found.item)]
        assert even(document[found.place :]).startswith(even(quote))  # there, if not in the one it was taken from


@given(st.lists(st.text("ab ", max_size=80), min_size=1, max_size=4), st.text("ab ", max_size=80))
def test_it_agrees_with_difflib(corpus: list[str], text: str) -> None:
    found = verbatim.build(corpus, ids(len(corpus)), DIGEST).longest(text)
    matchers = [difflib.SequenceMatcher(None, even(text), even(d), autojunk=False) for d in corpus]
    best = max(m.find_longest_match().size for m in matchers)
    assert found.evened <= best
    if best >= verbatim.SHORTEST:
        assert found.evened == best
    if found.length:
        document = corpus[ids(len(corpus)).index(found.item)]
        passage = even(text[found.start : found.start + found.length])
        assert len(passage) == found.evened
        assert even(document[found.place :]).startswith(passage)


DISGUISES: dict[str, Callable[[str], str]] = {
    "in capitals": str.upper,
    "in small letters": str.lower,
    "spaces doubled": lambda t: t.replace(" ", "  "),
    "wrapped": lambda t: t.replace(" ", "\n   "),
    "other spaces": lambda t: t.replace(" ", "\u2003"),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_quotes_in_capitals_or_spaced_out_are_quotes(disguise: str) -> None:
    train, change = documents()[::2], DISGUISES[disguise]
    for i, document in enumerate(train):
        quote = document[200:400].strip()
        if len(even(quote)) < 80:
            continue
        text = f"\x01 \x02{change(quote)}\x01"
        found = quotes().guard(text, 80)
        assert found is not None
        assert text[found.start : found.start + found.length] == change(quote), (i, found)
        assert found.evened == len(even(quote))


def test_a_passages_place_is_in_the_document_as_it_was_given() -> None:
    """Sharp s folds to two letters, and white space before the passage is evened out."""
    first = "Die  Straße   nach\n\nGroßbüchel ist lang, und niemand geht sie gern."
    second = "  Ein zweiter   Satz: der HUND bellt in der   Nacht und schläft am Tag."
    made = verbatim.build([first, second], ids(2), DIGEST)
    said = "Er sagte, DER HUND BELLT IN DER NACHT und dann nichts."
    found = made.longest(said)
    assert found.item == ids(2)[1]
    assert second[found.place :].startswith(" der HUND bellt")
    assert said[found.start : found.start + found.length] == " DER HUND BELLT IN DER NACHT und "
    assert (found.length, found.evened) == (33, 33)
    found = made.longest("NACH GROSSBÜCHEL IST LANG")
    assert (found.item, found.start, found.length, found.evened) == (ids(2)[0], 0, 25, 25)
    assert first[found.place :].startswith("nach")


def test_padding_does_not_make_a_passage_longer() -> None:
    made = verbatim.build(["some text that is long enough to be quoted"], ids(1), DIGEST)
    text = "text that is" + " " * 100 + "long enough"
    assert made.guard(text, 25) is None
    found = made.guard(text, 24)
    assert found is not None
    assert (found.length, found.evened) == (len(text), 24)


@given(st.text(max_size=60))
def test_any_text_is_its_own_quotation(text: str) -> None:
    made = verbatim.build([f"{text} and words to make it long enough"], ids(1), DIGEST)
    found = made.longest(f"{text} and words to make it long enough")
    assert (found.start, found.length, found.place) == (0, len(text) + 33, 0)


def test_passages_do_not_cross_documents() -> None:
    made = verbatim.build(["x" * 10 + "the first one ends so", "and this is the second"], ids(2), DIGEST)
    assert made.longest("the first one ends soand this is the second").length == 22


def test_held_out_text_passes_at_the_stated_rate() -> None:
    """A limit chosen on one half of the fresh texts, counted on the other, over ten halves."""
    fresh = [d[i : i + 500] for d in documents()[1::2] for i in range(0, len(d) - 500, 500)]
    lengths = {t: quotes().longest(t).evened for t in fresh}
    stopped = []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(fresh))
        tune, count = [fresh[i] for i in order[: len(order) // 2]], [fresh[i] for i in order[len(order) // 2 :]]
        limit = quotes().limit(tune, 0.05)
        stopped += [lengths[t] >= limit for t in count]
    assert 0.02 < np.mean(stopped) <= 0.06
    limit = quotes().limit(fresh, 0.05)
    train = documents()[::2]
    longer = [even(d)[100 : 100 + limit] for d in train if len(even(d)) > 100 + limit]
    assert all(quotes().guard(f"He said: {t}!", limit) is not None for t in longer)
    assert all(quotes().guard(f"\x01{t[:-1]}\x01", limit) is None for t in longer[:20])


def test_a_limit_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(MakarError, match="at least 20"):
        quotes().guard("any", 19)


def test_it_is_fast_and_repetition_does_not_harm_it() -> None:
    made = verbatim.build(["ab" * 50_000, "a" * 50_000], ids(2), DIGEST)
    joined = "".join(documents()[::2])
    begun = time.process_time()
    assert made.longest("a" * 5000).length == 5000
    assert quotes().longest(joined).length >= 3000
    assert time.process_time() - begun < 2.0


def test_no_text_and_short_text_hold_nothing() -> None:
    assert quotes().longest("") == verbatim.NOTHING
    assert quotes().longest("short") == verbatim.NOTHING
    with pytest.raises(MakarError, match="no training text"):
        verbatim.build([], [], DIGEST)


def test_saved_and_loaded_it_says_the_same(home: Path) -> None:
    assert verbatim.load(Home(home), DIGEST) is None
    made = verbatim.build(["Übung macht den Meister, sagt man 😀", "second document of the two"], ids(2), DIGEST)
    verbatim.save(made, Home(home))
    again = verbatim.load(Home(home), DIGEST)
    assert again is not None
    for text in ("wie: Übung macht den Meister, sagt", "a second document of the", "none"):
        assert again.longest(text) == made.longest(text)


def test_an_altered_index_is_refused(home: Path) -> None:
    folder = verbatim.save(verbatim.build(["some text that is long enough"], ids(1), DIGEST), Home(home))
    data = bytearray((folder / "index.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "index.safetensors").write_bytes(bytes(data))
    with pytest.raises(MakarError, match="does not match its digest"):
        verbatim.load(Home(home), DIGEST)
