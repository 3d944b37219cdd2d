"""Closed forms and oracles typed anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from makar.core.model import LogProb
from makar.core.score import Generated, Reference
from makar.core.spaces import Levels, Reals
from makar.metrics._intervals import centred, of_mean, resamples, wilson
from makar.metrics._neighbours import distances, nearest, radii
from makar.metrics._roc import auc
from makar.metrics._windows import Overlap, characters
from makar.metrics.copying import authentic, c_t, copied, mann_whitney
from makar.metrics.energy import energies, sides
from makar.metrics.frechet import Moments, frechet, frechet_of
from makar.metrics.kernel import kernel_distance
from makar.metrics.prdc import manifolds
from makar.metrics.text import distinct, repetition, shared

from .sets import sample, scores, things


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_frechet_of_equal_sets_is_zero() -> None:
    x = normal(0, 300, 12) @ normal(1, 12, 12)
    assert abs(frechet_of(x, x)) < 1e-9 * float(torch.cov(x.T).trace())


def test_frechet_closed_form_of_gaussians() -> None:
    # diagonal Gaussians: |m1 - m2|^2 + sum (s1 - s2)^2; samples are whitened so that their moments are exact
    z = normal(0, 500, 4)
    z = z - z.mean(0)
    z = z @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z.T))).T
    s1, s2 = torch.tensor([1.0, 2.0, 3.0, 0.5]).double(), torch.tensor([2.0, 2.0, 0.1, 1.5]).double()
    shift = torch.tensor([1.0, 0.0, -2.0, 0.5]).double()
    expected = float((shift**2).sum() + ((s1 - s2) ** 2).sum())
    assert frechet_of(z * s1, z * s2 + shift) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_singular_covariances() -> None:
    # x lies on one axis and y on the other: no overlap, so both traces remain
    x, y = torch.zeros(50, 2, dtype=torch.float64), torch.zeros(50, 2, dtype=torch.float64)
    x[:, 0], y[:, 1] = normal(0, 50), normal(1, 50)
    x, y = x - x.mean(0), y - y.mean(0)
    assert frechet_of(x, y) == pytest.approx(float(x[:, 0].var() + y[:, 1].var()), rel=1e-9)
    assert frechet_of(x, x) == pytest.approx(0.0, abs=1e-9)


def test_streamed_moments_equal_those_of_the_whole() -> None:
    x = normal(0, 101, 5) * 3 + 100
    streamed = Moments(5)
    for part in x.split(17):
        streamed.update(part)
    assert torch.allclose(streamed.mean, x.mean(0), rtol=1e-12)
    assert torch.allclose(streamed.covariance, torch.cov(x.T), rtol=1e-9)
    assert abs(frechet(streamed, Moments(5).update(x))) < 1e-9


def test_frechet_s_interval_is_over_both_sets() -> None:
    # where one set has no spread at all, the interval's width comes from the other alone
    wide, still = sample(normal(0, 60, 2).float()), sample(torch.zeros(60, 2))
    for held, made in ((wide, still), (still, wide)):
        found = scores("frechet", Reference(Levels((1,), 2), "points", wide, held, "points"), Generated(made))["fd"]
        assert found.high - found.low > 0.1 * found.value


def test_utility_is_tested_on_rows_that_nobody_learnt_from() -> None:
    # labels by coin: who is asked about the rows it was trained on knows them by heart
    chance = np.random.default_rng(0)
    parts = []
    for n in (300, 400, 300):
        rows = [
            {"x": float(chance.random()), "y": float(chance.random()), "coin": "ab"[chance.integers(2)]}
            for _ in range(n)
        ]
        parts.append(things(rows))
    found = scores("utility", Reference(Reals((1,)), "rows", parts[0], parts[1]), Generated(parts[2]))
    best = float(found["tstr"].caveats[0].split()[4].rstrip(","))
    assert best == pytest.approx(0.5, abs=0.1)
    assert found["tstr gap"].low < 0 < found["tstr gap"].high
    assert found["tstr gap"].value == pytest.approx(best - found["tstr"].value, abs=1e-3)
    assert found["tstr"].n == 400


def test_frechet_warns_of_too_few_items() -> None:
    few = [sample(normal(i, 20, 12).float()) for i in range(3)]
    reference = Reference(Levels((1,), 2), "points", few[0], few[1], "points")
    assert "20 items for 12 dimensions" in scores("frechet", reference, Generated(few[2]))["fd"].caveats[0]


def test_kernel_distance_has_no_bias() -> None:
    values = [kernel_distance(normal(i, 40, 3), normal(1000 + i, 30, 3)) for i in range(200)]
    found = np.array([v for v, _ in values])
    assert abs(found.mean()) < 3 * found.std() / math.sqrt(200)
    assert (found < 0).any()
    # the jackknife's standard error is that of the estimate over repetitions, if anything too large
    errors = np.array([e for _, e in values])
    assert 0.7 < np.median(errors) / found.std() < 2.0


def test_collapsed_balls_find_their_own_copies() -> None:
    # all generated items are one real item: radius 0, and `<=` holds where `<` would not
    real = normal(0, 40, 3)
    found = manifolds(real, real[:1].expand(30, 3), 5)
    assert found.precise.mean() == 1.0
    assert found.recalled.sum() == 1.0
    assert 1 / 40 <= found.covered.mean() < 0.5


def test_neighbours_in_blocks_and_for_many_dimensions() -> None:
    a, b = normal(0, 700, 3), normal(1, 50, 3)
    whole = (a[:, None] - b[None]).square().sum(2).sqrt()
    assert torch.allclose(torch.cat(list(distances(a, b))), whole, rtol=1e-12)
    wide = torch.randint(0, 256, (30, 500), generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(nearest(wide, wide)[0].squeeze(1), torch.zeros(30, dtype=torch.float64))
    among = (b[:, None] - b[None]).square().sum(2).sqrt()
    assert torch.allclose(radii(b, 2), among.sort(1).values[:, 2], rtol=1e-12)


def test_auc_counts_ties_half_and_its_variance_is_de_long_s() -> None:
    p, n = np.array([1.0, 2.0, 2.0, 5.0]), np.array([0.0, 2.0, 3.0])
    wins = [(a > b) + 0.5 * (a == b) for a in p for b in n]
    assert auc(p, n)[0] == pytest.approx(np.mean(wins))
    grid = np.array(wins).reshape(4, 3)
    assert auc(p, n)[1] == pytest.approx(grid.mean(1).var(ddof=1) / 4 + grid.mean(0).var(ddof=1) / 3)


def test_mann_whitney_equals_scipy() -> None:
    from scipy.stats import mannwhitneyu

    chance = np.random.default_rng(0)
    made, held = chance.normal(size=70) + 0.3, chance.normal(size=40)
    u = mannwhitneyu(made, held, alternative="two-sided").statistic
    expected = (u - 70 * 40 / 2) / math.sqrt(70 * 40 * 111 / 12)
    assert mann_whitney(made, held) == pytest.approx(expected, rel=1e-12)


def test_c_t_equals_the_definition() -> None:
    # Meehan et al. 2020: z of each cell, weighted by the held-out items' shares; the third cell is too empty
    chance = np.random.default_rng(1)
    made, held = chance.random(200), chance.random(150) + 0.1
    made_cell = np.repeat([0, 1, 2], [80, 110, 10])
    held_cell = np.repeat([0, 1, 2], [60, 60, 30])
    total = 0.0
    for cell, weight in ((0, 60 / 120), (1, 60 / 120)):
        a, b = made[made_cell == cell], held[held_cell == cell]
        u = sum(float(x > y) for x in a for y in b)
        n, m = len(a), len(b)
        total += weight * (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    value, dropped = c_t(made, held, made_cell, held_cell)
    assert value == pytest.approx(total, abs=1e-9)
    assert dropped == pytest.approx(30 / 150)


def test_authenticity_equals_the_definition_typed_anew() -> None:
    # Alaa et al. 2022 by way of dgm-eval: authentic if d(sample, its nearest train t) > d(t, nearest other train)
    train, made = normal(0, 40, 3).numpy(), normal(1, 60, 3).numpy()
    expected = []
    for x in made:
        gaps = np.sqrt(((train - x) ** 2).sum(1))
        j = int(gaps.argmin())
        own = np.sqrt(((train - train[j]) ** 2).sum(1))
        own[j] = np.inf
        expected.append(float(gaps[j] > own.min()))
    first, place = nearest(torch.from_numpy(made), torch.from_numpy(train))
    spacing = nearest(torch.from_numpy(train), torch.from_numpy(train), 2)[0][:, 1].numpy()
    assert authentic(first[:, 0].numpy(), spacing[place[:, 0].numpy()]).tolist() == expected


def test_copies_are_a_third_as_far_as_the_second_nearest() -> None:
    found = copied(torch.tensor([[0.0, 0.0], [1.0, 3.1], [1.0, 2.9]], dtype=torch.float64))
    assert found.tolist() == [1.0, 1.0, 0.0]


def test_energy_equals_the_double_sum() -> None:
    x, y = normal(0, 7, 2), normal(1, 5, 2) + 1
    both = torch.cat([x, y])
    d = torch.cat(list(distances(both, both)))
    weights = sides(torch.ones(7).double(), torch.ones(5).double())
    across = np.mean([float((a - b).norm()) for a in x for b in y])
    xx = np.mean([float((x[i] - x[j]).norm()) for i in range(7) for j in range(7) if i != j])
    yy = np.mean([float((y[i] - y[j]).norm()) for i in range(5) for j in range(5) if i != j])
    assert float(energies(d, weights[None])[0]) == pytest.approx(2 * across - xx - yy, rel=1e-12)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_uniform_model_has_log2_of_the_levels(levels: int) -> None:
    x = torch.randint(0, levels, (30, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    items = sample(x)
    reference = Reference(Levels((1, 4, 4), levels), "pictures", items, items, "pixels")
    nats = torch.full((30,), -16 * math.log(levels), dtype=torch.float64)
    score = scores("bits", reference, Generated(items, LogProb(nats, "exact"), units=30 * 16))["bits/dim (exact)@30"]
    assert score.value == pytest.approx(math.log2(levels), rel=1e-12)
    assert score.high - score.low < 1e-9


def test_bits_take_up_the_codec_s_volume_and_refuse_an_impossible_item() -> None:
    items = sample(torch.zeros(10, 2))
    reference = Reference(Levels((2,), 2), "text", items, items)
    nats = torch.full((10,), -3.0)
    said = Generated(items, LogProb(nats, "lower"), units=40, volume=7.0)
    score = scores("bits", reference, said)["bits/byte (upper bound)@10"]
    assert score.value == pytest.approx((30 - 7) / 40 / math.log(2))
    nats[3] = -math.inf
    said = Generated(items, LogProb(nats, "lower"), units=40, volume=7.0)
    score = scores("bits", reference, said)["bits/byte (upper bound)@10"]
    assert score.value == math.inf
    assert "1 of 10" in score.caveats[0]


def test_wilson_s_interval() -> None:
    # Newcombe 1998, table I: 81 of 263 and 15 of 148
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    chance = np.random.default_rng(0)
    held = [low <= 0.5 <= high for low, high in (of_mean(chance.random(50)) for _ in range(400))]
    assert 0.92 < np.mean(held) < 0.98
    low, high = centred(3.0, np.linspace(9, 11, 201))
    assert (low, high) == pytest.approx((2.05, 3.95))
    assert [i.tolist() for (i,) in resamples(2, 5)] == [i.tolist() for (i,) in resamples(2, 5)]


def test_n_grams_by_hand() -> None:
    words = ["a", "b", "a", "b", "c"]
    assert distinct(words, 1) == 3 / 5
    assert distinct(words, 2) == 3 / 4
    assert repetition(["a", "b", "c", "d", "a", "b", "c", "d"]) == pytest.approx(1 - 4 / 5)
    assert shared([list("abcde"), list("xbcde"), list("pqrs")]).tolist() == [0.5, 0.5, 0.0]


def test_overlap_equals_a_search_for_every_window() -> None:
    chance = np.random.default_rng(3)
    corpus = ["".join(chance.choice(list("ab"), 200)) for _ in range(3)]
    texts = ["".join(chance.choice(list("ab"), 60)) for _ in range(4)] + ["ba", "", "é😀"]
    overlap = Overlap([characters(t) for t in corpus], [characters(t) for t in texts])
    for width in (1, 2, 5, 9, 14):
        for text, seen in zip(texts, overlap.seen(width), strict=True):
            windows = [text[i : i + width] for i in range(len(text) - width + 1)]
            assert seen.tolist() == [any(w in c for c in corpus) for w in windows]
    longest = max(
        (j - i for t in texts for i in range(len(t)) for j in range(i, len(t) + 1) if any(t[i:j] in c for c in corpus)),
    )
    assert overlap.longest() == longest
