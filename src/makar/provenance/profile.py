"""Profiles: what a jurisdiction or a house rule asks, as data, compared with the evidence that there is.

A profile is a TOML file in `profiles/` beside this module. It says of every duty, in words of ours, where it stands in
the rule's text, which evidence speaks to it, and how to get what is missing. A duty that lists no evidence is one for
which makar has no check: it is reported as "not covered", never left out. Evidence is gathered by `verbs/evidence.py`.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makar.core import files
from makar.core.errors import MakarError, did_you_mean
from makar.provenance.policy import Policy

FOLDER = Path(__file__).with_name("profiles")
NO_ADVICE = "Not legal advice."
_LARGEST = 1 << 20  # bytes of a profile that are read

Outcome = Literal["met", "missing", "not applicable", "not covered", "not looked at"]
"""met: the evidence is there. missing: it was looked for and is not. not applicable: the evidence shows that the duty
does not bind here, as below a threshold. not covered: makar has no check for the duty. not looked at: some of the
evidence belongs to another thing than the one looked at (a model's card, say, and this is an output)."""

Function = Literal["govern", "map", "measure", "manage"]
"""The four functions of the NIST AI Risk Management Framework 1.0 (AI 100-1, part 2)."""


class Requirement(BaseModel):
    """One duty."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    duty: str
    citation: str
    evidence: list[str] = []  # keys, as listed in verbs/evidence.py
    needs: Literal["all", "any"] = "all"
    unless: str = ""  # the evidence that shows that the duty does not apply
    blocks_release: bool = False
    obtain: str  # how to get what is missing, or why makar cannot
    functions: list[Function] = []


class Profile(BaseModel):
    """One set of duties."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    jurisdiction: str
    status: str
    sources: list[str] = Field(min_length=1)
    settings: dict[str, Any] = {}  # what it wants of a policy
    requirements: list[Requirement] = Field(min_length=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The profile in a file. Raises MakarError where it is none."""
        try:
            return cls.model_validate(tomllib.loads(files.read(path, _LARGEST).decode()))
        except (ValueError, RecursionError) as error:
            raise MakarError(f"the profile {path} cannot be read: {_first(error)}") from None


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        one = error.errors()[0]
        return f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}"
    return str(error)


def names() -> list[str]:
    """The profiles that come with makar."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Profile:
    """The profile of this name, or the one in a file where the name ends in `.toml`. Raises MakarError for neither."""
    if name.endswith(".toml"):
        return Profile.read(Path(name))
    if name not in names():
        raise MakarError(f"there is no profile '{name}'{did_you_mean(name, names())}")
    return Profile.read(FOLDER / f"{name}.toml")


def switched_on(profile: Profile, policy: Policy) -> Policy:
    """The policy with what the profile wants of it added: lists are joined, other settings replaced."""
    plain = policy.model_dump(mode="json")
    wanted = {
        key: sorted({*plain.get(key, []), *value}) if isinstance(value, list) else value
        for key, value in profile.settings.items()
    }
    wanted["profiles"] = sorted({*policy.profiles, profile.name})
    try:
        return Policy.model_validate(plain | wanted)
    except ValidationError as error:
        raise MakarError(f"the profile '{profile.name}' wants a setting that no policy has: {_first(error)}") from None


@dataclass(frozen=True)
class Place:
    """Where a piece of evidence lies."""

    name: str  # relative to what was looked at, or to MAKAR_HOME
    sha256: str


@dataclass(frozen=True)
class Evidence:
    """One thing that was looked for."""

    key: str
    held: bool
    why: str  # one clause: what is there, or what is not
    where: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Answer:
    """How one requirement stands."""

    requirement: Requirement
    outcome: Outcome
    evidence: tuple[Evidence, ...]

    @property
    def blocks(self) -> bool:
        """Whether nothing may be released while it stands so."""
        return self.requirement.blocks_release and self.outcome == "missing"

    @property
    def lacking(self) -> str:
        """What is missing and how to get it, in a sentence."""
        reasons = "; ".join(f"{e.key}: {e.why}" for e in self.evidence if not e.held)
        return f"{self.requirement.duty} ({self.requirement.citation}): {reasons}. {self.requirement.obtain}"


@dataclass(frozen=True)
class Report:
    """What a profile asks, what there is, and what there is not."""

    profile: Profile
    answers: tuple[Answer, ...]

    @property
    def blocking(self) -> tuple[Answer, ...]:
        """The answers that forbid a release."""
        return tuple(answer for answer in self.answers if answer.blocks)

    def counts(self) -> dict[str, int]:
        """How many requirements stand how."""
        seen = Counter(answer.outcome for answer in self.answers)
        return {outcome: seen[outcome] for outcome in get_args(Outcome)}

    def words(self) -> str:
        """For people, as plain text."""
        counts = ", ".join(f"{n} {outcome}" for outcome, n in self.counts().items() if n)
        lines = [f"{self.profile.title} ({self.profile.jurisdiction}): {counts}", self.profile.status, ""]
        for answer in self.answers:
            asked = answer.requirement
            stop = ", blocks a release" if answer.blocks else ""
            lines.append(f"{answer.outcome.upper()}{stop}: {asked.id}: {asked.duty} [{asked.citation}]")
            if answer.outcome == "not applicable":
                lines.append(f"    below the threshold: {answer.evidence[0].why}")
                continue
            lines += [f"    {'has' if e.held else 'lacks'} {e.key}: {e.why}" for e in answer.evidence]
            if answer.outcome in ("missing", "not covered"):
                lines.append(f"    {asked.obtain}")
        return "\n".join([*lines, "", *(f"Source: {source}" for source in self.profile.sources), NO_ADVICE])

    def coverage(self) -> str:
        """Which function of the NIST framework each requirement's checks serve, as a Markdown table."""
        columns: tuple[Function, ...] = ("govern", "map", "measure", "manage")
        rows = ["| requirement | " + " | ".join(columns) + " | checks | outcome |", "| --- " * 7 + "|"]
        for answer in self.answers:
            marks = " | ".join("x" if f in answer.requirement.functions else "" for f in columns)
            checks = ", ".join(answer.requirement.evidence) or "none"
            rows.append(f"| {answer.requirement.duty} | {marks} | {checks} | {answer.outcome} |")
        return "\n".join([*rows, "", NO_ADVICE])

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "profile": self.profile.name,
            "jurisdiction": self.profile.jurisdiction,
            "status": self.profile.status,
            "sources": self.profile.sources,
            "note": NO_ADVICE,
            "counts": self.counts(),
            "requirements": [_answer_json(answer) for answer in self.answers],
        }


def _answer_json(answer: Answer) -> dict[str, Any]:
    asked = answer.requirement
    return {
        "id": asked.id,
        "duty": asked.duty,
        "citation": asked.citation,
        "functions": asked.functions,
        "outcome": answer.outcome,
        "blocks_release": answer.blocks,
        "obtain": asked.obtain,
        "evidence": [
            {"key": e.key, "held": e.held, "why": e.why, "where": [vars(place) for place in e.where]}
            for e in answer.evidence
        ],
    }


def check(profile: Profile, evidence: Mapping[str, Evidence]) -> Report:
    """Compare what is asked with what there is. A key that `evidence` lacks was not looked at."""
    return Report(profile, tuple(_answer(asked, evidence) for asked in profile.requirements))


def _answer(asked: Requirement, evidence: Mapping[str, Evidence]) -> Answer:
    if asked.unless in evidence and evidence[asked.unless].held:
        return Answer(asked, "not applicable", (evidence[asked.unless],))
    seen = tuple(evidence[key] for key in asked.evidence if key in evidence)
    outcome = _outcome(asked, seen)
    if asked.unless and asked.unless not in evidence and outcome == "missing":
        outcome = "not looked at"  # it may not apply
    return Answer(asked, outcome, seen)


def _outcome(asked: Requirement, seen: Sequence[Evidence]) -> Outcome:
    """What was not looked at can neither meet a requirement nor leave it unmet."""
    if not asked.evidence:
        return "not covered"
    held, whole = [e.held for e in seen], len(seen) == len(asked.evidence)
    if asked.needs == "any":
        return "met" if any(held) else "missing" if whole else "not looked at"
    return "missing" if not all(held) else "met" if whole else "not looked at"
