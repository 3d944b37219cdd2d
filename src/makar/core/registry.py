"""The registry is the file system: `families/vae.py` is the family "vae".

Names and first lines are read without importing anything; a part is imported when it is asked for. Third parties add
parts through entry points in the groups `makar.families`, `makar.codecs`, `makar.samplers`, `makar.metrics`,
`makar.watermarks` and `makar.recipes`, whose values name a module.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from makar.core.errors import MakarError, did_you_mean

ROOMS = ("families", "codecs", "samplers", "metrics", "watermarks", "recipes")
_ROOT = Path(__file__).resolve().parent.parent


@cache
def modules(room: str) -> dict[str, str]:
    """Name of every part of a room, and the module that holds it. Files that begin with `_` are not parts."""
    own = {p.stem: f"makar.{room}.{p.stem}" for p in sorted((_ROOT / room).glob("*.py")) if not p.stem.startswith("_")}
    others = {e.name: e.value for e in entry_points(group=f"makar.{room}") if e.name not in own}
    return own | others


def summary(room: str, name: str) -> str:
    """The first line of a part's docstring, read from its file and not by importing it."""
    module = modules(room)[name]
    if not module.startswith("makar."):
        return f"(from {module})"
    text = (_ROOT / room / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def load(room: str, name: str) -> Any:
    """The part itself: the one public class defined in its module (for a recipe, the function of its name)."""
    known = modules(room)
    if name not in known:
        raise MakarError(f"there is no '{name}' among the {room}{did_you_mean(name, known)}")
    module = importlib.import_module(known[name])
    if room == "recipes":
        return getattr(module, name)
    base = _base(room)
    found = [
        c
        for c in vars(module).values()
        if inspect.isclass(c) and issubclass(c, base) and c.__module__ == module.__name__ and not inspect.isabstract(c)
    ]
    if len(found) != 1:
        raise MakarError(f"{module.__name__} must define exactly one {base.__name__}; it defines {len(found)}")
    return found[0]


def _base(room: str) -> type[Any]:
    from makar.core.codec import Codec
    from makar.core.model import Model
    from makar.core.sampler import Sampler
    from makar.core.score import Metric
    from makar.core.watermark import Watermark

    bases: dict[str, type[Any]] = {
        "families": Model,
        "codecs": Codec,
        "samplers": Sampler,
        "metrics": Metric,
        "watermarks": Watermark,
    }
    return bases[room]
