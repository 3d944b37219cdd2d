"""Checking a ledger in one pass, and checking a proof about one without the ledger.

What signatures and chains can show: with a signed head, that every entry up to it is as it was when it was signed.
Without a signature, only that the lines fit each other; whoever can write can write all of it anew. And no ledger can
show by itself that its newest entries and heads were not cut off together: an older state was once signed too. That
is found by a *witness*, a head that was kept elsewhere (in a bundle, a receipt, somebody else's hands).
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from makar.core.errors import MakarError
from makar.provenance import merkle
from makar.provenance.entries import (
    HEADS,
    LARGEST,
    NONE,
    RECOVERED,
    Checker,
    Entry,
    Head,
    digest,
    is_entry,
    is_file,
    lines,
    parsed,
    segments,
)
from makar.provenance.findings import Finding, State
from makar.provenance.merkle import Frontier

MOST = 100
"""Findings after which one need not go on."""

_LATE = "not signed when written, but by the next writer: a crash came in between, or somebody else wrote there"


def verify(folder: Path, check: Checker | None = None, witness: Head | None = None) -> list[Finding]:
    """Everything that is wrong with a ledger, or what holds.

    Entries altered, removed, added, moved or repeated are named by number; so are heads. Without `witness` a ledger
    that was put back to an older state of itself, entries and heads together, is *not* found. Every head's signature is
    checked: the next head is over what it finds, and would else vouch for one that somebody put in without the key.
    Entries that were signed only later are named, and held against nothing: crashes leave them, and so do forgers.
    A ledger that is written to meanwhile may show its newest entries as not yet signed.
    """
    return _Pass(folder, check, witness).run()


def entry_holds(proof: Any, line: str, check: Checker | None) -> Finding:
    """Whether a proof of `Ledger.prove` shows that an entry's line is in the ledger, and who signed that."""
    try:
        entry = Entry.read(line)
        path, head = merkle.digests(proof["path"]), Head.read(proof["head"])
        n = proof["n"]
    except (MakarError, TypeError, KeyError) as error:
        return Finding("proof of a ledger entry", "fails", f"it is no proof and entry of a ledger: {error}")
    what = f"ledger entry {entry.n}"
    if type(n) is not int or n != entry.n or path is None:
        return Finding(what, "fails", "the proof is of another entry, or of another form")
    leaf = merkle.leaf(line.encode())
    if not merkle.check_inclusion(leaf, n, head.size, path, bytes.fromhex(head.root)):
        return Finding(what, "fails", f"the proof does not lead from this line to the root of {head.size} entries")
    return _signed(what, head, check, f"it is number {n} of the {head.size} entries under the root")


def growth_holds(proof: Any, check: Checker | None) -> Finding:
    """Whether a proof of `Ledger.prove_growth` shows that a ledger begins with an older state, and who signed it."""
    what = "growth of the ledger"
    try:
        old, head, path = Head.read(proof["old"]), Head.read(proof["head"]), merkle.digests(proof["path"])
    except (MakarError, TypeError, KeyError) as error:
        return Finding(what, "fails", f"it is no proof about a ledger: {error}")
    roots = bytes.fromhex(old.root), bytes.fromhex(head.root)
    if path is None or not merkle.check_consistency(old.size, head.size, *roots, path):
        why = f"the first {old.size} of its {head.size} entries are not those under the older head: they were rewritten"
        return Finding(what, "fails", why)
    before = _signed(what, old, check, "")
    if check is not None and before.state != "holds":
        return before
    return _signed(what, head, check, f"its {head.size} entries begin with the {old.size} under the older head")


def _signed(what: str, head: Head, check: Checker | None, why: str) -> Finding:
    """What the signature of a head says of `why`, which is known to hold if the head does."""
    state, who = signature(head, check)
    return Finding(what, state, f"{why}; {who}" if why else who, required=state != "absent")


def signature(head: Head, check: Checker | None) -> tuple[State, str]:
    """How a head's signature stands, and a clause that says so."""
    where = f"the head at {head.size} entries"
    if not head.key:
        return "absent" if check is None else "untrusted", f"{where} is not signed"
    if check is None:
        return "unknown", f"{where} names key {head.key}, and no public key is known here to check it with"
    found = check.check(head.signed(), head.signature)
    if found is None:
        return "untrusted", f"{where} is signed by no key known here, or was changed since (it names {head.key})"
    if found != head.key:
        return "fails", f"{where} names key {head.key} and is signed by key {found}"
    return "holds", f"{where} is signed by key {found}"


class _Pass:
    """One pass over the entries, the heads beside them."""

    def __init__(self, folder: Path, check: Checker | None, witness: Head | None) -> None:
        self.folder, self.check, self.witness = folder, check, witness
        self.findings: list[Finding] = []
        self.n = 0  # the entry that is due
        self.prev = NONE
        self.tree = Frontier()
        self.rewritten = False  # whether roots are known to differ, and why need not be said again
        self.heads = self._read_heads()
        self.next = next(self.heads, None)
        self.last: Head | None = None
        self.signed: Head | None = None  # the last that names a key

    def run(self) -> list[Finding]:
        files = segments(self.folder)
        if not files and self.next is None and not self.findings:
            found = Finding("ledger", "absent", f"nothing has been entered in {self.folder}", required=False)
            return [found, *self._witnessed()]
        self._at(0)
        self.newest = files[-1][1] if files else None
        for first, path in files:
            if first != self.n:
                self._wrong(f"ledger entry {self.n}", f"it is due, and the file {path.name} begins with entry {first}")
                self.n = max(first, self.n)
            self._segment(path)
            if len(self.findings) >= MOST:
                return self.findings
        self._missing()
        end = [*self._signature(), *self._witnessed()]
        if not any(finding.wrong for finding in self.findings):
            self.findings.insert(0, Finding("ledger", "holds", f"{self.n} entries, each of which names the one before"))
        return self.findings + end

    def _segment(self, path: Path) -> None:
        """Each line must begin with its number, end with the digest of the line before, and be an entry."""
        n, prev, append = self.n, self.prev.encode(), self.tree.append
        due = self._due()
        for raw in lines(path):
            line = raw[:-1]
            if not (
                line.startswith(b'{"n":%d,' % n)
                and raw.endswith(b',"prev":"%s"}\n' % prev)
                and (plain := parsed(line)) is not None
                and is_entry(plain)
            ):
                number = self._explain(raw, n, prev.decode(), path)
                if number is None or len(self.findings) >= MOST:
                    break
                n = number
            elif plain["kind"] == RECOVERED:
                self._recovered(plain["body"], n)
            prev = sha256(line).hexdigest().encode()
            append(sha256(b"\x00" + line).digest())
            n += 1
            if n >= due:
                self._at(n)
                due = self._due()
        self.n, self.prev = n, prev.decode()

    def _explain(self, raw: bytes, n: int, prev: str, path: Path) -> int | None:
        """Say what is wrong with a line where entry n is due; the number to go on with, or None to end here."""
        if not raw.endswith(b"\n"):
            if len(raw) > LARGEST:
                self._wrong(f"ledger entry {n}", f"its line in {path.name} is longer than any that is written")
            elif path != self.newest:
                self._wrong(f"ledger entry {n}", f"its line in {path.name} is torn, and there are later ones")
            else:
                why = f"its line in {path.name} is torn: a writer was stopped before its end; the next cuts it away"
                self.findings.append(Finding(f"ledger entry {n}", "unknown", why, required=False))
            return None
        plain = parsed(raw[:-1])
        if plain is None or not is_entry(plain):
            self._wrong(f"ledger entry {n}", f"its line in {path.name} was changed: it is no entry any more")
            return n
        found = int(plain["n"])
        if found > n:
            missing = f"entry {n} is" if found == n + 1 else f"entries {n} to {found - 1} are"
            self._wrong(f"ledger entry {n}", f"{missing} missing before entry {found}, or its number was changed")
            return found
        if found < n:
            self._wrong(f"ledger entry {found}", f"it stands where entry {n} is due: it was repeated or moved")
            return n - 1
        if plain["prev"] != prev:
            was = "there is none before it" if n == 0 else f"entry {n - 1} was changed since, removed, or put in"
            what = f"ledger entry {max(n - 1, 0)}"
            self._wrong(what, f"entry {n} names another digest of the line before it: {was}, or entry {n} was changed")
            return n
        self._wrong(f"ledger entry {n}", f"its line in {path.name} is not as it was written")
        return n

    def _wrong(self, what: str, why: str) -> None:
        self.rewritten = True
        self.findings.append(Finding(what, "fails", why))

    def _due(self) -> int:
        """The number of entries at which a head or the witness is to be compared next."""
        sizes = [head.size for head in (self.next, self.witness) if head is not None and head.size > self.n]
        return min(sizes, default=2**63)

    def _at(self, n: int) -> None:
        """Compare the heads over n entries, and the witness, with the root."""
        self.n = n
        while self.next is not None and self.next.size <= n:
            head, self.next = self.next, next(self.heads, None)
            self._compare(head, f"ledger entry {max(head.size - 1, 0)}", "its head")
            if head.key and self.next is not None:
                self._older(head)
            self._passed(head)
        if self.witness is not None and self.witness.size == n:
            self._compare(self.witness, f"ledger entry {max(n - 1, 0)}", "the witness")

    def _compare(self, head: Head, what: str, who: str) -> None:
        if not self.rewritten and self.tree.root().hex() != head.root:
            why = (
                f"it is not what it was when {who} covered {head.size} entries: it, or some before it too, was changed"
            )
            self._wrong(what, why)

    def _older(self, head: Head) -> None:
        """Whether a head that is not the last was signed by whom it names."""
        state, why = signature(head, self.check)
        if state in ("fails", "untrusted"):
            self.findings.append(Finding(f"ledger head at {head.size} entries", state, why))

    def _passed(self, head: Head) -> None:
        if head.key and self.last is not None and not self.last.key:  # it signs what others had covered without a key
            if self.signed is None:
                self._late(0, self.last.size, "there were no keys when they were written, and the first signed them")
            else:
                self._late(self.signed.size, self.last.size, _LATE)
        self.last = head
        self.signed = head if head.key else self.signed

    def _recovered(self, body: dict[str, Any], n: int) -> None:
        first, last = body.get("from"), body.get("to")
        if type(first) is int and type(last) is int and 0 <= first <= last < n:
            self._late(first, last + 1, _LATE)

    def _late(self, first: int, end: int, why: str) -> None:
        """Name entries, `end` not among them, that were signed later than they were written."""
        if first < end:
            what = f"ledger entry {first}" if end == first + 1 else f"ledger entries {first} to {end - 1}"
            self.findings.append(Finding(what, "unknown", why, required=False))

    def _missing(self) -> None:
        """Heads that cover more entries than there are."""
        self._at(self.n)
        while self.next is not None:
            self._passed(self.next)
            self.next = next(self.heads, None)
        if self.last is not None and self.last.size > self.n:
            some = f"entries {self.n} to {self.last.size - 1} are" if self.last.size > self.n + 1 else "it is"
            self._wrong(f"ledger entry {self.n}", f"{some} missing at the end: a head covers {self.last.size} entries")

    def _read_heads(self) -> Iterator[Head]:
        """The heads as they stood when this began; every one names the line before it."""
        path = self.folder / HEADS
        prev, size = NONE, 0
        if not is_file(path):
            return
        for number, raw in enumerate(lines(path)):
            what = f"ledger head {number}"
            if not raw.endswith(b"\n") and len(raw) <= LARGEST:
                why = "its line is torn: a writer was stopped before it was signed; the next cuts it away"
                self.findings.append(Finding(what, "unknown", why, required=False))
                return
            try:
                head = Head.read(parsed(raw.rstrip(b"\n")))
            except MakarError as error:
                self.findings.append(Finding(what, "fails", f"its line was changed: {error}"))
                return
            if head.prev != prev or head.size < size or head.line.encode() + b"\n" != raw:
                why = f"it (over {head.size} entries) does not follow from the head before it: heads were changed"
                self.findings.append(Finding(what, "fails", why))
                return
            prev, size = digest(raw[:-1]), head.size
            yield head

    def _signature(self) -> list[Finding]:
        """Who vouches for the whole, and for which entries nobody does."""
        what = "signature of the ledger"
        if self.signed is None:
            if self.check is None:
                why = "nothing is signed: whoever can write can write it anew"
                return [Finding(what, "absent", why, required=False)]
            return [Finding(what, "untrusted", f"none of the {self.n} entries is signed")]
        state, why = signature(self.signed, self.check)
        found = [Finding(what, state, why)]
        first = self.signed.size
        if first < self.n:
            some = f"entry {first}" if self.n == first + 1 else f"entries {first} to {self.n - 1}"
            why = f"{some} came after the last signed head: a writer was stopped, or somebody without the key wrote"
            found.append(Finding(f"ledger entry {first}", "untrusted", why))
        elif self.last is not self.signed:
            found.append(Finding("ledger head", "untrusted", "a head that nobody signed follows the last signed one"))
        return found

    def _witnessed(self) -> list[Finding]:
        if self.witness is None:
            return []
        what = f"ledger since it had {self.witness.size} entries"
        state, why = signature(self.witness, self.check)
        if state in ("fails", "untrusted"):
            return [Finding(what, state, f"the witness does not count: {why}")]
        if self.witness.size > self.n:
            why = f"it was put back to an older state: of {self.witness.size} entries under a head it has {self.n}"
            return [Finding(what, "fails", why)]
        if self.rewritten:
            return []
        return [Finding(what, "holds", "it begins with the entries that the witness covers")]
