"""Commands of authorship: what a person did for a work. Each is a thin caller; see `provenance/authorship.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from makar.apps.chain import DOES_NOT_HOLD, Json, show

By = Annotated[str, typer.Option(help="Who: the person's name.")]
Files = Annotated[list[Path], typer.Argument(help="Outputs, each within the folder where it was made.")]
Folder = Annotated[Path, typer.Argument(help="A folder of outputs.")]

author_app = typer.Typer(
    help="What a person did for a work: prompts, decisions, edits, choices; kept beside the outputs.",
    no_args_is_help=True,
)


@author_app.command("prompt")
def author_prompt(
    folder: Folder,
    text: Annotated[str, typer.Argument(help="What was asked for; '-' reads it from standard input.")],
    by: By,
    as_json: Json = False,
) -> None:
    """Record what a person asked for, as a digest unless the policy keeps the text. Refused where it is blocked."""
    from makar.apps.bureau import prompted

    asked = sys.stdin.read() if text == "-" else text
    facts, words = prompted(folder, asked, by)
    show(facts, as_json, words)


@author_app.command("propose")
def author_propose(folder: Folder, as_json: Json = False) -> None:
    """Record all outputs of a folder as the machine's; to be done before any of them is edited."""
    from makar.apps.bureau import proposed

    facts, words = proposed(folder)
    show(facts, as_json, words)


@author_app.command("accept")
def author_accept(paths: Files, by: By, as_json: Json = False) -> None:
    """Record that a person accepted outputs as they are."""
    from makar.apps.bureau import judged

    facts, words = judged(paths, "accept", by)
    show(facts, as_json, words)


@author_app.command("reject")
def author_reject(paths: Files, by: By, as_json: Json = False) -> None:
    """Record that a person rejected outputs."""
    from makar.apps.bureau import judged

    facts, words = judged(paths, "reject", by)
    show(facts, as_json, words)


@author_app.command("edit")
def author_edit(
    path: Annotated[Path, typer.Argument(help="The output, as it is after the edit.")],
    by: By,
    what: Annotated[str, typer.Option(help="What was changed, in words.")] = "",
    as_json: Json = False,
) -> None:
    """Record that a person changed an output."""
    from makar.apps.bureau import reworked

    facts, words = reworked(path, by, what)
    show(facts, as_json, words)


@author_app.command("select")
def author_select(paths: Files, by: By, as_json: Json = False) -> None:
    """Record that a person chose these for the work."""
    from makar.apps.bureau import chosen

    facts, words = chosen(paths, by)
    show(facts, as_json, words)


@author_app.command("show")
def author_show(
    folder: Folder,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a document to hand on.")] = False,
    as_json: Json = False,
) -> None:
    """The record, and whether its chain holds. Exit code 3 where it does not, or nothing was recorded."""
    from makar.apps.bureau import authored

    plain, words = authored(folder)
    if markdown and plain["holds"]:
        from makar.provenance import authorship

        words = authorship.to_markdown(folder / authorship.NAME)
    show(plain, as_json, words)
    if not plain["holds"]:
        raise SystemExit(DOES_NOT_HOLD)
