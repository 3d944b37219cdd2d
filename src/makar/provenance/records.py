"""A bundle's own records, from which every document is computed and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Records:
    """The parsed JSON files of a bundle, by name. A document quotes them and adds no figure of its own.

    config   config.json   family, settings, space, codec, id, parameters
    data     data.json     manifest of the data
    run      run.json      recipe, pace, cost, curve, events, machine, environment
    rights   rights.json   what the data's licences allow, and why
    """

    config: dict[str, Any]
    data: dict[str, Any]
    run: dict[str, Any]
    rights: dict[str, Any]
    chain: dict[str, Any] = field(default_factory=dict)
    """chain.json: whether the chain was on, who signs, which policy."""

    score: dict[str, Any] = field(default_factory=dict)
    """score.json: {"scores": [...]}, where the model was scored."""

    digests: dict[str, str] = field(default_factory=dict)
    """Sha256 of model.safetensors and of the JSON records, by file name."""
