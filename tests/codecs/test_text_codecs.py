"""Text codecs: any text comes back; documents are laid end to end as they say."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from makar.codecs._documents import Documents, Form
from makar.codecs.bpe import BPE
from makar.codecs.bpe import Config as BPEConfig
from makar.codecs.bytes import Bytes
from makar.codecs.bytes import Config as BytesConfig
from makar.codecs.symbols import Config as SymbolsConfig
from makar.codecs.symbols import Symbols
from makar.core.codec import Codec
from makar.core.errors import MakarError, MissingExtra

PROSE = ["In the beginning was the word.\n", "And the word was with the makar, and the makar made.\n"] * 20


def bpe(vocab: int = 300, length: int = 256) -> BPE:
    return BPE(BPEConfig(vocab=vocab, length=length, rows="packed")).fit(PROSE)


FITTED = bpe()


def again(codec: Codec) -> Codec:
    """The codec made anew from its state, which has been JSON on the way."""
    return type(codec)(codec.config).restore(json.loads(json.dumps(codec.state())))


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=60)
def test_any_text_comes_back(text: str) -> None:
    for codec in (Bytes(BytesConfig()), FITTED, again(FITTED)):
        x = codec.encode([text])
        assert codec.space.holds(x)
        assert codec.decode(x) == [text]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5), st.integers(3, 9))
@settings(deadline=None, max_examples=60)
def test_any_alphabet_comes_back_whether_apart_or_packed(documents: list[str], length: int) -> None:
    codec = Symbols(SymbolsConfig(length=length)).fit(documents)
    x = codec.encode(documents)
    assert codec.space.holds(x)
    assert torch.equal(again(codec).encode(documents), x)
    if max(map(len, documents)) < length:
        assert codec.decode(x) == documents
        assert codec.prompt() == []
    else:
        stream = x.flatten()[x.flatten() >= 0]
        begins = (stream == codec.prompt()[0]).nonzero().flatten().tolist()
        parts = [stream[a:b] for a, b in zip(begins, [*begins[1:], len(stream)], strict=True)]
        assert [codec.decode(part.unsqueeze(0))[0] for part in parts] == documents


def test_documents_are_laid_end_to_end() -> None:
    codec = Bytes(BytesConfig(length=4))
    assert codec.encode(["ab", "", "cde"]).tolist() == [[256, 97, 98, 256], [256, 99, 100, 101]]
    assert codec.encode(["abcd"]).tolist() == [[256, 97, 98, 99], [100, -1, -1, -1]]
    assert codec.encode([]).shape == (0, 4)


def test_a_row_is_the_document_that_it_begins_with() -> None:
    codec = Bytes(BytesConfig(length=6))
    rows = torch.tensor([[256, 97, 98, 256, 99, 100], [97, 98, 256, 99, -1, -1], [256, 256, 97, 97, 97, 97]])
    assert codec.decode(rows) == ["ab", "ab", ""]


def test_bytes_that_are_not_text_are_shown_as_such_and_cut_characters_left_out() -> None:
    assert Bytes(BytesConfig()).decode(torch.tensor([[256, 0xC3, 97, 0xFF]])) == ["�a�"]
    for codec in (Bytes(BytesConfig()), FITTED):
        first, second = codec.encode(["é"])[0, 1:3].tolist()  # its two bytes, which no merge joined
        a = codec.encode(["a"])[0, 1].item()
        rows = [[first, a, a], [a, a, first], [second, a, a], [a, second, a]]
        assert codec.decode(torch.tensor(rows)) == ["�aa", "aa", "aa", "a�a"]


@pytest.mark.parametrize(
    "text", ["Ἐν ἀρχῇ ἦν ὁ λόγος", "これは日本語の文章です。", "यह हिन्दी है।", "هذا نص عربي", "🙂👩‍👩‍👧🇬🇷 naïve"]
)
@pytest.mark.parametrize("rows", ["apart", "packed"])
def test_every_script_comes_back_and_no_cut_breaks_a_character(text: str, rows: Form) -> None:
    for codec in (
        Bytes(BytesConfig(rows=rows)), BPE(BPEConfig(300, rows=rows)), Symbols(SymbolsConfig(rows=rows)),
    ):  # fmt: skip
        x = codec.fit([text, text[:2]]).encode([text])
        assert codec.decode(x) == [text]
        for cut in range(x.shape[1]):
            (shown,) = codec.decode(x[:, :cut])
            assert text.startswith(shown), (codec, cut)
            assert codec.prompt(text) == codec.prompt() + x[0, len(codec.prompt()) : len(codec.prompt(text))].tolist()


def test_short_documents_have_a_row_each_and_long_ones_are_packed() -> None:
    short, long = ["abcab", "ab"] * 20, ["abcab" * 60] * 20
    for codec in (Bytes(BytesConfig()), BPE(BPEConfig(270)), Symbols(SymbolsConfig())):
        x = codec.fit(short).encode(short)
        assert len(x) == len(short)
        assert x.shape[1] == codec.space.length <= 6
        assert torch.eq(x, codec.marker).sum(1).tolist() == [1] * len(short)
        assert codec.prompt() == []
        assert "a row a document" in codec.words()
    for codec in (Bytes(BytesConfig()), BPE(BPEConfig(258, length=64)), Symbols(SymbolsConfig())):
        x = codec.fit(long).encode(long)
        assert int(torch.ge(x, 0).sum()) == sum(map(len, codec.symbols(long))) + len(long)
        assert codec.prompt() == [codec.space.start]
        assert "end to end" in codec.words()


def test_a_document_far_longer_than_the_rest_sets_no_length_and_is_not_lost() -> None:
    documents = ["abcab"] * 400 + ["cab" * 30]
    codec = Symbols(SymbolsConfig()).fit(documents)
    assert codec.space.length == 6
    x = codec.encode(documents)
    assert codec.space.holds(x)
    assert len(x) == 400 + 16  # 90 characters and the marker, six a row
    assert "".join(codec.decode(x)[400:]) == documents[-1]
    assert int(torch.eq(x, codec.marker).sum()) == 401
    near = Symbols(SymbolsConfig()).fit(["abcab"] * 400 + ["abcabcab"])
    assert near.space.length == 9  # little longer than the rest: it is held whole


def test_an_alphabet_is_bounded_and_what_is_left_out_is_paid_for() -> None:
    script = "".join(chr(0x4E00 + i) for i in range(50))
    codec = Symbols(SymbolsConfig(vocab=10)).fit([script[:10] * 5, script])
    assert codec.space.vocab == 12
    assert codec.decode(codec.encode([script[5:12]])) == [script[5:10] + "��"]
    assert codec.nats([script]) == pytest.approx(-40 * math.log(1_112_064 - 10))
    assert codec.never() == [10]
    with pytest.raises(MakarError, match=f"the prompt has '{script[20]}'"):
        codec.prompt(script[:3] + script[20])


@pytest.mark.parametrize("kind", [Bytes, BPE, Symbols])
def test_a_prompt_begins_a_document_and_has_known_characters(kind: type[Documents]) -> None:
    for rows in ("apart", "packed"):
        codec = kind(kind.Config(rows=rows)).fit(PROSE)
        for known in (codec, again(codec)):
            begun = known.prompt("In the")
            assert begun[: len(known.prompt())] == known.prompt()
            assert known.decode(torch.tensor([begun])) == ["In the"]
            with pytest.raises(MakarError, match="the prompt has 'λж', which is in no document"):
                known.prompt("In the λж")
    old = codec.state()
    del old["characters"]  # what older versions saved says nothing of them
    if kind is not Symbols:
        assert kind(codec.config).restore(old).prompt("λ")


def test_a_row_must_have_room() -> None:
    with pytest.raises(MakarError, match="length is 1"):
        Bytes(BytesConfig(length=1))
    with pytest.raises(MakarError, match="vocab is 0"):
        Symbols(SymbolsConfig(vocab=0))


@pytest.mark.parametrize("codec", [Bytes(BytesConfig()), FITTED, Symbols(SymbolsConfig()).fit(["naïve", "☃"])])
def test_bits_are_counted_by_the_byte(codec: Codec) -> None:
    assert codec.units(["naïve", "☃"]) == 9
    assert codec.nats(["naïve", "☃"]) == 0.0


@pytest.mark.parametrize("codec", [Bytes(BytesConfig()), FITTED], ids=["bytes", "bpe"])
def test_a_drawn_row_begins_a_document(codec: Codec) -> None:
    (begin,) = codec.prompt()
    assert codec.encode(["x"])[0, 0] == begin
    assert int(codec.encode(["x"]).max()) == begin == codec.space.vocab - 1  # type: ignore[union-attr]


def test_bpe_fills_its_vocabulary_and_shortens_text() -> None:
    assert bpe(vocab=280).space.vocab == 280
    assert FITTED.space.vocab == 288  # here every word is one symbol, and there is nothing left to merge
    assert (FITTED.encode(PROSE) >= 0).sum() < 0.55 * FITTED.units(PROSE)
    assert bpe().state() == FITTED.state()  # the same text learns the same merges
    with pytest.raises(MakarError, match="vocab is 200"):
        BPE(BPEConfig(vocab=200))
    with pytest.raises(MakarError, match="has learnt nothing yet"):
        BPE(BPEConfig()).encode(["x"])


def test_bpe_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"makar\[text\]"):
        BPE(BPEConfig())


def test_sentences_stay_apart_and_end() -> None:
    codec = Symbols(SymbolsConfig()).fit(["abc", "ba"])
    assert codec.encode(["ba", "abc", ""]).tolist() == [[1, 0, 4, -1], [0, 1, 2, 4], [4, -1, -1, -1]]
    assert codec.space.length == 4  # the longest with its end
    assert codec.decode(torch.tensor([[1, 4, 0, 0], [0, 0, 0, 0], [2, -1, -1, -1]])) == ["b", "aaaa", "c"]


def test_an_unknown_character_is_marked_and_paid_for() -> None:
    codec = Symbols(SymbolsConfig()).fit(["abca", "ba"])
    assert codec.decode(codec.encode(["azc☃"])) == ["a�c�"]
    assert codec.nats(["abc", "azc☃"]) == pytest.approx(-2 * math.log(1_112_064 - 3))


def test_a_sentence_longer_than_a_row_goes_on_in_the_next() -> None:
    codec = Symbols(SymbolsConfig()).fit(["abc", "ba"])
    assert codec.encode(["abcabc", "ba"]).tolist() == [[0, 1, 2, 0], [1, 2, 4, -1], [1, 0, 4, -1]]
