"""Approvals: a person whom the policy names has looked at something and signed what they decided.

The policy lists fingerprints of keys. An approval holds the sha256 of what was looked at, the decision, who, when and
a note, and is kept in `MAKAR_HOME/approvals`. The latest decision of an approver on a digest counts, so that a
rejection takes an earlier approval back. An approval by anybody else counts for nothing, however well it is signed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makar.core import files
from makar.core.digest import short
from makar.core.errors import MakarError
from makar.provenance import signed
from makar.provenance.home import Home
from makar.provenance.policy import Policy

PURPOSE = "approval"
Decision = Literal["approve", "reject"]


class Approval(BaseModel):
    """One decision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    what: str = Field(pattern=re.compile(r"\A[0-9a-f]{64}\Z"))  # sha256 of a file's bytes
    decision: Decision
    by: str = Field(min_length=1)  # the approver's name, for people; what counts is the key
    time: str  # ISO 8601
    note: str = ""
    signature: str

    @classmethod
    def read(cls, plain: Any, place: str) -> Self:
        """An approval from JSON data. Raises MakarError where it is none."""
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise MakarError(f"{place} is no approval: {where}: {first['msg'].lower()}") from None


def folder(home: Home) -> Path:
    """Where approvals are kept."""
    return home.root / "approvals"


def decide(what: str, decision: Decision, by: str, now: datetime, sign: signed.Sign, note: str = "") -> dict[str, Any]:
    """A signed decision on the file whose bytes have the sha256 `what`."""
    body = {"version": 1, "what": what, "decision": decision, "by": by, "time": signed.stamp(now), "note": note}
    Approval.read(body | {"signature": ""}, "what was asked for")
    return signed.sign(body, PURPOSE, sign)


def save(home: Home, plain: Mapping[str, Any]) -> Path:
    """Keep a decision."""
    approval = Approval.read(plain, "the decision")
    name = hashlib.sha256(signed.canonical(plain)).hexdigest()[:16]
    path = folder(home) / f"{short(approval.what)}-{name}.json"
    files.write_json(path, dict(plain))
    return path


def kept(home: Home) -> list[dict[str, Any]]:
    """The decisions of a workspace. Raises MakarError where a file holds no JSON object."""
    place = folder(home)
    return [signed.read(path) for path in sorted(place.glob("*.json"))] if place.is_dir() else []


def approved(
    policy: Policy, digests: Iterable[str], held: Iterable[Mapping[str, Any]], check: signed.Check
) -> set[str]:
    """Those of `digests` that an approver named by the policy has approved and nobody of them has taken back."""
    latest: dict[tuple[str, str], tuple[datetime, Decision]] = {}
    for plain in held:
        read = _counted(plain, policy.approvers, check)
        if read is not None:
            who, approval, time = read
            known = latest.get((approval.what, who))
            if known is None or (time, approval.decision == "reject") > (known[0], known[1] == "reject"):
                latest[approval.what, who] = (time, approval.decision)
    yes = {what for (what, _), (_, decision) in latest.items() if decision == "approve"}
    no = {what for (what, _), (_, decision) in latest.items() if decision == "reject"}
    return set(digests) & (yes - no)


def _counted(
    plain: Mapping[str, Any], approvers: Collection[str], check: signed.Check
) -> tuple[str, Approval, datetime] | None:
    """Who decided what and when; None unless one of the approvers signed it."""
    try:
        approval = Approval.read(plain, "a decision")
        time = signed.moment(approval.time, "the decision's time")
    except MakarError:
        return None
    who = signed.signer(plain, PURPOSE, check)
    return (who, approval, time) if who in approvers and who is not None else None


def lacking(
    policy: Policy, digests: Mapping[str, str], held: Iterable[Mapping[str, Any]], check: signed.Check
) -> list[str]:
    """A sentence for every file (name to sha256) that a policy with approvers does not let go."""
    if not policy.approvers:
        return []
    good = approved(policy, digests.values(), held, check)
    who = ", ".join(short(fingerprint) for fingerprint in policy.approvers)
    return [
        f"{name} has no approval by the approvers whom the policy '{policy.name}' names ({who})"
        for name, digest in digests.items()
        if digest not in good
    ]


def require_approved(
    policy: Policy, digests: Mapping[str, str], held: Iterable[Mapping[str, Any]], check: signed.Check
) -> None:
    """Raise MakarError unless every file is approved, or the policy names no approver."""
    missing = lacking(policy, digests, held, check)
    if missing:
        raise MakarError("; ".join(missing) + "; ask one of them to sign an approval")
