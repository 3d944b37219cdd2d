"""Progress of a training: a bar on a terminal, plain lines now and then elsewhere, nothing for JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from makar.verbs.train import Run, Step

_EVERY = 5.0  # seconds between plain lines
_REDRAW = 0.2

Watch = Callable[[Run, Step], None]


@contextmanager
def follow(what: str, quiet: bool = False) -> Iterator[Watch | None]:
    """A function to call after every step, for as long as the training lasts."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[loss]}"),
        )
        with Progress(*columns, TimeElapsedColumn(), transient=True) as progress:
            task = progress.add_task(what, total=1.0, loss="")
            yield _sparing(_REDRAW, lambda run, step: progress.update(task, completed=step.progress, loss=_words(step)))
    else:
        yield _sparing(
            _EVERY, lambda run, step: typer.echo(f"{what}: {100 * step.progress:.0f} %, {_words(step)}", err=True)
        )


def _words(step: Step) -> str:
    loss = step.numbers.get("loss")
    return f"step {step.step:,}" + (f", loss {loss:.4f}" if loss is not None else "")


def _sparing(seconds: float, act: Watch) -> Watch:
    """`act`, at most once in so many seconds: the loop must not pay for being watched."""
    last = time.monotonic()

    def watch(run: Run, step: Step) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            act(run, step)

    return watch
