"""People with keys, for tests of signed statements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from makar.provenance import keys as keyring
from makar.provenance import signed
from makar.provenance.home import Home
from makar.provenance.keys import Anchors

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Person:
    """Somebody who signs, and whom some believe."""

    home: Home
    fingerprint: str
    sign: signed.Sign
    anchors: Anchors

    @property
    def check(self) -> signed.Check:
        """As one who believes this person alone."""
        return signed.known_to(self.anchors)


def person(root: Path, name: str) -> Person:
    """Make keys for somebody."""
    home = Home(root / name)
    keys = keyring.init(home, name)
    return Person(home, keys.fingerprint, signed.by(keys), Anchors.of(home))
