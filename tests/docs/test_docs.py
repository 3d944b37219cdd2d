"""The manual runs: every Python and shell block of every page, by the rules of `pages`; and every link leads on."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from makar.apps.cli import app
from makar.core.errors import MakarError
from makar.data import load
from tests.docs.pages import FEW, KNOWN, PAGES, Block, blocks, lines, name, option, small, small_python

FAMILIES = ("gaussian", "vae")  # of the one comparison that is made
RUN = [page for page in PAGES if any(block.language in ("python", "sh") for block in blocks(page))]


@pytest.fixture(scope="session")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small comparison of digits, made as the command line makes it, and once for all workers of a test run."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    out = shared / "comparison"
    words = ["compare", "digits", "--families", ",".join(FAMILIES), "--budget", "5 steps", "--seeds", "1"]
    with open(shared / "comparison.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "report.html").exists():
            result = CliRunner().invoke(app, [*words, "-n", str(FEW), "--out", str(out)], catch_exceptions=False)
            assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def parsed(words: list[str]) -> None:
    """Check a command's name, arguments and options without running it."""
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while isinstance(command, TyperGroup):
        assert "".join(rest[:1]) in command.commands, f"there is no command in {words}"
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(words[1], rest).close()


def run_shell(block: Block, page: Path, request: pytest.FixtureRequest) -> None:
    for words in lines(block.text):
        where = f"{name(page)}:{block.line}: {' '.join(words)}"
        assert words[0] == "makar", f"{where}: only makar is run; mark the block as text"
        if words[1] == "compare":
            parsed(words)
            out = Path(option(words, "--out", "runs/comparison"))
            if not out.exists():
                shutil.copytree(request.getfixturevalue("comparison"), out)
            continue
        result = CliRunner().invoke(app, small(words)[1:])
        raised = result.exception
        if isinstance(raised, MakarError):
            pytest.fail(f"{where}: {raised}")
        assert result.exit_code == 0, f"{where}\n{result.output}\n{raised!r}"


def run_python(block: Block, page: Path, names: dict[str, Any]) -> None:
    source = "\n" * (block.line - 1) + small_python(block.text)
    exec(compile(source, name(page), "exec"), names)


@pytest.mark.parametrize("page", RUN, ids=name)
def test_blocks_run(page: Path, desk: Path, request: pytest.FixtureRequest) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            run_python(block, page, names)
        elif block.language == "sh":
            run_shell(block, page, request)
    assert os.getcwd() == str(desk), "a page does not change the folder"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_say_what_they_are(page: Path) -> None:
    for block in blocks(page):
        assert block.language in KNOWN, f"{name(page)}:{block.line}: {block.language or 'no language'}"
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(list(blocks(page))), "a fence is not closed"


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{name(page)} links to {target}"
        if anchor and place.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(h) for h in headings}, f"{name(page)} links to {target}"


def test_a_comparison_is_like_for_like(comparison: Path) -> None:
    """EVA-12: one command; the same data, split, extractor, n, seeds and budget for all; a table and raw JSON."""
    protocol = json.loads((comparison / "protocol.json").read_text(encoding="utf-8"))
    records = [json.loads(line) for line in (comparison / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    cells = {(r["family"], r["seed"]): r for r in records if r["kind"] == "cell"}
    assert set(cells) == {(family, 0) for family in FAMILIES}
    for record in records:
        assert (record["status"], record["protocol"]) == ("ok", protocol["digest"])
    assert protocol["data"]["digest"] == load("digits").manifest.digest
    assert (protocol["n"], protocol["budget"]) == (FEW, "5 steps")
    assert all(cell["steps"] <= 5 for cell in cells.values())
    one, other = (set(cells[family, 0]["scores"]) for family in FAMILIES)
    assert {score for score in one ^ other if not score.startswith("bits/")} == set()
    assert any(score.startswith("fd[probe-digits-") and score.endswith(f"@{FEW}/500") for score in one)
    summary = json.loads((comparison / "summary.json").read_text(encoding="utf-8"))
    assert {family["family"] for family in summary["families"]} == set(FAMILIES)
    assert (comparison / "report.html").stat().st_size > 10_000
