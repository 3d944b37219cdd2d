"""One column of a table as numbers for a model, and back: categories by code, numbers and dates by normal scores.

Numbers. A value on the grid of the data's own precision is spread over its cell with noise u, v' = v + (u - 1/2) step,
and mapped to z by a continuous, strictly increasing, piecewise linear function that takes empirical quantiles to those
of the standard normal; beyond the data the outermost pieces go on. A value that many rows share (0, say) has knots at
both edges of its cell, so that its share is a range of z, exactly. Heavy tails become light, and for any density p(z)

    log P(v) = log of p's mass in the cell >= E_u[log p(z(v'))] + log step + log dz/dv'             (Jensen)

A missing value has a code of its own in a second column, while z holds noise ~ N(0, 1), for which the same
inequality gives log P(missing) >= E_z[log p(missing, z) - log N(z)].

Bounds. What is decoded lies within the least and the largest value of training ("range"), or keeps their sign ("sign"),
or goes where z says ("none"). Encoding knows no bounds.

Values never seen. A category that training did not hold is given the code of the commonest level, and is charged
log e with e = 1 / (n + 2), the commonest level itself log(1 - e): an escape, so that the whole remains a probability.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import torch

from makar.core import dates
from makar.core.errors import MakarError
from makar.core.spaces import Categorical, Numeric

Value = str | int | float | None

Bounds = Literal["range", "sign", "none"]

_SIGNIFICANT = 9  # digits of a typical value beyond which float32 could not follow
_ATOM = 0.02  # share of the rows from which on a single value has its own knots
_GAP = 1e-3  # of z, for what lies between an atom and the next value, where the data have nothing


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
        return [self._levels[code] for code in x[:, 0].astype(np.int64).tolist()]

    def nats(self, values: Sequence[Value], u: np.ndarray) -> float:
        codes = [self._codes.get(_typed(value)) for value in values]
        unseen, common = codes.count(None), codes.count(self._common)
        escape = 1.0 / (self._count + 2)
        return unseen * math.log(escape) + common * math.log1p(-escape)

    def state(self) -> dict[str, Any]:
        return {"kind": "categories", "levels": self._levels, "common": self._common, "count": self._count}


class Numbers(Column):
    """Numbers, or dates counted in their unit, by normal scores; perhaps with a second part for missing ones.

    `form` is "int", "float" or a date's form; `digits` are the decimals of the grid; `places` and `scores` are the
    knots of the piecewise linear map; what is decoded lies within `bounds`.
    """

    def __init__(
        self,
        name: str,
        form: str,
        digits: int,
        knots: tuple[np.ndarray, np.ndarray],
        missing: bool,
        count: int,
        bounds: tuple[float, float] = (-math.inf, math.inf),
    ) -> None:
        super().__init__(name)
        self._form = form
        self._digits = digits
        self._step = 10.0**-digits
        self._places, self._scores = knots
        self._slopes = np.diff(self._scores) / np.diff(self._places)
        self._missing = missing
        self._count = count
        self._bounds = bounds

    @staticmethod
    def fitted(name: str, values: Sequence[Value], form: str, bounds: Bounds = "range") -> Numbers:
        """Knots from the values that are there."""
        raw = _as_numbers(name, [value for value in values if value is not None], form)
        digits = _decimals(raw) if form == "float" else 0
        cells = np.round(raw, digits)
        missing = len(raw) < len(values)
        knots = _knots(cells, 10.0**-digits)
        return Numbers(name, form, digits, knots, missing, len(values), _bounds(cells, form, bounds))

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
        found = _as_values(np.clip(self._backward(x[:, 0]), *self._bounds), self._form)
        if self._missing:
            for place in np.flatnonzero(x[:, 1] > 0.5).tolist():
                found[place] = None
        return found

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
            "bounds": [bound if math.isfinite(bound) else None for bound in self._bounds],
        }


def fitted(name: str, values: Sequence[Value], categories: int, bounds: Bounds = "range") -> Column:
    """The column that suits the values: strings that are not dates, and few distinct numbers, are categories."""
    there = [value for value in values if value is not None]
    distinct = len(set(there))
    form = form_of(there)
    few = distinct <= 1 or (distinct <= categories and 5 * distinct <= len(there))
    if form == "text" or few:
        return Categories.fitted(name, values)
    return Numbers.fitted(name, values, form, bounds)


def restored(name: str, state: dict[str, Any]) -> Column:
    """The column that had this state."""
    if state["kind"] == "categories":
        return Categories(name, state["levels"], state["common"], state["count"])
    knots = np.array(state["places"], np.float64), np.array(state["scores"], np.float64)
    low, high = state.get("bounds", [None, None])  # bundles from before there were bounds have none
    bounds = (-math.inf if low is None else low, math.inf if high is None else high)
    return Numbers(name, state["form"], state["digits"], knots, state["missing"], state["count"], bounds)


def form_of(values: Sequence[Value]) -> str:
    """What values that are there have in common: "int", "float", a date's format, or "text"."""
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return "int"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return "float"
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        return "text"
    return dates.form_of(list(dict.fromkeys(texts))) or "text"


def _typed(value: Value) -> tuple[str, Value]:
    # 1, 1.0 and "1" are three levels
    return type(value).__name__, value


def _as_numbers(name: str, values: Sequence[Value], form: str) -> np.ndarray:
    if dates.is_form(form):
        steps = {value: dates.count(value, form) if isinstance(value, str) else None for value in dict.fromkeys(values)}
        strange = next((value for value, step in steps.items() if step is None), None)
        if strange is not None:
            raise MakarError(
                f"the column '{name}' holds {strange!r} where dates such as '{dates.example(form)}' were learnt"
            )
        return np.array([steps[value] for value in values], np.float64)
    strange = next((value for value in values if isinstance(value, str) or value is None), None)
    if strange is not None:
        raise MakarError(f"the column '{name}' holds {strange!r} where numbers were learnt")
    numbers = np.array(values, np.float64)
    if not np.isfinite(numbers).all():
        raise MakarError(f"the column '{name}' holds numbers that are not finite; leave such cells empty")
    return numbers


def _as_values(numbers: np.ndarray, form: str) -> list[Value]:
    """Numbers that lie on the grid already as values of a form."""
    if form == "float":
        floats: list[Value] = (numbers + 0.0).tolist()  # no negative zero
        return floats
    if not dates.is_form(form):
        return [round(number) for number in numbers.tolist()]
    distinct, places = np.unique(np.rint(np.clip(numbers, -(2.0**62), 2.0**62)).astype(np.int64), return_inverse=True)
    texts = [dates.written(step, form) for step in distinct.tolist()]
    return [texts[place] for place in places.tolist()]


def _bounds(cells: np.ndarray, form: str, bounds: Bounds) -> tuple[float, float]:
    """The least and the largest number that may be made of a column with these."""
    low, high = float(cells.min()), float(cells.max())
    if bounds == "range":
        return low, high
    if bounds == "none" or dates.is_form(form):
        return -math.inf, math.inf
    return (0.0 if low >= 0 else -math.inf), (0.0 if high <= 0 else math.inf)


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


def _knots(cells: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Places and scores of the map: about 2 n^0.4 quantiles, even in z, between the least and the largest value.

    That many keep the bias of an equal-mass histogram and its variance in balance as n grows. They are quantiles of
    the values with all noise there could be, so it does not matter which there was. To them come the edges of values
    that many rows share.
    """
    n = len(cells)
    values, counts = np.unique(cells, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)]) / n
    edge = float(_scores(np.array(0.5 / n)))
    inner = float(_scores(np.array(min(2.0 / n, 0.25))))
    z = np.linspace(inner, -inner, int(np.clip(round(2.0 * n**0.4), 3, 64)))
    p = torch.special.ndtr(torch.from_numpy(z)).numpy()
    ends = np.stack([values - step / 2, values + step / 2], 1).ravel()  # of the cells; between them none lies
    places = np.interp(p, np.stack([below[:-1], below[1:]], 1).ravel(), ends)
    first, last = (float(ends[0]), min(edge, inner - 0.1)), (float(ends[-1]), max(-edge, 0.1 - inner))
    inside, gaps = _edges(values, counts, step)
    quantiles = zip(places.tolist(), z.tolist(), strict=True)
    knots = [knot for knot in quantiles if not any(low <= knot[0] <= high for low, high in gaps)]
    least = 1e-9 * (last[0] - first[0]) / (len(knots) + 2)
    kept = [first]
    for place, score in sorted([*knots, *inside]):
        if kept[-1][0] + least < place < last[0] - least and kept[-1][1] < score < last[1]:
            kept.append((place, score))
    found = np.array(_beyond([*kept, last]))
    return found[:, 0], found[:, 1]


def _beyond(knots: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """With a knot more at either end, for values beyond those of training.

    The outermost piece is as steep as a few values happen to lie close together, and a fresh value a little beyond them
    would come to stand at 60 standard units. So what lies beyond goes on with the mean slope, if that is less.
    """
    (first, low), (last, high) = knots[0], knots[-1]
    span = last - first
    mean = (high - low) / span
    (second, above), (second_last, below) = knots[1], knots[-2]
    before, behind = (above - low) / (second - first), (high - below) / (last - second_last)
    start, end = first - span, last + span
    return [(start, low - span * min(mean, before)), *knots, (end, high + span * min(mean, behind))]


def _edges(
    values: np.ndarray, counts: np.ndarray, step: float
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Knots at the edges of the values that many rows share, and the empty ranges (low, high) beside them."""
    n = int(counts.sum())
    below = np.concatenate([[0], np.cumsum(counts)]) / n
    knots: list[tuple[float, float]] = []
    gaps: list[tuple[float, float]] = []
    for k in np.flatnonzero(counts >= max(_ATOM * n, 2)).tolist():
        for side, other in ((k, k - 1), (k + 1, k + 1)):
            if not 0 <= other < len(values):
                continue
            score = float(_scores(np.array(below[side])))
            low, high = sorted((float(values[k]), float(values[other])))
            empty = high - low > 1.5 * step
            knots.append((low + step / 2, score - (_GAP / 2 if empty else 0.0)))
            if empty:
                knots.append((high - step / 2, score + _GAP / 2))
                gaps.append((low + step / 2, high - step / 2))
    return list(dict.fromkeys(knots)), gaps
