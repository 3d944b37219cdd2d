"""The chain: what is written down, marked and signed at every verb, and the one switch that turns it off.

A workspace (MAKAR_HOME) has a policy, a ledger and, after `makar keys init`, keys. Without keys all is written down and
nothing is signed; with the chain off nothing is written down either, and bundles and receipts say that it was off.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from makar.core import config, registry
from makar.core.sampler import Sampler
from makar.core.score import Score
from makar.core.spaces import Levels, Reals
from makar.core.watermark import Watermark
from makar.data.manifest import write_manifest
from makar.provenance import keys as keyring
from makar.provenance import signing
from makar.provenance.entries import Checker, Signer
from makar.provenance.home import Home
from makar.provenance.keys import Anchors, Keys
from makar.provenance.ledger import Ledger
from makar.provenance.policy import Policy
from makar.provenance.receipts import Mark
from makar.verbs import bundle
from makar.verbs.trained import Trained

_HEADS = "ledger head"


@dataclass(frozen=True)
class HeadSigner(Signer):
    """Signs the ledger's heads with the workspace's model key."""

    keys: Keys

    @property
    def fingerprint(self) -> str:
        return self.keys.fingerprint

    def sign(self, data: bytes) -> str:
        return keyring.sign(self.keys, _HEADS, data)


@dataclass(frozen=True)
class HeadChecker(Checker):
    """Knows whose signatures under heads to believe."""

    anchors: Anchors

    def check(self, data: bytes, signature: str) -> str | None:
        return keyring.check(self.anchors, _HEADS, data, signature)


@dataclass(frozen=True)
class Chain:
    """A workspace's chain as a verb meets it."""

    home: Home
    policy: Policy
    on: bool

    @classmethod
    def here(cls, on: bool | None = None) -> Chain:
        """That of MAKAR_HOME. It is on unless the caller, MAKAR_CHAIN=off or the policy turns it off."""
        home = Home.here()
        policy = Policy.load(home.policy)
        if on is None:
            on = policy.chain and os.environ.get("MAKAR_CHAIN", "on").lower() != "off"
        return cls(home, policy, on)

    @cached_property
    def keys(self) -> Keys | None:
        """The workspace's keys; None where there are none or the chain is off."""
        return keyring.load(self.home) if self.on else None

    @cached_property
    def anchors(self) -> Anchors:
        """Whom this workspace believes."""
        return Anchors.of(self.home)

    @cached_property
    def ledger(self) -> Ledger:
        """What was done here."""
        return Ledger(self.home.ledger, HeadSigner(self.keys) if self.keys else None)

    def words(self) -> str:
        """How the chain stands, in one clause."""
        if not self.on:
            return "the chain is off: nothing is written down or signed"
        if self.keys is None:
            return "written down and unsigned: there are no keys (makar keys init)"
        return f"written down and signed by {self.keys.fingerprint}"

    def record(self, kind: str, body: Mapping[str, Any]) -> None:
        """Enter one thing that was done."""
        self.record_all([(kind, body)])

    def record_all(self, entries: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Enter several things that were done, with one flush."""
        listed = list(entries)
        if self.on and listed:
            self.ledger.append_all(listed)

    def sign_what_was_unsigned(self) -> None:
        """Sign the ledger's head, once there are keys: what was entered before them is then covered too."""
        if self.keys is not None and self.home.ledger.is_dir():
            self.ledger.seal()

    def facts(self, trained: Trained) -> dict[str, Any]:
        """What a bundle's chain.json says."""
        rules = {"policy": self.policy.digest(), "policy_name": f"{self.policy.name}, version {self.policy.version}"}
        if not self.on:
            return {"on": False, "why": "the chain was turned off", "signer": None} | rules
        signer = self.keys.fingerprint if self.keys else None
        key = None if self.keys is None else keyring.fingerprint(keyring.watermark_key(self.keys, trained.id))
        return {"on": True, "signer": signer} | rules | {"watermark": {"setting": self.policy.watermark, "key": key}}

    def save(
        self,
        trained: Trained,
        path: Path | str,
        told: Mapping[str, Any] | None = None,
        scores: Sequence[Score] = (),
    ) -> Path:
        """Write a bundle with its documents, sign it where there is a key, and enter data and model in the ledger.

        `told` is what the user said when the data was opened (spec, options), which an audit needs to open it again;
        it stays in the workspace's own ledger.
        """
        key = self.keys
        sign = None if key is None else lambda contents: signing.sign(contents, key.model_key, bundle.SIGNATURE)
        path = bundle.save(trained, path, self.facts(trained), sign, scores)
        if self.on:
            self._remember(trained, path, told or {})
        return path

    def _remember(self, trained: Trained, path: Path, told: Mapping[str, Any]) -> None:
        manifest = trained.manifest
        place = self.home.root / "data" / f"{manifest.digest}.json"
        if not place.exists():
            write_manifest(manifest, place)
        data = {
            "digest": manifest.digest,
            "name": manifest.name,
            "licence": manifest.licence,
            "source": manifest.source,
        }
        digests = bundle.sha256((path / "digests.json").read_bytes())
        model = {
            "id": trained.id, "family": trained.family, "data": manifest.digest, "bundle": digests,
            "place": os.path.relpath(path, self.home.root.parent), "told": dict(told), "made": trained.record.made,
            "flops": trained.record.flops, "cpu_seconds": trained.record.cpu_seconds,
        }  # fmt: skip
        self.record_all([("data", data), ("model", model)])

    def watermark(self, trained: Trained, sampler: Sampler | None) -> tuple[Watermark | None, Mark]:
        """The watermark for what this model makes, and what a receipt says of it, with the reason where there is none.

        "auto" takes the first by rank that nothing stands in the way of.
        """
        if not self.on or self.policy.watermark == "off":
            return None, Mark(name=None, why="turned off" if self.on else "the chain was turned off")
        named = candidates(self.policy.watermark, trained.manifest.modality)
        if self.keys is None and named:
            return None, Mark(name=None, why="there are no keys; make them with: makar keys init")
        if self.keys is None or not named:
            return None, Mark(name=None, why=f"no watermark is made for {trained.manifest.modality}", room=False)
        key = keyring.watermark_key(self.keys, trained.id)
        shape = shape_of(trained)
        obstacles = []
        for name in named:
            mark = make(name, key, trained)
            obstacle = mark.obstacle(sampler, shape)
            if obstacle is None:
                return mark, Mark(name=name, key=keyring.fingerprint(key))
            obstacles.append(obstacle)
        return None, Mark(name=None, why="; ".join(obstacles), room=False)


def candidates(setting: str, modality: str) -> list[str]:
    """Names of the watermarks to try, in order: the one named, or those chosen without being named, by rank."""
    if setting != "auto":
        registry.load("watermarks", setting)  # refuses an unknown name
        return [setting]
    kinds = {name: registry.load("watermarks", name) for name in registry.modules("watermarks")}
    fit = [name for name, kind in kinds.items() if kind.automatic and kind.modality == modality]
    return sorted(fit, key=lambda name: kinds[name].automatic)


def make(name: str, key: bytes, trained: Trained | None = None) -> Watermark:
    """A watermark by name with its default settings."""
    kind = registry.load("watermarks", name)
    model, codec = (None, None) if trained is None else (trained.model, trained.codec)
    made: Watermark = kind(config.build(kind.Config, {}, f"the watermark '{name}'"), key, model, codec)
    return made


def shape_of(trained: Trained) -> tuple[int, ...] | None:
    """(H, W, C) of the pictures that a model makes; None for other things."""
    if trained.manifest.modality != "pictures":
        return None
    space = trained.codec.space
    if not isinstance(space, Reals | Levels) or len(space.shape) != 3:
        return None
    channels, height, width = space.shape
    return height, width, channels


def signs() -> bool:
    """Whether the library that puts credentials into files is installed."""
    return find_spec("c2pa") is not None
