"""Opening data: `load("digits")`, `load("csv:customers.csv", label="segment")`.

A spec is the name of a source, and after a colon what it should open. The sources are the files of `data/sources/`:
to add one is to add one file with `Options`, a frozen dataclass with a default for every field, and
`load(argument, options) -> Loaded`. Where a spec is simply a path, its kind says which source opens it.
"""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from makar.core.config import build as build_config
from makar.core.errors import MakarError, did_you_mean
from makar.data import licences, manifest, pictures, splits
from makar.data.dataset import Dataset, Split
from makar.data.loaded import Loaded

_KINDS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_FOLDER = Path(__file__).resolve().parent / "sources"


@dataclass(frozen=True)
class Common:
    """Options of every source."""

    held_out: float | None = None  # share of the items to hold out, or a count where it is 1 or more
    licence: str | None = None  # SPDX expression, for data of your own
    attribution: str | None = None  # whom to name, for data of your own


@cache
def available() -> dict[str, str]:
    """Every source and the first line of its docstring, read without importing it."""
    files = sorted(p for p in _FOLDER.glob("*.py") if not p.stem.startswith("_"))
    return {p.stem: (ast.get_docstring(ast.parse(p.read_text("utf-8"))) or "").partition("\n")[0] for p in files}


def load(spec: str, **options: Any) -> Dataset:
    """The dataset that `spec` names: read, split by content, and with a manifest.

    Options are those of `Common` and of the source. Raises MakarError where something is amiss with the data or an
    option; nothing is written and nothing on the disk is changed.
    """
    source, argument = _parsed(spec)
    module = importlib.import_module(f"makar.data.sources.{source}")
    common: dict[str, Any] = {key: options.pop(key) for key in ("held_out", "licence", "attribution") if key in options}
    settings = build_config(Common, common, "data")
    loaded: Loaded = module.load(argument, build_config(module.Options, options, f"the source '{source}'"))
    return _split(_with_licence(loaded, settings), settings)


def _parsed(spec: str) -> tuple[str, str]:
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
    for file in sorted(path.rglob("*")):
        if pictures.is_picture(file):
            return "folder"
        if file.suffix.lower() == ".txt" and file.stem.upper() not in ("LICENSE", "LICENCE", "README"):
            return "text"
    return "folder"


@dataclass(frozen=True)
class _Rights:
    loaded: Loaded
    licence: str
    attribution: str
    notes: list[str]


def _with_licence(loaded: Loaded, settings: Common) -> _Rights:
    if loaded.licence is not None:
        if settings.licence is not None:
            raise MakarError(
                f"'{loaded.name}' is under {loaded.licence}; licence= and attribution= are for your own data"
            )
        return _Rights(loaded, loaded.licence, loaded.attribution, [])
    attribution = settings.attribution or loaded.attribution
    if settings.licence is not None:
        return _Rights(loaded, licences.expression(settings.licence), attribution, ["the user stated the licence"])
    if loaded.folder is not None:
        licence, note = licences.beside(loaded.folder)
        return _Rights(loaded, licence, attribution, [note])
    note = "the licence of this data is unknown, for nobody has stated it; state it with licence= (an SPDX identifier)"
    return _Rights(loaded, licences.UNKNOWN, attribution, [note])


def _split(rights: _Rights, settings: Common) -> Dataset:
    loaded = rights.loaded
    notes = [*loaded.notes, *rights.notes]
    if len(loaded.things) < 2:
        raise MakarError(
            f"{loaded.source} holds {len(loaded.things)} items; at least 2 are needed, one to learn from, one to test"
        )
    hashes = splits.digests(loaded.things)
    repeats = manifest.duplicates(hashes)
    if loaded.held is not None and settings.held_out is None:
        train, held_out, dropped = splits.given(hashes, loaded.held)
        words = "the data's own; items in the order of their SHA-256"
        if dropped:
            notes.append(f"{dropped} training items were dropped because they are among the held-out ones")
    else:
        share = loaded.held_out if settings.held_out is None else settings.held_out
        train, held_out = splits.by_content(hashes, share)
        words = f"by content: items sorted by SHA-256, the first {len(held_out)} of {len(hashes)} held out"
        if loaded.held is not None:
            notes.append("the data's own split was set aside because held_out= was given")
    if repeats:
        notes.append(f"{repeats} of {len(hashes)} items repeat an earlier one; identical items are on the same side")
    described = manifest.build(
        name=loaded.name,
        modality=loaded.modality,
        source=loaded.source,
        licence=rights.licence,
        attribution=rights.attribution,
        classes=loaded.classes,
        items={"train": [hashes[i] for i in train], "held_out": [hashes[i] for i in held_out]},
        split=words,
        notes=notes,
    )
    return Dataset(_taken(loaded, train), _taken(loaded, held_out), described, loaded.levels, loaded.entropy)


def _taken(loaded: Loaded, indices: list[int]) -> Split:
    labels = None if loaded.labels is None else loaded.labels[indices]
    return Split([loaded.things[i] for i in indices], labels)
