"""Findings: what was looked at, how it stands, and why, in words that a person can act on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["holds", "fails", "absent", "untrusted", "unknown"]
"""holds: checked and right. fails: checked and wrong. absent: not there. untrusted: intact, but signed by nobody whom
this workspace knows. unknown: cannot be checked here."""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    what: str  # "credential of 003.png", "digest of model.safetensors", "ledger entry 17"
    state: State
    why: str  # one sentence
    required: bool = True  # whether the whole holds only if this does

    @property
    def wrong(self) -> bool:
        """Whether the whole does not hold because of it."""
        return self.state == "fails" or (self.required and self.state != "holds")

    def to_json(self) -> dict[str, str]:
        """As outside checks read it."""
        plain: dict[str, Any] = asdict(self)
        return {key: plain[key] for key in ("what", "state", "why")}


def holds(findings: Iterable[Finding]) -> bool:
    """Whether something was checked and nothing is wrong."""
    listed = list(findings)
    return bool(listed) and not any(f.wrong for f in listed)
