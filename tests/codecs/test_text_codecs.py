"""Text codecs: any text comes back; documents are laid end to end as they say."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
    return BPE(BPEConfig(vocab=vocab, length=length)).fit(PROSE)


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


def test_bytes_that_are_not_text_are_shown_as_such() -> None:
    assert Bytes(BytesConfig()).decode(torch.tensor([[256, 0xC3, 97, 0xFF]])) == ["�a�"]
    broken = FITTED.encode(["é"])[0, 1:2]  # the first of its two bytes, which no merge joined
    assert FITTED.decode(broken.unsqueeze(0)) == ["�"]


@pytest.mark.parametrize("codec", [Bytes(BytesConfig()), FITTED, Symbols(SymbolsConfig()).fit(["naïve", "☃"])])
def test_bits_are_counted_by_the_byte(codec: Codec) -> None:
    assert codec.units(["naïve", "☃"]) == 9
    assert codec.nats(["naïve", "☃"]) == 0.0


@pytest.mark.parametrize("codec", [Bytes(BytesConfig()), FITTED])
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
    assert codec.space.length == 8  # twice the longest with its end
    assert codec.decode(torch.tensor([[1, 4, 0, 0], [0, 0, 0, 0], [2, -1, -1, -1]])) == ["b", "aaaa", "c"]


def test_an_unknown_character_is_marked_and_paid_for() -> None:
    codec = Symbols(SymbolsConfig()).fit(["abc", "ba"])
    assert codec.decode(codec.encode(["azc☃"])) == ["a�c�"]
    assert codec.nats(["abc", "azc☃"]) == pytest.approx(-2 * math.log(1_112_064 - 3))


def test_symbols_refuse_a_sentence_longer_than_a_row() -> None:
    with pytest.raises(MakarError, match="a document has 8 characters"):
        Symbols(SymbolsConfig()).fit(["abc", "ba"]).encode(["abcabcab"])
