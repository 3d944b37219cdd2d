"""The law of metrics for pictures: planted sets are ranked as the eye ranks them, and each fault is named."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from makar.core.registry import load
from makar.core.score import Generated, Reference, Sample, Score
from makar.core.spaces import Levels
from makar.metrics._extractors import extractor_for
from makar.metrics._lookalike import Lookalikes
from makar.metrics.copying import excess
from makar.metrics.frechet import frechet_of
from makar.metrics.looks import varied

from .pictures import judged, noisy, planted, shapes
from .sets import scores

KINDS = [(28, 1), (32, 3), (8, 1)]


@cache
def case(side: int, channels: int) -> tuple[Reference, dict[str, Generated]]:
    (train, kinds), (held, _), (fresh, fresh_kinds) = (
        shapes(n, seed, side, channels) for n, seed in ((320, 1), (160, 2), (160, 3))
    )
    return judged(train, held, planted(train, kinds, fresh, fresh_kinds))


def fd(side: int, channels: int) -> dict[str, float]:
    reference, sets = case(side, channels)
    real = reference.held_out.features
    assert real is not None
    return {k: frechet_of(g.sample.features, real) for k, g in sets.items() if g.sample.features is not None}


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3)])
def test_the_headline_ranks_as_the_eye_does(side: int, channels: int) -> None:
    found = fd(side, channels)
    slight = [found["slightly blurred"], found["slightly noisy"]]
    bad = [found["blurred"], found["snowy"]]
    assert found["good"] < min(slight)
    assert max(slight) < min(bad)
    assert max(bad) < min(found["one picture"], found["mean picture"], found["trivial"])
    assert found["two kinds"] > 5 * found["good"]


@cache
def caveats(metric: str, side: int, channels: int) -> dict[str, list[str]]:
    """The alarms of each set."""
    reference, sets = case(side, channels)
    found: dict[str, list[str]] = {}
    for name, generated in sets.items():
        said: list[Score] = load("metrics", metric)()(reference, generated)
        alarms = {c.partition(":")[0] for s in said for c in s.caveats if c.partition(" ")[0].endswith(":")}
        found[name] = sorted(alarms)
    return found


@pytest.mark.parametrize(("side", "channels"), KINDS)
def test_copies_are_seen_through_noise_shift_and_light(side: int, channels: int) -> None:
    found = caveats("copying", side, channels)
    copied = {name for name, said in found.items() if said == ["COPYING"]}
    wanted = {name for name in found if "copied" in name}
    if side == 8:  # at eight pixels so much noise leaves nothing of the original
        wanted.remove("copied, noisy")
    assert copied == wanted
    assert all(not said for name, said in found.items() if name not in wanted)


@pytest.mark.parametrize(("side", "channels"), KINDS)
def test_collapse_snow_and_blur_are_named(side: int, channels: int) -> None:
    found = caveats("looks", side, channels)
    for name in ("one picture", "mean picture"):
        assert "COLLAPSE" in found[name], name
    assert found["two kinds"] == ["COLLAPSE"]
    assert found["blurred"] == ["NOISE"]
    if side > 8:  # eight pixels are too few to tell faint snow from detail: the distance and no alarm says so
        assert found["snowy"] == found["trivial"] == ["NOISE"]
    for name in (
        "good",
        "slightly blurred",
        "slightly noisy",
        "copied",
        "copied, moved",
        "copied, dimmed",
        "a tenth copied",
    ):
        assert found[name] == [], (name, found[name])


def test_natural_duplicates_are_no_copies() -> None:
    """Where a third of the data comes in pairs that are all but equal, fresh items look like copies and are none."""
    base, _ = shapes(480, 7)
    twins = noisy(base[:160], 0.01, 1)
    order = torch.randperm(640, generator=torch.Generator().manual_seed(0))
    x = torch.cat([base, twins])[order]
    reference, made = judged(x[:320], x[320:480], {"fresh": x[480:], "copied": noisy(x[:160], 0.02, 2)})
    fresh, copied = (scores("copying", reference, made[k])["copies"] for k in ("fresh", "copied"))
    look = Lookalikes(x[:320])
    assert float((look.nearness(x[480:])[0] < 0.2).double().mean()) > 0.1  # they do look like copies
    assert not any(c.startswith("COPYING") for c in fresh.caveats)
    assert copied.caveats[0].startswith("COPYING")


def test_a_picture_is_not_its_own_lookalike_when_it_is_left_out() -> None:
    x, _ = shapes(64, 5)
    look = Lookalikes(x)
    assert float(look.nearness(x)[0].max()) < 0.05
    near, place = look.nearness(x[:8], torch.arange(8))
    assert float(near.min()) > 0.1
    assert not bool((place == torch.arange(8)).any())


def test_the_excess_is_what_copying_alone_explains() -> None:
    fresh = torch.linspace(0.5, 1.0, 1000).double().numpy()
    made = torch.cat([torch.zeros(200), torch.linspace(0.5, 1.0, 800)]).double().numpy()
    value, low, high, fired = excess(made, fresh)
    assert value == pytest.approx(0.2, abs=0.003)
    assert low < 0.2 < high
    assert fired
    same = excess(fresh, fresh)
    assert (same[0], same[3]) == (0.0, False)


def test_variety_counts_the_cells_that_are_made() -> None:
    even = torch.ones(10).double().numpy()
    two = torch.tensor([5.0, 5.0] + [0.0] * 8).double().numpy()
    assert varied(even, even) == 1.0
    assert varied(two, even) == pytest.approx(0.2)


def test_patches_fit_any_size_and_few_items() -> None:
    for side, channels in ((5, 1), (8, 3), (17, 1), (64, 3)):
        x, _ = shapes(48, 1, side, channels)
        reference, _ = judged(x[:40], x[40:], {})
        assert reference.extractor.startswith("patches-16-")
        assert reference.train.features is not None
        assert bool(torch.isfinite(reference.train.features).all())
        assert float(reference.train.features.var(0).sum()) == pytest.approx(1.0)
    flat = torch.full((40, 1, 8, 8), 7)
    assert bool(torch.isfinite(extractor_for(reference.space, "pictures", flat)(flat)).all())


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3)])
def test_rough_pictures_of_every_kind_are_not_called_collapsed(side: int, channels: int) -> None:
    """Flow, VAE and Gaussian on icons made all kinds, grainy or soft, and were said to make one thing over and over."""
    reference, sets = case(side, channels)
    assert isinstance(reference.space, Levels)
    good = sets["good"].sample
    rough = noisy(good.x, 0.3, 9)
    some = torch.arange(len(rough)) % 4 > 0  # three quarters, so that the set is not called snowy as a whole
    x = torch.where(some[:, None, None, None], rough, good.x)
    extract = extractor_for(reference.space, "pictures", reference.train.x, "icons")
    made = Generated(Sample(list(x), x, None, extract(x)))
    found = scores("looks", reference, made)
    assert not [c for s in found.values() for c in s.caveats if c.startswith(("COLLAPSE", "NOISE"))]
