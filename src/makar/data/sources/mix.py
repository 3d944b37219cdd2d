"""Several sources as one: mix:digits//folder:scans joins datasets of one kind and one shape.

Members are parted by two slashes, which no spec needs within itself (a path that has them means the same with one).
The options are given to every member that knows them. All members bind: the mix is under the conjunction of their
licences. What one member holds out is held out of the whole, also where another member has the same item.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from makar.core.config import build
from makar.core.errors import MakarError
from makar.data import catalogue
from makar.data.loaded import Loaded, Mix
from makar.data.pictures import Colour

SEPARATOR = "//"


@dataclass(frozen=True)
class Options:
    """Options of members, given to each that has them; None leaves a member its own."""

    size: int | None = None
    colour: Colour | None = None
    skip_bad: bool | None = None
    label: str | None = None
    drop: str | tuple[str, ...] | None = None
    keep: str | tuple[str, ...] | None = None
    missing: str | tuple[str, ...] | None = None
    delimiter: str | None = None
    by: Literal["blocks", "paragraphs", "lines"] | None = None
    encoding: str | None = None
    n: int | None = None
    seed: int | None = None


def load(argument: str, options: Options) -> Mix:
    """The members that `argument` names, checked to be of one kind."""
    specs = [spec.strip() for spec in argument.split(SEPARATOR) if spec.strip()]
    if len(specs) < 2:
        raise MakarError("'mix:' needs two or more datasets parted by //, such as mix:toy:ring8//toy:moons")
    given = {key: value for key, value in asdict(options).items() if value is not None}
    unused = set(given)
    parts = []
    for spec in specs:
        source, inner = catalogue.parsed(spec)
        if source == "mix":
            raise MakarError("a mix holds no other mix; name all members side by side")
        module = importlib.import_module(f"makar.data.sources.{source}")
        own = {field.name for field in fields(module.Options)} & set(given)
        unused -= own
        parts.append(module.load(inner, build(module.Options, {k: given[k] for k in own}, f"the source '{source}'")))
    if unused:
        raise MakarError(f"no member of the mix has the setting '{min(unused)}'")
    _agree(parts)
    return Mix(f"mix:{SEPARATOR.join(part.name for part in parts)}", parts)


def _agree(parts: Sequence[Loaded]) -> None:
    """Raise MakarError where members differ in kind, levels, shape or columns."""
    first = parts[0]
    for part in parts[1:]:
        for what, one, other in (
            ("kind", first.modality, part.modality),
            ("number of levels", first.levels, part.levels),
            ("shape or columns", _shape(first), _shape(part)),
        ):
            if one != other:
                raise MakarError(
                    f"'{first.name}' and '{part.name}' cannot be mixed: their {what} differs ({one} and {other})"
                    + ("; give a size, for instance --size 32 (size=32)" if what.startswith("shape") else "")
                )


def _shape(part: Loaded) -> Any:
    shapes = {_shape_of(thing) for thing in part.things}
    return next(iter(shapes)) if len(shapes) == 1 else sorted(shapes, key=str)


def _shape_of(thing: Any) -> Any:
    if isinstance(thing, np.ndarray):
        return tuple(thing.shape)
    return tuple(thing) if isinstance(thing, dict) else "text"
