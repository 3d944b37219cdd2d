"""Authorship: which part of a work was a person's: prompts, edits, and what was accepted or rejected.

`authorship.jsonl` beside the outputs holds one JSON object a line, each with the digest of the line before it, so that
a line altered, removed, added or moved is found. A tail cut off is found only by somebody who knows the number of
lines and the last digest (`head`), which the ledger or a release may keep. Prompts are kept as digests unless the
policy says `prompt = "text"`. What law makes of such a record differs from country to country; this is the record.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import signed
from makar.provenance.findings import Finding
from makar.provenance.policy import Policy

NAME = "authorship.jsonl"
Step = Literal["prompt", "propose", "accept", "edit", "reject", "select"]
DECISIONS = ("accept", "edit", "reject")
_START = "0" * 64
_LARGEST = 64 << 20  # bytes of a record that are read


class Entry(BaseModel):
    """One step of the work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int = Field(ge=0)
    time: str
    step: Step
    by: str = Field(min_length=1)  # a person's name, or "machine"
    subject: str = ""  # the output's file name
    sha256: str = ""  # of the output, or of the prompt
    text: str = ""  # the prompt or what was edited, where it is kept
    previous: str
    digest: str

    def computed(self) -> str:
        """The digest that the line should have."""
        return _digest(self.model_dump(mode="json", exclude={"digest"}))

    @classmethod
    def read(cls, line: str, number: int) -> Self:
        """An entry from a line. Raises MakarError where it is none."""
        try:
            return cls.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise MakarError(f"line {number} of {NAME} is wrong: {where}: {first['msg'].lower()}") from None


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True)
class Authorship:
    """The record of one folder of outputs. One process writes it at a time."""

    folder: Path
    policy: Policy

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / NAME

    def prompt(self, text: str, by: str, now: datetime) -> Entry:
        """A person asked for something."""
        kept = text if self.policy.prompt == "text" else ""
        return self._add("prompt", by, now, sha256=hashlib.sha256(text.encode()).hexdigest(), text=kept)

    def propose(self, file: str, now: datetime, by: str = "machine") -> Entry:
        """The machine made a file that a person shall decide on."""
        return self._add("propose", by, now, subject=file, sha256=self._sha256(file))

    def decide(self, file: str, decision: Literal["accept", "reject"], by: str, now: datetime) -> Entry:
        """A person accepted or rejected a proposed file. Raises MakarError for one that was never proposed."""
        self._proposed(file)
        return self._add(decision, by, now, subject=file, sha256=self._sha256(file))

    def edit(self, file: str, by: str, now: datetime, what: str = "") -> Entry:
        """A person changed a proposed file, which now has other bytes; `what` says how."""
        self._proposed(file)
        return self._add("edit", by, now, subject=file, sha256=self._sha256(file), text=what)

    def select(self, files_chosen: Sequence[str], by: str, now: datetime) -> list[Entry]:
        """A person chose these for the work."""
        return [self._add("select", by, now, subject=f, sha256=self._sha256(f)) for f in files_chosen]

    def _proposed(self, file: str) -> None:
        if not any(e.step == "propose" and e.subject == file for e in read(self.path)):
            raise MakarError(f"'{file}' was never proposed; record that it was made before deciding on it")

    def _sha256(self, file: str) -> str:
        path = self.folder / file
        if Path(file).name != file or not path.is_file():
            raise MakarError(f"there is no output '{file}' in {self.folder}")
        with open(path, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _add(self, step: Step, by: str, now: datetime, subject: str = "", sha256: str = "", text: str = "") -> Entry:
        earlier = read(self.path)
        broken = [f for f in check(self.path) if f.wrong] if earlier else []
        if broken:
            raise MakarError(f"{self.path} was altered ({broken[0].why}); it is not added to")
        fields: dict[str, Any] = {
            "n": len(earlier),
            "time": signed.stamp(now),
            "step": step,
            "by": by,
            "subject": subject,
            "sha256": sha256,
            "text": text,
            "previous": earlier[-1].digest if earlier else _START,
        }
        entry = Entry(**fields, digest=_digest(fields))
        files.append_line(self.path, json.dumps(entry.model_dump(mode="json"), ensure_ascii=False))
        return entry


def read(path: Path) -> list[Entry]:
    """The entries of a record; none where there is no file. Raises MakarError for a line that is no entry."""
    if not path.exists():
        return []
    try:
        lines = files.read(path, _LARGEST).decode().splitlines()
    except UnicodeDecodeError:
        raise MakarError(f"{path} cannot be read as text") from None
    return [Entry.read(line, number) for number, line in enumerate(lines, 1)]


def head(path: Path) -> tuple[int, str]:
    """Number of entries and digest of the last: what another record keeps, so that a tail cut off is found."""
    entries = read(path)
    return len(entries), entries[-1].digest if entries else _START


def check(path: Path, known: tuple[int, str] | None = None) -> list[Finding]:
    """Whether the chain holds, and, where an earlier `head` is known, whether it is still within it."""
    try:
        entries = read(path)
    except MakarError as error:
        return [Finding(NAME, "fails", str(error))]
    if not entries:
        return [Finding(NAME, "absent", "nothing was recorded", required=known is not None)]
    previous = _START
    for n, entry in enumerate(entries):
        if entry.n != n or entry.previous != previous or entry.digest != entry.computed():
            return [Finding(NAME, "fails", f"entry {n} does not follow from the one before it or was altered")]
        previous = entry.digest
    if known is not None and known[0] and (len(entries) < known[0] or entries[known[0] - 1].digest != known[1]):
        return [Finding(NAME, "fails", f"the {known[0]} entries that were known are not in it any more")]
    return [Finding(NAME, "holds", f"{len(entries)} entries, each following from the one before")]


def decisions(path: Path) -> dict[str, str]:
    """The last decision of a person on each proposed file; "none" where nobody decided."""
    last: dict[str, str] = {}
    for entry in read(path):
        if entry.step == "propose":
            last.setdefault(entry.subject, "none")
        elif entry.step in DECISIONS:
            last[entry.subject] = entry.step
    return last


def to_markdown(path: Path) -> str:
    """The record for people. Raises MakarError where its chain is broken."""
    findings = check(path)
    if any(f.wrong for f in findings):
        raise MakarError(f"{path}: {findings[0].why}; it is not exported")
    entries = read(path)
    counts = ", ".join(f"{n} {step}" for step, n in sorted(Counter(e.step for e in entries).items()))
    rows = [
        f"| {e.n} | {e.time} | {e.step} | {_cell(e.by)} | {_cell(e.subject)} | {e.sha256[:12]} | {_cell(e.text)} |"
        for e in entries
    ]
    return "\n".join(
        [
            "# Record of authorship",
            "",
            f"{len(entries)} entries: {counts or 'none'}. Last digest {head(path)[1]}.",
            "",
            "| n | time | step | by | file | sha256 | what |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            "Not legal advice.",
            "",
        ]
    )


def _cell(text: str) -> str:
    """Text that cannot end its cell of a Markdown table."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
