"""The family on the page "Add a family" works: as another package's module, by its entry point, under the laws."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks

NAME = "principal_histogram"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the import path that holds the page's module and declares its entry point."""
    names: dict[str, Any] = {}
    first = next(b for b in blocks(ROOT / "docs/how-to/add-a-family.md") if b.language == "python")
    exec(first.text, names)
    folder = tmp_path_factory.mktemp("package")
    (folder / f"{NAME}.py").write_text(names["SOURCE"].lstrip())
    described = folder / "stranger-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[makar.families]\n{NAME} = {NAME}\n")
    return folder


def call(package: Path, *words: str) -> str:
    """Run Python with the package on its path."""
    path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_a_stranger_holds_its_family_to_the_laws(package: Path) -> None:
    said = call(package, "-m", "pytest", "-p", "no:xdist", "tests/laws", "--family", NAME, "-k", NAME, "-rA")
    for law in ("same_bytes", "same_model", "unbroken_run", "saved_and_loaded", "learns_its_problem"):
        assert f"{law}" in said.replace("test_", ""), f"the law {law} was not run"
    assert "passed" in said


def test_a_stranger_is_listed_trained_and_sampled(package: Path, tmp_path: Path) -> None:
    program = (
        "import makar\n"
        "from makar.core import registry\n"
        f"assert '{NAME}' in registry.modules('families')\n"
        f"model = makar.fit('{NAME}', makar.data('toy:ring8'), budget='1 steps')\n"
        f"model.save(r'{tmp_path / 'bundle'}')\n"
        f"again = makar.load(r'{tmp_path / 'bundle'}')\n"
        "assert again.id == model.id\n"
        "print(len(again.sample(3)))\n"
    )
    assert call(package, "-c", program).strip() == "3"
