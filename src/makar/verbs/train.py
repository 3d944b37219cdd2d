"""Train: from data to a model with a past.

The loop is four lines and serves every family; it is offered three ways: `fit`, `for step in training(run)`, and the
command line. A run is a pure function of its data, settings, seed and pace, so one that was killed and resumed from a
checkpoint is the unbroken run, to the last bit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from makar.core import config, files, registry, state
from makar.core.clock import now
from makar.core.codec import Codec
from makar.core.digest import digest
from makar.core.errors import MakarError, NonFinite, did_you_mean
from makar.core.learner import Batch
from makar.core.model import Model
from makar.core.noise import Noise, seed_from
from makar.core.spaces import Classes, Space
from makar.data import Dataset, rights
from makar.verbs import _texts
from makar.verbs.budget import Budget, Clock, Pace
from makar.verbs.collapse import spread
from makar.verbs.energy import Meter
from makar.verbs.machine import allowed, code, describe, environment
from makar.verbs.monitor import Monitor
from makar.verbs.sample import make_sampler
from makar.verbs.trained import Record, Trained

_HISTORY = 400  # points kept of a training curve


@dataclass(frozen=True)
class Step:
    """What one step reports: its number (from 1), the share of the budget used, and the learner's numbers."""

    step: int
    progress: float
    numbers: dict[str, float]


@dataclass
class Run:
    """A training under way."""

    model: Model
    x: Tensor
    labels: Tensor | None
    budget: Budget
    seed: int
    recipe: dict[str, Any] = field(default_factory=dict)
    plan: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if len(self.x) == 0:
            raise MakarError("there is nothing to train on: the training split is empty")
        self.learner = self.model.learner()
        self.clock = Clock()  # after the learner: making torch's first optimiser imports for a second
        self.pace = Pace(self.budget, self.model.flops() * (self.learner.batch or len(self.x)), self.plan)
        self.energy = Meter()
        self.history: list[dict[str, float]] = []
        self.monitor = Monitor()
        self.settled = False
        self.resumed = False  # a run of several sessions has no figure of its energy
        self._order: tuple[int, Tensor] | None = None

    @property
    def finished(self) -> bool:
        """Whether the budget is used or further steps would change nothing."""
        return self.pace.finished or self.learner.done

    def batch(self) -> Batch:
        """The next batch: the whole set in its order, or the next rows of this epoch's permutation."""
        size = self.learner.batch
        if size is None or size >= len(self.x):
            return Batch(self.x, self.labels, self.pace.progress)
        rows = self._rows(self.pace.step * size, size)
        return Batch(self.x[rows], None if self.labels is None else self.labels[rows], self.pace.progress)

    def _rows(self, first: int, count: int) -> Tensor:
        """Rows first, first + 1, ... of an endless sequence: every epoch is a permutation keyed by (seed, epoch)."""
        n = len(self.x)
        epoch, place = divmod(first, n)
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(seed_from(self.seed, "epoch", epoch))
            self._order = (epoch, torch.randperm(n, generator=generator))
        rows = self._order[1][place : place + count]
        return rows if len(rows) == count else torch.cat([rows, self._rows(first + len(rows), count - len(rows))])

    def advance(self, numbers: dict[str, float]) -> None:
        """Count one step and record its numbers, thinned so that a long run keeps a few hundred points."""
        self.pace.advance(self.clock)
        self.monitor.watch(self.pace.step, numbers)
        self.history.append({"step": self.pace.step, "progress": self.pace.progress, "cpu": self.clock.cpu} | numbers)
        if len(self.history) >= 2 * _HISTORY:
            self.history = self.history[1::2]

    def settle(self) -> None:
        """Put the model into its final state, once."""
        if not self.settled:
            self.learner.finish()
            self.model.eval()
            self.settled = True

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        return {
            "recipe": digest(self.recipe), "model": dict(self.model.state_dict()), "learner": self.learner.state_dict(),
            "done": self.learner.done, "pace": self.pace.state(), "history": self.history,
            "monitor": self.monitor.state(), "clock": [self.clock.cpu, self.clock.wall],
        }  # fmt: skip

    def restore(self, saved: dict[str, Any]) -> None:
        """Take up a saved state. Raises MakarError where it belongs to another run."""
        if saved["recipe"] != digest(self.recipe):
            raise MakarError("it belongs to another run (data, settings or seed differ)")
        self.model.restore(saved["model"])
        self.learner.load_state_dict(saved["learner"])
        self.learner.done = saved["done"]
        self.pace.restore(saved["pace"])
        self.history, self.monitor = list(saved["history"]), Monitor.restored(saved["monitor"])
        self.clock = Clock(*saved["clock"])
        self.resumed = True


def training(run: Run) -> Iterator[Step]:
    """The loop. It may be left and entered again; after the last step the learner settles the model."""
    if run.pace.step == 0:
        run.learner.prepare(run.x, run.labels)
    while not run.finished:
        batch = run.batch()
        numbers = run.learner.step(batch, Noise.step(run.seed, run.pace.step, len(batch.x), batch.x.device))
        run.advance(numbers)
        yield Step(run.pace.step, run.pace.progress, numbers)
    run.settle()


def default_codec(data: Dataset) -> str:
    """The codec for a dataset: pixels, rows, points; for text byte pairs or single symbols, as its documents are."""
    if data.modality == "text":
        return _texts.codec_for(data.train.things)
    return {"pictures": "pixels", "rows": "rows", "points": "points"}[data.modality]


def make_codec(data: Dataset, name: str | None = None, settings: dict[str, Any] | None = None) -> tuple[str, Codec]:
    """A codec of this name (or the data's default), fitted on the training things only."""
    name = name or default_codec(data)
    kind = registry.load("codecs", name)
    if kind.things != data.modality:
        raise MakarError(f"the codec '{name}' is for {kind.things}, and {data.name} holds {data.modality}")
    given = dict(settings or {})
    if data.modality == "pictures":
        given.setdefault("levels", data.levels)
    codec: Codec = kind(config.build(kind.Config, given, f"the codec '{name}'"))
    return name, codec.fit(data.train.things)


def _given_class(data: Dataset, codec: str | None) -> dict[str, Any]:
    """The codec's setting for rows: a model that is conditioned on the class has no column of it in its space."""
    if data.modality != "rows" or codec not in (None, "rows"):
        return {}
    return {"label": data.manifest.label if data.train.labels is not None else ""}


@dataclass(frozen=True)
class Encoded:
    """The training things as a model is given them."""

    name: str  # of the codec
    codec: Codec
    x: Tensor
    labels: Tensor | None
    condition: Classes | None


def encode(data: Dataset, codec: str | None = None, settings: dict[str, Any] | None = None) -> Encoded:
    """The training things by a codec of this name, or the data's default, with their classes where rows are items."""
    name, fitted = make_codec(data, codec, (settings or {}) | _given_class(data, codec))
    x = fitted.encode(data.train.things)
    if data.train.labels is None or len(x) != len(data.train.labels):
        return Encoded(name, fitted, x, None, None)
    return Encoded(name, fitted, x, torch.from_numpy(data.train.labels).long(), Classes(len(data.classes)))


def families_for(space: Space) -> list[str]:
    """Names of the families that can be written for a space."""
    return [name for name in registry.modules("families") if isinstance(space, registry.load("families", name).spaces)]


def make_model(
    family: str, space: Space, condition: Classes | None, settings: dict[str, Any], seed: int, items: int = 0
) -> Model:
    """A fresh model; the same seed gives the same weights, and no global generator is moved.

    Raises MakarError where it is not for the space, or where to train it on so many `items` takes more memory than
    there is.
    """
    kind = registry.load("families", family)
    if not isinstance(space, kind.spaces):
        fit = families_for(space)
        wanted = ", ".join(s.__name__ for s in kind.spaces)
        raise MakarError(
            f"the family '{family}' is for {wanted}, not {type(space).__name__}; these fit: {', '.join(fit)}"
        )
    given = config.build(kind.Config, settings, f"the family '{family}'")
    if (need := kind.memory(space, condition, given, items)) > (have := allowed()):
        classes = f" in {condition.count:,} classes" if condition else ""
        raise MakarError(
            f"the family '{family}' would need {need / 2**30:.1f} GiB for items of {space.dimensions:,} numbers"
            f"{classes}, and {have / 2**30:.1f} GiB may be used here; "
            "take smaller items, fewer classes or another family"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_from(seed, "weights"))
        model: Model = kind(space, condition, given)
    return model


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Torch's deterministic algorithms for as long as it lasts."""
    memory: Any = torch.utils.deterministic
    before, filled = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = False  # costs time and changes no result
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled


def prepare(
    family: str,
    data: Dataset,
    budget: str | Budget = "20s",
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    codec: str | None = None,
    codec_settings: dict[str, Any] | None = None,
    plan: list[tuple[int, float]] | None = None,
    sampler: str | None = None,
    sampler_settings: dict[str, Any] | None = None,
) -> tuple[Run, Codec]:
    """A run that has not begun: the codec fitted, the data encoded, the model made.

    `sampler` is how the model is to be drawn from where nothing else is asked for; None leaves that to its family.
    """
    if family not in registry.modules("families"):
        raise MakarError(f"there is no family '{family}'{did_you_mean(family, registry.modules('families'))}")
    rights.require_trainable(data.manifest)
    given = encode(data, codec, codec_settings)
    model = make_model(family, given.codec.space, given.condition, settings or {}, seed, len(given.x))
    limits = Budget.parse(budget)
    recipe = {
        "family": family, "settings": config.to_plain(model.config), "codec": given.name,
        "codec_settings": config.to_plain(given.codec.config), "data": data.manifest.digest, "seed": seed,
        "budget": limits.to_json(), "threads": torch.get_num_threads(),
    }  # fmt: skip
    if sampler is not None:
        make_sampler(model, sampler, sampler_settings)  # refused now and not after the training
        recipe |= {"sampler": sampler, "sampler_settings": dict(sampler_settings or {})}
    return Run(model, given.x, given.labels, limits, seed, recipe, plan or []), given.codec


def fit(
    family: str,
    data: Dataset,
    budget: str | Budget = "20s",
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    *,
    checkpoint: Path | str | None = None,
    watch: Callable[[Run, Step], None] | None = None,
    **options: Any,
) -> Trained:
    """Train one model. Ctrl-C ends it early with what it has; so does a gradient that is not finite.

    `checkpoint` names a directory that is written every few seconds and from which a killed run goes on; `watch` is
    called after every step. `options` go to `prepare`: codec, codec_settings, sampler, sampler_settings, plan (to
    replay a recorded pace).
    """
    run, codec = prepare(family, data, budget, seed, settings, **options)
    place = Path(checkpoint) if checkpoint is not None else None
    if place is not None:
        resume(run, place)
    saved_at = run.clock.wall
    with deterministic():
        try:
            for step in training(run):
                if watch is not None:
                    watch(run, step)
                if place is not None and run.clock.wall - saved_at > 5.0:
                    save_checkpoint(run, place)
                    saved_at = run.clock.wall
        except KeyboardInterrupt:
            run.monitor.note(run.pace.step, "interrupted", "stopped by the user; the model is what was learnt so far")
        except NonFinite as error:
            run.monitor.note(run.pace.step, "non-finite", str(error))
            if run.pace.step == 0:
                raise
        trained = settle(run, codec, data)
    if place is not None:
        files.remove(place)
    return trained


def save_checkpoint(run: Run, place: Path) -> None:
    """Write the run's state so that it is there whole or is as it was before."""
    tensors, skeleton = state.pack(run.state())
    files.write_directory(place, {"state.safetensors": tensors, "state.json": skeleton})


def resume(run: Run, place: Path) -> bool:
    """Take up the checkpoint at `place` where there is one."""
    files.recover(place)
    if not place.exists():
        return False
    try:
        run.restore(state.unpack((place / "state.safetensors").read_bytes(), (place / "state.json").read_bytes()))
    except FileNotFoundError as error:
        raise MakarError(f"{place} is not a checkpoint ({Path(error.filename).name} is missing); remove it") from None
    except (MakarError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        said = str(error) if isinstance(error, MakarError) else f"it is damaged ({type(error).__name__})"
        raise MakarError(f"the checkpoint {place} cannot be taken up: {said}; remove it to begin anew") from None
    return True


def settle(run: Run, codec: Codec, data: Dataset) -> Trained:
    """The model as it stands, its averaged weights in place, with the record of its run.

    After the clock has been read, one tile is drawn to see whether the model has collapsed.
    """
    run.settle()
    record = Record(
        recipe=run.recipe,
        steps=run.pace.step,
        plan=run.pace.plan,
        cpu_seconds=run.clock.cpu,
        seconds=run.clock.wall,
        flops=run.model.flops() * (run.learner.batch or len(run.x)) * run.pace.step,
        joules=None if run.resumed else run.energy.joules(),
        history=[{k: v for k, v in point.items() if math.isfinite(v)} for point in run.history],
        events=run.monitor.events,
        machine=describe(),
        made=now(),
        code=code(),
        environment=environment(),
    )
    counts = () if run.labels is None else tuple(torch.bincount(run.labels, minlength=len(data.classes)).tolist())
    trained = Trained(run.model, codec, record, data.manifest, data.levels, counts)
    if run.pace.step and (found := spread(trained, run.x, run.labels)).collapsed:
        run.monitor.note(run.pace.step, "collapse", found.words(), made=found.made, data=found.data)
    return trained
