"""Where keys, trust anchors, ledger and policy live: MAKAR_HOME, by default `.makar/` of the working folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """A workspace's private folder. Nothing in it is needed to verify what left it."""

    root: Path

    @classmethod
    def here(cls) -> Home:
        """The one that MAKAR_HOME names, or `.makar/` of the working folder; it need not exist yet."""
        return cls(Path(os.environ.get("MAKAR_HOME") or ".makar"))

    @property
    def keys(self) -> Path:
        """Secrets: signing keys and the watermark's master key. Mode 0700."""
        return self.root / "keys"

    @property
    def anchors(self) -> Path:
        """Public certificates and keys of those whom this workspace believes."""
        return self.root / "anchors"

    @property
    def ledger(self) -> Path:
        """What was done here, in order."""
        return self.root / "ledger"

    @property
    def policy(self) -> Path:
        """The workspace's rules."""
        return self.root / "policy.toml"

    @property
    def indices(self) -> Path:
        """Indices of training items, for the question how near an output is to them."""
        return self.root / "indices"

    @property
    def consent(self) -> Path:
        """Signed consent tokens."""
        return self.root / "consent"

    @property
    def withdrawn(self) -> Path:
        """Items and sources whose makers opted out, one JSON object a line."""
        return self.root / "withdrawn.jsonl"
