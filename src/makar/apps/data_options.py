"""The options of commands that open data, declared once: what a source of data can be told, every command can tell it.

A command that takes data has the decorator and a parameter `options`. On the command line stand all options of
`OPTIONS` in its place; the command gets those that were given, by the names that `makar.data.load` knows.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., None])
Names = list[str] | None

OPTIONS: dict[str, Any] = {
    "size": Annotated[
        int | None, typer.Option(help="Pictures: pixels a side to crop and resize to; text: characters of a block.")
    ],
    "label": Annotated[str | None, typer.Option(help="Tables: the column that is the class.")],
    "drop": Annotated[Names, typer.Option(help="Tables: a column to leave out (or several, with commas).")],
    "keep": Annotated[Names, typer.Option(help="Tables: a column to keep that would be dropped, an identifier say.")],
    "missing": Annotated[Names, typer.Option(help="Tables: a cell that stands for no value, beside the usual ones.")],
    "delimiter": Annotated[str | None, typer.Option(help="Tables: what parts cells (found if not given), 'tab' too.")],
    "encoding": Annotated[str | None, typer.Option(help="Text and tables: how bytes become characters (utf-8).")],
    "by": Annotated[str | None, typer.Option(help="Text: what one item of a file is; blocks, paragraphs, lines.")],
    "licence": Annotated[str | None, typer.Option(help="SPDX licence of your data, such as CC-BY-4.0.")],
    "attribution": Annotated[str | None, typer.Option(help="Whom to name for your data.")],
    "origin": Annotated[str | None, typer.Option(help="How your data were come by: captured, licensed, crawled, …")],
    "accept": Annotated[Names, typer.Option(help="Take this data, by name, though its licence is unknown.")],
    "allow": Annotated[
        Literal["private", "research", "commercial"] | None, typer.Option(help="Only data that may be used so.")
    ],
    "held_out": Annotated[float | None, typer.Option(help="Share (or, from 1 up, number) of items to hold out.")],
    "skip_bad": Annotated[bool, typer.Option("--skip-bad", help="Leave out items that cannot be read, and say so.")],
    "digest": Annotated[str | None, typer.Option(help="Refuse data of another digest (its first 12 characters do).")],
}


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as plain data that is the same when it is read from JSON.

    Names of columns stay one text with commas; datasets that are accepted are by name, and a name may hold commas.
    """
    found = {key: value for key, value in values.items() if not (value is None or value is False or value == [])}
    for key in ("drop", "keep", "missing"):
        if key in found:
            found[key] = ",".join(found[key])
    return found


def takes_data(command: Command) -> Command:
    """The command with the options of data in place of its parameter `options`."""
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def wrapper(*positional: Any, **named: Any) -> None:
        options = given({key: named.pop(key) for key in OPTIONS if key in named})
        command(*positional, **named, options=options)

    declared = [
        inspect.Parameter(
            key, inspect.Parameter.KEYWORD_ONLY, default=False if key == "skip_bad" else None, annotation=annotation
        )
        for key, annotation in OPTIONS.items()
    ]
    own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    place = next(i for i, p in enumerate(own) if p.name == "options")
    wrapper.__signature__ = signature.replace(parameters=[*own[:place], *declared, *own[place + 1 :]])  # type: ignore[attr-defined]
    return wrapper  # type: ignore[return-value]
