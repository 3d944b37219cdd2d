"""Texts that are drawn: they begin and end as was asked, whoever shares their batch, and cost what they must."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import makar
from makar.apps.workbench import Fitted
from makar.core.errors import MakarError
from makar.core.learner import Batch
from makar.core.noise import Noise
from makar.data import Dataset, manifest, splits
from makar.data.dataset import Split
from makar.families._next_symbol import NextSymbol
from makar.families.ngram import NGram
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.verbs import _texts
from makar.verbs.chain import Chain
from makar.verbs.hand_over import hand_over
from makar.verbs.sample import default_sampler, draw_rows

WORDS = ["the", "river", "and", "a", "boat", "went", "down", "past", "grey", "stones", "where", "nobody", "had", "been"]


def dataset(documents: list[str]) -> Dataset:
    """Documents of nobody, the last one held out."""
    train, held = documents[:-1], documents[-1:]
    items = {"train": splits.digests(train), "held_out": splits.digests(held)}
    described = manifest.build(
        name="words", modality="text", source="made up", licence="CC0-1.0", attribution="", classes=[], items=items,
        split="", notes=[],
    )  # fmt: skip
    return Dataset(Split(train), Split(held), described)


def sentences(count: int, seed: int = 0) -> str:
    chance = random.Random(seed)
    made = [" ".join(chance.choices(WORDS, k=chance.randint(3, 9))).capitalize() + "." for _ in range(count)]
    return " ".join(made)


@cache
def long() -> Fitted:
    """An n-gram of long documents, which are packed into windows of 32 symbols."""
    data = dataset([sentences(120, seed) for seed in range(6)])
    settings = {"length": 32}
    return makar.fit("ngram", data, settings={"order": 6}, codec="symbols", codec_settings=settings)


@cache
def short() -> Fitted:
    """An n-gram of sentences, a row each."""
    return makar.fit("ngram", dataset(sentences(300).split(". ")), settings={"order": 6})


@cache
def network(family: str) -> Fitted:
    """A network that has learnt next to nothing, of long documents in windows of 24 bytes."""
    data = dataset([sentences(20, seed) for seed in range(4)])
    settings: dict[str, Any] = {"width": 16, "depth": 1} | ({"heads": 2} if family == "transformer" else {})
    return makar.fit(family, data, "30 steps", settings=settings, codec="bytes", codec_settings={"length": 24})


def texts(model: Fitted, n: int, **asked: Any) -> list[str]:
    return [str(artifact.content) for artifact in model.sample(n, **asked)]


@pytest.mark.parametrize("made", [long, lambda: network("transformer"), lambda: network("recurrent")])
def test_a_text_has_the_length_that_was_asked_for_beyond_a_window_and_in_any_batch(made: Callable[[], Fitted]) -> None:
    model = made()
    many = texts(model, 34, length=100)
    assert all(len(text) <= 100 for text in many)
    assert sum(len(text) == 100 for text in many) >= 8
    assert texts(model, 3, length=100) == many[:3]
    assert [text[:70] for text in many] == texts(model, 34, length=70)
    assert len(set(many)) == 34


def test_without_a_length_a_text_ends_with_its_document_or_a_sentence() -> None:
    trained = long().trained
    drawn = draw_rows(trained.model, 0, range(64), sampler=default_sampler(trained))
    ended = 0
    for text, whole, row in zip(texts(long(), 64), trained.codec.decode(drawn), drawn.tolist(), strict=True):
        if row[-1] < 0 or row[-1] == trained.codec.prompt()[0]:
            assert text == whole
            ended += 1
        else:
            assert len(whole) == trained.codec.space.dimensions - 1
            assert whole.startswith(text)
            assert text != whole or text.endswith(".")
            assert text.endswith(".") or "." not in whole[len(whole) // 2 :].rstrip(".")
    assert 0 < ended < 60
    items = texts(short(), 64)
    assert (
        sum(item.split()[-1].rstrip(".") in WORDS for item in items if item) > 55
    )  # they end with a word, not amid it


def test_a_text_begins_with_its_prompt_and_says_so_in_words() -> None:
    for model in (long(), short(), network("transformer")):
        prompt = "The river went down past the grey stones and "
        found = model.sample(33, prompt=prompt, length=90)
        assert all(str(a.content).startswith(prompt) for a in found)
        assert len({str(a.content) for a in found}) > 5
        assert str(model.sample(1, prompt=prompt, length=90)[0].content) == found[0].content
        recipe = found[32].recipe
        assert (recipe["prompt"], recipe["length"]) == (prompt, 90)
        assert "prompt" not in recipe["sampler_settings"]
        free = model.sample(2, prompt=prompt)  # a prompt longer than a window has room behind it
        assert all(len(str(a.content)) > len(prompt) for a in free)


def test_a_prompt_changes_what_follows() -> None:
    """After "rive" comes "r" for whoever has read the prompt."""
    assert {text[len("The rive")] for text in texts(long(), 32, prompt="The rive", length=12)} == {"r"}


def test_what_cannot_be_asked_for_is_refused_in_a_sentence() -> None:
    with pytest.raises(MakarError, match="the prompt has 'λ', which is in no document that the model learnt from"):
        long().sample(1, prompt="λ")
    with pytest.raises(MakarError, match="a length of 4 characters has no room behind the prompt, which has 4"):
        long().sample(1, prompt="The ", length=4)
    whole = makar.fit("independent", dataset(sentences(50).split(". ")))
    with pytest.raises(MakarError, match=r"'independent' draws a whole text at a time .* ngram, .*transformer"):
        whole.sample(1, prompt="The ")
    assert all(len(text) <= 5 for text in texts(whole, 3, length=5))
    digits = makar.fit("gaussian", makar.data("digits"))
    with pytest.raises(MakarError, match="are for text, and this model makes pictures"):
        digits.sample(1, prompt="a seven")


def test_no_character_is_broken_where_a_text_is_cut_and_each_has_its_length() -> None:
    """In bytes, of which a line of one script takes three times as many as one of the other."""
    lines = ["川は流れる。舟が行く、石は灰色だ。" * 2, "the boat went down past the grey stones. "]
    documents = ["".join(random.Random(i).choices(lines, k=40)) for i in range(6)]
    model = makar.fit("ngram", dataset(documents), settings={"order": 7}, codec="bytes", codec_settings={"length": 64})
    for length in (None, 60, 61, 62):
        found = texts(model, 32, length=length, settings={"temperature": 0.3})
        assert not any(text.endswith("�") for text in found)
        assert length is None or sum(len(text) == length for text in found) > 28


def test_drawing_stops_with_the_last_that_was_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile of 32 texts costs as much as those of them that are wanted."""
    model = short().trained.model
    steps: list[int] = []
    assert isinstance(model, NGram)
    plain = model.next

    def counted(prefix: Tensor, cache: Any, condition: Tensor | None = None) -> tuple[Tensor, Any]:
        steps.append(prefix.shape[1])
        return plain(prefix, cache, condition)

    monkeypatch.setattr(model, "next", counted)
    lengths = [len(text) for text in texts(short(), 32)]
    assert len(steps) == max(lengths) + 1
    least = lengths.index(min(lengths))
    steps.clear()
    x = draw_rows(model, 0, [least])
    assert len(steps) == min(lengths) + 1
    assert x.shape == (1, model.space.dimensions)


@pytest.mark.parametrize("family", ["transformer", "recurrent"])
def test_a_loss_is_that_of_all_symbols_and_of_no_padding(family: str) -> None:
    """A batch is cut behind its longest item, and no sooner."""
    model = network(family).trained.model
    assert isinstance(model, NextSymbol)
    x = torch.full((3, 24), -1)
    for row, length in zip(x, (5, 17, 1), strict=True):
        row[:length] = torch.arange(length) + 97
    noise = Noise.step(0, 0, 3)
    with torch.no_grad():
        torch.testing.assert_close(model.loss(Batch(x, None), noise), -model.log_prob(x, noise).nats)


def test_a_prompt_is_a_digest_in_the_receipt_and_blocked_terms_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKAR_HOME", str(tmp_path / "home"))
    prompt = "The river "
    for kept in ("digest", "text"):
        chain = Chain(Home.here(), Policy(prompt=kept, blocked=("zebra",)), True)  # type: ignore[arg-type]
        hand_over(chain, long().trained, tmp_path / kept, 2, prompt=prompt, length=40)
        listed = json.loads((tmp_path / kept / "outputs.json").read_text(encoding="utf-8"))
        for receipt in (entry["receipt"] for entry in listed):
            assert receipt["prompt"] == hashlib.sha256(prompt.encode()).hexdigest()
            assert receipt["recipe"].get("prompt") == (prompt if kept == "text" else None)
            assert receipt["recipe"]["length"] == 40
            assert "prompt" not in receipt["recipe"]["sampler_settings"]
    with pytest.raises(MakarError, match="the prompt holds what the policy blocks: zebra"):
        hand_over(chain, long().trained, tmp_path / "no", 2, prompt="a zebra")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One two three. Four five six. Seven ei", "One two three. Four five six."),
        ("“Is it so?” he asked. “It is!” And he we", "“Is it so?” he asked. “It is!”"),
        ("of 3.14 and more of the sam", "of 3.14 and more of the"),
        ("first line\nsecond line\nthird li", "first line\nsecond line\n"),
        ("川は流れる。舟が行く。石は灰", "川は流れる。舟が行く。"),
        ("A. Then a long way without any end that one could s", "A. Then a long way without any end that one could"),
        ("CC(C)Cc1ccc(cc1)C(C)C(=O", "CC(C)Cc1ccc(cc1)C(C)C(=O"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_text_is_cut_behind_its_last_whole_sentence_line_or_word(text: str, shown: str) -> None:
    assert _texts.cut(text) == shown


def test_a_prompt_is_never_cut() -> None:
    assert _texts.cut("One. Two. Three four fi", len("One. Two. Three")) == "One. Two. Three four"
    assert _texts.cut("One. Two. Three four five. Six", len("One. Two. Three")) == "One. Two. Three four five."


def test_the_codec_is_that_of_the_documents() -> None:
    chance = random.Random(0)
    molecules = ["".join(chance.choices("CNOc1()=", k=chance.randint(20, 50))) for _ in range(8000)]
    assert _texts.codec_for(molecules) == "symbols"
    assert _texts.codec_for([*molecules, "C" * 3000]) == "symbols"  # one of them far longer
    verses = [sentences(4, i) for i in range(2000)]
    assert _texts.codec_for(verses) == "bpe"
    assert _texts.codec_for(verses[:100]) == "symbols"  # too little of it to learn pairs
    assert _texts.codec_for([m * 10 for m in molecules]) == "bpe"
