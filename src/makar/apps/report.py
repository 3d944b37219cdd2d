"""The report of a comparison: one file of HTML that needs nothing else, neither a network nor a script.

`results.jsonl` and `protocol.json` are read, the summary is computed anew, and all figures on the page are theirs. The
page's few lines of script only sort the table. The page itself is `report/page.html.j2` with `report/page.css`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from makar.apps import charts
from makar.apps.charts import Axis, Line, Mark, Row
from makar.apps.glossary import explain
from makar.apps.thumbnails import panels
from makar.core import files
from makar.verbs.protocol import PROTOCOL as PROTOCOL_FILE
from makar.verbs.protocol import Cell, Preview, Protocol, read_results
from makar.verbs.summary import FamilySummary, Summary, summarise
from makar.verbs.verdict import NEAREST, RECALL, Stat
from makar.verbs.words import counted, duration, number, short

REPORT = "report.html"
_GAP, _FRAME = 8, 26  # CSS pixels between two panels, and of a card's padding and border
_TEMPLATES = Path(__file__).resolve().parent / "report"


@dataclass(frozen=True)
class Entry:
    """One row of the table of all families: figures as shown and as sorted by."""

    summary: FamilySummary
    kind: str  # CSS class of its marks
    rank: str
    whisker: Markup
    shown: Preview | None
    curve: Markup | None
    steps: str


def write_report(folder: Path | str) -> Path:
    """Write `report.html` into a comparison's folder and return its path. Raises MakarError where there is none."""
    folder = Path(folder)
    protocol = Protocol.read(folder / PROTOCOL_FILE)
    cells = read_results(folder, protocol)
    path = folder / REPORT
    files.write_text(path, render(protocol, cells))
    return path


def render(protocol: Protocol, cells: Sequence[Cell]) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "duration": duration,
        "counted": counted,
        "short": short,
        "breakable": _breakable,
    }
    summary = summarise(protocol, cells)
    made = [c for c in cells if c.kind == "cell"]
    real = next((c.preview for c in cells if c.kind == "anchor" and c.family == "floor"), None)
    box = _box(made, real)
    names = _names(summary)
    page: str = environment.get_template("page.html.j2").render(
        p=protocol,
        s=summary,
        entries=_entries(summary, made),
        real=real,
        shown=_columns(summary),
        anchors=_anchor_rows(summary),
        charts=_charts(summary),
        measured=any(f.joules is not None for f in summary.families),
        caveats=_caveats(summary),
        panels=panels,
        room=_room([real, *(c.preview for c in made)]),
        cloud=lambda preview, title: charts.cloud(preview.points, box, title),
        names=names,
        glossary=[(name, explain(name)) for name in names],
        cells=made,
        broken=[c for c in cells if c.status != "ok"],
        css=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),  # our own file
        script=Markup((_TEMPLATES / "page.js").read_text(encoding="utf-8")),
        raw=json.dumps(protocol.model_dump(mode="json") | {"digest": protocol.digest}, indent=2, ensure_ascii=False),
    )
    return page


def _room(shown: Sequence[Preview | None]) -> int | None:
    """Pixels that a card needs for one panel of pictures, or for two beside each other of three or more; else None."""
    parts = next((panels(p.png, p.columns) for p in shown if p is not None), [])
    if not parts:
        return None
    return parts[0].width + (parts[1].width + _GAP if len(parts) > 2 else 0) + _FRAME


def _caveats(summary: Summary) -> list[tuple[str, str, list[str]]]:
    """What was noted beside a score: its full name, the words, and the families of which they were said."""
    found: dict[tuple[str, str], list[str]] = {}
    for f in summary.families:
        for name, stat in f.scores.items():
            for words in stat.caveats:
                found.setdefault((name, words), []).append(f.family)
    names = _names(summary)
    return [(*key, found[key]) for key in sorted(found, key=lambda key: (names.index(key[0]), key[1]))]


def _kind(f: FamilySummary) -> str:
    if f.verdict in ("copies", "failed"):
        return "bad"
    return "front" if f.verdict == "good" else "plain"


def _entries(summary: Summary, cells: Sequence[Cell]) -> list[Entry]:
    every = [v for f in summary.families if f.headline for v in (f.headline.low, f.headline.high, f.headline.median)]
    lines = charts.within(_levels(summary), every) if every else []
    xs = charts.scale([*every, *(level.value for level in lines)] or [0.0, 1.0], 8, 152)
    entries = []
    rank = 0
    for f in summary.families:
        own = [c for c in cells if c.family == f.family and c.status == "ok"]
        drawn = Markup("")
        if f.headline is not None:
            rank += 1
            title = f"{f.family}: {number(f.headline.median)}, {number(f.headline.low)} to {number(f.headline.high)}"
            drawn = charts.whisker(f.headline.median, f.headline.low, f.headline.high, xs, lines, _kind(f), title)
        entries.append(
            Entry(
                summary=f,
                kind=_kind(f),
                rank=str(rank) if f.headline is not None else "",
                whisker=drawn,
                shown=_typical(own, summary.headline),
                curve=_curve(f.family, own),
                steps=counted(f.steps) if f.steps is not None else "",
            )
        )
    return entries


def _typical(cells: Sequence[Cell], headline: str | None) -> Preview | None:
    """What the seed with the median headline score made."""
    scored = [c for c in cells if c.preview is not None]
    if not scored:
        return None

    def value(cell: Cell) -> float:
        found = cell.scores.get(headline or "")
        return found.value if found is not None and found.value is not None else float("inf")

    return sorted(scored, key=value)[(len(scored) - 1) // 2].preview


def _curve(name: str, cells: Sequence[Cell]) -> Markup | None:
    """Loss over CPU seconds, one line a seed; None for what is fitted in a step or two."""
    series = []
    for cell in cells:
        line = [(p["cpu"], p["loss"]) for p in cell.history if p.get("cpu") is not None and p.get("loss") is not None]
        points = [(float(x), float(y)) for x, y in line if x is not None and y is not None]
        if len(points) > 2:
            series.append(points)
    return charts.curves(series, f"Training loss of {name} over CPU seconds") if series else None


def _levels(summary: Summary) -> list[Line]:
    """Floor and ceiling of the headline score."""
    lines = []
    for name, scores in (("floor", summary.floor), ("ceiling", summary.ceiling)):
        found = scores.get(summary.headline or "")
        if found is not None and found.value is not None:
            lines.append(Line(found.value, name))
    return lines


def _names(summary: Summary) -> list[str]:
    """Full names of all scores: the headline, those that judge beside it, and the others by name."""
    every = set(chain.from_iterable(f.scores for f in summary.families)) | set(summary.floor) | set(summary.ceiling)
    first = [name for name in (summary.headline, *summary.roles.values(), *summary.likelihoods) if name in every]
    return list(dict.fromkeys([*(name for name in first if name), *sorted(every)]))


def _breakable(name: str) -> Markup:
    """A name that may break after a bracket, a sign, a hyphen or an underscore and nowhere else."""
    return Markup("<wbr>").join(escape(part) for part in re.findall(r"[^\[\]@;/_-]*[\[\]@;/_-]?", name))


def _columns(summary: Summary) -> list[tuple[str, str]]:
    """Scores beside the headline in the ranking: (title, full name)."""
    roles = [
        (role, summary.roles[role]) for role in ("recall", "nearest", "closest", "agreement") if role in summary.roles
    ]
    return [(role, name) for role, name in roles if name != summary.headline]


def _anchor_rows(summary: Summary) -> list[tuple[str, str, dict[str, Any]]]:
    """Floor and ceiling: their names, what they are, and their scores by full name."""
    rows = [
        ("floor", "the training set itself, scored against the held-out data", summary.floor),
        ("ceiling", "a trivial model: every part drawn independently", summary.ceiling),
    ]
    return [(name, what, scores) for name, what, scores in rows if scores]


def _charts(summary: Summary) -> dict[str, Markup]:
    """All charts by name; empty where there are no figures for one."""
    ranked = [f for f in summary.families if f.headline is not None]
    found = dict.fromkeys(("training", "sampling", "seeds", "variety", "copying"), Markup())
    if not ranked or summary.headline is None:
        return found
    quality = Axis(f"{short(summary.headline)}, {'higher' if summary.higher_is_better else 'lower'} is better")
    levels = charts.within(_levels(summary), [v for f in ranked if f.headline for v in f.headline.values])
    training = _against(ranked, lambda f: f.cpu_seconds, lambda f: f.pareto_training, "CPU s of training")
    if training:
        found["training"] = charts.scatter(
            training, Axis("CPU seconds of training"), quality, "Quality against training cost", levels, front=True
        )
    sampling = _against(ranked, lambda f: f.sampling_cpu_seconds, lambda f: f.pareto_sampling, "CPU s a thousand")
    if sampling:
        axis = Axis("CPU seconds for a thousand outputs", log=True)
        found["sampling"] = charts.scatter(sampling, axis, quality, "Quality against sampling cost", levels, front=True)
    rows = [
        Row(f.family, f.headline.values, _kind(f), f"{f.seeds} ok" if f.failures else "") for f in ranked if f.headline
    ]
    found["seeds"] = charts.strip(rows, quality, "The headline score of every seed", levels)
    found |= _variety(summary, ranked)
    return found


def _against(
    families: Sequence[FamilySummary],
    cost: Callable[[FamilySummary], float | None],
    front: Callable[[FamilySummary], bool],
    unit: str,
) -> list[Mark]:
    marks = []
    for f in families:
        x = cost(f)
        if x is not None and f.headline is not None:
            kind = "bad" if f.verdict == "copies" else "front" if front(f) else "plain"
            marks.append(
                Mark(f.family, x, f.headline.median, kind, f"{number(f.headline.median)} at {number(x)} {unit}")
            )
    return marks


def _variety(summary: Summary, ranked: Sequence[FamilySummary]) -> dict[str, Markup]:
    """Fidelity against variety, and the copying check."""
    found: dict[str, Markup] = {}
    precision, recall, nearest = (summary.roles.get(role, "") for role in ("precision", "recall", "nearest"))
    marks = [
        Mark(f.family, f.scores[recall].median, f.scores[precision].median, _kind(f))
        for f in ranked
        if precision in f.scores and recall in f.scores
    ]
    if marks:
        found["variety"] = charts.scatter(
            marks,
            Axis("recall: how much of the data is made", log=False),
            Axis("precision: how much of it looks like data", log=False),
            "Fidelity against variety",
            columns=[Line(RECALL, f"{RECALL}", "threshold")],
        )
    rows = [_ratio(f, f.scores[nearest]) for f in ranked if nearest in f.scores]
    if rows:
        lines = [Line(NEAREST[0], "copies", "threshold"), Line(1.0, "fresh data"), Line(NEAREST[1], "far off", "limit")]
        found["copying"] = charts.strip(
            rows, Axis("nearest-neighbour ratio: 1 is as for fresh data", log=False),
            "The copying check", lines,
        )  # fmt: skip
    return found


def _ratio(f: FamilySummary, stat: Stat) -> Row:
    copies = stat.median < NEAREST[0]
    return Row(f.family, stat.values, "bad" if copies else "plain", number(median(stat.values)))


def _box(cells: Sequence[Cell], real: Preview | None) -> tuple[float, float, float, float]:
    """The frame in which all clouds of points are drawn: that of the real ones with a tenth around it."""
    shown = real.points if real is not None and real.points else ()
    shown = shown or tuple(chain.from_iterable(c.preview.points for c in cells if c.preview is not None))
    if not shown:
        return (0.0, 1.0, 0.0, 1.0)
    xs, ys = [p[0] for p in shown], [p[1] if len(p) > 1 else 0.0 for p in shown]
    room = max(max(xs) - min(xs), max(ys) - min(ys), 1e-6) * 0.1
    return (min(xs) - room, max(xs) + room, min(ys) - room, max(ys) + room)
