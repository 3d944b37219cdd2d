"""Receipts: for each output file, what it is, what made it, and under which terms it may be used.

A receipt travels inside the file's credential (or beside the file, where nothing is signed). Its digest is entered in
the ledger. It holds no prompt unless the policy says so: only the prompt's digest.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from makar.core.digest import digest
from makar.core.errors import MakarError

LABEL = "org.makar.receipt"
"""The name of the assertion that holds a receipt within a credential."""


_RUNS = 32  # stretches of indices that are written out


def together(ids: Sequence[str]) -> str:
    """One id for several artifacts, a digest over theirs in order: so a table of any length has a short receipt."""
    return digest(list(ids))


def indices(numbers: Sequence[int]) -> str | dict[str, Any]:
    """Indices of a seed's outputs as stretches, "0-11,13-15999"; of very many stretches the count and a digest."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    if len(runs) > _RUNS:
        return {"count": len(numbers), "sha256": digest(list(numbers))}
    return ",".join(f"{a}-{b}" if a < b else f"{a}" for a, b in runs)


def classes(labels: Sequence[int | None]) -> int | dict[str, Any] | None:
    """The class of several outputs where they have one in common, else how many there are of each, and a digest.

    Where no class was asked for they were drawn with the same seed, and are drawn again with it.
    """
    if len(set(labels)) == 1:
        return labels[0]
    counts = Counter(map(str, labels))
    return {"counts": dict(sorted(counts.items())), "sha256": digest(list(labels))}


class Mark(BaseModel):
    """The watermark: its name where there is one, and why not where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None
    why: str = ""
    key: str = ""  # fingerprint of the key, which tells nothing of the key
    room: bool = True  # whether the thing has room for a mark at all


class Nearness(BaseModel):
    """How near the output is to the nearest training item, on a stated scale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: str  # sha256 of the training item, as in the manifest
    distance: float
    threshold: float  # below which the output counts as a copy
    measure: str  # name of the distance
    attribution: str = ""  # whom to credit, where the output is nearer than the threshold


class Receipt(BaseModel):
    """What one output file is and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    kind: str  # modality
    media_type: str
    content: str  # sha256 of the file's bytes before a credential was put in
    outputs: list[str]  # the id of the artifact in it, or of several one `together`; once the ids of all of them
    recipe: dict[str, Any]  # sampler, settings, seed, index, label: how to make it again; of several see `indices`
    model: str  # the model's id
    family: str
    bundle: str  # sha256 of the bundle's digests.json; "" where the model was never saved
    data: str  # digest of the data's manifest
    rights: dict[str, Any]  # verdict on licences, carried from the model
    policy: str  # digest of the policy in force
    prompt: str = ""  # sha256 of the prompt; "" where there was none
    watermark: Mark
    nearest: Nearness | None = None
    labels: list[str] = []  # visible and metadata labels put on
    made: str  # time, ISO 8601, UTC
    makar: str  # version

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        return self.model_dump(mode="json")

    def listed(self) -> dict[str, Any]:
        """What the entry of outputs.json says of the file besides: the id of its artifact or of all of them, ..."""
        made = self.outputs[0] if len(self.outputs) == 1 else together(self.outputs)
        return {"id": made, "kind": self.kind, "recipe": self.recipe, "parents": [self.model]}

    def canonical(self) -> str:
        """As JSON text with sorted keys and no spaces."""
        return json.dumps(self.plain(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def packed(self) -> dict[str, str]:
        """As a credential carries it: as one text, since a credential's own form of data (CBOR, read back as JSON)
        keeps neither the last bit of a number nor the difference between small integers and bytes."""
        return {"receipt": self.canonical()}

    def digest(self) -> str:
        """Sha256 over the canonical text."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    @classmethod
    def read(cls, plain: Any, place: str) -> Self:
        """A receipt from JSON data, packed or not. Raises MakarError where it is none."""
        try:
            packed = isinstance(plain, dict) and set(plain) == {"receipt"}
            receipt = cls.model_validate_json(plain["receipt"]) if packed else cls.model_validate(plain)
            receipt.digest()
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "it"
            raise MakarError(f"{place} holds no receipt of this version: {where}: {first['msg'].lower()}") from None
        except (ValueError, RecursionError):  # nested too deeply, or text that has no UTF-8
            raise MakarError(f"{place} holds a receipt that cannot be written as JSON text; make it again") from None
        return receipt
