"""Rows of a table: what comes back is what went in, and likelihoods are those of the rows themselves."""

from __future__ import annotations

import datetime
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from makar.codecs import _columns
from makar.codecs.rows import Config, Rows
from makar.core.errors import MakarError
from makar.core.spaces import Categorical, Numeric


def table(count: int = 1200, seed: int = 0) -> list[dict[str, Any]]:
    r = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        z = r.normal()
        rows.append(
            {
                "age": int(40 + 12 * z),
                "income": round(float(np.exp(6 + z)), 1),
                "city": [None, "a", "b", "rare"][int(r.choice(4, p=[0.05, 0.5, 0.44, 0.01]))],
                "children": int(r.integers(0, 5)),
                "born": (datetime.date(1980, 1, 1) + datetime.timedelta(days=int(3000 * z))).isoformat(),
                "seen": f"2024-01-{int(r.integers(1, 29)):02d} {int(r.integers(0, 24)):02d}:30:00",
                "weight": None if r.random() < 0.1 else round(float(r.gamma(2.0)), 3),
                "spent": 0.0 if r.random() < 0.6 else round(float(r.exponential()), 2),
                "same": "x",
            }
        )
    return rows


def test_rows_come_back_with_their_types() -> None:
    rows = table()
    codec = Rows(Config()).fit(rows[:800])
    x = codec.encode(rows)
    assert codec.space.holds(x)
    assert codec.space.columns == (
        Numeric("age"),
        Numeric("income"),
        Categorical("city", 4),
        Categorical("children", 5),
        Numeric("born"),
        Numeric("seen"),
        Numeric("weight"),
        Categorical("weight (missing)", 2),
        Numeric("spent"),
    )
    back = Rows(Config(bounds="none")).fit(rows[:800]).decode(x)
    assert back == rows
    assert codec.decode(x)[:800] == rows[:800]
    assert [[type(v) for v in row.values()] for row in back] == [[type(v) for v in row.values()] for row in rows]
    assert codec.units(rows) == 1200 * 9


def test_numbers_are_in_normal_scores_even_with_heavy_tails() -> None:
    rows = [{"v": round(float(v), 2)} for v in np.random.default_rng(1).standard_cauchy(4000)]
    z = Rows(Config()).fit(rows).encode(rows)[:, 0]
    assert abs(float(z.mean())) < 0.05
    assert abs(float(z.std()) - 1) < 0.05
    assert float(z.abs().max()) < 6
    assert abs(float((z**4).mean()) - 3) < 0.5


def test_encoding_is_a_function_of_the_row_alone() -> None:
    rows = table(300)
    codec = Rows(Config()).fit(rows)
    x = codec.encode(rows)
    assert torch.equal(x, codec.encode(rows))
    assert torch.equal(x[17:18], codec.encode(rows[17:18]))
    assert torch.equal(x[17:18], codec.encode([dict(reversed(rows[17].items()))]))
    again = Rows(Config()).restore(json.loads(json.dumps(codec.state())))
    assert torch.equal(again.encode(rows), x)
    assert again.nats(rows) == codec.nats(rows)
    assert again.decode(x) == rows
    assert again.space == codec.space


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "i": st.one_of(st.none(), st.integers(-100_000, 100_000)),
                # six digits: a seventh is beyond float32 where a table's last step spans the whole range
                "f": st.integers(-10_000, 10_000).map(lambda n: n / 4),
                "t": st.one_of(st.none(), st.text(max_size=3)),
                "d": st.one_of(st.none(), st.dates(datetime.date(1000, 1, 1)).map(datetime.date.isoformat)),
                "n": st.just(None),
            }
        ),
        min_size=2,
        max_size=20,
    )
)
def test_any_table_comes_back(rows: list[dict[str, Any]]) -> None:
    codec = Rows(Config())
    if all(row == rows[0] for row in rows):
        with pytest.raises(MakarError, match="one value only"):
            codec.fit(rows)
        return
    codec.fit(rows)
    x = codec.encode(rows)
    assert codec.space.holds(x)
    assert codec.decode(x) == rows
    assert math.isfinite(codec.nats(rows))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(-10_000, 10_000).map(lambda n: n / 16), min_size=2, max_size=20))
def test_beyond_six_digits_what_is_lost_is_the_last_one(values: list[float]) -> None:
    rows: list[dict[str, Any]] = [{"f": value, "t": str(i % 2)} for i, value in enumerate(values)]
    codec = Rows(Config()).fit(rows)
    back = [row["f"] for row in codec.decode(codec.encode(rows))]
    worst = max(abs(a - b) for a, b in zip(values, back, strict=True))
    assert worst <= 1e-6 * max(max(values) - min(values), 1.0)


def standard_normal(z: np.ndarray) -> np.ndarray:
    log_p: np.ndarray = -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    return log_p


def probability(column: _columns.Column, value: Any, points: int = 64) -> float:
    """P(value) where the numeric part is N(0, 1) and codes are even, the noise integrated by midpoints."""
    u = (np.arange(points) + 0.5) / points
    total = 0.0
    for one in u:
        x = column.encode([value], np.array([one]))[0]
        log_p = 0.0
        for part, kind in zip(x.tolist(), column.parts, strict=True):
            log_p += float(standard_normal(np.array(part))) if isinstance(kind, Numeric) else -math.log(kind.levels)
        total += math.exp(log_p + column.nats([value], np.array([one])))
    return total / points


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("form", ["int", "date", "decimal"])
def test_probabilities_of_numbers_sum_to_one(form: str, gaps: bool) -> None:
    r = np.random.default_rng(2)
    counts = [round(float(v)) for v in r.gamma(2.0, 4.0, 300)]
    every = range(-60, 160)
    shown: dict[str, Any] = {
        "int": lambda n: n,
        "decimal": lambda n: n / 10,
        "date": lambda n: (datetime.date(2024, 1, 1) + datetime.timedelta(days=n)).isoformat(),
    }
    values = [shown[form](n) for n in counts] + ([None] * 20 if gaps else [])
    column = _columns.fitted("v", values, categories=10)
    assert isinstance(column, _columns.Numbers)
    total = sum(probability(column, shown[form](n), 64) for n in every)
    assert total + probability(column, None) == pytest.approx(1.0, abs=3e-3)
    if gaps:
        assert probability(column, None) == pytest.approx(0.5, abs=1e-3)


def test_the_normal_model_of_scores_fits_held_out_rows() -> None:
    """Bits a cell of N(0, 1) on the scores come near the entropy of the data: a geometric-like count here."""
    r = np.random.default_rng(3)
    rows = [{"v": int(v)} for v in r.poisson(40, 4000)]
    codec = Rows(Config()).fit(rows[:3000])
    z = codec.encode(rows[3000:]).double().numpy()
    bits = -(standard_normal(z).sum() + codec.nats(rows[3000:])) / 1000 / math.log(2)
    k = np.arange(200)
    log_p = k * math.log(40) - 40 - np.array([math.lgamma(n + 1.0) for n in k])
    entropy = -(np.exp(log_p) * log_p).sum() / math.log(2)
    assert entropy - 0.1 < bits < entropy + 0.1


def test_a_fresh_value_beyond_those_of_training_stands_near_them() -> None:
    """Three values close together at an end make a steep last piece, along which nothing may go on."""
    values = [*np.linspace(0.0, 10.0, 200).round(3).tolist(), 9.999, 10.001]
    codec = Rows(Config()).fit([{"x": v, "y": v} for v in values])
    z = codec.encode([{"x": v, "y": v} for v in (10.001, 11.0, -1.0)])[:, 0]
    assert 2.0 < z[0] < z[1] < 4.0
    assert -4.0 < z[2] < -2.0


def test_categories_never_seen_are_charged() -> None:
    column = _columns.fitted("c", ["a"] * 5 + ["b"] * 3, categories=10)
    u = np.array([0.5])
    assert column.nats(["new"], u) == pytest.approx(-math.log(10))
    assert column.nats(["a"], u) == pytest.approx(math.log(0.9))
    assert column.nats(["b"], u) == 0.0
    assert column.encode(["new"], u).tolist() == column.encode(["a"], u).tolist()
    # given that each code is right, codes and escape make one probability
    assert math.exp(column.nats(["a"], u)) + math.exp(column.nats(["new"], u)) == pytest.approx(1.0)
    gone = _columns.fitted("n", list(range(50)), categories=10)
    assert probability(gone, None) == pytest.approx(1 / 52, rel=1e-3)


def test_one_and_one_point_zero_and_their_names_differ() -> None:
    values: list[Any] = ["1", "2"] * 10
    column = _columns.fitted("c", values, categories=10)
    assert column.decode(column.encode(values, np.full(20, 0.5)).astype(np.float64)) == values
    few = _columns.fitted("c", [0.5, 1.0] * 10, categories=10)
    assert few.parts == (Categorical("c", 2),)


def test_wrong_rows_are_explained() -> None:
    rows = table(100)
    with pytest.raises(MakarError, match="not been fitted"):
        Rows(Config()).encode(rows)
    with pytest.raises(MakarError, match="at least one row"):
        Rows(Config()).fit([])
    with pytest.raises(MakarError, match="one value only"):
        Rows(Config()).fit([{"a": 1}] * 5)
    codec = Rows(Config()).fit(rows)
    with pytest.raises(MakarError, match="differs in age"):
        codec.encode([{k: v for k, v in rows[0].items() if k != "age"}])
    with pytest.raises(MakarError, match="'age' holds 'forty' where numbers"):
        codec.encode([{**rows[0], "age": "forty"}])
    with pytest.raises(MakarError, match="'born' holds 'soon' where dates such as '2024-01-31'"):
        codec.encode([{**rows[0], "born": "soon"}])
    with pytest.raises(MakarError, match="not finite"):
        codec.encode([{**rows[0], "income": math.inf}])


def test_extreme_draws_decode_to_valid_rows() -> None:
    rows = table(300)
    codec = Rows(Config()).fit(rows)
    x = codec.encode(rows[:2])
    numeric = [i for i, c in enumerate(codec.space.columns) if isinstance(c, Numeric)]
    x[0, numeric], x[1, numeric] = -40.0, 40.0
    for row in codec.decode(x):
        datetime.date.fromisoformat(row["born"])
        datetime.datetime.fromisoformat(row["seen"])
        assert isinstance(row["age"], int)
        assert math.isfinite(row["income"])


def test_what_is_made_lies_within_the_data_unless_let_go() -> None:
    rows = table(300)
    low, high = min(row["age"] for row in rows), max(row["age"] for row in rows)
    days = sorted(row["born"] for row in rows)
    far = {}
    for bounds in ("range", "sign", "none"):
        codec = Rows(Config(bounds=bounds)).fit(rows)
        x = codec.encode(rows[:2])
        numeric = [i for i, c in enumerate(codec.space.columns) if isinstance(c, Numeric)]
        x[0, numeric], x[1, numeric] = -9.0, 9.0
        far[bounds] = Rows(Config(bounds=bounds)).restore(codec.state()).decode(x)
    assert [row["age"] for row in far["range"]] == [low, high]
    assert [row["born"] for row in far["range"]] == [days[0], days[-1]]
    assert far["sign"][0]["income"] == 0.0
    assert far["sign"][1]["income"] > max(row["income"] for row in rows)
    assert far["none"][0]["income"] < 0
    old = Rows(Config()).fit(rows).state()
    for column in old["columns"]:
        column.pop("bounds", None)  # a bundle from before there were bounds
    assert Rows(Config()).restore(old).decode(x) == far["none"]


def test_a_value_that_many_rows_share_has_its_share_of_z_and_nothing_lies_beside_it() -> None:
    r = np.random.default_rng(5)
    gains = [0 if r.random() < 0.85 else int(r.integers(500, 20_000)) for _ in range(2000)]
    codec = Rows(Config()).fit([{"gain": gain} for gain in gains])
    z = torch.from_numpy(r.standard_normal((20_000, 1)).astype(np.float32))
    made = np.array([row["gain"] for row in codec.decode(z)])
    assert abs((made == 0).mean() - np.mean(np.array(gains) == 0)) < 0.01
    assert ((made > 0) & (made < min(g for g in gains if g))).mean() < 0.002


def test_the_class_is_put_back_in_its_place_and_its_likelihood_is_its_share() -> None:
    rows = [{"a": i % 37, "y": ["no", "no", "yes"][i % 3], "b": f"k{i % 5}"} for i in range(300)]
    codec, joint = Rows(Config(label="y")).fit(rows), Rows(Config()).fit(rows)
    assert [column.name for column in codec.space.columns] == ["a", "b"]
    x = codec.encode(rows)
    assert torch.equal(x, codec.encode([{"a": row["a"], "b": row["b"]} for row in rows]))
    again = Rows(Config(label="y")).restore(json.loads(json.dumps(codec.state())))
    assert again.labelled(x, [str(row["y"]) for row in rows]) == rows
    assert list(again.labelled(x[:1], [None])[0].items())[1] == ("y", None)
    assert codec.units(rows) == joint.units(rows) == 900
    plain = Rows(Config()).fit([{"a": row["a"], "b": row["b"]} for row in rows])
    shares = 200 * math.log(200 / 300) + 100 * math.log(100 / 300) + 300 * math.log1p(-1 / 302)
    assert codec.nats(rows) - plain.nats([{"a": r["a"], "b": r["b"]} for r in rows]) == pytest.approx(shares)
    unseen = [{"a": 1, "y": "new", "b": "k1"}]
    assert codec.nats(unseen) - plain.nats([{"a": 1, "b": "k1"}]) == pytest.approx(-math.log(302))
    with pytest.raises(MakarError, match="no column 'z' to be the class"):
        Rows(Config(label="z")).fit(rows)
    with pytest.raises(MakarError, match="but the class 'y' has one value only"):
        Rows(Config(label="y")).fit([{"a": 1, "y": row["y"]} for row in rows])


@pytest.mark.parametrize(("values", "names"), [([1, 2, 3], "123"), ([1.0, 2.0, 3.0], "123"), (["a", "01", "-"], None)])
def test_classes_keep_their_type_and_spelling(values: list[Any], names: str | None) -> None:
    rows = [{"y": values[i % 3], "x": i * 7 % 50} for i in range(60)]
    codec = Rows(Config(label="y")).fit(rows)
    back = codec.labelled(codec.encode(rows[:3]), list(names or values))
    assert [row["y"] for row in back] == values
    assert [type(row["y"]) for row in back] == [type(value) for value in values]
