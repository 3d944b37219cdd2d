"""What a comparison writes: the conditions that all cells share, and one record for every cell.

A *cell* is one family trained with one seed. Cells may be put side by side only if they were made under the same
conditions, so the conditions are written first, have a digest, and every record carries it. *Anchors* are records
without a model: the floor is the training set scored against held-out data, the ceiling is what trivial generators get.

    protocol.json     the conditions                     results.jsonl     one record a line, in the order of finishing
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makar.core import files
from makar.core.digest import digest
from makar.core.errors import MakarError
from makar.data.dataset import Manifest
from makar.data.manifest import losses
from makar.verbs.budget import Budget
from makar.verbs.machine import installed
from makar.verbs.probe import Machine

PROTOCOL = "protocol.json"
RESULTS = "results.jsonl"
ANCHORS = "anchors"
"""What stands for a family's name in the task that makes the anchors."""


class Record(BaseModel):
    """Plain data that never changes; what a later version adds is ignored when read."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


class Data(Record):
    """Which data, by content."""

    spec: str
    options: dict[str, Any] = Field(default_factory=dict)
    name: str
    modality: str
    source: str
    licence: str
    attribution: str = ""
    counts: dict[str, int]
    classes: tuple[str, ...]
    split: str
    notes: tuple[str, ...] = ()  # on what was left out of the data or read as something else
    digest: str

    @staticmethod
    def of(spec: str, options: dict[str, Any], manifest: Manifest) -> Data:
        """What a comparison keeps of a manifest; the digest stands for the rest."""
        return Data(
            spec=spec,
            options=json.loads(json.dumps(options)),  # as they are read again: a tuple is a list
            name=manifest.name,
            modality=manifest.modality,
            source=manifest.source,
            licence=manifest.licence,
            attribution=manifest.attribution,
            counts=manifest.counts,
            classes=tuple(manifest.classes),
            split=manifest.split,
            notes=tuple(losses(manifest)),
            digest=manifest.digest,
        )


class Trial(Record):
    """What a family was seen to cost in the few moments that it was tried for; see `makar.verbs.pilot`."""

    family: str
    refused: str = ""  # one sentence, where it is left out of the race
    training: float  # CPU seconds of one training
    steps: int | None = None  # that the budget pays for; None where the family makes one pass, or no step was finished
    tile: float | None = None  # CPU seconds to draw one tile; None where it was not finished in the time given
    nats: float | None = None  # CPU seconds for the log-likelihood of one held-out row; None where there is none
    peak_mib: float | None = None


class Protocol(Record):
    """All that the cells of a comparison have in common, and which cells there are."""

    format: Literal["makar-comparison-1"] = "makar-comparison-1"
    data: Data
    families: tuple[str, ...]
    seeds: tuple[int, ...]
    budget: str  # of one training, in words that `Budget.parse` understands
    n: int  # items generated for the scores of one cell, fewer where `scoring` does not pay for them
    scoring: float = 60.0  # CPU seconds in which one cell is drawn from and scored
    timeout: float  # wall seconds after which a cell is ended
    price: float | None = None  # money per CPU hour, as the user stated it
    machine: Machine
    libraries: dict[str, str]
    trials: tuple[Trial, ...] = ()  # of the families, where they were tried beforehand
    overhead: float | None = None  # CPU seconds of a cell beside training, drawing and likelihood, as seen beforehand

    @property
    def left_out(self) -> dict[str, str]:
        """The families that do not race, each with its reason."""
        return {trial.family: trial.refused for trial in self.trials if trial.refused}

    @property
    def racing(self) -> tuple[str, ...]:
        """The families of which there are cells."""
        return tuple(family for family in self.families if family not in self.left_out)

    def trial(self, family: str) -> Trial | None:
        """What the family was seen to cost; None where it was not tried."""
        return next((trial for trial in self.trials if trial.family == family), None)

    def limits(self) -> Budget:
        """The budget of one training."""
        return Budget.parse(self.budget, self.price)

    def conditions(self) -> dict[str, Any]:
        """What must be the same for two cells to be compared, in words."""
        return {
            "data": f"{self.data.spec} ({self.data.digest[:12]})",
            "options": self.data.options,
            "budget": self.budget,
            "n": self.n,
            "scoring": f"{self.scoring:g} CPU s",
            "processor": self.machine.cpu,
            "libraries": self.libraries,
        }

    @property
    def digest(self) -> str:
        """Sha256 of the conditions: families and seeds may be added to a comparison, conditions may not change."""
        return digest(self.format, self.conditions(), self.data.digest)

    def differences(self, other: Protocol) -> str:
        """In which conditions two protocols differ, in words: "budget (20s and 5s)"."""
        mine, theirs = self.conditions(), other.conditions()
        return ", ".join(f"{key} ({mine[key]} and {theirs[key]})" for key in mine if mine[key] != theirs[key])

    def write(self, folder: Path) -> None:
        files.write_json(folder / PROTOCOL, self.model_dump(mode="json") | {"digest": self.digest})

    @staticmethod
    def read(path: Path) -> Protocol:
        """The protocol in a file. Raises MakarError where there is none."""
        try:
            return Protocol.model_validate_json(path.read_bytes())
        except OSError as error:
            raise MakarError(f"there is no comparison in {path.parent} ({path.name}: {error.strerror})") from None
        except ValidationError as error:
            raise MakarError(f"{path} is not a comparison's protocol ({error.errors()[0]['msg']})") from None


class Value(Record):
    """A score without its name: the value, its 95 % interval, and the items it rests on."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    higher_is_better: bool | None = None
    caveats: tuple[str, ...] = ()


class Speed(Record):
    """How fast a trained model makes things, on one thread."""

    first_output_s: float  # wall seconds from asking for one item of a cold model to having it
    requests: int  # single items asked for after that, one after another
    latency_p50: float  # wall seconds a single item, median
    latency_p90: float | None = None  # a bound that 90 % keep with 99 % confidence; None from too few requests
    per_cpu_second: float  # items a CPU second in the batch that is scored
    batch: int  # items in that batch, filled up to whole tiles


class Preview(Record):
    """A few things to look at, small enough to stand in a line of JSON."""

    png: str | None = None  # base64; a grid of pictures, row by row
    columns: int = 0  # pictures in a row of the grid
    captions: tuple[str, ...] = ()  # class of each column
    nearest_png: str | None = None  # base64; samples above, the training pictures nearest to them below
    texts: tuple[str, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()
    points: tuple[tuple[float, ...], ...] = ()


Status = Literal["ok", "failed", "crashed", "timeout"]


class Cell(Record):
    """One line of `results.jsonl`."""

    kind: Literal["cell", "anchor"] = "cell"
    family: str  # for an anchor "floor" or "ceiling"
    seed: int  # of an anchor: the items that were scored, where they are fewer than the protocol's n, else 0
    status: Status = "ok"
    reason: str = ""  # one sentence, where the status is not "ok"
    protocol: str = ""  # digest of the conditions
    scores: dict[str, Value] = Field(default_factory=dict)  # by full metric name
    drawn: int | None = None  # items generated for the scores
    seconds: float | None = None  # wall seconds of training
    cpu_seconds: float | None = None  # CPU seconds of training
    peak_mib: float | None = None  # most memory that the cell's process held
    process: dict[str, float] = Field(
        default_factory=dict
    )  # wall and CPU seconds of the whole cell: load, train, score, measure
    parameters: int | None = None
    size_bytes: int | None = None
    flops: float | None = None  # of one training item, forward and backward
    training_flops: float | None = None  # of the whole training; None for a family that counts and has no gradient
    joules: float | None = None  # of the whole processor during training; None where the system does not show it
    steps: int | None = None
    events: tuple[dict[str, Any], ...] = ()
    history: tuple[dict[str, float | None], ...] = ()
    speed: Speed | None = None
    preview: Preview | None = None


def read_results(folder: Path, protocol: Protocol) -> list[Cell]:
    """The records made under this protocol, the last one of each cell; a torn last line is passed over.

    Raises MakarError where a line before the last cannot be read.
    """
    path = folder / RESULTS
    if not path.exists():
        return []
    whole = path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is torn, or nothing
    found: dict[tuple[str, str, int], Cell] = {}
    for number, line in enumerate(whole, 1):
        if not line.strip():
            continue
        try:
            cell = Cell.model_validate_json(line)
        except ValidationError as error:
            raise MakarError(f"{path}, line {number} cannot be read ({error.errors()[0]['msg']})") from None
        if cell.protocol == protocol.digest:
            found[cell.kind, cell.family, cell.seed] = cell
    if ("anchor", "floor", 0) in found:  # an earlier attempt at the anchors that failed is of no more interest
        found.pop(("anchor", ANCHORS, 0), None)
    return list(found.values())


def libraries() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {name: installed(name) or "unknown" for name in ("makar", "torch", "numpy", "scikit-learn")}
