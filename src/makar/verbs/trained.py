"""A trained model with its past: the model, the codec that reads and writes its space, the data, the run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from makar.codecs.rows import Rows
from makar.core.artifact import Artifact
from makar.core.codec import Codec
from makar.core.digest import digest
from makar.core.model import Model
from makar.data import Manifest
from makar.verbs import _texts


@dataclass(frozen=True)
class Record:
    """How a run went. `recipe` and `plan` say how to repeat it; the rest is what it cost and showed."""

    recipe: dict[str, Any]
    steps: int
    plan: list[tuple[int, float]]
    cpu_seconds: float
    seconds: float
    flops: float
    joules: float | None = None  # of the whole processor meanwhile; None where it is not shown
    history: list[dict[str, float]] = field(default_factory=list, repr=False)
    events: list[dict[str, Any]] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    made: str = ""  # when the training ended, ISO 8601, UTC
    code: dict[str, str] = field(default_factory=dict)  # makar's version and the digest of its source
    environment: dict[str, str] = field(default_factory=dict)  # versions of libraries

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Trained:
    """What training returns and a bundle holds."""

    model: Model
    codec: Codec
    record: Record
    manifest: Manifest
    levels: int = 256
    class_counts: tuple[int, ...] = ()  # how often each class stood in the training data

    def __repr__(self) -> str:
        steps = f"{self.record.steps:,} step{'' if self.record.steps == 1 else 's'}"
        cost = f"{steps}, {self.record.cpu_seconds:.1f} CPU s"
        return f"<{self.family} on {self.manifest.name}: {cost}>"

    def things(self, x: Tensor, labels: Tensor | None = None) -> list[Any]:
        """Outputs x of the model, one thing a row; `labels` int64 (n,) are the classes that were asked for.

        Where the class is a column of the rows it is put back in its place, empty where none was asked for.
        """
        if self.codec.things == "text":
            return list(_texts.texts(self.codec, x))
        if not isinstance(self.codec, Rows):
            return self.codec.decode(x)
        codes = [-1] * len(x) if labels is None else labels.tolist()
        return self.codec.labelled(x, [self.manifest.classes[code] if code >= 0 else None for code in codes])

    @property
    def family(self) -> str:
        """Name of the family."""
        name: str = self.record.recipe["family"]
        return name

    @property
    def parameters(self) -> int:
        """Numbers learnt: parameters, or for a model that counts, the numbers in its tables."""
        learnt = sum(p.numel() for p in self.model.parameters())
        return learnt or sum(b.numel() for b in self.model.buffers())

    @cached_property
    def weights_digest(self) -> str:
        """Sha256 over names and values of all that was learnt."""
        return digest(dict(self.model.state_dict()), self.codec.state())

    @cached_property
    def artifact(self) -> Artifact:
        """The model as an artifact: its recipe with the pace that it ran at, its data as parent."""
        recipe = self.record.recipe | {"steps": self.record.steps, "plan": [list(entry) for entry in self.record.plan]}
        cost = {"cpu_seconds": self.record.cpu_seconds, "seconds": self.record.seconds, "flops": self.record.flops}
        return Artifact("model", self.weights_digest, recipe, (self.manifest.digest,), cost, self.record.machine)

    @property
    def id(self) -> str:
        """Digest of recipe, data and weights."""
        return self.artifact.id
