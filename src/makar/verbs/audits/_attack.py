"""What an attack is, and the scene that it is tried in: a scratch copy of everything, with keys of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from makar.core import files
from makar.core.errors import MakarError
from makar.data import Dataset
from makar.provenance.findings import Finding
from makar.provenance.home import Home
from makar.verbs import bundle
from makar.verbs.chain import Chain
from makar.verbs.trained import Trained
from makar.verbs.verify import Verifier, verify

Aim = Literal["chain", "files", "filters", "marks"]
Verdict = Literal["withstood", "broken", "not run"]
SLOW = 20.0  # CPU seconds after which an answer counts as none
_SHOWN = 6


@dataclass(frozen=True)
class Try:
    """One attempt: what was done, whether it got through, and what was answered."""

    what: str
    through: bool
    answer: str


@dataclass(frozen=True)
class Scene:
    """Where attacks are tried. Nothing in it is the user's but the model, the policy and the indices that are read."""

    root: Path  # scratch; removed afterwards
    trained: Trained
    bundle: Path  # a copy, signed with the scratch workspace's keys
    out: Path  # a folder of outputs with their credentials
    chain: Chain  # of the scratch workspace
    verifier: Verifier  # which believes it
    home: Home  # the user's, for its policy and indices; only read
    data: Dataset | None

    @property
    def signed(self) -> bool:
        """Whether there are keys."""
        return self.chain.keys is not None

    def outputs(self) -> list[Path]:
        """The output files, in order."""
        listed = json.loads((self.out / "outputs.json").read_bytes())
        return [self.out / item["file"] for item in listed]

    def copied(self, folder: Path, name: str) -> Path:
        """A folder's files in a place of their own, to be broken."""
        place = self.root / "tries" / name
        files.write_directory(place, {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()})
        return place


@dataclass(frozen=True)
class Attack:
    """A named attack. `attempts` gives its tries, or why it cannot be run here."""

    name: str
    aim: Aim
    about: str  # one sentence
    attempts: Callable[[Scene], list[Try] | str]
    allowed: float = 0.0  # share of the tries that may get through


@dataclass(frozen=True)
class Outcome:
    """How an attack went."""

    name: str
    aim: Aim
    about: str
    verdict: Verdict
    tried: int
    through: int
    allowed: float
    evidence: tuple[dict[str, Any], ...]  # a few tries, those that got through first
    why: str = ""  # why it was not run


def carried_out(attack: Attack, scene: Scene) -> Outcome:
    """The outcome of an attack."""
    found = attack.attempts(scene)
    if isinstance(found, str) or not found:
        why = found if isinstance(found, str) else "there was nothing to try it on"
        return Outcome(attack.name, attack.aim, attack.about, "not run", 0, 0, attack.allowed, (), why)
    through = sum(t.through for t in found)
    verdict: Verdict = "withstood" if through <= attack.allowed * len(found) else "broken"
    shown = sorted(found, key=lambda t: not t.through)[:_SHOWN]
    evidence = tuple({"what": t.what, "through": t.through, "answer": t.answer[:300]} for t in shown)
    return Outcome(attack.name, attack.aim, attack.about, verdict, len(found), through, attack.allowed, evidence)


def verified(scene: Scene, path: Path, what: str) -> Try:
    """Whether a change is found by `verify`; a crash or a very slow answer counts as got through."""
    return answered(what, lambda: _words(verify(path, scene.verifier)))


def loaded(path: Path, what: str) -> Try:
    """Whether a changed bundle is refused by those who load it."""
    return answered(what, lambda: f"!loaded as model {bundle.load(path).id[:12]}")


def answered(what: str, ask: Callable[[], str]) -> Try:
    """An answer that begins with "!" means that the attack got through; a MakarError, that it was refused."""
    begun = time.process_time()
    try:
        answer = ask()
    except MakarError as error:
        answer = f"refused: {error}"
    except Exception as error:  # noqa: BLE001 (whatever else is raised is a weakness, and this is the search for them)
        answer = f"!{type(error).__name__} instead of a refusal: {error}"
    spent = time.process_time() - begun
    if spent > SLOW:
        answer = f"!an answer only after {spent:.0f} CPU seconds"
    return Try(what, answer.startswith("!"), answer.removeprefix("!"))


def _words(findings: Iterable[Finding]) -> str:
    wrong = [f"{f.what}: {f.why}" for f in findings if f.wrong]
    return wrong[0] if wrong else "!everything holds"


def mended(place: Path) -> None:
    """Make all digests of a bundle right again and take its signature away, as one would who wants to be believed."""
    present = {p.name: p for p in place.iterdir() if p.is_file() and p.name not in ("digests.json", bundle.SIGNATURE)}
    digests = {name: bundle.sha256(path.read_bytes()) for name, path in present.items()}
    files.write_json(place / "digests.json", digests)
    files.remove(place / bundle.SIGNATURE)
