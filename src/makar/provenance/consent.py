"""Consent: a person's signed permission to use their likeness, voice or style, for stated things and a stated time.

Data say whom they show by tags: `likeness:NAME`, `voice:NAME` or `style:NAME` in the manifest. Whoever trains on such
data, or samples from a model of them, needs for every tag a token that

- was signed by a key that this workspace believes, and not altered since;
- names that person and that kind;
- covers the use (training, sampling, private, research, commercial) and the data set or model;
- was issued, has not run out and was not revoked.

Nothing else than a token is consent. Time is an argument, so that a check can be repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makar.core import files
from makar.core.digest import short
from makar.core.errors import MakarError
from makar.provenance import signed

PURPOSE = "consent"
Kind = Literal["likeness", "voice", "style"]
KINDS: tuple[Kind, ...] = ("likeness", "voice", "style")
Act = Literal["train", "sample", "private", "research", "commercial"]


class Scope(BaseModel):
    """What is permitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uses: list[Act] = Field(min_length=1)
    of: list[str] = Field(min_length=1)  # names or digests of data sets, ids of models; "*" for any
    until: str  # ISO 8601


class Token(BaseModel):
    """One permission."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    subject: str = Field(min_length=1)  # whose likeness, voice or style
    kind: Kind
    scope: Scope
    grantor: str = Field(min_length=1)  # who permits it: the person, or who may act for them
    issued: str  # ISO 8601
    signature: str

    @property
    def id(self) -> str:
        """The start of the sha256 of what was signed; a revocation names it."""
        return hashlib.sha256(signed.canonical(self.model_dump(mode="json"))).hexdigest()[:16]

    @classmethod
    def read(cls, plain: Any, place: str) -> Self:
        """A token from JSON data. Raises MakarError where it is none."""
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise MakarError(f"{place} is no consent token: {where}: {first['msg'].lower()}") from None


@dataclass(frozen=True)
class Need:
    """Consent that something needs."""

    kind: Kind
    subject: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject}"


def grant(
    subject: str, kind: Kind, scope: Mapping[str, Any], grantor: str, now: datetime, by: signed.Sign
) -> dict[str, Any]:
    """A signed token. Raises MakarError for a scope that says nothing, or that has run out already."""
    body = {
        "version": 1,
        "subject": subject,
        "kind": kind,
        "scope": dict(scope),
        "grantor": grantor,
        "issued": signed.stamp(now),
    }
    token = Token.read(body | {"signature": ""}, "what was asked for")
    if signed.moment(token.scope.until, "the end of consent") <= now:
        raise MakarError(f"consent until {token.scope.until} has run out already")
    return signed.sign(body, PURPOSE, by)


def save(folder: Path, plain: Mapping[str, Any]) -> Path:
    """Keep a token in the workspace's folder of consents."""
    path = folder / f"{Token.read(plain, 'the token').id}.json"
    files.write_json(path, dict(plain))
    return path


def tokens(folder: Path) -> list[dict[str, Any]]:
    """The tokens of a folder, by name. Raises MakarError where a file holds no JSON object."""
    return [signed.read(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def needed(manifest: Mapping[str, Any]) -> list[Need]:
    """What a manifest's tags (lists by item) say needs consent. Raises MakarError for a tag that names nobody."""
    needs: dict[tuple[Kind, str], Need] = {}
    for tag in tags_of(manifest):
        word, _, subject = tag.partition(":")
        for kind in KINDS:
            if word.strip().lower() == kind:
                if not subject.strip():
                    raise MakarError(f"the tag '{tag}' names nobody; write it as '{kind}:NAME'")
                needs.setdefault((kind, _plain(subject)), Need(kind, subject.strip()))
    return list(needs.values())


def tags_of(manifest: Mapping[str, Any]) -> list[str]:
    """All tags of a manifest, each once. Raises MakarError where they are no lists of words by item."""
    tags = manifest.get("tags") or {}
    lists = list(tags.values()) if isinstance(tags, Mapping) else [tags]
    if not all(isinstance(given, list) and all(isinstance(tag, str) for tag in given) for given in lists):
        raise MakarError("the manifest's tags are lists of words such as 'voice:Jane Doe', by item")
    return sorted({tag for given in lists for tag in given})


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def lacking(
    manifest: Mapping[str, Any],
    use: Act,
    of: Collection[str],
    held: Iterable[Mapping[str, Any]],
    check: signed.Check,
    revoked: Collection[str],
    now: datetime,
) -> list[str]:
    """For every need that no token meets, a sentence that says why none does; empty where all is permitted.

    `of` are the names and digests by which the data set or model goes; `revoked` are ids of tokens.
    """
    held = list(held)
    missing = []
    for need in needed(manifest):
        reasons = [_refusal(plain, use, of, check, revoked, now) for plain in held if _speaks_of(plain, need)]
        if not any(reason is None for reason in reasons):
            why = "; ".join(sorted({r for r in reasons if r})) or "no token names them"
            missing.append(f"the {need} is used without consent to {use}: {why}")
    return missing


def require(
    manifest: Mapping[str, Any],
    use: Act,
    of: Collection[str],
    held: Iterable[Mapping[str, Any]],
    check: signed.Check,
    revoked: Collection[str],
    now: datetime,
) -> None:
    """Raise MakarError, naming what is missing, unless every likeness, voice and style is used with consent."""
    missing = lacking(manifest, use, of, held, check, revoked, now)
    if missing:
        raise MakarError("; ".join(missing) + "; ask for a signed token and put it into MAKAR_HOME/consent")


def _speaks_of(plain: Mapping[str, Any], need: Need) -> bool:
    subject = plain.get("subject")
    return plain.get("kind") == need.kind and isinstance(subject, str) and _plain(subject) == _plain(need.subject)


def _refusal(
    plain: Mapping[str, Any],
    use: Act,
    of: Collection[str],
    check: signed.Check,
    revoked: Collection[str],
    now: datetime,
) -> str | None:
    """Why a token does not permit it; None where it does."""
    try:
        token = Token.read(plain, "a token")
        issued = signed.moment(token.issued, "the token's time")
        until = signed.moment(token.scope.until, "the token's end")
    except MakarError as error:
        return str(error)
    name = f"token {short(token.id)}"
    if signed.signer(plain, PURPOSE, check) is None:
        return f"{name} was altered, or signed by nobody whom this workspace knows"
    if token.id in revoked:
        return f"{name} was revoked"
    if not issued <= now < until:
        return f"{name} holds from {token.issued} until {token.scope.until} only"
    if use not in token.scope.uses:
        return f"{name} permits only to {', '.join(token.scope.uses)}"
    if "*" not in token.scope.of and not set(token.scope.of) & set(of):
        return f"{name} is for {', '.join(token.scope.of)} only"
    return None


def revocations(lines: Iterable[Mapping[str, Any]]) -> set[str]:
    """Ids of tokens that the register of withdrawals revokes: its lines with an entry `token`."""
    return {line["token"] for line in lines if isinstance(line.get("token"), str)}
