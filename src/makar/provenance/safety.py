"""Safety results in one signed file that others can read, and that gives the same verdicts wherever it is read.

Every result carries its figure with its interval, the number of items behind it, the threshold and which side of it is
safe. The verdict is not stored: it is computed from these by whoever reads the file,

    holds      the whole interval lies on the safe side
    fails      the whole interval lies on the other side
    undecided  the threshold lies within the interval
    reported   there is no threshold

so that a file cannot say one thing and its figures another. `MAKAR_HOME/audits/*.json` are such files, unsigned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from makar.core import files
from makar.core.digest import short
from makar.core.errors import MakarError
from makar.provenance import signed
from makar.provenance.home import Home

PURPOSE = "safety results"
Verdict = Literal["holds", "fails", "undecided", "reported"]


class Result(BaseModel):
    """One figure of an audit."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    audit: str  # copying, extraction, membership, bias, leakage …
    name: str  # the figure's full name
    figure: float
    low: float  # of its interval
    high: float
    n: int = Field(ge=0)
    threshold: float | None = None
    safe: Literal["below", "above"] = "below"  # the side of the threshold that is safe, the threshold included
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.figure <= self.high:
            raise ValueError("the figure is not within its interval")
        return self

    @property
    def verdict(self) -> Verdict:
        """What the figures say."""
        if self.threshold is None:
            return "reported"
        low, high = (self.low, self.high) if self.safe == "below" else (-self.high, -self.low)
        limit = self.threshold if self.safe == "below" else -self.threshold
        return "holds" if high <= limit else "fails" if low > limit else "undecided"


class Results(BaseModel):
    """The results of a model's audits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    model: str  # its id
    weights: str = ""  # sha256 of model.safetensors
    time: str  # when the audits ended, ISO 8601
    makar: str = ""
    results: list[Result]

    @classmethod
    def read(cls, plain: Any, place: str) -> Self:
        """Results from JSON data. Raises MakarError where they are none."""
        try:
            found = cls.model_validate(plain)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise MakarError(f"{place} holds no safety results: {where}: {first['msg'].lower()}") from None
        signed.moment(found.time, f"{place}: the time")
        return found

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return self.model_dump(mode="json")

    def verdicts(self) -> dict[str, Verdict]:
        """What each figure says, by audit and name."""
        return {f"{r.audit}: {r.name}": r.verdict for r in self.results}

    def words(self) -> str:
        """The results as a Markdown table."""
        rows = [
            f"| {r.audit} | {r.name} | {r.figure:.4g} | {r.low:.4g} to {r.high:.4g} | {r.n} | "
            f"{'none' if r.threshold is None else f'{r.safe} {r.threshold:.4g}'} | {r.verdict} |"
            for r in self.results
        ]
        head = ["| audit | figure | value | interval | n | safe | verdict |", "| --- " * 7 + "|"]
        return "\n".join([f"Model {short(self.model)}, {self.time}", "", *head, *rows, "", "Not legal advice."])


def folder(home: Home) -> Path:
    """Where audits keep their results."""
    return home.root / "audits"


def keep(results: Results, home: Home) -> Path:
    """Keep a model's results, each time in a file of its own."""
    digest = signed.stamp(signed.moment(results.time, "the time")).replace(":", "")[:17]
    path = folder(home) / f"{short(results.model)}-{digest}.json"
    files.write_json(path, results.plain())
    return path


def kept(home: Home, model: str) -> list[tuple[Path, Results]]:
    """A model's results, the latest last. Raises MakarError for a file that holds none."""
    place = folder(home)
    paths = sorted(place.glob("*.json")) if place.is_dir() else []
    found = [(path, Results.read(_unsigned(signed.read(path)), str(path))) for path in paths]
    ours = [(path, results) for path, results in found if results.model == model]
    return sorted(ours, key=lambda pair: signed.moment(pair[1].time, "the time"))


def _unsigned(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key != "signature"}


def export(results: Sequence[Results], to: Path, by: signed.Sign) -> dict[str, Any]:
    """Write the results of one model as one signed file. Raises MakarError for those of several, or of none."""
    models = {r.model for r in results}
    if len(models) != 1:
        raise MakarError(f"a file of safety results is about one model, and these are about {len(models)}")
    if to.exists():
        raise MakarError(f"{to} is there already; choose another place")
    latest = max(results, key=lambda r: signed.moment(r.time, "the time"))
    figures = {(r.audit, r.name): r for given in _in_order(results) for r in given.results}
    whole = latest.model_copy(update={"results": list(figures.values())})
    plain = signed.sign(whole.plain(), PURPOSE, by)
    files.write_json(to, plain)
    return plain


def _in_order(results: Sequence[Results]) -> list[Results]:
    return sorted(results, key=lambda r: signed.moment(r.time, "the time"))


def read(path: Path, check: signed.Check) -> tuple[Results, str | None]:
    """The results in a file and the fingerprint of the known key that signed them; None where none did.

    Raises MakarError for a file that holds none.
    """
    plain = signed.read(path)
    return Results.read(_unsigned(plain), str(path)), signed.signer(plain, PURPOSE, check)


def latest_before(found: Sequence[tuple[Path, Results]], made: datetime) -> bool:
    """Whether the latest results are older than the model, which was made at `made`."""
    return not found or signed.moment(found[-1][1].time, "the time") < made
