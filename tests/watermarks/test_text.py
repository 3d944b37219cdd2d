"""Marks in text: exact against small cases counted out, unbiased, found by their key and by no other."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from functools import cache
from math import comb
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

import makar
from makar.core import registry
from makar.core.codec import Codec
from makar.core.errors import MakarError
from makar.core.model import Model
from makar.core.noise import Noise, Replay
from makar.core.sampler import Sampler
from makar.core.spaces import Levels, Reals, Tokens
from makar.core.watermark import Watermark
from makar.watermarks._keyed import KEY, LEAST, MOST, KeyedNoise, binomial_tail, keyed_bits
from makar.watermarks.greenlist import Greenlist
from makar.watermarks.tournament import Config, Tournament, tournament

MARKS = (Tournament, Greenlist)
SECRET = bytes(range(100, 100 + KEY))
FREE = (1 << 64) - 1


def other_key(i: int) -> bytes:
    return hashlib.sha256(f"another {i}".encode()).digest()


@cache
def sources() -> list[str]:
    """Text that people wrote: makar's own files."""
    return [p.read_text(encoding="utf-8") for p in sorted(Path(makar.__file__).parent.rglob("*.py"))]


@cache
def made(kind: str = "bytes", order: int = 6) -> tuple[Any, Codec]:
    """An n-gram of some of makar's files, and its codec."""
    codec_type, model_type = registry.load("codecs", kind), registry.load("families", "ngram")
    codec = codec_type(codec_type.Config(length=400, **({"vocab": 900} if kind == "bpe" else {}))).fit(sources()[:40])
    model = model_type(codec.space, None, model_type.Config(order=order))
    model.count(codec.encode(sources()[:40]), None)
    return model, codec


def sampler(name: str = "ancestral", **settings: Any) -> Sampler:
    kind = registry.load("samplers", name)
    found: Sampler = kind(kind.Config(**settings))
    return found


def mark_of(kind: type[Watermark], key: bytes = SECRET, of: str = "bytes", **settings: Any) -> Watermark:
    model, codec = made(of)
    return kind(kind.Config(**settings), key, model, codec)


def draw(
    mark: Watermark | None, indices: range | list[int] = range(32), of: str = "bytes", seed: int = 3, steps: int = 300
) -> Tensor:
    """Symbols (rows, 1 + steps) of these outputs of a seed, the prompt first; none ends before."""
    model, codec = made(of)
    assert isinstance(codec.space, Tokens)
    noise = Noise.rows(seed, indices)
    rows = torch.empty(0)
    endless = sampler(prompt=tuple(codec.prompt()), never=(codec.space.start,))
    for rows in endless.partials(model, noise if mark is None else mark.noise(noise)):
        if rows.shape[1] > steps:
            break
    return rows


def text_of(row: Tensor, of: str = "bytes") -> str:
    codec = made(of)[1]
    assert isinstance(codec.space, Tokens)
    return str(codec.decode(row[row != codec.space.start].unsqueeze(0))[0])


@cache
def marked_texts(kind: type[Watermark], of: str = "bytes") -> list[str]:
    return [text_of(row, of) for row in draw(mark_of(kind, of=of), of=of)]


# The arithmetic -------------------------------------------------------------------------------------------------------


def test_the_formula_is_a_tournament_between_candidates() -> None:
    """p_m counted out over all draws of 2^m candidates, matched in pairs, ties by a coin."""
    p = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
    for bits in list(itertools.product(range(4), repeat=3))[::9]:

        def winner(group: tuple[int, ...], layer: int, bits: tuple[int, ...] = bits) -> dict[int, Fraction]:
            if len(group) == 1:
                return {group[0]: Fraction(1)}
            half = len(group) // 2
            left, right = winner(group[:half], layer - 1), winner(group[half:], layer - 1)
            found: dict[int, Fraction] = {}
            for (a, pa), (b, pb) in itertools.product(left.items(), right.items()):
                ga, gb = bits[a] >> layer - 1 & 1, bits[b] >> layer - 1 & 1
                best = (a, b) if ga == gb else (a, a) if ga > gb else (b, b)
                for v in best:
                    found[v] = found.get(v, Fraction(0)) + pa * pb / 2
            return found

        counted = [Fraction(0)] * 3
        for group in itertools.product(range(3), repeat=4):
            chance = p[group[0]] * p[group[1]] * p[group[2]] * p[group[3]]
            for v, share in winner(group, 2).items():
                counted[v] += chance * share
        computed = tournament(torch.tensor([[float(x) for x in p]], dtype=torch.float64), torch.tensor([bits]), 2)
        torch.testing.assert_close(computed[0], torch.tensor([float(x) for x in counted], dtype=torch.float64))


def test_the_mean_over_all_bits_is_the_distribution_itself() -> None:
    p = torch.tensor([0.7, 0.25, 0.05], dtype=torch.float64)
    layers = 4
    bits = torch.tensor(list(itertools.product(range(2**layers), repeat=3)))
    mean = tournament(p.expand(len(bits), -1), bits, layers).mean(0)
    torch.testing.assert_close(mean, p, rtol=0, atol=1e-14)


@settings(max_examples=40)
@given(st.integers(1, 64), st.integers(1, 40), st.integers(0, 2**31))
def test_rounds_played_together_are_rounds_played_one_by_one(layers: int, vocab: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    p = (8 * torch.randn(3, vocab, generator=generator, dtype=torch.float64)).softmax(1)
    bits = torch.randint(-(2**62), 2**62, (3, vocab), generator=generator)
    one_by_one = p
    for layer in range(layers):
        g = (bits >> layer & 1).double()
        one_by_one = one_by_one * (1 + g - (one_by_one * g).sum(1, keepdim=True))
    together = tournament(p, bits, layers)
    torch.testing.assert_close(together, one_by_one, rtol=1e-9, atol=1e-12)
    assert bool((together >= 0).all())
    torch.testing.assert_close(together.sum(1), torch.ones(3, dtype=torch.float64))


def test_keyed_bits_are_those_of_plain_integers() -> None:
    contexts = torch.tensor([[1, 2, 3], [255, 0, 70_000]])
    symbols = torch.tensor([[0, 1, 256, 99_999]])
    for row, found in zip(contexts.tolist(), keyed_bits(SECRET, b"a test", contexts, symbols).tolist(), strict=True):
        data = b"".join(s.to_bytes(4, "little") for s in row)
        seed = int.from_bytes(hashlib.blake2b(data, digest_size=8, key=SECRET, person=b"a test").digest(), "little")
        for symbol, bits in zip(symbols[0].tolist(), found, strict=True):
            z = (seed + (symbol + 1) * 0x9E3779B97F4A7C15) & FREE
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & FREE
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB & FREE
            assert (bits & FREE) == z ^ (z >> 31)


def test_keyed_bits_are_fair_and_their_own_for_key_purpose_context_and_symbol() -> None:
    contexts, symbols = torch.arange(600).reshape(200, 3), torch.arange(300).unsqueeze(0)
    bits = keyed_bits(SECRET, b"a test", contexts, symbols)
    assert len(bits.unique()) == bits.numel()
    ones = (bits.unsqueeze(2) >> torch.arange(64) & 1).float().mean((0, 1))
    assert float((ones - 0.5).abs().max()) < 4.5 * 0.5 / (200 * 300) ** 0.5
    for changed in (
        keyed_bits(other_key(0), b"a test", contexts, symbols),
        keyed_bits(SECRET, b"b", contexts, symbols),
    ):
        agree = ((bits ^ changed).unsqueeze(2) >> torch.arange(64) & 1).float().mean()
        assert abs(float(agree) - 0.5) < 5 * 0.5 / (200 * 300 * 64) ** 0.5


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0.25, 0.5, 0.1]))
def test_the_tail_is_exact(successes: int, trials: int, chance: float) -> None:
    p = Fraction(chance)
    exact = sum(comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1))
    if exact:
        assert binomial_tail(successes, trials, chance) == pytest.approx(float(exact), rel=1e-11)


def test_the_tail_of_many_trials() -> None:
    for successes, trials in ((5_300, 10_000), (1_001_500, 2_000_000), (6_000, 10_000)):
        assert binomial_tail(successes, trials, 0.5) == pytest.approx(
            stats.binom.sf(successes - 1, trials, 0.5), rel=1e-7
        )
    assert 0 < binomial_tail(100_000, 100_000, 0.5) < 1e-300


# Chance ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MARKS)
def test_chance_that_is_no_choice_of_a_symbol_is_unchanged(kind: type[Watermark]) -> None:
    plain, keyed = Noise.rows(5, range(4)), mark_of(kind).noise(Noise.rows(5, range(4)))
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    for noise in (plain, keyed):
        assert noise.batch == 4
    assert torch.equal(plain.uniform(3), keyed.uniform(3))
    assert torch.equal(plain.normal(2, 5), keyed.normal(2, 5))
    assert torch.equal(plain.integers(7, 3), keyed.integers(7, 3))
    assert torch.equal(plain.choice(logits), keyed.choice(logits))
    assert torch.equal(
        plain.choice(logits.expand(3, 4, 9).transpose(0, 1)), keyed.choice(logits.repeat(1, 3).reshape(4, 3, 9))
    )
    assert torch.equal(plain.uniform(), keyed.uniform())  # each has used the same numbers


@pytest.mark.parametrize("kind", MARKS)
def test_a_marked_draw_uses_one_number_like_a_plain_one(kind: type[Watermark]) -> None:
    mark = mark_of(kind)
    plain, keyed = Noise.rows(5, range(4)), mark.noise(Noise.rows(5, range(4)))
    symbols = torch.arange(80).reshape(4, 20)
    logits = torch.zeros(4, 257)
    drawn = [n.choice(logits, symbols[:, :t]) for t in (2, 20) for n in (plain, keyed)]
    assert torch.equal(drawn[0], drawn[1])  # no context yet
    assert not torch.equal(drawn[2], drawn[3])
    assert torch.equal(plain.uniform(3), keyed.uniform(3))


def bent_at(given: Tensor, prompt: int, context: int = 4) -> bool:
    """Whether a draw after the symbols, of which `prompt` were given, differs from the logits that were put in."""
    mark = mark_of(Tournament, context=context)
    seen: list[Tensor] = []

    class Ear(Replay):
        def choice(self, logits: Tensor, given: Tensor | None = None) -> Tensor:
            seen.append(logits)
            return torch.zeros(len(logits), dtype=torch.int64)

    noise = mark.noise(Ear(torch.zeros(len(given))))
    logits = torch.linspace(-2, 1, 257).expand(len(given), -1)
    noise.choice(logits, given[:, :prompt])
    noise.choice(logits, given)
    return not torch.equal(seen[1].float(), logits)


def test_only_a_new_context_of_drawn_symbols_is_marked() -> None:
    row = torch.arange(20).unsqueeze(0)
    assert not any(bent_at(row[:, : 10 + k], 10) for k in range(4))  # what follows one prompt is plain chance at first
    assert bent_at(row[:, :14], 10)
    repeated = torch.tensor([[1, 2, 3, 4, 9, 8, 1, 2, 3, 4]])
    assert not bent_at(repeated, 0)
    assert bent_at(repeated[:, :9], 0)
    begun = torch.tensor([[1, 2, 3, 256, 5, 6, 7, 8]])
    assert [bent_at(begun[:, :t], 0) for t in (4, 7, 8)] == [False, False, True]  # a document's own symbols only


@pytest.mark.parametrize("kind", MARKS)
def test_a_row_is_the_same_alone_in_threes_and_among_strangers(kind: type[Watermark]) -> None:
    mark = mark_of(kind)
    whole = draw(mark, range(32), steps=40)
    for indices in ([5], [4, 5, 6], [900, 901, 5, 2, 77], [31 - i for i in range(32)]):
        rows = draw(mark, indices, steps=40)
        for row, index in zip(rows, indices, strict=True):
            if index < 32:
                assert torch.equal(row, whole[index])
    assert torch.equal(draw(mark_of(kind), range(32), steps=40), whole)
    assert not torch.equal(draw(mark_of(kind, other_key(1)), range(32), steps=40), whole)


def drawn_over_keys(kind: type[Watermark], logits: Tensor, keys: int) -> Tensor:
    """How often each symbol is drawn after one context by many keys, with random numbers of their own."""
    given = torch.arange(8).unsqueeze(0)
    counts = torch.zeros(logits.shape[1], dtype=torch.float64)
    for i in range(keys):
        mark = kind(kind.Config(context=4), other_key(i))
        noise = mark.noise(Noise.rows(1, [i]))
        noise.choice(logits, given[:, :0])
        counts[int(noise.choice(logits, given))] += 1
    return counts


def test_over_keys_the_tournament_draws_what_the_model_says_and_the_green_list_does_not() -> None:
    p = torch.tensor([[0.6, 0.2, 0.12, 0.06, 0.02]], dtype=torch.float64)
    unbiased, biased = (
        stats.chisquare(drawn_over_keys(kind, p.log(), 700).numpy(), 700 * p[0].numpy()) for kind in MARKS
    )
    assert unbiased.pvalue > 0.01
    assert biased.pvalue < 1e-6


def test_over_all_bits_whole_texts_follow_the_model_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of four symbols, by all bits that two contexts and two candidates can have in two rounds.

    It holds because a context that comes again is left to plain chance: marked again by the same bits, it would not.
    """
    tables = torch.tensor(list(itertools.product(range(4), repeat=4))).reshape(256, 2, 2)  # [key, context, candidate]
    monkeypatch.setattr(Tournament, "bits", lambda self, contexts, symbols: tables[torch.arange(256), contexts[:, 0]])
    mark = Tournament(Config(context=1, layers=2), SECRET)
    logits = torch.tensor([1.0, 0.0], dtype=torch.float64)
    p = logits.softmax(0)

    def mean(text: tuple[int, ...], masked: bool) -> float:
        chance = p[text[0]].expand(256)
        for t in range(1, len(text)):
            known = text[:t] if masked else text[t - 1 : t]
            bent = mark.bend(logits.expand(256, 2), torch.tensor(known).expand(256, -1))
            chance = chance * bent.softmax(1)[:, text[t]]
        return float(chance.mean())

    texts = list(itertools.product(range(2), repeat=4))
    expected = [float(p[list(text)].prod()) for text in texts]
    assert [mean(text, True) for text in texts] == pytest.approx(expected, abs=1e-14)
    assert max(abs(mean(text, False) - q) for text, q in zip(texts, expected, strict=True)) > 0.01


def test_one_seed_makes_texts_that_stay_different() -> None:
    mark = mark_of(Tournament)
    texts = [text_of(row) for tile in range(4) for row in draw(mark, range(32 * tile, 32 * tile + 32), steps=50)]
    assert len(set(texts)) == 128


# Finding --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", ["bytes", "bpe"])
@pytest.mark.parametrize("kind", MARKS)
def test_the_mark_is_found_in_the_text_alone(kind: type[Watermark], of: str) -> None:
    """Without the model: the codec writes the text anew, which for byte pairs need not be as it was drawn."""
    codec = made(of)[1]
    finder = kind(kind.Config(), SECRET, None, codec)
    found = [finder.detect(text) for text in marked_texts(kind, of)]
    assert sum(d.p_value is not None and d.p_value < 1e-3 for d in found) >= 31
    assert all(d.name == kind.__name__.lower() and "expected by chance" in d.evidence for d in found)


@pytest.mark.parametrize("kind", MARKS)
def test_the_mark_is_found_after_edits(kind: type[Watermark]) -> None:
    """A word in ten is gone, and the text stands within another."""
    found = []
    for text, around in zip(marked_texts(kind), sources()[60:], strict=False):
        words = text.split(" ")
        changed = " ".join(w for i, w in enumerate(words) if i % 10)
        found.append(mark_of(kind).detect(around[:150] + changed + around[150:300]).p_value)
    assert sum(p is not None and p < 1e-3 for p in found) >= 0.9 * len(found)


@pytest.mark.parametrize("kind", MARKS)
def test_another_key_finds_nothing_in_a_marked_text(kind: type[Watermark]) -> None:
    """Its p-values are uniform, each of 1,024 by a key of its own."""
    texts = [text[:200] for text in marked_texts(kind)]
    found = [mark_of(kind, other_key(32 * i + j)).detect(t).p_value for i, t in enumerate(texts) for j in range(32)]
    p = [x for x in found if x is not None]
    assert len(p) == 1024
    # The counts are whole numbers, so p-values lie on a grid and above the uniform, never below.
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > 0.01
    if kind is Tournament:  # whose grid is fine
        assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("kind", MARKS)
def test_no_alarm_in_what_people_wrote(kind: type[Watermark]) -> None:
    windows = [text[i : i + 200] for text in sources() for i in range(0, len(text) - 200, 200)][:1200]
    found = [mark_of(kind, other_key(i)).detect(w).p_value for i, w in enumerate(windows)]
    alarms = sum(p is not None and p < 0.01 for p in found)
    assert alarms <= stats.binom.ppf(0.999, len(windows), 0.01)
    assert sum(p is not None and p < 1e-4 for p in found) <= 2


def test_each_context_is_counted_once() -> None:
    """A text that repeats itself does not become evidence."""
    mark = mark_of(Tournament)
    line = "Blessed are they that hunger after proof.\n"
    once, often = (mark.detect(text) for text in (line * 2, line * 100))
    assert once == often


def test_too_short_a_text_is_not_judged() -> None:
    for kind in MARKS:
        mark = mark_of(kind, context=4)
        for text in ("", "a", "abcd", "x" * 500):
            found = mark.detect(text)
            assert found.p_value is None
            assert f"at least {LEAST}" in found.evidence
        assert mark.detect("In the beginning God created").p_value is not None


def test_untrusted_texts() -> None:
    mark = mark_of(Tournament)
    assert mark.detect("a lone surrogate \ud800 has no bytes, and \x00 is a byte").p_value is not None
    large = mark.detect("".join(f"{i} " for i in range(60_000)))
    assert f"first {MOST} characters" in large.evidence
    for thing in (None, b"bytes", 7, torch.zeros(3)):
        with pytest.raises(MakarError, match="is looked for in a str"):
            mark.detect(thing)
    with pytest.raises(MakarError, match="found by the codec"):
        Tournament(Config(), SECRET).detect("words")


def test_texts_longer_than_the_rows_of_a_codec_of_short_documents() -> None:
    """A long document goes on in further rows, and the rows are read as one, so nothing is lost."""
    kind = registry.load("codecs", "symbols")
    lines = [line for text in sources() for line in text.splitlines() if 0 < len(line) <= 60]
    codec = kind(kind.Config(length=100)).fit(lines)
    long = "the quick brown fox jumps over the lazy dog and goes home by another way " * 2
    assert len(codec.encode([long * 4])) > 5
    mark = Tournament(Config(context=5), SECRET, None, codec)
    bits = Tournament(Config(context=5), SECRET, None, made()[1])
    short, whole = mark.detect(long[:90]), mark.detect(long * 4)
    assert short.p_value is not None
    assert whole.p_value is not None
    assert whole.evidence.split(" of ")[2] == bits.detect(long * 4).evidence.split(" of ")[2]  # as many symbols


# What is in the way ---------------------------------------------------------------------------------------------------


def obstacle(model: Model | None, codec: Codec | None, draws: Sampler | None) -> str | None:
    found = [kind(kind.Config(), SECRET, model, codec).obstacle(draws, None) for kind in MARKS]
    assert (found[0] is None) == (found[1] is None)
    return found[0]


def test_nothing_is_in_the_way_of_ancestral_sampling() -> None:
    model, codec = made()
    for draws in (None, sampler(), sampler(temperature=0.7, top_k=5, top_p=0.9, prompt=(256, 65, 66))):
        assert obstacle(model, codec, draws) is None
        assert obstacle(model, None, draws) is None


@pytest.mark.parametrize(
    ("name", "settings"), [("beam", {}), ("ancestral", {"temperature": 0.0}), ("ancestral", {"top_k": 1})]
)
def test_a_sampler_that_leaves_nothing_to_chance(name: str, settings: dict[str, Any]) -> None:
    model, codec = made()
    assert "leaves no symbol to chance" in str(obstacle(model, codec, sampler(name, prompt=(256, 65), **settings)))


def test_models_that_do_not_write_text_symbol_by_symbol() -> None:
    gaussian, ngram = registry.load("families", "gaussian"), registry.load("families", "ngram")
    assert "Gaussian does not draw so" in str(obstacle(gaussian(Reals((2,)), None, gaussian.Config()), None, None))
    assert "NGram does not draw so" in str(obstacle(ngram(Levels((1, 8, 8), 17), None, ngram.Config()), None, None))
    assert "there is no model" in str(obstacle(None, made()[1], None))
    short = ngram(Tokens(257, 16), None, ngram.Config())
    assert "too short" in str(obstacle(short, None, None))


# The parts ------------------------------------------------------------------------------------------------------------


def test_the_parts_are_registered_and_only_the_unbiased_one_is_chosen_unasked() -> None:
    assert registry.load("watermarks", "tournament") is Tournament
    assert registry.load("watermarks", "greenlist") is Greenlist
    assert (Tournament.automatic, Greenlist.automatic) == (1, 0)
    assert {kind.modality for kind in MARKS} == {"text"}
    assert "biased" in registry.summary("watermarks", "greenlist")


@pytest.mark.parametrize("kind", MARKS)
def test_the_key_is_shown_nowhere(kind: type[Watermark]) -> None:
    mark = mark_of(kind)
    noise = mark.noise(Noise.rows(0, range(2)))
    shown = [repr(mark), str(mark), repr(noise), repr(mark.config), repr(mark.detect("some words " * 20))]
    with pytest.raises(MakarError) as error:
        kind(kind.Config(), SECRET[:-1])
    shown += [str(error.value)]
    for text in shown:
        assert SECRET.hex()[:16] not in text
        assert repr(SECRET)[2:12] not in text
        assert str(list(SECRET))[1:12] not in text
    assert isinstance(noise, KeyedNoise)


OUT_OF_RANGE: list[tuple[type[Watermark], dict[str, Any]]] = [
    (Tournament, {"context": 0}),
    (Tournament, {"layers": 0}),
    (Tournament, {"layers": 65}),
    (Greenlist, {"gamma": 1.0}),
    (Greenlist, {"delta": 0.0}),
    (Greenlist, {"context": -1}),
]


@pytest.mark.parametrize(("kind", "settings"), OUT_OF_RANGE)
def test_settings_out_of_range(kind: type[Watermark], settings: dict[str, Any]) -> None:
    with pytest.raises(MakarError, match="needs a context"):
        kind.Config(**settings)


def test_longer_contexts_for_small_vocabularies() -> None:
    for kind in MARKS:
        small, large = mark_of(kind, of="bytes"), mark_of(kind, of="bpe")
        assert isinstance(small, Tournament | Greenlist)
        assert isinstance(large, Tournament | Greenlist)
        assert small.context > large.context
        assert kind(kind.Config(context=3), SECRET).config.context == 3
