"""The verdict on a model: what the licences of all its data allow together, and why.

It is the meet of what each licence allows (`data/terms.py`), it goes into the bundle as `rights.json` and from there
into the receipt of every output, and every refusal is a sentence that names the dataset and its licence.

A licence nobody knows allows nothing, unless the user accepts the dataset by name: then one may train on it, and
whether commerce is allowed stays unclear. None of this is legal advice.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from makar.core.errors import MakarError
from makar.data import licences
from makar.data.dataset import Manifest, Member
from makar.data.terms import Frozen, Permission, Reason, Rights, Unclear, What, allowed_by, meet, table

Use = Literal["private", "research", "commercial"]
Product = Literal["model", "outputs"]
_NOT_ADVICE = "this is no legal advice"


class Due(Frozen):
    """Someone who must be named."""

    source: str
    licence: str
    words: str  # the attribution that the data's manifest has


class Verdict(BaseModel):
    """What the licences of all the data together allow. It travels with the model and with what the model makes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    licences: dict[str, str]  # the expression of each dataset
    origins: dict[str, str] = {}  # what kind of source each is, where known
    expression: str  # of all together
    train: Permission
    model: Permission
    outputs: Permission
    attribution: list[Due] = []
    share_alike: str = ""  # the expression that the model inherits, or ""
    field_limits: list[str] = []
    non_commercial: bool = False
    no_derivatives: bool = False
    unknown: list[str] = []  # datasets whose licence is not known
    accepted: list[str] = []  # those of them that the user accepted by name
    unclear: Unclear = Unclear()
    reasons: list[Reason] = []

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, plain: Any, place: str = "rights.json") -> Self:
        """A verdict from JSON data. Raises MakarError where it is none."""
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise MakarError(f"{place} holds no verdict on licences: {where}: {first['msg'].lower()}") from None

    @property
    def zero_data(self) -> bool:
        """Whether nobody's work was learnt from: there is no data, or all of it was drawn by a program."""
        return all(self.origins.get(name) == "synthetic" for name in self.licences)

    def refusal(self, use: Use, of: Product) -> str | None:
        """Why the model or its outputs may not be used so, naming the source and its licence; None where they may."""
        return self.training_refusal() or (self._commercial_refusal(of) if use == "commercial" else None)

    def training_refusal(self) -> str | None:
        """Why nothing may be trained on the data; None where it may."""
        for name in self.unknown:
            if name not in self.accepted:
                said = self.licences[name]
                what = "is unknown" if said == licences.UNKNOWN else f"is {said}, which is unknown here"
                return (
                    f"the licence of '{name}' {what}, so nothing may be trained on it; state it with --licence "
                    f"(licence=): LicenseRef-own for data of your own; declare it in rights.toml, or accept the data "
                    f"by name with --accept {shlex.quote(name)} (accept=), which is recorded"
                )
        if self.train == "no" or (self.train == "unclear" and self.unclear.train == "refused"):
            return f"training is refused: {self._because('training')}"
        return None

    def _commercial_refusal(self, of: Product) -> str | None:
        answer = self.model if of == "model" else self.outputs
        if answer == "yes" or (answer == "unclear" and self.unclear.commercial == "allowed"):
            return None
        return f"commercial use of {'the model' if of == 'model' else 'its outputs'} is refused: {self._because(of)}"

    def _because(self, what: What) -> str:
        return "; ".join(r.words() for r in self.reasons if r.what in (what, "unknown"))

    def _commerce(self, of: Product) -> str:
        name = "the model" if of == "model" else "its outputs"
        if self._commercial_refusal(of) is None:
            return f"{name} may be used commercially"
        blame = ", ".join(dict.fromkeys(r.place() for r in self.reasons if r.what in (of, "unknown")))
        return f"{name} may not be used commercially ({blame})"

    def words(self) -> str:
        """The verdict as one sentence."""
        refused = self.training_refusal()
        if refused:
            return f"{refused}; {_NOT_ADVICE}"
        if self.unknown:
            parts = ["not every licence of the data is known"]
        else:
            parts = [f"the data are under {self.expression}" if self.licences else "there is no data learnt from"]
        if self.licences and self.zero_data:
            parts.append("all of them were drawn by a program")
        if self.accepted:
            parts.append(f"of unknown licence, accepted by name: {', '.join(self.accepted)}")
        if self.train == "unclear":
            parts.append("whether one may train on them is unclear")
        parts += [self._commerce("model"), self._commerce("outputs")]
        if self.attribution:
            parts.append(f"to be named: the makers of {', '.join(due.source for due in self.attribution)}")
        if self.share_alike:
            several = ", and whether one model can be under all of it is unclear" if " AND " in self.share_alike else ""
            parts.append(f"the model inherits {self.share_alike}{several}")
        parts += [f"a limit: {limit}" for limit in self.field_limits]
        return "; ".join([*parts, _NOT_ADVICE])


def verdict(
    given: Mapping[str, str],
    *,
    accepted: Iterable[str] = (),
    attributions: Mapping[str, str] | None = None,
    origins: Mapping[str, str] | None = None,
) -> Verdict:
    """What the licences of some datasets, by name, allow together.

    `accepted` are datasets whose unknown licence the user takes upon themselves: one may train on them, and whether
    commerce is allowed stays unclear. Raises MakarError for what is no licence expression.
    """
    known = table()
    each = {name: allowed_by(known, licence, name) for name, licence in given.items()}
    unknown = [name for name, rights in each.items() if rights.unknown]
    taken = [name for name in unknown if name in set(accepted)]
    whole = reduce(meet, (_taken_on(r) if name in taken else r for name, r in each.items()), Rights())
    named = [
        Due(source=name, licence=given[name], words=(attributions or {}).get(name, ""))
        for name, rights in each.items()
        if rights.attribution and not rights.unknown
    ]
    return Verdict(
        licences=dict(given),
        origins=dict(origins or {}),
        expression=licences.conjunction(given.values()) if given else "",
        train=whole.train,
        model=whole.model,
        outputs=whole.outputs,
        attribution=named,
        share_alike=licences.conjunction(sorted(whole.share_alike)) if whole.share_alike else "",
        field_limits=sorted(whole.field_limits),
        non_commercial=whole.non_commercial,
        no_derivatives=whole.no_derivatives,
        unknown=unknown,
        accepted=taken,
        unclear=known.unclear,
        reasons=sorted(whole.reasons, key=lambda r: (r.source, r.what, r.licence, r.value)),
    )


def _taken_on(rights: Rights) -> Rights:
    """Of an unknown licence whose data the user accepts: what its known parts forbid stays forbidden."""
    said = {(reason.what, reason.value) for reason in rights.reasons}
    return Rights(
        train="no" if ("training", "no") in said else "yes",
        model="no" if ("model", "no") in said else "unclear",
        outputs="no" if ("outputs", "no") in said else "unclear",
        reasons=rights.reasons,
    )


def of(manifest: Manifest) -> Verdict:
    """The verdict on a dataset, or on all the members of a mix."""
    parts: Sequence[Member | Manifest] = manifest.members or [manifest]
    return verdict(
        {part.name: part.licence for part in parts},
        accepted=manifest.accepted,
        attributions={part.name: part.attribution for part in parts},
        origins={part.name: part.origin for part in parts},
    )


def require_trainable(manifest: Manifest) -> Verdict:
    """The verdict on a dataset that one may train on. Raises MakarError, which says why, for one that one may not."""
    found = of(manifest)
    refused = found.training_refusal()
    if refused is not None:
        raise MakarError(refused)
    return found
