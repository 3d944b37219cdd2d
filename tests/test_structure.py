"""The structure: import direction, one file to add, sizes, and abstract or final, read from the syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "src" / "makar"
FILES = sorted(ROOT.rglob("*.py"))
MIDDLE = {"families", "codecs", "samplers", "metrics", "watermarks", "provenance", "data", "adapt", "compress"}
MAY_IMPORT: dict[str, set[str]] = {
    "core": {"core"},
    "nets": {"core", "nets"},
    **{room: {"core", "nets", room} for room in MIDDLE},
    "verbs": {"core", "nets", "verbs"} | MIDDLE,
    "recipes": {"core", "recipes"},
    "apps": {"core", "verbs", "apps", "data", "provenance"},
}
LINES_IN_FILE, LINES_IN_FUNCTION, ARGUMENTS = 400, 60, 10
COMMANDS = ("apps/cli.py", "apps/workshop.py", "apps/race.py")  # a command's options are its arguments


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, at the top or within a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    if room == "__init__.py":
        return
    for module in imports(ast.parse(path.read_text())):
        parts = module.split(".")
        if parts[0] == "makar" and len(parts) > 1:
            wanted = parts[1]
            assert wanted in MAY_IMPORT[room], f"{identify(path)} in {room}/ imports makar.{wanted}"


@pytest.mark.parametrize("room", sorted(MIDDLE & {p.name for p in ROOT.iterdir()}))
def test_a_part_imports_no_other_part(room: str) -> None:
    """Families know no other family: what they share is private to the room or lives in nets."""
    if room in ("data", "provenance"):
        return
    for path in (ROOT / room).glob("*.py"):
        for module in imports(ast.parse(path.read_text())):
            parts = module.split(".")
            if parts[:2] == ["makar", room] and len(parts) > 2:
                assert parts[2].startswith("_"), f"{identify(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=identify)
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LINES_IN_FILE, f"{identify(path)} has {text.count(chr(10))} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= LINES_IN_FUNCTION, f"{identify(path)}:{node.lineno} {node.name} has {lines} lines"
            count = len(node.args.args) + len(node.args.kwonlyargs)
            limit = ARGUMENTS + 1 if node.name == "__init__" else 20 if identify(path) in COMMANDS else 14
            assert count <= limit, f"{identify(path)}:{node.lineno} {node.name} takes {count} arguments"


def test_classes_are_abstract_or_final() -> None:
    """No class of ours inherits from a class of ours that can be made (protocols and bases in `core` are abstract)."""
    bases: dict[str, list[str]] = {}
    abstract: set[str] = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                names = [
                    b.id if isinstance(b, ast.Name) else b.attr
                    for b in node.bases
                    if isinstance(b, ast.Name | ast.Attribute)
                ]
                bases[node.name] = names
                methods = [d for d in node.body if isinstance(d, ast.FunctionDef)]
                marked = any("abstractmethod" in ast.dump(d) for m in methods for d in m.decorator_list)
                if marked or "ABC" in names or "Protocol" in names or node.name in ERRORS or node.name in RECORDS:
                    abstract.add(node.name)
    for name, parents in bases.items():
        for parent in set(parents) - {"ABC", "Protocol"}:
            assert parent not in bases or parent in abstract, f"{name} inherits from {parent}, which is not abstract"


ERRORS = {"MakarError"}
RECORDS = {"Record", "Frozen"}  # pydantic bases that carry only a configuration


def test_every_part_is_one_class_in_one_file() -> None:
    from makar.core import registry

    for room in ("families", "codecs", "samplers", "metrics", "watermarks"):
        for name in registry.modules(room):
            part = registry.load(room, name)  # raises unless exactly one is defined
            assert part.__module__ == registry.modules(room)[name]


def test_rooms_of_parts_have_no_hand_kept_list() -> None:
    for room in ("families", "codecs", "samplers", "metrics", "watermarks", "recipes"):
        assert (ROOT / room / "__init__.py").read_text().strip().count("\n") <= 5


def test_nothing_unpickles_or_reaches_for_the_network() -> None:
    forbidden = {
        "pickle",
        "socket",
        "urllib",
        "urllib.request",
        "requests",
        "httpx",
        "http.client",
        "torch.hub",
        "marshal",
    }
    for path in FILES:
        found = forbidden & set(imports(ast.parse(path.read_text())))
        assert not found, f"{identify(path)} imports {found}"
        assert not re.search(r"(?<![.\w])torch\.load\(", path.read_text()), identify(path)
