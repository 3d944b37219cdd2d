"""A recipe: the four choices that make a system (codec, net and family, sampler) as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Size = Literal["tiny", "laptop", "gpu"]


@dataclass(frozen=True)
class Recipe:
    """A run that can be printed and repeated. `codec` None takes the data's default."""

    family: str
    settings: dict[str, Any] = field(default_factory=dict)
    codec: str | None = None
    codec_settings: dict[str, Any] = field(default_factory=dict)
    sampler: str | None = None
    sampler_settings: dict[str, Any] = field(default_factory=dict)
    paper: str = ""
    claim: str = ""
