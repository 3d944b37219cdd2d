"""Artifacts: what every verb returns. An artifact names its parents, so provenance is the return type."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from makar.core.digest import digest


@dataclass(frozen=True)
class Artifact:
    """Something made: what it is, how it was made, and from what.

    Its id is a digest of kind, recipe, parents and content. What it cost and on which machine it was made stand
    beside it and are not hashed: the same thing made elsewhere is the same thing.
    """

    kind: str
    content: Any
    recipe: dict[str, Any]
    parents: tuple[str, ...]
    cost: dict[str, float] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """Sha256 over (kind, recipe, parents, content)."""
        return digest(self.kind, self.recipe, list(self.parents), self.content)
