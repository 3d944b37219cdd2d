"""Every command that takes data takes every option of data, and what is left out of it is said aloud."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from makar.apps import cli
from makar.apps.data_options import OPTIONS, given
from makar.data import load
from makar.verbs.protocol import Data

from .test_cli import Call, makar  # noqa: F401

TAKE_DATA = [
    ("train",), ("compare",), ("score",), ("stability",), ("rights",), ("inbreed",), ("data", "show"),
    ("data", "scan"), ("style", "add"),
]  # fmt: skip


@pytest.mark.parametrize("words", TAKE_DATA, ids=" ".join)
def test_every_command_that_takes_data_takes_all_its_options(words: tuple[str, ...]) -> None:
    command = typer.main.get_command(cli.app)
    for word in words:
        assert isinstance(command, TyperGroup)
        command = command.commands[word]
    there = {flag for parameter in command.params for flag in parameter.opts}
    assert {f"--{name.replace('_', '-')}" for name in OPTIONS} <= there


def people(path: Path, count: int = 80, delimiter: str = ";", encoding: str = "utf-8") -> Path:
    chance = random.Random(0)
    lines = ["straße;alter;id;klasse;bemerkung"]
    for i in range(count):
        group = ["ja", "nein", ""][i % 8 if i % 8 < 3 else i % 2]
        lines.append(
            f"{'äöü'[i % 3]};{chance.randint(18, 88)};{i + 1};{group};{'n.k.' if i % 4 else chance.random():.3}"
        )
    path.write_bytes(("\n".join(lines) + "\n").replace(";", delimiter).encode(encoding))
    return path


def test_options_reach_the_data(makar: Call, tmp_path: Path) -> None:  # noqa: F811
    people(tmp_path / "w.csv", delimiter="~", encoding="cp1252")
    code, _, err = makar("data", "show", "csv:w.csv")
    assert code == 2
    assert "--encoding cp1252" in err
    words = ["--encoding", "cp1252", "--delimiter", "~", "--drop", "bemerkung", "--keep", "id", "--label", "klasse"]
    shown = makar.json("data", "show", "csv:w.csv", *words, "--origin", "captured", "--licence", "CC0-1.0")
    assert isinstance(shown, dict)
    assert (shown["label"], shown["classes"], shown["origin"]) == ("klasse", ["ja", "nein"], "captured")
    assert not any("'id' was dropped" in note for note in shown["notes"])
    again = makar.json("data", "show", "csv:w.csv", *words, "--origin", "captured", "--licence", "CC0-1.0",
                       "--digest", shown["digest"])  # fmt: skip
    assert again == shown
    for spec in ("csv:w.csv", "digits"):
        code, _, err = makar("data", "show", spec, *(words if spec != "digits" else []), "--digest", "0" * 12)
        assert code == 2
        assert "is not the same data" in err


def test_utf_16_and_other_files_are_named(makar: Call, tmp_path: Path) -> None:  # noqa: F811
    people(tmp_path / "u.csv", encoding="utf-16")
    code, _, err = makar("data", "show", "csv:u.csv")
    assert (code, "is UTF-16 and not utf-8, as its first bytes say; give --encoding utf-16" in err) == (2, True)
    code, out, _ = makar("data", "show", "csv:u.csv", "--encoding", "utf-16")
    assert (code, "80" in out or "64 train" in out) == (0, True)
    people(tmp_path / "le.csv", encoding="utf-16-le")
    for encoding in ("latin-1", "utf-8"):
        code, _, err = makar("data", "show", "csv:le.csv", "--encoding", encoding)
        assert code == 2
        assert "NUL characters" in err or "is not utf-8" in err
    (tmp_path / "bad.csv").write_text("a,b\n" + "".join(f"{i},{i % 3}\n" for i in range(40)) + "1,2,3\n")
    code, _, err = makar("data", "show", "csv:bad.csv")
    assert (code, "--skip-bad" in err) == (2, True)
    code, out, _ = makar("data", "show", "csv:bad.csv", "--skip-bad")
    assert (code, "1 lines were left out, for their cells are not 2 as in the header: 42" in out) == (0, True)
    code, _, err = makar("data", "show", "digits", "--skip-bad")
    assert (code, "the source 'digits' has no setting 'skip_bad' (--skip-bad)" in err) == (2, True)


def test_a_long_cell_is_a_cell_and_an_open_quote_is_one(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long = tmp_path / "long.csv"
    long.write_text("a,b\n" + "".join(f"{i * i % 17},{'x' * 140_000 if i == 3 else 'y'}\n" for i in range(8)))
    assert max(len(row["b"]) for split in (load(f"csv:{long}").train, load(f"csv:{long}").held_out)
               for row in split.things) == 140_000  # fmt: skip
    assert csv.field_size_limit() == limit


def test_the_class_is_a_column_of_what_is_made(makar: Call, tmp_path: Path) -> None:  # noqa: F811
    people(tmp_path / "t.csv")
    words = ["--label", "klasse", "--licence", "CC0-1.0", "--missing", "n.k."]
    code, out, err = makar("train", "independent", "csv:t.csv", *words, "--out", "m", "--no-chain")
    assert code == 0, err
    for part in ("note: the column 'id' was dropped", "of 80 rows have no class and were left out"):
        assert part in out
    code, out, err = makar("sample", "m", "-n", "40", "--out", "o", "--no-chain")
    assert code == 0, err
    assert "note: the column 'id' was dropped" in out
    with open(tmp_path / "o" / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["straße", "alter", "klasse", "bemerkung"]
    assert {row["klasse"] for row in rows} == {"ja", "nein"}
    code, _, err = makar("sample", "m", "-n", "9", "--class", "nein", "--out", "n", "--no-chain")
    assert code == 0, err
    with open(tmp_path / "n" / "rows.csv", newline="") as file:
        assert {row["klasse"] for row in csv.DictReader(file)} == {"nein"}
    scores = makar.json("score", "m", "csv:t.csv", *words, "-n", "60")
    assert isinstance(scores, dict)
    assert any(name.startswith("bits/column") for name in scores["scores"])


def test_options_are_the_same_when_they_are_read_again() -> None:
    options = given({"accept": ["csv:a.csv"], "drop": ["a", "b,c"], "label": None, "skip_bad": False, "held_out": 0.0})
    assert options == {"accept": ["csv:a.csv"], "drop": "a,b,c", "held_out": 0.0}
    manifest = load("toy:ring8", n=50).manifest
    assert Data.of("toy:ring8", {"accept": ("x",)}, manifest) == Data.of("toy:ring8", {"accept": ["x"]}, manifest)
