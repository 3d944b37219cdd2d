"""The workbench from Python: the same verbs as on the command line, in five lines.

digits = makar.data("digits")
model = makar.fit("flow_matching", digits, budget="20s", seed=0)
pictures = model.sample(16, seed=0)
scores = model.score(digits)
model.save("runs/d1"); model = makar.load("runs/d1")
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makar.core.artifact import Artifact
from makar.core.errors import MakarError
from makar.core.score import Score
from makar.data import Dataset
from makar.data import load as load_data
from makar.verbs import bundle, train
from makar.verbs import sample as sampling
from makar.verbs import score as scoring
from makar.verbs.budget import Budget
from makar.verbs.chain import Chain
from makar.verbs.guard import blocked
from makar.verbs.hand_over import hand_over
from makar.verbs.permit import permit
from makar.verbs.trained import Record, Trained


@dataclass(frozen=True)
class Fitted:
    """A trained model to draw from, score and save."""

    trained: Trained
    place: Path | None = None  # the bundle it was read from

    @property
    def id(self) -> str:
        """Digest of recipe, data and weights."""
        return self.trained.id

    @property
    def record(self) -> Record:
        """How the training went and what it cost."""
        return self.trained.record

    def sample(
        self,
        n: int,
        seed: int = 0,
        label: str | int | Sequence[int] | None = None,
        sampler: str | None = None,
        settings: dict[str, Any] | None = None,
        prompt: str = "",
        length: int | None = None,
    ) -> list[Artifact]:
        """n things, less those that the policy blocks: artifacts whose `.content` is an array, a string or a row.

        Texts begin with `prompt` and have at most `length` characters. Raises MakarError where the policy blocks what
        the model makes, or all of them.
        """
        chain = Chain.here()
        permit(chain, "sample", self.trained.manifest, [self.id])
        made = sampling.sample(self.trained, n, seed, label, sampler, settings, None, prompt, length)
        kept = [artifact for artifact in made if not blocked(chain, artifact)]
        if not kept:
            raise MakarError(f"all {n} outputs were withheld; the first: {blocked(chain, made[0])}")
        return kept

    def score(self, data: Dataset, n: int | None = None, seed: int = 1) -> list[Score]:
        """Every metric that applies, with intervals."""
        return scoring.score(self.trained, data, n, seed)

    def export(
        self,
        out: Path | str,
        n: int,
        seed: int = 0,
        label: str | int | Sequence[int] | None = None,
        sampler: str | None = None,
        settings: dict[str, Any] | None = None,
        prompt: str = "",
        length: int | None = None,
    ) -> list[Path]:
        """Draw n things and write them as files with receipt, watermark and credential; returns the files.

        What `makar sample` does. The receipts name the bundle where the model was loaded from one.
        """
        chain, place = Chain.here(), Path(out)
        done = hand_over(chain, self.trained, place, n, seed, label, sampler, settings, self.place, prompt, length)
        return list(done.written)

    def save(self, path: Path | str) -> Path:
        """Write the bundle, with its documents; signed and entered in the ledger as the workspace's policy says."""
        return Chain.here().save(self.trained, path)


def data(spec: str, **options: Any) -> Dataset:
    """A dataset by its specification, such as "digits", "text:corpus/", "csv:people.csv" or "folder:photos/"."""
    return load_data(spec, **options)


def fit(family: str, data: Dataset, budget: str | Budget = "20s", seed: int = 0, **options: Any) -> Fitted:
    """Train one model within a budget; see `makar.verbs.train.fit` for the options."""
    permit(Chain.here(), "train", data.manifest)
    return Fitted(train.fit(family, data, budget, seed, **options))


def load(path: Path | str) -> Fitted:
    """Read a bundle."""
    return Fitted(bundle.load(path), Path(path))


class Training:
    """A training whose loop is yours: iterate over it, stop when you like, then take the model.

    for step in (run := makar.training("vae", data, budget="500 steps")):
        print(step.step, step.numbers["loss"])
    model = run.fitted()
    """

    def __init__(self, family: str, data: Dataset, budget: str | Budget, seed: int, **options: Any) -> None:
        self.run, self._codec = train.prepare(family, data, budget, seed, **options)
        self._data = data

    def __iter__(self) -> Iterator[train.Step]:
        with train.deterministic():
            yield from train.training(self.run)

    def fitted(self) -> Fitted:
        """The model as it stands, its averaged weights in place."""
        return Fitted(train.settle(self.run, self._codec, self._data))


def training(family: str, data: Dataset, budget: str | Budget = "20s", seed: int = 0, **options: Any) -> Training:
    """The loop for those who want it."""
    permit(Chain.here(), "train", data.manifest)
    return Training(family, data, budget, seed, **options)
