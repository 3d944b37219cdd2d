"""Known-answer sets: points on a ring with a good, a blurred, a collapsed and a copied answer, and rows of a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from makar.core.registry import load
from makar.core.score import Generated, Reference, Sample, Score
from makar.core.spaces import Classes, Reals, Tokens
from makar.data import splits


def ring(n: int, seed: int, std: float = 0.2) -> tuple[Tensor, Tensor]:
    """Points of 8 Gaussians on a ring of radius 2, and which Gaussian each came from."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.arange(n) % 8
    angle = which * (2 * math.pi / 8)
    centres = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    return centres + std * torch.randn(n, 2, generator=generator), which


def sample(x: Tensor, labels: Tensor | None = None) -> Sample:
    return Sample(list(x.numpy()), x, labels, x.double())


def by_angle(x: Tensor) -> Tensor:
    """The Gaussian whose centre is nearest."""
    return (torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi / 8)).round().long() % 8


def points() -> Reference:
    return Reference(
        space=Reals((2,)),
        modality="points",
        train=sample(*ring(800, 1)),
        held_out=sample(*ring(480, 2)),
        extractor="points",
        condition=Classes(8),
        classify=by_angle,
    )


def answers() -> dict[str, Generated]:
    """What a model may hand in."""
    good, which = ring(640, 3)
    train, labels = ring(800, 1)
    generator = torch.Generator().manual_seed(4)
    rows = torch.randint(0, 800, (640,), generator=generator)
    one, _ = ring(640 * 8, 5)
    near = train[rows] + 0.01 * torch.randn(640, 2, generator=generator)
    return {
        "good": Generated(sample(good, which)),
        "blurred": Generated(sample(ring(640, 6, std=0.8)[0], which)),
        "collapsed": Generated(sample(one[::8], which)),
        "copied": Generated(sample(train[rows], labels[rows])),
        "kernel": Generated(sample(near, labels[rows])),
    }


def scores(metric: str, reference: Reference, generated: Generated) -> dict[str, Score]:
    """By the part of the name before its bracket."""
    found: list[Score] = load("metrics", metric)()(reference, generated)
    for s in found:
        assert not math.isnan(s.value) or s.caveats, s  # no number without a reason
        if math.isnan(s.value):
            continue
        slack = 1e-9 * abs(s.value)
        assert s.low <= s.value + slack, s
        assert s.value <= s.high + slack, s
        assert s.n > 0
        assert "@" in s.name
    assert len({s.name for s in found}) == len(found)
    return {s.name.partition("[")[0]: s for s in found}


def table(n: int, seed: int, noise: float = 0.0, apart: bool = False) -> list[dict[str, Any]]:
    """Rows in which a number and two categories hang together; `apart` draws every column by itself."""
    chance = np.random.default_rng(seed)
    kind = chance.integers(0, 3, n)
    size = kind + 0.4 * chance.normal(size=n) + noise * chance.normal(size=n)
    weight = 2 * size + 0.5 * chance.normal(size=n)
    big = np.where(weight + 0.3 * chance.normal(size=n) > 2, "yes", "no")
    columns: dict[str, list[Any]] = {
        "size": size.round(4).tolist(),
        "weight": weight.round(4).tolist(),
        "kind": [("a", "b", "c")[k] for k in kind],
        "big": big.tolist(),
    }
    if apart:
        columns = {k: [v[i] for i in chance.permutation(n)] for k, v in columns.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def things(items: list[Any]) -> Sample:
    return Sample(items, torch.zeros(len(items), 1, dtype=torch.int64))


def of_rows(train: list[Any], held_out: list[Any]) -> Reference:
    return Reference(Reals((1,)), "rows", things(train), things(held_out))


def of_text(train: list[str], held_out: list[str]) -> Reference:
    return Reference(Tokens(256, 1), "text", things(train), things(held_out))


def people(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows of eight kinds: numbers (one whole, one at times missing) and categories that depend on the kind."""
    chance = np.random.default_rng([seed, n])
    kind = chance.integers(0, 8, n)
    age = (25 + 6 * kind + 2.0 * chance.normal(size=n)).round().astype(int)
    pay = np.exp(0.04 * age + 0.2 * chance.normal(size=n)).round(3)
    rent = (0.3 * pay + 0.2 * chance.normal(size=n)).round(3)
    missing, owns = chance.random(n) < 0.1, chance.random(n) < 0.1 + 0.1 * kind
    return [
        {
            "kind": "abcdefgh"[kind[i]],
            "age": int(age[i]),
            "pay": float(pay[i]),
            "rent": None if missing[i] else float(rent[i]),
            "owns": "yes" if owns[i] else "no",
        }
        for i in range(n)
    ]


def answers_of(n: int, seed: int) -> list[dict[str, Any]]:
    """A questionnaire: eleven categories that hang together through one that is not asked for. Many rows repeat."""
    chance = np.random.default_rng([seed, n, 1])
    bent = chance.random(n) < 0.5
    asked = chance.random((n, 11)) < np.where(bent[:, None], 0.75, 0.15)
    third = chance.integers(0, 3, n)
    return [
        {f"q{k}": "yes" if asked[i, k] else "no" for k in range(11)} | {"region": "nsw"[third[i]]} for i in range(n)
    ]


def noised(rows: list[dict[str, Any]], size: float, seed: int) -> list[dict[str, Any]]:
    """The rows with normal noise in every number, in units of the column's standard deviation."""
    chance = np.random.default_rng(seed)
    numbers = [k for k in rows[0] if any(isinstance(r[k], int | float) for r in rows)]
    unit = {k: np.std([r[k] for r in rows if r[k] is not None]) for k in numbers}
    return [r | {k: float(r[k] + size * unit[k] * chance.normal()) for k in numbers if r[k] is not None} for r in rows]


def shuffled(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """The rows with every column in an order of its own."""
    chance = np.random.default_rng(seed)
    columns = {k: [rows[i][k] for i in chance.permutation(len(rows))] for k in rows[0]}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def one_cell(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """The rows, each with the value of another row in one of its cells."""
    chance = np.random.default_rng(seed)
    names = list(rows[0])
    out = []
    for row in rows:
        name = names[chance.integers(len(names))]
        out.append(row | {name: rows[chance.integers(len(rows))][name]})
    return out


def by_content(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows parted by what they say, so that no two equal ones lie on different sides."""
    train, held = splits.by_content(splits.digests(rows), 0.2)
    return [rows[i] for i in train], [rows[i] for i in held]
