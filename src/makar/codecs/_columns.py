"""One column of a table as numbers for a model, and back: categories by code, numbers and dates by normal scores.

Numbers. A value on the grid of the data's own precision is spread over its cell with noise u, v' = v + (u - 1/2) step,
and mapped to z by a continuous, strictly increasing, piecewise linear function that takes empirical quantiles to those
of the standard normal; beyond the data the outermost pieces go on. Heavy tails become light, and for any density p(z)

    log P(v) = log of p's mass in the cell >= E_u[log p(z(v'))] + log step + log dz/dv'             (Jensen)

A missing value has a code of its own in a second column, while z holds noise ~ N(0, 1), for which the same
inequality gives log P(missing) >= E_z[log p(missing, z) - log N(z)].

Values never seen. A category that training did not hold is given the code of the commonest level, and is charged
log e with e = 1 / (n + 2), the commonest level itself log(1 - e): an escape, so that the whole remains a probability.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import torch

from makar.core.errors import MakarError
from makar.core.spaces import Categorical, Numeric

Value = str | int | float | None

_DATES = {  # ISO 8601 forms and how many seconds their unit has
    "%Y-%m-%d": 86400,
    "%Y-%m-%d %H:%M": 60,
    "%Y-%m-%dT%H:%M": 60,
    "%Y-%m-%d %H:%M:%S": 1,
    "%Y-%m-%dT%H:%M:%S": 1,
    "%Y-%m-%dT%H:%M:%SZ": 1,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_SIGNIFICANT = 9  # digits of a typical value beyond which float32 could not follow


class Column(ABC):
    """A fitted column: n values to float64 (n, width), width = len(parts)."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    @abstractmethod
    def parts(self) -> tuple[Numeric | Categorical, ...]:
        """What it is in the space; nothing where the column has one value only."""

    @abstractmethod
    def encode(self, values: Sequence[Value], u: np.ndarray) -> np.ndarray:
        """Values with noise u in (0, 1), shape (n,), to float32 (n, width)."""

    @abstractmethod
    def decode(self, x: np.ndarray) -> list[Value]:
        """Float64 (n, width) to values."""

    @abstractmethod
    def nats(self, values: Sequence[Value], u: np.ndarray) -> float:
        """What to add to the log-likelihood of the encoded values, in all."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Plain data that `restored` takes."""


class Categories(Column):
    """Codes 0..k-1 of levels, the missing one included. With one level it takes no room in the space."""

    def __init__(self, name: str, levels: Sequence[Value], common: int, count: int) -> None:
        super().__init__(name)
        self._levels = list(levels)
        self._codes = {_typed(level): i for i, level in enumerate(self._levels)}
        self._common = common
        self._count = count

    @staticmethod
    def fitted(name: str, values: Sequence[Value]) -> Categories:
        """Levels in the order of their values, rare ones kept."""
        counts = Counter(map(_typed, values))
        levels = [value for _, value in sorted(counts, key=lambda key: (key[1] is None, key[0], key[1]))]
        common = max(range(len(levels)), key=lambda i: (counts[_typed(levels[i])], -i))
        return Categories(name, levels, common, len(values))

    @property
    def parts(self) -> tuple[Numeric | Categorical, ...]:
        return (Categorical(self.name, len(self._levels)),) if len(self._levels) > 1 else ()

    def encode(self, values: Sequence[Value], u: np.ndarray) -> np.ndarray:
        codes = np.array([self._codes.get(_typed(value), self._common) for value in values], np.float32)
        return codes[:, None][:, : len(self.parts)]

    def decode(self, x: np.ndarray) -> list[Value]:
        if not self.parts:
            return self._levels * len(x)
        return [self._levels[int(code)] for code in x[:, 0]]

    def nats(self, values: Sequence[Value], u: np.ndarray) -> float:
        codes = [self._codes.get(_typed(value)) for value in values]
        unseen, common = codes.count(None), codes.count(self._common)
        escape = 1.0 / (self._count + 2)
        return unseen * math.log(escape) + common * math.log1p(-escape)

    def state(self) -> dict[str, Any]:
        return {"kind": "categories", "levels": self._levels, "common": self._common, "count": self._count}


class Numbers(Column):
    """Numbers, or dates counted in their unit, by normal scores; perhaps with a second part for missing ones.

    `form` is "int", "float" or a date's format; `digits` are the decimals of the grid; `places` and `scores` are the
    knots of the piecewise linear map.
    """

    def __init__(
        self, name: str, form: str, digits: int, knots: tuple[np.ndarray, np.ndarray], missing: bool, count: int
    ) -> None:
        super().__init__(name)
        self._form = form
        self._digits = digits
        self._step = 10.0**-digits
        self._places, self._scores = knots
        self._slopes = np.diff(self._scores) / np.diff(self._places)
        self._missing = missing
        self._count = count

    @staticmethod
    def fitted(name: str, values: Sequence[Value], u: np.ndarray, form: str) -> Numbers:
        """Knots from the values that are there."""
        there = np.array([value is not None for value in values])
        raw = _as_numbers(name, [value for value in values if value is not None], form)
        digits = _decimals(raw) if form == "float" else 0
        spread = np.round(raw, digits) + (u[there] - 0.5) * 10.0**-digits
        return Numbers(name, form, digits, _knots(spread), not bool(there.all()), len(values))

    @property
    def parts(self) -> tuple[Numeric | Categorical, ...]:
        number = (Numeric(self.name),)
        return (*number, Categorical(f"{self.name} (missing)", 2)) if self._missing else number

    def _spread(self, values: Sequence[Value], u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which are missing, and v' of the others."""
        missing = np.array([value is None for value in values], bool)
        raw = _as_numbers(self.name, [value for value in values if value is not None], self._form)
        return missing, np.round(raw, self._digits) + (u[~missing] - 0.5) * self._step

    def _piece(self, at: np.ndarray, knots: np.ndarray) -> np.ndarray:
        return np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(self._slopes) - 1)

    def _forward(self, spread: np.ndarray) -> np.ndarray:
        i = self._piece(spread, self._places)
        z: np.ndarray = self._scores[i] + (spread - self._places[i]) * self._slopes[i]
        return z

    def _backward(self, z: np.ndarray) -> np.ndarray:
        i = self._piece(z, self._scores)
        numbers: np.ndarray = np.round(self._places[i] + (z - self._scores[i]) / self._slopes[i], self._digits)
        return numbers

    def encode(self, values: Sequence[Value], u: np.ndarray) -> np.ndarray:
        missing, spread = self._spread(values, u)
        z = self._forward(spread).astype(np.float32)
        cell = np.round(spread, self._digits)
        lost = self._backward(z.astype(np.float64)) != cell  # float32 moved it into another cell: take the middle
        z[lost] = self._forward(cell[lost]).astype(np.float32)
        out = np.zeros((len(values), len(self.parts)), np.float32)
        out[~missing, 0] = z
        out[missing, 0] = _scores(u[missing])
        if self._missing:
            out[:, 1] = missing
        return out

    def decode(self, x: np.ndarray) -> list[Value]:
        numbers = self._backward(x[:, 0])
        missing = x[:, 1] > 0.5 if self._missing else np.zeros(len(x), bool)
        return [
            None if gone else _as_value(float(number), self._form, self._digits)
            for number, gone in zip(numbers, missing, strict=True)
        ]

    def nats(self, values: Sequence[Value], u: np.ndarray) -> float:
        missing, spread = self._spread(values, u)
        slopes = self._slopes[self._piece(spread, self._places)]
        total = float(np.log(slopes).sum()) + len(spread) * math.log(self._step)
        z = _scores(u[missing])
        total += float((0.5 * z**2).sum()) + len(z) * 0.5 * math.log(2.0 * math.pi)
        if not self._missing:
            escape = 1.0 / (self._count + 2)
            total += len(z) * math.log(escape) + len(spread) * math.log1p(-escape)
        return total

    def state(self) -> dict[str, Any]:
        return {
            "kind": "numbers",
            "form": self._form,
            "digits": self._digits,
            "places": self._places.tolist(),
            "scores": self._scores.tolist(),
            "missing": self._missing,
            "count": self._count,
        }


def fitted(name: str, values: Sequence[Value], u: np.ndarray, categories: int) -> Column:
    """The column that suits the values: strings that are not dates, and few distinct numbers, are categories."""
    there = [value for value in values if value is not None]
    distinct = len(set(there))
    form = form_of(there)
    few = distinct <= 1 or (distinct <= categories and 5 * distinct <= len(there))
    if form == "text" or few:
        return Categories.fitted(name, values)
    return Numbers.fitted(name, values, u, form)


def restored(name: str, state: dict[str, Any]) -> Column:
    """The column that had this state."""
    if state["kind"] == "categories":
        return Categories(name, state["levels"], state["common"], state["count"])
    knots = np.array(state["places"], np.float64), np.array(state["scores"], np.float64)
    return Numbers(name, state["form"], state["digits"], knots, state["missing"], state["count"])


def form_of(values: Sequence[Value]) -> str:
    """What values that are there have in common: "int", "float", a date's format, or "text"."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return "int"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "float"
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        return "text"
    return next((form for form in _DATES if all(_date(text, form) is not None for text in texts)), "text")


def _typed(value: Value) -> tuple[str, Value]:
    # 1, 1.0 and "1" are three levels
    return type(value).__name__, value


def _date(text: str, form: str) -> datetime | None:
    if len(text) > 20:
        return None
    try:
        found = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if found.strftime(form) == text and found >= _FIRST else None


def _as_numbers(name: str, values: Sequence[Value], form: str) -> np.ndarray:
    numbers = np.empty(len(values))
    for i, value in enumerate(values):
        if form in _DATES:
            date = _date(value, form) if isinstance(value, str) else None
            if date is None:
                raise MakarError(
                    f"the column '{name}' holds {value!r} where dates such as '{_shown(form)}' were learnt"
                )
            numbers[i] = (date - _EPOCH).total_seconds() // _DATES[form]
        elif isinstance(value, str) or value is None:
            raise MakarError(f"the column '{name}' holds {value!r} where numbers were learnt")
        else:
            numbers[i] = value
    if not np.isfinite(numbers).all():
        raise MakarError(f"the column '{name}' holds numbers that are not finite; leave such cells empty")
    return numbers


def _shown(form: str) -> str:
    return datetime(2024, 1, 31, 12, 30, tzinfo=UTC).strftime(form)


def _as_value(number: float, form: str, digits: int) -> Value:
    if form == "float":
        return round(number, digits) + 0.0  # no negative zero
    if form == "int":
        return round(number)
    unit = _DATES[form]
    low, high = (round((day - _EPOCH).total_seconds() / unit) for day in (_FIRST, _LAST))
    return (_EPOCH + timedelta(seconds=unit * min(max(round(number), low), high))).strftime(form)


def _decimals(values: np.ndarray) -> int:
    """Decimals that the values are written with, but not more than float32 could follow."""
    written = max((-_exponent(value) for value in values.tolist()), default=0)
    sizes = np.abs(values[values != 0])
    typical = math.floor(math.log10(float(np.median(sizes)))) if len(sizes) else 0
    return max(0, min(written, _SIGNIFICANT - 1 - typical))


def _exponent(value: float) -> int:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return int(exponent)


def _scores(p: np.ndarray) -> np.ndarray:
    """Quantiles of the standard normal."""
    found: np.ndarray = torch.special.ndtri(torch.from_numpy(np.asarray(p, np.float64))).numpy()
    return found


def _knots(spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and scores of the map: about 2 n^0.4 quantiles, even in z, between the least and the largest value.

    That many keep the bias of an equal-mass histogram and its variance in balance as n grows.
    """
    n = len(spread)
    edge = float(_scores(np.array(0.5 / n)))
    inner = float(_scores(np.array(min(2.0 / n, 0.25))))
    z = np.linspace(inner, -inner, int(np.clip(round(2.0 * n**0.4), 3, 64)))
    p = torch.special.ndtr(torch.from_numpy(z)).numpy()
    places = np.concatenate([[spread.min()], np.quantile(spread, p), [spread.max()]])
    scores = np.concatenate([[min(edge, inner - 0.1)], z, [max(-edge, 0.1 - inner)]])
    least = 1e-9 * float(places[-1] - places[0]) / len(places)
    keep = [0]
    for i in range(1, len(places) - 1):
        if places[i] - places[keep[-1]] > least and places[-1] - places[i] > least:
            keep.append(i)
    keep.append(len(places) - 1)
    return places[keep], scores[keep]
