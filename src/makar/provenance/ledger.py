"""The ledger: what was done, in order, append-only, so that a later change of any of it is found.

A folder of segments `000000.jsonl`, … (each named after its first entry) and `heads.jsonl`; `entries` has the formats.
Entries are flushed to the disk before `append` returns. Writers take turns by a lock of the system, and each reads
anew under the lock where the ledger ends: from the last head and the lines after it, never the whole.

What a crash leaves is put right by the next writer: a torn line, which nobody was told of, is cut away; whole lines
that no head covers are covered by the next. Whoever can write into the folder can add such lines too, and they cannot
be told apart. So a writer who signs enters first which they are, as "recovered", and `verify` names them for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import ledger_check, merkle
from makar.provenance.entries import (
    HEADS,
    NONE,
    RECOVERED,
    Checker,
    Entry,
    Head,
    Signer,
    digest,
    is_file,
    lines,
    parsed,
    segment,
    segments,
)
from makar.provenance.findings import Finding
from makar.provenance.merkle import Frontier

__all__ = ["Checker", "Entry", "Head", "Ledger", "Signer"]

SEGMENT = 8 * 2**20
"""Bytes at which a new segment is begun."""


class Ledger:
    """A ledger in a folder, which need not exist yet."""

    def __init__(self, folder: Path, signer: Signer | None = None, segment: int = SEGMENT) -> None:
        """`signer` signs the heads; without one they are unsigned. `segment`: bytes of a file of entries."""
        self.folder = folder
        self.signer = signer
        self.segment = segment

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Enter one thing; it is on the disk when this returns. Raises MakarError as `append_all` does."""
        return self.append_all([(kind, body)])[0]

    def append_all(self, items: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Entry]:
        """Enter several things under one lock, with one flush and one head.

        Raises MakarError where a body is not JSON data, where the disk refuses, where another process holds the lock,
        and where the ledger's end is not as its last head says. After a refusal by the disk, entries that had reached
        it stay, and the next head covers them.
        """
        items = list(items)
        with files.locked(self.folder / "lock"):
            end = _End(self.folder)
            late = [(RECOVERED, end.uncovered())] if end.open and self.signer else []
            entries = []
            for kind, body in [*late, *items]:
                entry = Entry.make(end.tree.size, _now(), kind, dict(body), end.tip)
                end.add(entry.line.encode())
                entries.append(entry)
            self._write(end, entries)
            if entries or end.open or (self.signer and end.head and not end.head.key):
                files.append_lines(self.folder / HEADS, [self._head(end).line])
        return entries[len(late) :]

    def seal(self) -> None:
        """Put right what a crash left, and sign what is not signed yet, without entering anything else."""
        self.append_all([])

    def _write(self, end: _End, entries: Sequence[Entry]) -> None:
        """Append to the last segment, and to new ones where it is full."""
        size, path = end.room()
        batch: list[str] = []
        for entry in entries:
            if path is None or size + len(entry.line) + 1 > self.segment:
                if path is not None:
                    files.append_lines(path, batch)
                size, path, batch = 0, self.folder / segment(entry.n), []
            size += len(entry.line) + 1
            batch.append(entry.line)
        if path is not None:
            files.append_lines(path, batch)

    def _head(self, end: _End) -> Head:
        head = Head(
            size=end.tree.size,
            root=end.tree.root().hex(),
            time=_now(),
            key=self.signer.fingerprint if self.signer else "",
            prev=end.head_tip,
            signature="",
            frontier=tuple(end.tree.to_json()),
        )
        return replace(head, signature=self.signer.sign(head.signed())) if self.signer else head

    def head(self) -> Head | None:
        """The last head, None in a ledger without. Raises MakarError where the last line of `heads.jsonl` is none."""
        return _last_head(self.folder)[0]

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        """All entries, or those of one kind, in order. Raises MakarError at a line that is none; proves nothing."""
        for n, line in enumerate(_lines_from(self.folder, 0)):
            try:
                entry = Entry.read(line)
            except MakarError as error:
                raise MakarError(f"entry {n} of the ledger {self.folder} cannot be read: {error}") from None
            if kind is None or entry.kind == kind:
                yield entry

    def prove(self, n: int) -> dict[str, Any]:
        """Proof, as JSON data, that entry n is under the last head: `ledger_check.entry_holds` checks it.

        It holds the head and the digests on the way to its root, nothing of any other entry. Reads the whole ledger.
        """
        head = self._standing_head()
        if not 0 <= n < head.size:
            raise MakarError(f"there is no entry {n} under the ledger's last head, which covers {head.size} entries")
        path = merkle.inclusion(self._leaves(head.size), n)
        return {"n": n, "path": [step.hex() for step in path], "head": head.to_json()}

    def prove_growth(self, old: Head) -> dict[str, Any]:
        """Proof, as JSON data, that the ledger under its last head begins with that under `old`.

        `ledger_check.growth_holds` checks it. Raises MakarError where the ledger has fewer entries than `old` covers;
        where it has others, there is no proof, and what this returns does not check.
        """
        head = self._standing_head()
        if old.size > head.size:
            raise MakarError(f"the ledger was cut short: it has {head.size} entries, and {old.size} were seen before")
        path = merkle.consistency(self._leaves(head.size), old.size)
        return {"old": old.to_json(), "head": head.to_json(), "path": [step.hex() for step in path]}

    def consistent_with(self, old: Head, check: Checker | None = None) -> Finding:
        """Whether the ledger still begins with what it was under a head seen before."""
        try:
            return ledger_check.growth_holds(self.prove_growth(old), check)
        except MakarError as error:
            return Finding(f"ledger since it had {old.size} entries", "fails", str(error))

    def verify(self, check: Checker | None = None, witness: Head | None = None) -> list[Finding]:
        """Everything that is wrong, in one pass: see `ledger_check.verify`."""
        return ledger_check.verify(self.folder, check, witness)

    def _standing_head(self) -> Head:
        head = self.head()
        if head is None:
            raise MakarError(f"the ledger {self.folder} is empty; there is nothing to prove")
        return head

    def _leaves(self, size: int) -> list[bytes]:
        found: list[bytes] = []
        for line in _lines_from(self.folder, 0):
            if len(found) == size:
                break
            found.append(merkle.leaf(line))
        if len(found) < size:
            raise MakarError(f"the ledger was cut short: it has {len(found)} entries, and its last head covers {size}")
        return found


class _End:
    """Where a ledger ends, read from the disk under the lock, and moved on as entries are added."""

    def __init__(self, folder: Path) -> None:
        self.head, self.head_tip = _last_head(folder)
        self.tree = self.head.tree() if self.head else Frontier()
        self.tip = NONE
        self.open = False  # whether there are entries that no head covers
        self._folder = folder
        self._segments = segments(folder)
        last = self._last_line()
        if last:
            self.tip = digest(last)
        count = _read(last, folder).n + 1 if last else 0
        if count < self.tree.size:
            raise _broken(folder, f"its last head covers {self.tree.size} entries and {count} are left")
        if count > self.tree.size:
            self._catch_up()

    def _last_line(self) -> bytes:
        for _, path in reversed(self._segments):
            line = files.last_line(path)[1]
            if line:
                return line
        return b""

    def _catch_up(self) -> None:
        """Take in the entries after the last head, if they follow from what it covers."""
        self.open = True
        tip, size = NONE, self.tree.size
        for line in _lines_from(self._folder, max(size - 1, 0)):
            entry = _read(line, self._folder)
            if entry.n >= size:
                if entry.n != self.tree.size or entry.prev != tip:
                    raise _broken(self._folder, f"entry {entry.n} does not follow from the line before it")
                self.tree.append(merkle.leaf(line))
            tip = digest(line)

    def uncovered(self) -> dict[str, int]:
        """Which entries no head covers, where there are such."""
        return {"from": self.head.size if self.head else 0, "to": self.tree.size - 1}

    def add(self, line: bytes) -> None:
        self.tree.append(merkle.leaf(line))
        self.tip = digest(line)

    def room(self) -> tuple[int, Path | None]:
        """The last segment, and how many bytes of whole lines are in it."""
        if not self._segments:
            return 0, None
        path = self._segments[-1][1]
        return files.last_line(path)[0], path


def _last_head(folder: Path) -> tuple[Head | None, str]:
    """The last head and the digest of its line."""
    path = folder / HEADS
    line = files.last_line(path)[1] if is_file(path) else b""
    if not line:
        return None, NONE
    try:
        return Head.read(parsed(line)), digest(line)
    except MakarError as error:
        raise _broken(folder, f"the last line of {HEADS} cannot be read: {error}") from None


def _read(line: bytes, folder: Path) -> Entry:
    try:
        return Entry.read(line)
    except MakarError as error:
        raise _broken(folder, f"a line at its end cannot be read: {error}") from None


def _broken(folder: Path, why: str) -> MakarError:
    return MakarError(
        f"nothing is entered in the ledger {folder}, which was changed: {why}; "
        "see what `makar verify ledger` says, then restore the folder or move it away"
    )


def _lines_from(folder: Path, n: int) -> Iterator[bytes]:
    """The lines of entries n, n + 1, …, without their ends; a torn last one is left out."""
    found = segments(folder)
    begin = max((i for i, (first, _) in enumerate(found) if first <= n), default=0)
    for first, path in found[begin:]:
        for number, line in enumerate(lines(path), first):
            if number >= n and line.endswith(b"\n"):
                yield line[:-1]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
