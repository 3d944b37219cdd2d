"""A comparison on the terminal: how it goes while it runs, and the table at its end.

The table fits 110 columns. Families stand in order of the headline score with floor and ceiling below; what is best is
bold, what copies is red, and what a family cannot have is blank.
"""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from makar.verbs.compare import Watch
from makar.verbs.protocol import Cell, Protocol, Value
from makar.verbs.summary import FamilySummary, Summary
from makar.verbs.verdict import TIERS, Stat
from makar.verbs.words import duration, number, short

WIDTH = 110
_ROLES = ("recall", "nearest", "closest")
_STYLES = {"good": "green", "copies": "bold red", "failed": "bold red"}


def table(summary: Summary) -> RenderableType:
    """The table with the advice below it."""
    head = short(summary.headline).partition(" (")[0] if summary.headline else "score"
    roles = [role for role in _ROLES if role in summary.roles]
    better, costs = "higher" if summary.higher_is_better else "lower", "costs are in CPU seconds"
    grid = Table(
        title=Text(f"{summary.data}: {summary.budget} of training each"),
        caption=Text(f"{head}: {summary.headline}, {better} is better; {costs}") if summary.headline else costs,
        title_style="bold",
        caption_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
    )
    grid.add_column("", justify="right")
    grid.add_column("family", overflow="ellipsis", no_wrap=True, max_width=18)
    for name in (head, "interval", *(short(summary.roles[role]) for role in roles), "training", "1,000 out"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("verdict", no_wrap=True)
    best = _best(summary)
    for rank, f in enumerate(summary.families, 1):
        grid.add_row(*_row(summary, f, rank, best, roles), style="bold" if f.family == best.get("headline") else "")
    if summary.floor or summary.ceiling:
        grid.add_section()
    for name, scores in (("floor", summary.floor), ("ceiling", summary.ceiling)):
        if scores and summary.headline:
            shown = [_anchor(scores, summary.roles[role]) for role in roles]
            headline = _anchor(scores, summary.headline)
            what = "training set" if name == "floor" else "trivial"
            grid.add_row("", name, headline, "", *shown, "", "", what, style="dim")
    return Group(grid, Text(), *(Text(sentence) for sentence in summary.advice))


def show(summary: Summary, console: Console | None = None) -> None:
    """Print the table to the terminal."""
    if console is None:
        console = Console()
        if not console.is_terminal:  # a file or a pipe has no width of its own
            console = Console(width=WIDTH)
    console.print(table(summary), width=min(console.width, WIDTH))


def _best(summary: Summary) -> dict[str, str]:
    """Which family is best in a column, those left aside that nobody should take."""
    honest = [f for f in summary.families if TIERS[f.verdict] < 2]
    best = {}
    ranked = [f for f in honest if f.headline is not None]
    if ranked:
        best["headline"] = ranked[0].family
    training = [(f.cpu_seconds, f.family) for f in honest if f.cpu_seconds is not None]
    sampling = [(f.sampling_cpu_seconds, f.family) for f in honest if f.sampling_cpu_seconds is not None]
    recall = [(-s.median, f.family) for f in honest if (s := _score(summary, f, "recall")) is not None]
    for column, found in (("training", training), ("sampling", sampling), ("recall", recall)):
        if found:
            best[column] = min(found)[1]
    return best


def _score(summary: Summary, f: FamilySummary, role: str) -> Stat | None:
    return f.scores.get(summary.roles.get(role, ""))


def _row(summary: Summary, f: FamilySummary, rank: int, best: dict[str, str], roles: list[str]) -> list[Text]:
    def bold(column: str, text: str) -> Text:
        return Text(text, style="bold" if best.get(column) == f.family else "")

    main = f.headline
    scores = {role: _score(summary, f, role) for role in roles}
    shown = {role: bold(role, number(stat.median)) if stat else Text() for role, stat in scores.items()}
    copies = f.verdict == "copies"
    if copies and "nearest" in shown:
        shown["nearest"].stylize("bold red")
    return [
        Text(str(rank) if main else ""),
        Text(f.family, style="red" if copies else ""),
        bold("headline", number(main.median)) if main else Text(),
        Text(f"{number(main.low)} to {number(main.high)}", style="dim") if main else Text(),
        *shown.values(),
        bold("training", number(f.cpu_seconds)) if f.cpu_seconds is not None else Text(),
        bold("sampling", number(f.sampling_cpu_seconds)) if f.sampling_cpu_seconds is not None else Text(),
        Text(f.verdict, style=_STYLES.get(f.verdict, "yellow")),
    ]


def _anchor(scores: dict[str, Value], name: str | None) -> str:
    found = scores.get(name or "")
    return "" if found is None or found.value is None else number(found.value)


def watch(console: Console | None = None) -> Watch:
    """What tells how a comparison goes: a bar on a terminal, plain lines elsewhere."""
    console = console or Console(stderr=True)
    return Bar(console) if console.is_terminal else Lines(console)


def _trying(protocol: Protocol) -> str:
    said = f"trying {len(protocol.families)} families for a moment each, to see what they will cost"
    return "\n".join([*(f"note: {note}" for note in protocol.data.notes), said])


def _intent(protocol: Protocol, cells: int, done: int, workers: int, seconds: float | None) -> str:
    """What is going to be done, what it will take, and which families are left out."""
    left = cells - done
    lasting = ": how long is not known" if seconds is None else f": about {duration(seconds)}, scoring included"
    already = f"; {done} of {cells} are there already" if done else ""
    budget = protocol.limits().words()
    out = "".join(f"\nleft out: {family}: {reason}" for family, reason in protocol.left_out.items())
    return f"{left} trainings of {budget} on {workers} worker{'s' if workers > 1 else ''}{lasting}{already}{out}"


def _line(cell: Cell) -> str:
    """One finished cell in a line."""
    name = f"{cell.family}" if cell.kind == "anchor" else f"{cell.family}, seed {cell.seed}"
    if cell.status != "ok":
        return f"{name}: {cell.status}: {cell.reason}"
    return f"{name}: done in {duration(cell.process.get('seconds'))}"


class Lines(Watch):
    """One plain line for every cell."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._left = 0

    def trying(self, protocol: Protocol) -> None:
        self._say(_trying(protocol))

    def begin(self, protocol: Protocol, cells: int, done: int, workers: int, seconds: float | None) -> None:
        self._left = cells - done
        self._say(_intent(protocol, cells, done, workers, seconds))

    def finished(self, cell: Cell) -> None:
        if cell.kind == "cell":
            self._left -= 1
        self._say(f"{_line(cell)} ({self._left} to go)")

    def end(self, complete: bool) -> None:
        if not complete:
            self._say("stopped; what is finished is kept, and the same command goes on from here")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bar(Watch):
    """A bar, and a line for every cell that did not come to an end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("comparing", total=None)

    def trying(self, protocol: Protocol) -> None:
        self._console.print(_trying(protocol), markup=False, highlight=False)

    def begin(self, protocol: Protocol, cells: int, done: int, workers: int, seconds: float | None) -> None:
        self._console.print(_intent(protocol, cells, done, workers, seconds), markup=False, highlight=False)
        self._progress.update(self._task, total=cells, completed=done)
        self._progress.start()

    def finished(self, cell: Cell) -> None:
        if cell.status != "ok":
            self._progress.console.print(_line(cell), markup=False, highlight=False)
        self._progress.update(self._task, advance=1 if cell.kind == "cell" else 0, description=cell.family)

    def end(self, complete: bool) -> None:
        self._progress.stop()
        if not complete:
            self._console.print("stopped; what is finished is kept, and the same command goes on from here")
