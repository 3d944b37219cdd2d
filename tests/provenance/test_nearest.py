"""The index of training items: planted copies are found, fresh items raise no more alarms than is stated."""

from __future__ import annotations

import pydoc_data.topics
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from makar.core.errors import MakarError
from makar.core.spaces import Categorical, Columns, Levels, Numeric, Reals, Space
from makar.data import load as open_data
from makar.provenance import nearest
from makar.provenance.home import Home
from makar.provenance.receipts import Nearness

DIGEST = "ab" * 32
SPACE = Levels((1, 8, 8), 17)


def ids(count: int) -> list[str]:
    return [f"{i:064x}" for i in range(count)]


@cache
def digits() -> tuple[Tensor, Tensor]:
    data = open_data("digits")
    train, held = (torch.from_numpy(np.stack(s.things)).permute(0, 3, 1, 2) for s in (data.train, data.held_out))
    return train.long(), held.long()


@cache
def index() -> nearest.Index:
    train, held = digits()
    return nearest.build(train, held, ids(len(train)), DIGEST, SPACE, "A. Author")


def moved(x: Tensor, down: int, right: int) -> Tensor:
    """Pictures moved by whole pixels; what is left behind is empty."""
    out = torch.zeros_like(x)
    height, width = x.shape[-2:]
    out[..., max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = x[
        ..., max(0, -down) : height + min(0, -down), max(0, -right) : width + min(0, -right)
    ]
    return out


def noisy(x: Tensor, std: float) -> Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return (x + std * noise).round().clamp(0, 16).long()


def blurred(x: Tensor) -> Tensor:
    """Averaged with weights 1, 2, 1 in both directions, edges repeated."""
    padded = torch.nn.functional.pad(x.float(), (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    return ((rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 16).round().long()


CHANGES: list[tuple[str, Callable[[Tensor], Tensor], float]] = [
    ("none", lambda x: x, 1.0),
    ("noise of 3 % of the range", lambda x: noisy(x, 0.5), 0.99),
    ("noise of 6 % of the range", lambda x: noisy(x, 1.0), 0.95),
    ("one pixel down", lambda x: moved(x, 1, 0), 0.97),
    ("one pixel right", lambda x: moved(x, 0, 1), 0.97),
    ("one pixel up and left", lambda x: moved(x, -1, -1), 0.97),
    ("darker", lambda x: (x * 0.6).round().long(), 0.99),
    ("brighter", lambda x: (x + 3).clamp(0, 16), 0.97),
    ("blurred", blurred, 0.99),
    ("mirrored", lambda x: x.flip(-1), 0.99),
    ("upside down", lambda x: x.flip(-2), 0.99),
    ("turned by a quarter", lambda x: torch.rot90(x, 1, (-2, -1)), 0.99),
    ("turned by a half", lambda x: torch.rot90(x, 2, (-2, -1)), 0.99),
    ("turned by three quarters", lambda x: torch.rot90(x, 3, (-2, -1)), 0.99),
    ("transposed", lambda x: x.mT, 0.99),
    ("mirrored at the other diagonal", lambda x: x.mT.flip(-2, -1), 0.99),
]


@pytest.mark.parametrize(("change", "least"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_planted_near_copies_are_found(change: Callable[[Tensor], Tensor], least: float) -> None:
    train, _ = digits()
    places = torch.arange(0, len(train), 4)
    said = index().judge(change(train[places]))
    found = [nearest.is_copy(n) and n.item == ids(len(train))[p] for n, p in zip(said, places.tolist(), strict=True)]
    assert np.mean(found) >= least
    assert all(n.attribution == ("A. Author" if nearest.is_copy(n) else "") for n in said)


def test_what_is_not_found_is_known() -> None:
    """Two changes at once, a crop, and strong noise: the docstring says so."""
    train = digits()[0][::4]
    cropped = torch.nn.functional.interpolate(train[..., 1:-1, 1:-1].float(), size=(8, 8), mode="bicubic")
    for changed in (
        moved(train.flip(-1), 1, 0), blurred(train.flip(-1)), cropped.round().clamp(0, 16).long(), noisy(train, 5.0),
    ):  # fmt: skip
        assert np.mean(list(map(nearest.is_copy, index().judge(changed)))) < 0.2


def test_pictures_that_are_not_square_are_mirrored_only() -> None:
    pictures = torch.randint(0, 256, (60, 1, 12, 9), generator=torch.Generator().manual_seed(3))
    made = nearest.build(pictures[:40], pictures[40:], ids(40), DIGEST, Levels((1, 12, 9), 256))
    for changed in (pictures[:40].flip(-1), pictures[:40].flip(-2), pictures[:40].flip(-2, -1), blurred(pictures[:40])):
        assert [n.item for n in made.judge(changed) if nearest.is_copy(n)] == ids(40)


def test_even_pictures_are_like_each_other_and_nothing_else() -> None:
    pictures = torch.stack([torch.full((1, 8, 8), 7), digits()[0][0]])
    made = nearest.build(pictures, digits()[1], ids(2), DIGEST, SPACE)
    near = made.nearest(torch.stack([torch.full((1, 8, 8), 3), digits()[0][0]]))
    assert [item for item, _ in near] == ids(2)
    assert [distance for _, distance in near] == pytest.approx([0.0, 0.0], abs=1e-3)


def test_fresh_items_lie_below_the_threshold_as_often_as_is_stated() -> None:
    """Calibrated on one half of what the index never saw, counted on the other, both ways and over several halves."""
    train, held = digits()
    alarms, total, rates = 0, 0, set()
    for seed in range(5):
        order = torch.randperm(len(held), generator=torch.Generator().manual_seed(seed))
        for half, other in ((order[:250], order[250:]), (order[250:], order[:250])):
            made = nearest.build(train, held[half], ids(len(train)), DIGEST, SPACE, rate=0.05)
            alarms += sum(map(nearest.is_copy, made.judge(held[other])))
            total += len(other)
            rates.add(made.rate)
    assert rates == {12 / 251}
    assert 0.03 <= alarms / total <= 0.07


def test_what_is_unlike_all_training_items_raises_no_alarm() -> None:
    noise = torch.randint(0, 17, (200, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    blank = torch.full((1, 1, 8, 8), 7)
    assert not any(map(nearest.is_copy, index().judge(torch.cat([noise, blank]))))


def test_larger_pictures_in_colour_are_found_shifted_and_noisy() -> None:
    chance = torch.Generator().manual_seed(0)
    coarse = torch.rand((300, 3, 6, 6), generator=chance)
    pictures = (torch.nn.functional.interpolate(coarse, size=(24, 20), mode="bilinear") * 255).long()
    made = nearest.build(pictures[:200], pictures[200:], ids(200), DIGEST, Levels((3, 24, 20), 256))
    copies = moved(pictures[:50], 1, 0) + torch.randint(-8, 9, (50, 3, 24, 20), generator=chance)
    said = made.judge(copies.clamp(0, 255))
    assert np.mean([nearest.is_copy(n) and n.item == i for n, i in zip(said, ids(50), strict=True)]) >= 0.98
    assert made.measure.state()[0]["thumbs"].shape == (200, 3, 16, 16)


def rows(count: int, seed: int) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    numbers = torch.randn((count, 4), generator=chance)
    codes = torch.randint(0, 5, (count, 2), generator=chance).float()
    return torch.cat([numbers, codes], 1)


COLUMNS = Columns((*(Numeric(f"x{i}") for i in range(4)), *(Categorical(f"c{i}", 5) for i in range(2))))


@pytest.mark.parametrize("block", [8192, 100])
def test_rows_are_found_with_a_little_noise(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("makar.provenance._measures._BLOCK", block)
    train, held = rows(1000, 0), rows(400, 1)
    made = nearest.build(train, held, ids(1000), DIGEST, COLUMNS)
    near = train[:200].clone()
    near[:, :4] += 0.02
    said = made.judge(near)
    assert np.mean([nearest.is_copy(n) and n.item == i for n, i in zip(said, ids(200), strict=True)]) >= 0.98
    assert np.mean(list(map(nearest.is_copy, made.judge(rows(2000, 2))))) <= 0.03


def test_a_changed_category_counts_as_one_standard_deviation() -> None:
    train = torch.zeros((3, 6))
    train[:, 0] = torch.tensor([-1.0, 0.0, 1.0]) * (1.5**0.5)  # standard deviation 1
    made = nearest.build(train, rows(10, 0), ids(3), DIGEST, COLUMNS)
    other = train[1:2].clone()
    other[0, 4] = 3.0
    assert made.nearest(other)[0][1] == pytest.approx((1 / 6) ** 0.5, rel=1e-5)


def test_many_columns_are_projected() -> None:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn((400, 500), generator=chance)
    made = nearest.build(x[:300], x[300:], ids(300), DIGEST, Reals((500,)))
    assert made.measure.state()[0]["kept"].shape == (300, 128)
    true = (x[300:301] - x[:300]).square().mean(1).sqrt() / x[:300].std()
    assert made.nearest(x[300:301])[0][1] == pytest.approx(float(true.min()), rel=0.2)
    assert made.nearest(x[:3] + 0.01)[2][0] == ids(3)[2]


@cache
def prose() -> list[str]:
    """The reference manual of Python, every line once, since its topics repeat each other; pieces of 600 characters."""
    text = "\n".join(dict.fromkeys(line for t in pydoc_data.topics.topics.values() for line in t.splitlines()))
    return [text[i : i + 600] for i in range(0, len(text), 600)]


def test_reworded_texts_are_found() -> None:
    pieces = [prose()[i] for i in np.random.default_rng(0).permutation(400)]
    assert len(prose()) >= 400
    train, held = pieces[:300], pieces[300:]
    made = nearest.build(train, held, ids(300), DIGEST)
    edited = [" ".join("word" if k % 9 == 0 else w for k, w in enumerate(t.split(" "))).upper() for t in train[:100]]
    said = made.judge(edited)
    assert np.mean([nearest.is_copy(n) and n.item == i for n, i in zip(said, ids(100), strict=True)]) >= 0.9
    assert made.nearest(["", "short"]) == [(ids(1)[0], 1.0)] * 2


@pytest.mark.parametrize("kind", ["pictures", "vectors", "texts"])
def test_saved_and_loaded_it_says_the_same(kind: str, home: Path) -> None:
    held = digits()[1]
    made: dict[str, tuple[nearest.Index, Tensor | list[str]]] = {
        "pictures": (index(), held[:20]),
        "vectors": (nearest.build(rows(50, 0), rows(20, 1), ids(50), DIGEST, COLUMNS), rows(5, 2)),
        "texts": (nearest.build(prose()[:40], prose()[40:60], ids(40), DIGEST), prose()[60:70]),
    }
    before, outputs = made[kind]
    assert nearest.load(Home(home), DIGEST) is None
    folder = nearest.save(before, Home(home))
    assert sorted(p.name for p in folder.iterdir()) == ["index.json", "index.safetensors"]
    after = nearest.load(Home(home), DIGEST)
    assert after is not None
    assert after.judge(outputs) == before.judge(outputs)
    assert (after.rate, after.fresh, after.items) == (before.rate, before.fresh, before.items)


def test_it_is_small() -> None:
    tensors, _ = index().measure.state()
    assert sum(t.numel() * t.element_size() for t in tensors.values()) == 1297 * 64


@pytest.mark.parametrize("name", ["index.json", "index.safetensors"])
@pytest.mark.parametrize("how", ["cut", "flipped", "empty", "gone", "other"])
def test_altered_files_are_refused_in_a_sentence(name: str, how: str, home: Path) -> None:
    folder = nearest.save(nearest.build(rows(9, 0), rows(9, 1), ids(9), DIGEST, COLUMNS), Home(home))
    data = (folder / name).read_bytes()
    middle = data.find(b"threshold") if name.endswith("json") else len(data) - 40
    changed = {
        "cut": data[: len(data) // 2],
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "empty": b"",
        "other": b'{"format": "makar-index-2"}',
    }
    if how == "gone":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(changed[how])
    with pytest.raises(MakarError, match="index"):
        nearest.load(Home(home), DIGEST)


def test_a_digest_that_is_none_names_no_path(home: Path) -> None:
    with pytest.raises(MakarError, match="not the digest"):
        nearest.load(Home(home), "../../etc")


@pytest.mark.parametrize(
    ("train", "held", "count", "words"),
    [(rows(5, 0), rows(5, 1), 4, "lists 4"), (rows(5, 0), rows(0, 1), 5, "held-out")],
)
def test_what_cannot_be_indexed_is_said(train: Tensor, held: Tensor, count: int, words: str) -> None:
    with pytest.raises(MakarError, match=words):
        nearest.build(train, held, ids(count), DIGEST, COLUMNS)


@pytest.mark.parametrize("space", [Reals((3,)), Levels((1, 4, 4), 17)])
def test_outputs_of_another_shape_are_refused(space: Space) -> None:
    made = nearest.build(rows(5, 0), rows(5, 1), ids(5), DIGEST, COLUMNS)
    with pytest.raises(MakarError, match="build it anew"):
        made.nearest(torch.zeros((1, *getattr(space, "shape", ()))))


def test_the_policy_decides() -> None:
    near = Nearness(item="a" * 64, distance=0.1, threshold=0.2, measure="m")
    far = near.model_copy(update={"distance": 0.2})
    assert "near copy of training item aaaaaaaaaaaa" in nearest.objection(near, "refuse")
    assert [nearest.objection(near, "record"), nearest.objection(near, "off")] == ["", ""]
    assert nearest.objection(far, "refuse") == ""
