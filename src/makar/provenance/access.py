"""Access: who may do what, how often, and a record of every attempt.

`MAKAR_HOME/access.json` holds, for every member, a role, a limit and the sha256 of their key; the key itself is shown
once, when it is made, and kept nowhere (it is 256 random bits, so a plain digest does not give it away). What a role
may do is below. Every attempt, allowed or not, is a line of `access.jsonl`; the limit counts the attempts that were
allowed within the last minute. Whatever serves others asks here first; the command line of one's own machine does not.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import signed
from makar.provenance.home import Home

Role = Literal["reader", "maker", "trainer", "keeper"]
Act = Literal["verify", "trace", "sample", "train", "audit", "release", "withdraw", "unseal"]
ALLOWED: dict[Role, tuple[Act, ...]] = {
    "reader": ("verify", "trace"),
    "maker": ("verify", "trace", "sample"),
    "trainer": ("verify", "trace", "sample", "train", "audit"),
    "keeper": ("verify", "trace", "sample", "train", "audit", "release", "withdraw", "unseal"),
}
_PREFIX = "makar-"
_MINUTE = timedelta(minutes=1)
_TAIL = 1 << 20  # bytes at the end of the record that are looked through for the last minute


class Member(BaseModel):
    """Somebody who has a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    role: Role
    a_minute: int = Field(ge=1)  # acts
    key: str  # sha256 of the key


@dataclass(frozen=True)
class Access:
    """The members of a workspace."""

    home: Home
    members: tuple[Member, ...]

    @classmethod
    def of(cls, home: Home) -> Access:
        """As access.json has them; nobody where there is none. Raises MakarError where it is no list of members."""
        path = _path(home)
        if not path.is_file():
            return cls(home, ())
        plain = signed.read(path)
        try:
            return cls(home, tuple(Member.model_validate(member) for member in plain.get("members", [])))
        except (ValidationError, TypeError):
            raise MakarError(f"{path} is no list of members; restore it from a copy") from None

    def admit(self, name: str, role: Role, a_minute: int = 60) -> tuple[Access, str]:
        """Add a member; returns the new list and the key, which is shown this once."""
        if any(member.name == name for member in self.members):
            raise MakarError(f"there is a member '{name}' already; dismiss them first or take another name")
        key = _PREFIX + secrets.token_hex(32)
        try:
            member = Member(name=name, role=role, a_minute=a_minute, key=_digest(key))
        except ValidationError as error:
            raise MakarError(f"'{name}' cannot be a member: {error.errors()[0]['msg'].lower()}") from None
        return self._kept((*self.members, member)), key

    def dismiss(self, name: str) -> Access:
        """Take a member's key away."""
        if not any(member.name == name for member in self.members):
            raise MakarError(f"there is no member '{name}'")
        return self._kept(tuple(member for member in self.members if member.name != name))

    def require(self, key: str, act: Act, now: datetime) -> Member:
        """The member whose key it is. Raises MakarError where nobody's, not allowed, or too often; all is recorded."""
        digest = _digest(key)
        found = [member for member in self.members if hmac.compare_digest(member.key, digest)]
        if not found:
            self._record(None, act, now, "the key is nobody's")
            raise MakarError("the key is nobody's; ask the keeper of this workspace for one")
        member = found[0]
        if act not in ALLOWED[member.role]:
            self._record(member, act, now, "not of the role")
            raise MakarError(f"'{member.name}' is a {member.role} and may not {act}; a keeper can change the role")
        with files.locked(_log(self.home).with_suffix(".lock")):
            if self._within_the_minute(member, now) >= member.a_minute:
                self._record(member, act, now, "too often")
                raise MakarError(f"'{member.name}' may act {member.a_minute} times a minute; wait and try again")
            self._record(member, act, now, "")
        return member

    def _within_the_minute(self, member: Member, now: datetime) -> int:
        recent = (line for line in _recent(_log(self.home)) if line.get("who") == member.name and line.get("allowed"))
        return sum(abs(now - signed.moment(str(line.get("time")), "a time")) < _MINUTE for line in recent)

    def _record(self, member: Member | None, act: Act, now: datetime, refused: str) -> None:
        line: dict[str, Any] = {
            "time": signed.stamp(now),
            "who": None if member is None else member.name,
            "act": act,
            "allowed": not refused,
            "why": refused,
        }
        files.append_line(_log(self.home), json.dumps(line, ensure_ascii=False))

    def _kept(self, members: tuple[Member, ...]) -> Access:
        files.write_json(_path(self.home), {"members": [member.model_dump(mode="json") for member in members]})
        return Access(self.home, members)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _path(home: Home) -> Path:
    return home.root / "access.json"


def _log(home: Home) -> Path:
    return home.root / "access.jsonl"


def _recent(path: Path) -> list[dict[str, Any]]:
    """The whole lines at the end of the record."""
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        start = max(0, file.seek(0, 2) - _TAIL)
        file.seek(start)
        lines = file.read().splitlines()[1 if start else 0 :]
    try:
        return [json.loads(line) for line in lines]
    except ValueError:
        raise MakarError(f"{path} holds a line that is not JSON; restore it from a copy") from None
