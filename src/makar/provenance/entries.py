"""What a ledger is made of on disk: entries, heads over them, and the files that they stand in.

An entry is one line of canonical JSON (ASCII, no spaces, its fields in this order, the body's keys sorted):

    {"n":17,"time":"...","kind":"output","body":{...},"prev":"<sha256 of the line before>"}

A head is a line of `heads.jsonl`, written after every batch of entries: the root of the Merkle tree (RFC 9162) whose
leaves are the lines of entries 0 to size - 1, signed where there is a key. A head names the sha256 of the head before.

An entry of kind "recovered" is the ledger's own: {"from": a, "to": b} are the entries that no head covered when the
next writer came.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, Self

from makar.core.errors import MakarError
from makar.provenance.merkle import Frontier, digests

LARGEST = 2**20
"""Bytes of the longest line."""

NONE = "0" * 64
"""What the first entry and the first head name as the line before them."""

HEADS = "heads.jsonl"

RECOVERED = "recovered"
"""The kind of an entry that names entries which were not signed when they were written."""


class Signer(Protocol):
    """Holds a private key."""

    @property
    def fingerprint(self) -> str:
        """Of the key, as the checker knows it."""
        ...

    def sign(self, data: bytes) -> str:
        """The signature over `data`, as text."""
        ...


class Checker(Protocol):
    """Knows public keys."""

    def check(self, data: bytes, signature: str) -> str | None:
        """The fingerprint of the known key that signed `data`, None where none did. Raises nothing."""
        ...


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces, in ASCII. Raises MakarError where a value is not JSON's."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise MakarError(f"a ledger holds only JSON data, and this is none: {error}") from None


def parsed(line: bytes | str) -> dict[str, Any] | None:
    """The JSON object that a line is, None where it is none. Raises nothing, whatever the line holds."""
    try:
        text = line.decode() if isinstance(line, bytes) else line
        plain, end = _DECODER.raw_decode(text)  # half the time of json.loads, which looks for encodings and spaces
    except (ValueError, RecursionError):  # UnicodeDecodeError and a number of too many digits are ValueErrors
        return None
    return plain if end == len(text) and isinstance(plain, dict) else None


_DECODER = json.JSONDecoder()


def digest(line: bytes) -> str:
    """What the next line names as the line before it."""
    return sha256(line).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One thing that was done."""

    n: int  # its number, from 0
    time: str  # ISO 8601, UTC; as the machine's clock said
    kind: str
    body: dict[str, Any]
    prev: str  # sha256 of the line before
    line: str = field(repr=False)  # as it stands in the ledger, without its end

    @classmethod
    def make(cls, n: int, time: str, kind: str, body: dict[str, Any], prev: str) -> Self:
        """A new entry. Raises MakarError where the body is not JSON's, or too large."""
        head = f'{{"n":{n},"time":{canonical(time)},"kind":{canonical(kind)}'
        line = f'{head},"body":{canonical(body)},"prev":"{prev}"}}'
        if len(line) > LARGEST:
            raise MakarError(
                f"an entry of {len(line)} bytes is too large for the ledger (at most {LARGEST}); enter digests"
            )
        return cls(n, time, kind, body, prev, line)

    @classmethod
    def read(cls, line: bytes | str) -> Self:
        """The entry in a line. Raises MakarError where there is none, or one that is not canonical."""
        plain = parsed(line)
        if plain is None or not is_entry(plain):
            raise MakarError("this line is no entry of a ledger")
        entry = cls.make(plain["n"], plain["time"], plain["kind"], plain["body"], plain["prev"])
        if entry.line.encode() != (line if isinstance(line, bytes) else line.encode("utf-8", "replace")):
            raise MakarError("this line is an entry of a ledger, but not as it was written")
        return entry


def is_entry(plain: dict[str, Any]) -> bool:
    """Whether a JSON object has an entry's fields, in order, of the right types."""
    return (
        tuple(plain) == ("n", "time", "kind", "body", "prev")
        and type(plain["n"]) is int
        and 0 <= plain["n"] < 2**63
        and isinstance(plain["time"], str)
        and isinstance(plain["kind"], str)
        and isinstance(plain["body"], dict)
        and isinstance(plain["prev"], str)
    )


@dataclass(frozen=True)
class Head:
    """The state of a ledger at one moment, in one root."""

    size: int  # entries that it covers
    root: str
    time: str
    key: str  # fingerprint of the key that signed it; "" for none
    prev: str  # sha256 of the head before
    signature: str  # over `signed()`; "" for none
    frontier: tuple[str, ...] = field(repr=False)  # from which the tree grows on; it folds to the root

    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        fields = {"size": self.size, "root": self.root, "time": self.time, "key": self.key, "prev": self.prev}
        return canonical(fields).encode()

    def to_json(self) -> dict[str, Any]:
        """Plain data, which `read` takes."""
        return {
            "size": self.size,
            "root": self.root,
            "time": self.time,
            "key": self.key,
            "prev": self.prev,
            "signature": self.signature,
            "frontier": list(self.frontier),
        }

    @property
    def line(self) -> str:
        """As it stands in `heads.jsonl`."""
        return json.dumps(self.to_json(), separators=(",", ":"))

    def tree(self) -> Frontier:
        """The Merkle tree to go on from. Raises MakarError where the frontier does not fold to the root."""
        tree = Frontier.read(self.size, self.frontier)
        if tree.root().hex() != self.root:
            raise MakarError(
                f"the head of the ledger at {self.size} entries was changed: its frontier is of another root"
            )
        return tree

    @classmethod
    def read(cls, plain: Any) -> Self:
        """A head from plain data. Raises MakarError where it is none, or its frontier is of another root."""
        names = ("size", "root", "time", "key", "prev", "signature", "frontier")
        if not isinstance(plain, dict) or tuple(plain) != names or type(plain["size"]) is not int:
            raise MakarError("this is no head of a ledger")
        words = [plain[name] for name in ("time", "key", "signature")]
        short = all(isinstance(word, str) and len(word) <= 1000 and word.isprintable() for word in words)
        if not short or digests([plain["root"], plain["prev"]]) is None or not isinstance(plain["frontier"], list):
            raise MakarError("this is no head of a ledger")
        tree = Frontier.read(plain["size"], plain["frontier"])
        head = cls(**{**plain, "frontier": tuple(tree.to_json())})
        head.tree()
        return head


def segments(folder: Path) -> list[tuple[int, Path]]:
    """The files of entries in order, each with the number of its first entry, which is its name."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MakarError(f"the ledger {folder} cannot be read ({error.strerror or error})") from None
    found = [(int(name[:-6]), folder / name) for name in names if re.fullmatch(r"[0-9]{6,18}\.jsonl", name)]
    return sorted((first, path) for first, path in found if is_file(path) and path.name == segment(first))


def segment(first: int) -> str:
    """The name of the file that begins with entry `first`."""
    return f"{first:06d}.jsonl"


def is_file(path: Path) -> bool:
    """Whether it is a plain file: no link and no pipe, which one could wait at for ever."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def lines(path: Path) -> Iterator[bytes]:
    """The lines that a file has now, with their ends. One without its end is torn, or longer than LARGEST."""
    try:
        with open(path, "rb") as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0 and (line := file.readline(LARGEST + 1)):
                left -= len(line)
                yield line
    except OSError as error:
        raise MakarError(f"{path} cannot be read ({error.strerror or error})") from None
