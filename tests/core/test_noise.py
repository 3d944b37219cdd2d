"""Noise: known answers of the generator, moments, and one stream for every row."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from makar.core.noise import Noise, philox, seed_from


def words(*values: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    a, b, c, d = (torch.tensor([v], dtype=torch.int64) for v in values)
    return a, b, c, d


def test_philox_gives_the_published_answers() -> None:
    """The known-answer vectors of Random123 for philox4x32-10."""
    ones = 0xFFFFFFFF
    answers = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ones, ones, ones, ones), (ones, ones), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, expected in answers:
        assert tuple(int(w) for w in philox(words(*counter), key)) == expected


@given(seed=st.integers(0, 2**40), indices=st.lists(st.integers(0, 2**33), min_size=1, max_size=9))
@settings(max_examples=30, deadline=None)
def test_a_row_depends_on_seed_and_index_alone(seed: int, indices: list[int]) -> None:
    together, alone = Noise.rows(seed, indices), Noise.rows(seed, indices[-1:])
    for shape in ((3,), (2, 5), ()):
        assert torch.equal(together.normal(*shape)[-1:], alone.normal(*shape))
        assert torch.equal(together.uniform(*shape)[-1:], alone.uniform(*shape))


def test_moments() -> None:
    x = Noise.rows(1, range(500)).normal(400).double()
    assert abs(float(x.mean())) < 0.01
    assert abs(float(x.std()) - 1) < 0.01
    assert abs(float((x**4).mean()) - 3) < 0.05
    u = Noise.rows(2, range(500)).uniform(400).double()
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    assert abs(float(u.var()) - 1 / 12) < 0.001


def test_streams_of_rows_steps_and_seeds_differ() -> None:
    seen = [Noise.rows(0, [0, 1]).normal(4), Noise.rows(1, [0, 1]).normal(4), Noise.step(0, 0, 2).normal(4)]
    seen += [Noise.step(0, 1, 2).normal(4), Noise.step(1, 0, 2).normal(4)]
    flat = torch.cat(seen)
    assert len(torch.unique(flat)) == flat.numel()


def test_choice_follows_the_probabilities() -> None:
    p = torch.tensor([0.1, 0.0, 0.6, 0.3])
    picks = Noise.rows(3, range(40_000)).choice(p.log().expand(40_000, 4))
    counts = torch.bincount(picks, minlength=4).double()
    assert counts[1] == 0
    expected = p.double() * 40_000
    chi2 = float((((counts - expected) ** 2) / expected.clamp(min=1)).sum())
    assert chi2 < 16.3  # 99.9 % point with 3 degrees of freedom


def test_integers_cover_their_range_evenly() -> None:
    counts = torch.bincount(Noise.rows(4, range(300)).integers(7, 100).flatten(), minlength=7).double()
    assert float(((counts - counts.mean()) ** 2 / counts.mean()).sum()) < 22.5  # 99.9 %, 6 degrees of freedom


def test_seed_from_separates_its_parts() -> None:
    assert len({seed_from(1, 23), seed_from(12, 3), seed_from("1", 23), seed_from(1, "23")}) == 4
    assert 0 <= seed_from("x") < 2**63
    assert math.log2(max(seed_from(i) for i in range(50))) > 60


def test_a_stream_goes_on_where_it_was_however_it_is_asked() -> None:
    """Every draw begins with the next block of four words, those computed ahead included."""
    rows = [3, 70_000]
    whole = Noise.rows(5, rows).uniform(4 * 600)
    noise, block = Noise.rows(5, rows), 0
    for count in (1, 1, 1, 7, 1, *[1] * 70, 300, 1, 2, 5, 400, 1, 130, 1, 1):
        assert torch.equal(noise.uniform(count), whole[:, 4 * block : 4 * block + count])
        block += -(-count // 4)
