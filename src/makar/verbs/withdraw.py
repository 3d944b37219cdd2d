"""Withdraw: a creator opts out. What did their work touch, and what is to be done?

A source, a creator or one item is named; the workspace's ledger and manifests say which datasets held it, which models
learnt from those, and which outputs those made. It is written down, and whatever is loaded from then on leaves it out.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.clock import now
from makar.core.errors import MakarError
from makar.data import Manifest, creators
from makar.data.manifest import read_manifest
from makar.data.pictures import is_picture
from makar.data.splits import digests
from makar.verbs.chain import Chain
from makar.verbs.detect import picture

KINDS = ("source", "creator", "item")


@dataclass(frozen=True)
class Touched:
    """What a withdrawal touches."""

    what: dict[str, str]
    datasets: list[dict[str, Any]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)

    def words(self) -> str:
        """What was found and what is to be done, for people."""
        kind, name = next(iter(self.what.items()))
        lines = [f"{kind} {name} is withdrawn; data loaded from now on leaves it out"]
        for d in self.datasets:
            lines.append(f"dataset {d['digest'][:12]}  {d['name']}: {d['items']} of its items")
        for m in self.models:
            lines.append(f"model   {m['id'][:12]}  {m['family']} at {m['place']}: train it again without them")
        for o in self.outputs:
            lines.append(f"output  {o['id'][:12]}  {o['file']}, made by {o['model'][:12]}")
        if not self.datasets:
            lines.append("no dataset of this workspace held it")
        return "\n".join(lines)


def parse(spec: str) -> dict[str, str]:
    """`source:NAME`, `creator:NAME`, `item:SHA256`, or `file:PATH` for the item with that file's content."""
    kind, colon, name = spec.partition(":")
    if kind == "file" and name:
        path = Path(name)
        if not path.is_file():
            raise MakarError(f"there is no file '{name}' to withdraw")
        return {"item": item_of(path)}
    if not colon or kind not in KINDS or not name.strip():
        raise MakarError(
            f"'{spec}' names nothing to withdraw; write source:NAME, creator:NAME, item:SHA256 or file:PATH"
        )
    return {kind: name.strip()}


def item_of(path: Path) -> str:
    """The sha256 by which manifests list what is in a file: of a picture's values as they are, or of a text.

    A picture that was resized on the way in is listed as it was then, and is named by item:SHA256.
    """
    if is_picture(path):
        return digests([picture(path)])[0]
    return digests([path.read_text(encoding="utf-8", errors="replace")])[0]


def withdraw(spec: str, chain: Chain, why: str = "") -> Touched:
    """Write the withdrawal down and say what it touches."""
    what = parse(spec)
    touched = search(what, chain)
    if not chain.on:
        raise MakarError("the chain is off, so a withdrawal would not be written down; turn it on in the policy")
    line = json.dumps(what | {"time": now(), "why": why}, ensure_ascii=False)
    files.append_line(chain.home.withdrawn, line)
    for dataset in touched.datasets:  # an index of training items goes with its data
        files.remove(chain.home.indices / dataset["digest"])
    found = {key: [item.get("digest") or item["id"] for item in items] for key, items in _parts(touched)}
    chain.record("withdrawal", what | {"why": why} | found)
    return touched


def _parts(touched: Touched) -> list[tuple[str, list[dict[str, Any]]]]:
    return [("datasets", touched.datasets), ("models", touched.models), ("outputs", touched.outputs)]


def search(what: dict[str, str], chain: Chain) -> Touched:
    """What the ledger and the manifests say of it; nothing is written."""
    datasets = []
    for path in sorted((chain.home.root / "data").glob("*.json")):
        manifest = read_manifest(path)
        count = items_of(what, manifest)
        if count:
            datasets.append(
                {"digest": manifest.digest, "name": manifest.name, "licence": manifest.licence, "items": count}
            )
    if not chain.home.ledger.is_dir():
        return Touched(what, datasets)
    held = {d["digest"] for d in datasets}
    made = [m for m in _named(chain, "model", ("id", "family", "data", "place")) if m["data"] in held]
    models = {m["id"]: m for m in made}
    outputs = [o for o in _named(chain, "output", ("id", "file", "model")) if o["model"] in models]
    return Touched(what, datasets, list(models.values()), outputs)


def _named(chain: Chain, kind: str, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Of the ledger's entries of one kind what these keys hold, where it is text; others are of no form of ours."""
    found = [{key: entry.body.get(key) for key in keys} for entry in chain.ledger.entries(kind)]
    return [each for each in found if all(isinstance(value, str) for value in each.values())]


def items_of(what: dict[str, str], manifest: Manifest) -> int:
    """How many items of a dataset are meant."""
    kind, name = next(iter(what.items()))
    every = {item for side in manifest.items.values() for item in side}
    if kind == "item":
        return int(name.casefold() in every)
    if kind == "creator":
        made = [by for item, by in manifest.creators.items() if item in every]
        return sum(name.casefold() in creators.makers(by) for by in made)
    named = [manifest.name, manifest.source, *(m.name for m in manifest.members), *(m.source for m in manifest.members)]
    if name.casefold() not in {n.casefold() for n in named}:
        return 0
    inside = [m for m in manifest.members if name.casefold() in (m.name.casefold(), m.source.casefold())]
    return sum(sum(m.counts.values()) for m in inside) if inside else len(every)
