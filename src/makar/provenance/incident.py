"""Incidents: something went wrong with an output; what is known of it, in one file to send and one to read.

A report holds digests, ids and figures, and the words of whoever reports. It holds no prompt, no key and no content:
the output's sha256 and the prompt's say which they were to those who have them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.digest import short
from makar.core.errors import MakarError
from makar.provenance import signed
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.provenance.receipts import Receipt

PURPOSE = "incident"


@dataclass(frozen=True)
class Incident:
    """What happened, as far as it can be told without anything secret."""

    note: str  # the reporter's words
    time: str
    output: dict[str, str]  # name and sha256 of the file
    receipt: Receipt | None
    prompt: str  # sha256, "" where there was none
    policy: Policy
    ledger: dict[str, Any]  # number of entries and head, as the ledger says
    run: dict[str, str]  # id of the model; sha256 of the bundle's run.json

    @property
    def id(self) -> str:
        """The start of the sha256 of what is reported."""
        return hashlib.sha256(signed.canonical(self._fields())).hexdigest()[:12]

    def _fields(self) -> dict[str, Any]:
        return {
            "version": 1,
            "note": self.note,
            "time": self.time,
            "output": self.output,
            "receipt": None if self.receipt is None else self.receipt.plain(),
            "prompt_sha256": self.prompt,
            "policy": {"name": self.policy.name, "version": self.policy.version, "digest": self.policy.digest()},
            "ledger": self.ledger,
            "run": self.run,
        }

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {"id": self.id} | self._fields()

    def words(self) -> str:
        """For people, as Markdown."""
        receipt = self.receipt
        rows = [
            ("time", self.time),
            ("output", f"{self.output['name']}, sha256 {self.output['sha256']}"),
            ("prompt", f"sha256 {self.prompt}" if self.prompt else "none is known"),
            ("model", self.run.get("model") or "not known"),
            ("run record", f"sha256 {self.run['record']}" if self.run.get("record") else "not at hand"),
            ("policy", f"{self.policy.name}, version {self.policy.version}, digest {self.policy.digest()}"),
            ("ledger", ", ".join(f"{k} {v}" for k, v in self.ledger.items()) or "none is kept"),
            ("receipt", f"digest {receipt.digest()}" if receipt else "none"),
            ("watermark", (receipt.watermark.name or "none") if receipt else "not known"),
            ("licence verdict", str(receipt.rights.get("why", "see the JSON file")) if receipt else "not known"),
        ]
        lines = [f"- {name}: {text}" for name, text in rows]
        return "\n".join([f"# Incident {self.id}", "", self.note, "", *lines, "", "Not legal advice.", ""])


def report(
    note: str,
    output: Path,
    now: datetime,
    policy: Policy,
    receipt: Receipt | None = None,
    prompt: str | None = None,
    ledger: dict[str, Any] | None = None,
    bundle: Path | None = None,
) -> Incident:
    """An incident with `output`. The prompt is given as text and kept as its digest. Raises MakarError for no note."""
    if not note.strip():
        raise MakarError("an incident needs a note that says what happened")
    if not output.is_file():
        raise MakarError(f"there is no output {output}")
    asked = receipt.prompt if receipt is not None else ""
    if prompt is not None:
        asked = hashlib.sha256(prompt.encode()).hexdigest()
    run = {"model": receipt.model if receipt is not None else "", "record": ""}
    if bundle is not None and (bundle / "run.json").is_file():
        run["record"] = _sha256(bundle / "run.json")
    return Incident(
        note=note.strip(),
        time=signed.stamp(now),
        output={"name": output.name, "sha256": _sha256(output)},
        receipt=receipt,
        prompt=asked,
        policy=policy,
        ledger=ledger or {},
        run=run,
    )


def folder(home: Home) -> Path:
    """Where incidents are kept."""
    return home.root / "incidents"


def save(incident: Incident, home: Home) -> Path:
    """Keep an incident as incident.json and incident.md in a folder of its own, which is returned."""
    place = folder(home) / f"{incident.time[:10]}-{short(incident.id)}"
    contents = {
        "incident.json": files.to_json(incident.to_json()).encode(),
        "incident.md": incident.words().encode(),
    }
    files.write_directory(place, contents)
    return place


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
