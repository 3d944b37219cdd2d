"""Charts as SVG, written by hand: scales with ticks, marks, and labels that keep out of each other's way.

Every chart is a string of SVG whose colours are CSS classes, so that it follows the page into the dark, and whose
texts are escaped. Sizes are in units of the view box; a chart grows and shrinks with the column it stands in.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from makar.verbs.words import number, tidy

_WIDTH = 400.0  # of a chart: a phone shows nearly all of it at its own size, a screen a quarter larger
_GLYPH = 8.0  # mean width of a character at the charts' 14 px, in a wide font
_BOLD = 8.8


class Scale(ABC):
    """Values from `low` to `high` onto positions from `start` to `end`."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        """Position of a value; what lies outside is put at the edge."""
        low, high = self.warp(self.low), self.warp(self.high)
        share = (self.warp(min(max(value, self.low), self.high)) - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)

    @abstractmethod
    def warp(self, value: float) -> float:
        """What is drawn evenly."""

    @abstractmethod
    def ticks(self) -> list[float]:
        """Round values between `low` and `high`."""


class Linear(Scale):
    """Evenly spaced."""

    def warp(self, value: float) -> float:
        return value

    def ticks(self) -> list[float]:
        step = nice((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 10) for k in range(first, last + 1)]


class Log(Scale):
    """Evenly spaced factors."""

    def warp(self, value: float) -> float:
        return math.log10(value)

    def ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)) - 1, math.ceil(math.log10(self.high)) + 1)
        for leads in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            found = [lead * 10.0**d for d in decades for lead in leads]
            found = [t for t in found if self.low * 0.999 <= t <= self.high * 1.001]
            if len(found) <= (4 if 7 in leads else 7):
                return found
        every = math.ceil(len(found) / 7)
        return found[::every]


def nice(step: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(lead * power for lead in (1.0, 2.0, 2.5, 5.0, 10.0) if lead * power >= step * (1 - 1e-9))


def scale(values: Sequence[float], start: float, end: float, log: bool | None = None) -> Scale:
    """A scale that holds the values with room beside them; logarithmic if asked, or by default if they span much."""
    low, high = min(values), max(values)
    if log is None:
        log = low > 0 and high / low > 8
    if log and low > 0:
        room = max((high / low) ** 0.06, 1.15)
        return Log(low / room, high * room, start, end)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    least = max(0.0, low - room) if low >= 0 else low - room
    return Linear(least, high + room, start, end)


@dataclass(frozen=True)
class Mark:
    """A point of a scatter."""

    name: str
    x: float
    y: float
    kind: str  # CSS class: "front", "plain" or "bad"
    note: str = ""  # shown when pointed at


@dataclass(frozen=True)
class Line:
    """A level across a chart: floor, ceiling, threshold."""

    value: float
    name: str
    kind: str = "level"


def within(lines: Sequence[Line], values: Sequence[float]) -> list[Line]:
    """The lines that leave at least half of an axis to the values themselves."""
    low, high = min(values), max(values)
    spanning = []
    for line in lines:
        ends = (min(low, line.value), max(high, line.value))
        log = ends[0] > 0 and ends[1] / ends[0] > 8
        spread, whole = (math.log(high / low), math.log(ends[1] / ends[0])) if log else (high - low, ends[1] - ends[0])
        if spread >= whole / 2:
            spanning.append(line)
    return spanning


@dataclass(frozen=True)
class Axis:
    """What an axis shows."""

    name: str
    log: bool | None = None


def scatter(
    marks: Sequence[Mark],
    x: Axis,
    y: Axis,
    title: str,
    lines: Sequence[Line] = (),
    front: bool = False,
    columns: Sequence[Line] = (),
) -> Markup:
    """Points with names; levels across (`lines`) and down (`columns`); where asked, a staircase through the front."""
    width, height, right, top, bottom = _WIDTH, 370.0, _WIDTH - 10.0, 34.0, 322.0
    ys = scale([m.y for m in marks] + [level.value for level in lines], bottom - 6, top + 6, y.log)
    left = _margin([tidy(tick) for tick in ys.ticks()])
    xs = scale([m.x for m in marks] + [c.value for c in columns], left + 8, right - 8, x.log)
    parts = _frame(xs, ys, x.name, y.name, (left, right, top, bottom))
    taken: list[tuple[float, float, float, float]] = []
    for level in lines:
        at = ys(level.value)
        parts.append(f'<line class="{level.kind}" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(_text(right - 2, at - 4, level.name, f"{level.kind}-name", "end"))
        taken.append((right - 2 - len(level.name) * _GLYPH, at - 15, right, at + 2))
    for level in columns:
        at = xs(level.value)
        parts.append(f'<line class="{level.kind}" x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"/>')
        parts.append(_text(at + 4, bottom - 5, level.name, f"{level.kind}-name"))
        taken.append((at, bottom - 17, at + 4 + len(level.name) * _GLYPH, bottom))
    places = [(xs(m.x), ys(m.y)) for m in marks]
    if front:
        parts.append(_staircase([p for p, m in zip(places, marks, strict=True) if m.kind == "front"], right))
    taken += [(px - 6, py - 6, px + 6, py + 6) for px, py in places]
    for mark, (px, py) in zip(marks, places, strict=True):
        tip = escape(f"{mark.name}: {mark.note}" if mark.note else mark.name)
        parts.append(f'<circle class="dot {mark.kind}" cx="{px}" cy="{py}" r="5"><title>{tip}</title></circle>')
    order = sorted(range(len(marks)), key=lambda i: marks[i].kind != "front")
    for i in order:
        parts.append(_label(marks[i], places[i], taken, (left, right, top - 4, bottom)))
    return _svg(width, height, title, parts)


def _margin(texts: Sequence[str]) -> float:
    """Room for numbers left of an upright axis: what the longest takes, and the gap to the axis."""
    return max([34.0, *(10.0 + len(text) * _GLYPH for text in texts)])


def _at(at: float, text: str, width: float) -> float:
    """Where a text set in the middle of `at` stands without leaving a chart of this width."""
    half = len(text) * _GLYPH / 2
    return round(min(max(at, half), width - half), 1)


def _frame(xs: Scale, ys: Scale, x: str, y: str, box: tuple[float, float, float, float]) -> list[str]:
    left, right, _, bottom = box
    parts = [_text(2, 16, y, "axis-name"), _text(right, bottom + 40, x, "axis-name", "end")]
    for tick in ys.ticks():
        at = ys(tick)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(_text(left - 7, at + 4.5, tidy(tick), "tick", "end"))
    for tick in xs.ticks():
        at = xs(tick)
        parts.append(f'<line class="tickmark" x1="{at}" x2="{at}" y1="{bottom}" y2="{bottom + 5}"/>')
        parts.append(_text(_at(at, tidy(tick), _WIDTH), bottom + 20, tidy(tick), "tick", "middle"))
    parts.append(f'<line class="base" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    return parts


def _staircase(places: Sequence[tuple[float, float]], right: float) -> str:
    """Through the front from the cheapest on: across at the quality had, down where a better one is to be had."""
    if not places:
        return ""
    ordered = sorted(places)
    steps = [f"M{ordered[0][0]} {ordered[0][1]}"]
    for px, py in ordered[1:]:
        steps.append(f"H{px}V{py}")
    return f'<path class="frontier" d="{"".join(steps)}H{right}"/>'


def _label(
    mark: Mark,
    place: tuple[float, float],
    taken: list[tuple[float, float, float, float]],
    box: tuple[float, float, float, float],
) -> str:
    """The mark's name where it covers nothing, on a hair line if that is further off; nothing if there is no room."""
    px, py = place
    wide = 4.0 + len(mark.name) * (_BOLD if mark.kind == "front" else _GLYPH)  # short names may be all wide letters
    left, right, top, bottom = box
    for far in (0.0, 14.0, 28.0, 44.0):
        for dx, dy, anchor in (
            (9.0 + far / 2, 4.0, "start"),
            (-9.0 - far / 2, 4.0, "end"),
            (0.0, -10.0 - far, "middle"),
            (0.0, 19.0 + far, "middle"),
            (8.0 + far / 2, -6.0 - far, "start"),
            (8.0 + far / 2, 15.0 + far, "start"),
            (-8.0 - far / 2, -6.0 - far, "end"),
            (-8.0 - far / 2, 15.0 + far, "end"),
        ):
            x0 = px + dx - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
            area = (x0, py + dy - 11, x0 + wide, py + dy + 4)
            if area[0] < left or area[2] > right + 8 or area[1] < top or area[3] > bottom:
                continue
            if any(area[0] < t[2] and t[0] < area[2] and area[1] < t[3] and t[1] < area[3] for t in taken):
                continue
            taken.append(area)
            hair = f'<line class="hair" x1="{px}" y1="{py}" x2="{px + dx:.1f}" y2="{py + dy - 4:.1f}"/>' if far else ""
            return hair + _text(round(px + dx, 1), round(py + dy, 1), mark.name, f"name {mark.kind}", anchor)
    return ""


@dataclass(frozen=True)
class Row:
    """One family's values in a strip."""

    name: str
    values: tuple[float, ...]
    kind: str = "plain"
    note: str = ""  # at the right edge


def strip(rows: Sequence[Row], axis: Axis, title: str, lines: Sequence[Line] = ()) -> Markup:
    """One row a family: a dot for every seed, a bar from the lowest to the highest, a tick at the median."""
    width, step, top = _WIDTH, 24.0, 46.0
    left = 14.0 + max((len(r.name) * (_BOLD if r.kind == "front" else _GLYPH) for r in rows), default=40.0)
    right = width - (8.0 + max((len(r.note) for r in rows), default=0) * _GLYPH)
    bottom = top + step * len(rows)
    every = [v for r in rows for v in r.values] + [level.value for level in lines]
    xs = scale(every or [0.0, 1.0], left + 8, right - 8, axis.log)
    parts = [_text(2, 16, axis.name, "axis-name")]
    for tick in xs.ticks():
        at = xs(tick)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{top - 4}" y2="{bottom}"/>')
        parts.append(_text(_at(at, tidy(tick), width), bottom + 17, tidy(tick), "tick", "middle"))
    edge = -math.inf
    for level in sorted(lines, key=lambda one: one.value):
        at = xs(level.value)
        parts.append(f'<line class="{level.kind}" x1="{at}" x2="{at}" y1="{top - 6}" y2="{bottom}"/>')
        half = len(level.name) * _GLYPH / 2
        middle = min(max(at, left + half, edge + half + 6), width - half)
        edge = middle + half
        parts.append(_text(round(middle, 1), top - 11, level.name, f"{level.kind}-name", "middle"))
    for i, row in enumerate(rows):
        at = top + step * (i + 0.5)
        parts.append(_text(left - 10, at + 4.5, row.name, f"name {row.kind}", "end"))
        parts += _seeds(row, xs, at)
        parts.append(_text(width - 2, at + 4.5, row.note, "tick", "end"))
    return _svg(width, bottom + 26, title, parts)


def _seeds(row: Row, xs: Scale, at: float) -> list[str]:
    if not row.values:
        return []
    ordered = sorted(row.values)
    low, high = xs(ordered[0]), xs(ordered[-1])
    middle = xs((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)
    parts = [f'<line class="range {row.kind}" x1="{low}" x2="{high}" y1="{at}" y2="{at}"/>']
    parts += [
        f'<circle class="dot {row.kind}" cx="{xs(v)}" cy="{at}" r="4.5"><title>{number(v)}</title></circle>'
        for v in row.values
    ]
    parts.append(f'<line class="median {row.kind}" x1="{middle}" x2="{middle}" y1="{at - 8}" y2="{at + 8}"/>')
    return parts


def whisker(value: float, low: float, high: float, xs: Scale, lines: Sequence[Line], kind: str, title: str) -> Markup:
    """A row's interval on the scale that all rows of a table share."""
    parts = [
        f'<line class="{level.kind}" x1="{xs(level.value)}" x2="{xs(level.value)}" y1="0" y2="26"/>' for level in lines
    ]
    parts.append(f'<line class="range {kind}" x1="{xs(low)}" x2="{xs(high)}" y1="13" y2="13"/>')
    parts.append(f'<circle class="dot {kind}" cx="{xs(value)}" cy="13" r="4.5"/>')
    return _svg(xs.end + 8, 26, title, parts, "whisker")


def curves(series: Sequence[Sequence[tuple[float, float]]], title: str) -> Markup:
    """Small lines over time, one a seed; heights are cut to the middle 98 %, so that a spike does not flatten them."""
    width, height, right, top, bottom = 250.0, 130.0, 244.0, 8.0, 106.0
    every = sorted(y for line in series for _, y in line)
    cut = len(every) // 100
    shown = every[cut : len(every) - cut]
    ys = scale(shown, bottom, top, log=False)
    ends = [ys.low + (ys.high - ys.low) * share for share in (0.08, 0.92)]
    left = _margin([number(tick) for tick in ends])
    xs = Linear(0.0, max(x for line in series for x, _ in line) or 1.0, left, right)
    parts = [f'<line class="base" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>']
    for tick in ends:
        parts.append(_text(left - 5, ys(tick) + 4, number(tick), "tick", "end"))
    parts.append(_text(left, bottom + 18, "0", "tick", "start"))
    parts.append(_text(right, bottom + 18, f"{number(xs.high)} CPU s", "tick", "end"))
    for line in series:
        points = " ".join(f"{xs(x)},{ys(y)}" for x, y in line)
        parts.append(f'<polyline class="curve" points="{points}"/>')
    return _svg(width, height, title, parts)


def cloud(points: Sequence[Sequence[float]], box: tuple[float, float, float, float], title: str) -> Markup:
    """Points by their first two coordinates in a box (x low, x high, y low, y high) that several clouds share."""
    xs, ys = Linear(box[0], box[1], 4, 216), Linear(box[2], box[3], 216, 4)
    places = [(p[0], p[1] if len(p) > 1 else 0.0) for p in points]
    shown = [(x, y) for x, y in places if box[0] <= x <= box[1] and box[2] <= y <= box[3]]
    parts = [f'<circle class="speck" cx="{xs(x)}" cy="{ys(y)}" r="1.8"/>' for x, y in shown]
    if len(shown) < len(places):
        parts.append(_text(216, 214, f"{len(places) - len(shown)} outside", "tick", "end"))
    return _svg(220, 220, title, parts)


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    if not text:
        return ""
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, title: str, parts: Sequence[str], kind: str = "chart") -> Markup:
    label = escape(title)
    inner = "".join(parts)
    return Markup(  # every text within has been escaped
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{label}">{inner}</svg>'
    )
