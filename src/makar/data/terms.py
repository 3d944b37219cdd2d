"""What the licences of data allow of a model and of what it makes, and why.

`Rights` is a product of small orders, each with the freer above: three permissions (no < unclear < yes) and the sets of
what is asked in return (fewer is freer). Below all stands "unknown", which allows nothing. Data under two licences are
bound by both: `meet`, the greatest lower bound. `A OR B` lets one choose: `join` takes the freer of the two whole, and
says which. That is no least upper bound, for nobody may take the freedoms of both. An exception (WITH) only adds
freedoms, so its licence is taken as it stands.

What each licence allows is in `rights.toml`; a workspace declares licences of its own in MAKAR_HOME/rights.toml. None
of this is legal advice.
"""

from __future__ import annotations

import fnmatch
import os
import tomllib
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from makar.core.errors import MakarError
from makar.data import licences

Permission = Literal["no", "unclear", "yes"]
What = Literal[
    "training", "model", "outputs", "attribution", "share-alike", "field", "no-derivatives", "unknown", "choice"
]
_ORDER: tuple[Permission, ...] = ("no", "unclear", "yes")
_SHIPPED = Path(__file__).resolve().parent / "rights.toml"


class Frozen(BaseModel):
    """Plain data that never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reason(Frozen):
    """Why something is not free: which licence of which dataset says so."""

    source: str  # name of the dataset
    licence: str
    what: What
    value: str  # "no", "unclear", "due", a limit in words
    why: str

    def words(self) -> str:
        """Such as `CC-BY-NC-4.0 in photos => commercial use of the model: no (it allows …)`."""
        names = {"model": "commercial use of the model", "outputs": "commercial use of outputs", "unknown": "any use"}
        return f"{self.place()} => {names.get(self.what, self.what)}: {self.value} ({self.why})"

    def place(self) -> str:
        """Such as `CC-BY-NC-4.0 in photos`."""
        return f"{self.licence} in {self.source}" if self.source else self.licence


@dataclass(frozen=True)
class Rights:
    """What may be done, and what is asked in return. The default is the top: everything, for nothing."""

    train: Permission = "yes"
    model: Permission = "yes"  # commercial use of the model
    outputs: Permission = "yes"  # commercial use of what it makes
    attribution: bool = False
    no_derivatives: bool = False
    non_commercial: bool = False
    share_alike: frozenset[str] = frozenset()  # licences under which what derives must come
    field_limits: frozenset[str] = frozenset()
    unknown: bool = False
    reasons: frozenset[Reason] = frozenset()  # one for every restriction above

    def under(self, other: Rights) -> bool:
        """Whether nothing is allowed here that is not allowed there: the order of the lattice. Reasons do not count."""
        if self.unknown or other.unknown:
            return self.unknown
        pairs = ((self.train, other.train), (self.model, other.model), (self.outputs, other.outputs))
        return (
            all(_ORDER.index(a) <= _ORDER.index(b) for a, b in pairs)
            and self.attribution >= other.attribution
            and self.no_derivatives >= other.no_derivatives
            and self.non_commercial >= other.non_commercial
            and self.share_alike >= other.share_alike
            and self.field_limits >= other.field_limits
        )


def bottom(*reasons: Reason) -> Rights:
    """The rights in data whose licence is unknown: none."""
    return Rights("no", "no", "no", True, True, True, unknown=True, reasons=frozenset(reasons))


def meet(a: Rights, b: Rights) -> Rights:
    """What is allowed where both bind, with the reasons of both."""
    reasons = a.reasons | b.reasons
    if a.unknown or b.unknown:
        return bottom(*reasons)
    return Rights(
        train=min(a.train, b.train, key=_ORDER.index),
        model=min(a.model, b.model, key=_ORDER.index),
        outputs=min(a.outputs, b.outputs, key=_ORDER.index),
        attribution=a.attribution or b.attribution,
        no_derivatives=a.no_derivatives or b.no_derivatives,
        non_commercial=a.non_commercial or b.non_commercial,
        share_alike=a.share_alike | b.share_alike,
        field_limits=a.field_limits | b.field_limits,
        reasons=reasons,
    )


def join(a: Rights, b: Rights) -> Rights:
    """The freer of two that one may choose from: commerce counts before training, permissions before what they ask."""
    return max(a, b, key=_freedom)


def _freedom(rights: Rights) -> tuple[Any, ...]:
    """A total order that extends `under`; the last terms only part equals, so that `join` does not see the order."""
    permissions = tuple(_ORDER.index(p) for p in (rights.model, rights.outputs, rights.train))
    asked = (len(rights.share_alike), len(rights.field_limits), rights.no_derivatives, rights.non_commercial)
    last = (sorted(rights.share_alike), sorted(rights.field_limits), sorted(r.words() for r in rights.reasons))
    return (not rights.unknown, *permissions, tuple(-n for n in asked), not rights.attribution, last)


class Entry(Frozen):
    """A licence, or a group of them, as a table has it."""

    ids: list[str]
    train: Permission
    model: Permission
    outputs: Permission
    attribution: bool = False
    share_alike: bool = False
    no_derivatives: bool = False
    non_commercial: bool = False
    field_limits: list[str] = []
    why: str
    source: str

    def rights(self, name: str, licence: str) -> Rights:
        """As rights in the dataset `name`, with a reason for each thing that is not free."""
        restrictions: list[tuple[bool, What, str]] = [
            (self.train != "yes", "training", self.train),
            (self.model != "yes", "model", self.model),
            (self.outputs != "yes", "outputs", self.outputs),
            (self.attribution, "attribution", "due"),
            (self.share_alike, "share-alike", "due"),
            (self.no_derivatives, "no-derivatives", "unclear"),
            *((True, "field", limit) for limit in self.field_limits),
        ]
        return Rights(
            self.train,
            self.model,
            self.outputs,
            self.attribution,
            self.no_derivatives,
            self.non_commercial,
            frozenset([licence] if self.share_alike else []),
            frozenset(self.field_limits),
            reasons=frozenset(
                Reason(source=name, licence=licence, what=what, value=value, why=self.why)
                for there, what, value in restrictions
                if there
            ),
        )


class Unclear(Frozen):
    """What is done where the table says "unclear"."""

    train: Literal["allowed", "refused"] = "allowed"
    commercial: Literal["allowed", "refused"] = "refused"


class Table(Frozen):
    """Licences and what they allow."""

    unclear: Unclear = Unclear()
    licence: list[Entry]

    def entry(self, licence: str) -> Entry | None:
        """The entry of an identifier: that of the longest pattern which fits it."""
        fitting = [
            (len(pattern), entry)
            for entry in self.licence
            for pattern in entry.ids
            if fnmatch.fnmatchcase(licence, pattern)
        ]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


@cache
def _shipped() -> Table:
    return _read(_SHIPPED)


def _read(path: Path) -> Table:
    try:
        return Table.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # a ValidationError is a ValueError
        said = error.errors()[0]["msg"].lower() if isinstance(error, ValidationError) else str(error)
        raise MakarError(f"the table of licences {path} cannot be read: {said}") from None


def table() -> Table:
    """The table that comes with makar, and after it what this workspace declares.

    Raises MakarError where the workspace's file changes what the table says: it may add, not overrule.
    """
    shipped = _shipped()
    path = Path(os.environ.get("MAKAR_HOME") or ".makar") / "rights.toml"
    if not path.is_file():
        return shipped
    own = _read(path)
    for entry in own.licence:
        for name in entry.ids:
            if set(name) & set("*?[") or shipped.entry(name) is not None:
                raise MakarError(
                    f"{path} declares '{name}', but it may only add identifiers that makar has no entry for, one by one"
                )
    return Table(
        unclear=own.unclear if "unclear" in own.model_fields_set else shipped.unclear,
        licence=[*shipped.licence, *own.licence],
    )


def allowed(expression: str, name: str = "") -> Rights:
    """What an SPDX expression, or `unknown`, allows with the data of the dataset `name`."""
    return allowed_by(table(), expression, name)


def allowed_by(known: Table, expression: str, name: str) -> Rights:
    if expression == licences.UNKNOWN:
        return bottom(_unknown(name, expression, "nobody has stated the licence"))
    return _of_tree(licences.parsed(expression), name, known)


def _of_tree(tree: Any, name: str, known: Table) -> Rights:
    if not tree.args:
        licence = str(getattr(tree, "license_symbol", tree).key)  # of "licence WITH exception" the licence
        entry = known.entry(licence.removesuffix("+"))
        if entry is None:
            listed = "SPDX lists it, but" if licence in licences.identifiers() else "it has no identifier of SPDX, and"
            return bottom(_unknown(name, licence, f"{listed} makar's table does not say what it allows"))
        return entry.rights(name, str(tree.render()))
    parts = [_of_tree(part, name, known) for part in tree.args]
    if tree.operator.strip() == "AND":
        return reduce(meet, parts)
    chosen = reduce(join, parts)
    taken = str(tree.args[parts.index(chosen)].render())
    reason = Reason(source=name, licence=str(tree.render()), what="choice", value=taken, why="it is the freest of them")
    return meet(chosen, Rights(reasons=frozenset([reason])))


def _unknown(name: str, licence: str, why: str) -> Reason:
    return Reason(source=name, licence=licence, what="unknown", value="unknown", why=why)
