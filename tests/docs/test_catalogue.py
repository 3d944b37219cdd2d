"""The catalogue is honest: every id once, and every test and command it names exists."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from makar.apps.cli import app
from makar.core import registry
from makar.data import available
from tests.docs.pages import ROOT

AREAS = {
    "CORE": 20, "HIS": 10, "STA": 16, "SEQ": 16, "GAN": 16, "VAE": 15, "ARM": 7, "FLO": 7, "LLM": 29, "DIF": 29,
    "MUL": 16, "AUD": 12, "VID": 12, "SCI": 15, "DAT": 25, "TRN": 19, "FTA": 19, "CMP": 18, "INT": 29, "EVA": 26,
    "GOV": 36, "ECO": 12,
}  # fmt: skip
PAGE = (ROOT / "docs/catalogue.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.splitlines()
    if re.match(r"\| [A-Z]+-\d+ \|", line)
]
NAMED = [row for row in ROWS if row[3] != "open"]


@cache
def functions(path: str) -> set[str]:
    """Names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_id_stands_once() -> None:
    assert sum(AREAS.values()) == 404
    wanted = [f"{area}-{number}" for area, count in AREAS.items() for number in range(1, count + 1)]
    assert sorted(row[0] for row in ROWS) == sorted(wanted)


def test_the_counts_are_right() -> None:
    found = Counter(row[3] for row in ROWS)
    said = {status: int(n) for status, n in re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE)}
    assert dict(found) == said


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_what_its_status_needs(row: list[str]) -> None:
    assert len(row) == 7
    status, test, command, missing = row[3:]
    assert status in ("works", "part", "open")
    if status == "works":
        assert test
        assert command
        assert not missing
    elif status == "part":
        assert missing, "what is missing is said"
    else:
        assert (test, command, missing) == ("", "", "")


@pytest.mark.parametrize("row", [row for row in NAMED if row[4]], ids=lambda row: row[0])
def test_the_test_exists(row: list[str]) -> None:
    for named in row[4].split(", "):
        path, _, name = named.strip("`").partition("::")
        assert (ROOT / path).is_file(), path
        assert name in functions(path), named


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and what follows its name."""
    command: Any = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        assert "".join(words[:1]) in command.commands, f"there is no command '{' '.join(words)}'"
        command, words = command.commands[words[0]], words[1:]
    return command, words


@pytest.mark.parametrize("row", [row for row in NAMED if row[5].startswith("`makar ")], ids=lambda row: row[0])
def test_the_command_exists(row: list[str]) -> None:
    words = row[5].strip("`").split()[1:]
    command, rest = command_of(words)
    known = {flag for parameter in command.params for flag in parameter.opts}
    for word in rest:
        assert not word.startswith("-") or word in known, f"{row[5]}: there is no {word}"
    if words[0] == "train" and words[1].islower():
        assert words[1] in registry.modules("families")
    for word in rest:
        source, colon, _ = word.partition(":")
        assert not colon or source in available(), f"{row[5]}: there is no source {source}"
