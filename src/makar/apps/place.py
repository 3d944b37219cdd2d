"""Where a training writes: a place of its own by default, never over another model, and one training at a time."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError
from makar.verbs import bundle
from makar.verbs.verify_bundle import is_bundle, record

_FREE = ("budget", "threads")  # in which two trainings of one model may differ
_LONGEST = 40  # characters of the data's name


def default(family: str, data: str, seed: int) -> Path:
    """runs/FAMILY-DATA, and the seed where it is not 0: another model has another place."""
    name = re.sub(r"[^\w.-]+", "-", data)[:_LONGEST].strip("-.") or "data"
    return Path("runs") / f"{family}-{name}{f'-seed{seed}' if seed else ''}"


def require_free(out: Path, recipe: Mapping[str, Any]) -> None:
    """Raises MakarError where another model lies there: of another family, data, seed or settings."""
    if not is_bundle(out):
        return
    theirs: dict[str, Any] = {}
    with contextlib.suppress(MakarError):
        bundle.read_digests(out)
        theirs = dict(record(out, "run.json").get("recipe") or {})
    keys = [key for key in {**theirs, **recipe} if key not in _FREE]
    other = sorted(key for key in keys if theirs.get(key) != recipe.get(key))
    if other:
        what = f"a model of '{theirs['family']}'" if theirs.get("family") else "a model that cannot be read"
        raise MakarError(
            f"{out} holds {what} with another {' and another '.join(other[:3])}; "
            "give another --out, or remove it if it is not wanted"
        )


def claimed(out: Path) -> AbstractContextManager[None]:
    """Held for as long as a training lasts; raises MakarError where another one is writing there."""
    return files.claimed(
        out.absolute().with_name(f".{out.absolute().name}.training"),
        f"another training is writing to {out}; wait until it is done, or give another --out",
    )
