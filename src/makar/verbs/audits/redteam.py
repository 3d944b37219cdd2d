"""Red team: named attacks on the chain, on those who read files, and on the filters; what withstood and what broke.

Attacks are data: a name, a sentence, a function that gives its tries, and the share of them that may get through. All
are tried in a scratch workspace with keys of its own, on a copy of the bundle that is signed there; of the user's
workspace only policy and indices are read. Several attacks are there to be lost: no list of words knows a cipher, no
distance knows a mirror. A suite says so, and `diff` shows whether the next version still does.

A suite is exchanged as safety results (`provenance/safety`): for each attack the share of its tries that got through
against the share allowed. The tries are all there are and not a sample, so the interval is the share itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from makar.core import files
from makar.core.clock import now
from makar.core.errors import MakarError
from makar.core.score import Score
from makar.data import Dataset
from makar.provenance import keys as keyring
from makar.provenance import safety
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.verbs import bundle
from makar.verbs.audits import _attacks_chain, _attacks_files, _attacks_filters
from makar.verbs.audits._attack import Aim, Attack, Outcome, Scene, Verdict, carried_out
from makar.verbs.audits._result import Result, timed
from makar.verbs.chain import Chain
from makar.verbs.issue import Origin, issue
from makar.verbs.machine import installed
from makar.verbs.sample import sample
from makar.verbs.verify import Verifier

FORMAT = "makar-redteam-1"
ATTACKS: tuple[Attack, ...] = (*_attacks_chain.ATTACKS, *_attacks_files.ATTACKS, *_attacks_filters.ATTACKS)
_OUTPUTS = 3


@dataclass(frozen=True)
class Suite:
    """How all attacks on one model went."""

    model: str  # its id
    weights: str  # sha256 of its weights, as its bundle lists them
    makar: str
    time: str
    signed: bool  # whether there were keys
    outcomes: tuple[Outcome, ...]

    def verdicts(self) -> dict[str, Verdict]:
        """How each attack went, by name."""
        return {o.name: o.verdict for o in self.outcomes}

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {"format": FORMAT} | asdict(self)

    @staticmethod
    def from_json(plain: Any) -> Suite:
        """The inverse of `to_json`. Raises MakarError for what is no suite."""
        try:
            if plain["format"] != FORMAT:
                raise ValueError(f"it is of the format {plain['format']}")
            fields = {key: value for key, value in plain.items() if key != "format"}
            outcomes = tuple(Outcome(**(o | {"evidence": tuple(o["evidence"])})) for o in fields.pop("outcomes"))
            strange = [o.name for o in outcomes if o.verdict not in get_args(Verdict) or o.aim not in get_args(Aim)]
            if strange:
                raise ValueError(f"the attack '{strange[0]}' has no known verdict or aim")
            return Suite(**fields, outcomes=outcomes)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MakarError(f"this is no red team's suite ({error}); run the attacks again") from None

    def results(self) -> safety.Results:
        """As safety results, which can be signed and exchanged; attacks that were not run are left out."""
        found = [
            safety.Result(
                audit="red team", name=o.name, figure=o.through / o.tried, low=o.through / o.tried,
                high=o.through / o.tried, n=o.tried, threshold=o.allowed, safe="below", note=o.about,
            )
            for o in self.outcomes
            if o.tried
        ]  # fmt: skip
        return safety.Results(model=self.model, weights=self.weights, time=self.time, makar=self.makar, results=found)

    def result(self) -> Result:
        """As an audit's result: an alarm where an attack broke through."""
        broken = [o for o in self.outcomes if o.verdict == "broken"]
        run = [o for o in self.outcomes if o.tried]
        figures = []
        for o in run:
            share = o.through / o.tried
            figures.append(Score(f"got through[{o.name}]@{o.tried}", share, share, share, o.tried, False))
        details = {"not run": {o.name: o.why for o in self.outcomes if not o.tried}, "broken": [o.name for o in broken]}
        bars = {o.name: o.allowed for o in run}
        if broken:
            why = f"{len(broken)} of {len(run)} attacks got through: {', '.join(o.name for o in broken)}"
            return Result("red team", "alarm", why, tuple(figures), bars, details)
        return Result("red team", "none", f"all {len(run)} attacks were withstood", tuple(figures), bars, details)


def run(path: Path, home: Home, data: Dataset | None = None, attacks: Sequence[Attack] = ATTACKS) -> Suite:
    """Try attacks on the model in a bundle. `data`, what it was trained on, lets more of them be tried."""
    trained = bundle.load(path)
    with tempfile.TemporaryDirectory(prefix="makar-redteam-") as folder:
        scene = staged(Path(folder), trained, home, data)
        outcomes = tuple(carried_out(attack, scene) for attack in attacks)
        signed = scene.signed
    weights = bundle.read_digests(path)["model.safetensors"]
    return Suite(trained.id, weights, installed("makar") or "", now(), signed, outcomes)


@timed
def audit(path: Path, home: Home, data: Dataset | None = None) -> Result:
    """The suite as one result."""
    return run(path, home, data).result()


def staged(root: Path, trained: Any, home: Home, data: Dataset | None) -> Scene:
    """A scratch workspace with keys where the library for them is there, a copy of the bundle, and a few outputs."""
    own = Home(root / "home")
    policy = Policy.load(home.policy).model_copy(update={"chain": True, "approvers": []})
    if find_spec("cryptography") is not None and find_spec("model_signing") is not None:
        keyring.init(own, "red team")
    chain = Chain(own, policy, on=True)
    place = chain.save(trained, root / "bundle")
    mark, said = chain.watermark(trained, None)
    made = sample(trained, _OUTPUTS, seed=0, mark=mark)
    issue(chain, Origin.of(trained, place, mark, said), made, root / "out")
    verifier = Verifier(keyring.Anchors.of(own), own, place)
    return Scene(root, trained, place, root / "out", chain, verifier, home, data)


@dataclass(frozen=True)
class Change:
    """An attack that went another way than before; None where a suite does not have it."""

    name: str
    before: Verdict | None
    after: Verdict | None

    def words(self) -> str:
        """Such as `copies: withstood, now broken`."""
        return f"{self.name}: {self.before or 'not there'}, now {self.after or 'not there'}"


def diff(old: Suite, new: Suite) -> list[Change]:
    """Which verdicts changed from one suite to another, the new one's order first."""
    before, after = old.verdicts(), new.verdicts()
    names = [*after, *(name for name in before if name not in after)]
    return [Change(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)]


def save(suite: Suite, path: Path) -> None:
    """Write a suite with its evidence as JSON, whole or not at all."""
    files.write_json(path, suite.to_json())
