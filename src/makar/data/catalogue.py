"""Opening data: `load("digits")`, `load("csv:customers.csv", label="segment")`.

A spec is the name of a source, and after a colon what it should open. The sources are the files of `data/sources/`:
to add one is to add one file with `Options`, a frozen dataclass with a default for every field, and
`load(argument, options) -> Loaded` (or a `Mix` of several). Where a spec is simply a path, its kind says which source
opens it.
"""

from __future__ import annotations

import ast
import importlib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from makar.core.config import build as build_config
from makar.core.errors import MakarError, did_you_mean
from makar.data import intake, optouts, pictures
from makar.data.dataset import Dataset
from makar.data.intake import Common
from makar.data.loaded import Loaded, Mix

_KINDS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_FOLDER = Path(__file__).resolve().parent / "sources"


@cache
def available() -> dict[str, str]:
    """Every source and the first line of its docstring, read without importing it."""
    files = sorted(p for p in _FOLDER.glob("*.py") if not p.stem.startswith("_"))
    return {p.stem: (ast.get_docstring(ast.parse(p.read_text("utf-8"))) or "").partition("\n")[0] for p in files}


def load(spec: str, **options: Any) -> Dataset:
    """The dataset that `spec` names: read, split by content, and with a manifest.

    Options are those of `intake.Common` and of the source. Raises MakarError where something is amiss with the data or
    an option; nothing is written and nothing on the disk is changed.
    """
    source, argument = parsed(spec)
    module = importlib.import_module(f"makar.data.sources.{source}")
    common = {field.name: options.pop(field.name) for field in fields(Common) if field.name in options}
    settings = build_config(Common, common, "data")
    known = {field.name for field in fields(module.Options)}
    for name in options:
        if name not in known:
            flag = f" (--{name.replace('_', '-')})"
            raise MakarError(
                f"the source '{source}' has no setting '{name}'{flag}{did_you_mean(name, known) if known else ''}"
            )
    given: Loaded | Mix = module.load(argument, build_config(module.Options, options, f"the source '{source}'"))
    return intake.dataset(given, settings)


def parsed(spec: str) -> tuple[str, str]:
    """The source that a spec names, and what it should open. Raises MakarError where it names none."""
    source, colon, argument = spec.partition(":")
    if source in available():
        return source, argument
    path = Path(spec).expanduser()
    if path.exists():
        return _kind_of(path), spec
    if not colon and (path.suffix or path.parent != Path(".")):
        raise MakarError(f"there is no file or folder '{spec}'")
    raise MakarError(f"there is no data source '{source}'{did_you_mean(source, available())}")


def _kind_of(path: Path) -> str:
    """The source that opens a path: by a file's suffix, or by the first picture or text in a folder."""
    if path.is_file():
        return _KINDS.get(path.suffix.lower(), "text")
    aside = optouts.aside(path)
    for file in sorted(set(path.rglob("*")) - aside):
        if pictures.is_picture(file):
            return "folder"
        if file.suffix.lower() == ".txt" and file.stem.upper() not in ("LICENSE", "LICENCE", "README"):
            return "text"
    return "folder"
