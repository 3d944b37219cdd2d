"""Configurations are frozen dataclasses; this turns them into plain data and back, and refuses an unknown key."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from makar.core.errors import MakarError, did_you_mean

T = TypeVar("T")


def to_plain(config: Any) -> dict[str, Any]:
    """The configuration as plain data."""
    return asdict(config)


def build(kind: type[T], given: dict[str, Any], where: str) -> T:
    """A configuration from plain data, every value checked against its type.

    Raises MakarError that names the key, what was given and what was expected.
    """
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    for key in given:
        if key not in known:
            raise MakarError(f"{where} has no setting '{key}'{did_you_mean(key, known)}")
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise MakarError(f"{where}: setting '{key}' was given {first['input']!r}; {first['msg'].lower()}") from None
