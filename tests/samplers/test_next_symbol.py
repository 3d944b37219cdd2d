"""Drawing symbol by symbol: frequencies, truncations and beams against what can be counted by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.model import PredictsNext
from makar.core.noise import Noise
from makar.samplers.ancestral import Ancestral, penalised, truncated
from makar.samplers.ancestral import Config as Cut
from makar.samplers.beam import Beam
from makar.samplers.beam import Config as Width


class Table(PredictsNext):
    """A second-order Markov source of given logits (V + 1, V + 1, V), whose cache is only checked."""

    def __init__(self, vocab: int, length: int, seed: int = 0, end: int | None = None) -> None:
        self.vocab = vocab
        self._length = length
        self._end = end
        self.shown: list[int] = []  # how many symbols it was shown, each time
        self.logits = 1.5 * torch.randn(vocab + 1, vocab + 1, vocab, generator=torch.Generator().manual_seed(seed))

    @property
    def length(self) -> int:
        return self._length

    @property
    def end(self) -> int | None:
        return self._end

    def next(self, prefix: Tensor, cache: Any, condition: Tensor | None = None) -> tuple[Tensor, Any]:
        assert cache is None or cache == prefix.shape[1] - 1
        assert prefix.shape[1] < self._length
        self.shown.append(prefix.shape[1])
        prefix = prefix.clamp(min=0)  # what follows an end is never looked at
        start = torch.full((len(prefix), 2), self.vocab)
        known = torch.cat([start, prefix], 1)
        logits = self.logits[known[:, -2], known[:, -1]]
        if condition is not None:
            logits = logits.roll(1, 1) if int(condition[0]) else logits
        return logits, prefix.shape[1]

    def finish(self, symbols: Tensor, noise: Noise) -> Tensor:
        return symbols

    def nats(self, items: Tensor) -> Tensor:
        """log P of items int64 (n, length), float64."""
        total = torch.zeros(len(items), dtype=torch.float64)
        for t in range(self.length):
            logits, _ = self.next(items[:, :t], None)
            total += logits.double().log_softmax(1).gather(1, items[:, t : t + 1])[:, 0]
        return total


def every(vocab: int, length: int) -> Tensor:
    return torch.tensor(list(itertools.product(range(vocab), repeat=length)))


def test_items_follow_the_model() -> None:
    model = Table(3, 3)
    items = Ancestral(Cut()).sample(model, Noise.rows(3, range(20_000)))
    observed = torch.bincount(items @ torch.tensor([9, 3, 1]), minlength=27)
    expected = model.nats(every(3, 3)).exp() * 20_000
    assert chisquare(observed.numpy(), expected.numpy()).pvalue > 0.01


@pytest.mark.parametrize(
    "cut",
    [Cut(temperature=0.6), Cut(top_k=3), Cut(top_p=0.7), Cut(temperature=1.4, top_k=4, top_p=0.8)],
    ids=["temperature", "top-k", "top-p", "all"],
)
def test_frequencies_are_those_of_the_truncated_distribution(cut: Cut) -> None:
    model = Table(6, 1, seed=2)
    items = Ancestral(cut).sample(model, Noise.rows(1, range(20_000)))
    p = [math.exp(float(v) / cut.temperature) for v in model.logits[6, 6]]
    p = [v / sum(p) for v in p]
    order = sorted(range(6), key=lambda i: -p[i])
    if cut.top_k:
        order = order[: cut.top_k]
        p = [v / sum(p[i] for i in order) if i in order else 0.0 for i, v in enumerate(p)]
    kept: list[int] = []
    for i in order:
        if sum(p[j] for j in kept) < cut.top_p:
            kept.append(i)
    observed = torch.bincount(items[:, 0], minlength=6)
    assert int(observed.sum()) == int(observed[kept].sum())
    assert len(kept) < 6 or cut == Cut(temperature=0.6)
    mass = sum(p[i] for i in kept)
    expected = [20_000 * p[i] / mass for i in kept]
    assert chisquare(observed[kept].numpy(), expected).pvalue > 0.01


def test_temperature_zero_takes_the_most_likely() -> None:
    model = Table(5, 6)
    items = Ancestral(Cut(temperature=0.0)).sample(model, Noise.rows(0, range(2)))
    for t in range(6):
        assert torch.equal(items[:, t], model.next(items[:, :t], None)[0].argmax(1))
    narrow = Ancestral(Cut(temperature=1e-4)).sample(model, Noise.rows(0, range(2)))
    assert torch.equal(items, narrow)
    assert torch.equal(items, Ancestral(Cut(top_k=1)).sample(model, Noise.rows(0, range(2))))
    assert torch.equal(items, Ancestral(Cut(top_p=1e-6)).sample(model, Noise.rows(0, range(2))))


def test_repetition_penalty_is_its_formula() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5, -3.0]])
    got = penalised(logits, torch.tensor([[0, 1, 1]]), 2.0)
    assert got.tolist() == [[1.0, -2.0, 0.5, -3.0]]
    model = Table(8, 8)
    strong = Ancestral(Cut(temperature=0.0, repetition_penalty=1e6)).sample(model, Noise.rows(0, range(4)))
    weak = Ancestral(Cut(temperature=0.0)).sample(model, Noise.rows(0, range(4)))
    assert len(strong[0].unique()) > len(weak[0].unique())


def test_truncation_keeps_what_it_should() -> None:
    logits = torch.tensor([[0.5, 0.2, 0.2, 0.1], [0.1, 0.1, 0.4, 0.4]]).log()
    kept = truncated(logits, 0, 0.5).isfinite()
    assert kept.tolist() == [[True, False, False, False], [False, False, True, True]]
    assert truncated(logits, 2, 1.0).isfinite().sum(1).tolist() == [2, 2]
    assert torch.equal(truncated(logits, 9, 1.0), logits)
    blocked = torch.tensor([[0.0, -math.inf, 0.0]])
    assert truncated(blocked, 3, 0.9).isfinite().tolist() == [[True, False, True]]


@pytest.mark.parametrize("sampler", [Ancestral(Cut(prompt=(2, 0))), Beam(Width(width=3, prompt=(2, 0)))])
def test_every_item_begins_with_the_prompt_and_grows_by_one(sampler: Ancestral | Beam) -> None:
    model = Table(4, 5)
    partials = list(sampler.partials(model, Noise.rows(0, range(3))))
    assert [p.shape for p in partials] == [(3, 3), (3, 4), (3, 5)]
    for partial in partials:
        assert partial[:, :2].tolist() == [[2, 0]] * 3
    if isinstance(sampler, Ancestral):
        assert torch.equal(partials[0], partials[2][:, :3])
    model = Table(4, 2)
    assert [p.tolist() for p in sampler.partials(model, Noise.rows(0, range(1)))] == [[[2, 0]]]
    with pytest.raises(MakarError, match="shorten"):
        list(sampler.partials(Table(4, 1), Noise.rows(0, range(1))))


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    model = Table(6, 5)
    sampler = Ancestral(Cut(top_p=0.9, repetition_penalty=1.3))
    whole = sampler.sample(model, Noise.rows(4, range(10)))
    assert torch.equal(whole[[7]], sampler.sample(model, Noise.rows(4, [7])))


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_best_of_all(seed: int) -> None:
    model = Table(3, 4, seed)
    items = every(3, 4)
    nats = model.nats(items)
    found = Beam(Width(width=27)).sample(model, Noise.rows(0, range(2)))
    assert torch.equal(found, items[nats.argmax()].expand(2, -1))
    prompted = Beam(Width(width=27, prompt=(1,))).sample(model, Noise.rows(0, range(1)))
    allowed = items[:, 0] == 1
    assert torch.equal(prompted[0], items[nats.masked_fill(~allowed, -math.inf).argmax()])


def test_wider_beams_find_no_worse_and_width_one_is_greedy() -> None:
    gained = 0.0
    for seed in range(8):
        model = Table(4, 6, seed)
        best = [model.nats(Beam(Width(width=w)).sample(model, Noise.rows(0, [0]))) for w in (1, 64)]
        greedy = Ancestral(Cut(temperature=0.0)).sample(model, Noise.rows(0, [0]))
        assert float(best[0]) == pytest.approx(float(model.nats(greedy)))
        assert float(best[1]) >= float(best[0]) - 1e-9
        gained += float(best[1] - best[0])
    assert gained > 0.1


def test_beams_of_each_row_have_its_condition() -> None:
    model = Table(3, 3)
    one = Beam(Width()).sample(model, Noise.rows(0, [0]), torch.tensor([1]))
    none = Beam(Width()).sample(model, Noise.rows(0, [0]), torch.tensor([0]))
    assert not torch.equal(one, none)


@pytest.mark.parametrize(
    "given", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"repetition_penalty": 0.0}]
)
def test_refuses_settings_without_meaning(given: dict[str, Any]) -> None:
    with pytest.raises(MakarError, match="top_p"):
        Cut(**given)
    with pytest.raises(MakarError, match="width"):
        Width(width=0)


ENDLESS = Table(5, 6, end=4)
ENDLESS.logits[:, :, 4] = -math.inf  # the end never comes


@pytest.mark.parametrize(("length", "seen"), [(6, [0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5, 3]), (1, [0] * 13)])
def test_an_item_goes_on_beyond_a_window_of_which_half_is_read_anew(length: int, seen: list[int]) -> None:
    """A source of order two needs two symbols, which half a window of six has: nothing shows that it is a window."""
    model = Table(5, length, end=4)
    model.logits[:, :, 4] = -math.inf
    sampler = Ancestral(Cut(limit=13))
    items = sampler.sample(model, Noise.rows(5, range(40)))
    assert model.shown == seen
    assert items.shape == (40, 13)
    whole = Table(5, 100, end=4)
    whole.logits = model.logits
    if length > 1:
        assert torch.equal(items, sampler.sample(whole, Noise.rows(5, range(40))))


def test_a_prompt_longer_than_a_window_is_read_by_its_end() -> None:
    prompt = (0, 1, 2, 3, 2, 1, 0, 3)
    whole = Table(5, 100, end=4)
    whole.logits = ENDLESS.logits
    ENDLESS.shown.clear()
    for kind in (Ancestral(Cut(limit=11, prompt=prompt)), Beam(Width(limit=11, prompt=prompt))):
        items = kind.sample(ENDLESS, Noise.rows(5, range(4)))
        assert items[:, :8].tolist() == [list(prompt)] * 4
        assert torch.equal(items, kind.sample(whole, Noise.rows(5, range(4))))
    assert ENDLESS.shown[:3] == [3, 4, 5]


def test_an_item_ends_with_the_end_and_nothing_is_behind_it() -> None:
    model, endless = Table(4, 30, end=3), Table(4, 30)
    sampler = Ancestral(Cut())
    items = sampler.sample(model, Noise.rows(2, range(200)))
    uncut = sampler.sample(endless, Noise.rows(2, range(200)))
    lengths = []
    for item, other in zip(items.tolist(), uncut.tolist(), strict=True):
        end = item.index(3) if 3 in item else len(item) - 1
        assert item[: end + 1] == other[: end + 1]
        assert set(item[end + 1 :]) <= {-1}
        lengths.append(end)
    assert len(set(lengths)) > 5
    partials = list(sampler.partials(model, Noise.rows(2, [lengths.index(2)])))
    assert len(partials) == 3  # it stops when the last has ended
    assert torch.equal(
        Ancestral(Cut(repetition_penalty=1.5)).sample(model, Noise.rows(2, range(9)))[0, :1], items[0, :1]
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_all_items_that_may_end_is_found(seed: int) -> None:
    """Against every sequence up to six symbols: one that ends is whole, and here it is the best."""
    model = Table(3, 6, seed, end=2)
    items = [i for n in range(1, 7) for i in itertools.product(range(3), repeat=n) if 2 not in i[:-1]]
    items = [i for i in items if i[-1] == 2 or len(i) == 6]

    def nats(item: tuple[int, ...]) -> float:
        row = torch.tensor([item])
        each = (model.next(row[:, :t], None)[0].double().log_softmax(1)[0, item[t]] for t in range(len(item)))
        return float(sum(each))

    assert sum(math.exp(nats(i)) for i in items) == pytest.approx(1.0)
    best = max(items, key=nats)
    assert len(best) < 6
    found = Beam(Width(width=127)).sample(model, Noise.rows(0, range(2)))
    assert [tuple(v for v in row if v >= 0) for row in found.tolist()] == [best] * 2


def test_what_is_never_to_be_drawn_is_not() -> None:
    for sampler in (
        Ancestral(Cut(never=(1, 3))),
        Ancestral(Cut(never=(1, 3), temperature=0.0)),
        Beam(Width(never=(1, 3))),
    ):
        assert set(sampler.sample(Table(4, 20), Noise.rows(0, range(8))).unique().tolist()) <= {0, 2}


def test_items_of_one_length_have_no_other() -> None:
    with pytest.raises(MakarError, match="limit is 9, but every item of this model has 5 symbols"):
        Ancestral(Cut(limit=9)).sample(Table(4, 5), Noise.rows(0, range(1)))
