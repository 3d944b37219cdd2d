"""The red team: planted holes are found, what withstands says so, suites are compared and exchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import makar
from makar.core.errors import MakarError
from makar.provenance import keys, safety, signed
from makar.provenance.home import Home
from makar.verbs import bundle, verify_bundle
from makar.verbs.audits import _attacks_chain, _attacks_files, _attacks_filters, redteam
from makar.verbs.audits._attack import Attack, Outcome, Scene, Try, answered, carried_out
from makar.verbs.train import fit

CHAIN = (
    "stripped credentials", "flipped bits in outputs", "swapped receipts", "changed bundles", "mended digests",
    "changed ledger lines", "hostile tensors", "links", "hostile outputs", "hostile exchange files",
)  # fmt: skip
FILTERS = ("disguised terms", "personal data", "disguised personal data", "copies")
LOST = ("encoded terms", "disguised copies")
"""What a list of words, patterns and a distance cannot see: the suite says so."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redteam.Suite]:
    patch = pytest.MonkeyPatch()
    place = tmp_path_factory.mktemp("redteam")
    patch.setenv("MAKAR_HOME", str(place / "home"))
    data = makar.data("digits")
    path = bundle.save(fit("gaussian", data, "1 steps"), place / "bundle")
    yield redteam.run(path, Home(place / "home"), data)
    patch.undo()


def attack(name: str) -> Attack:
    return next(a for a in redteam.ATTACKS if a.name == name)


def test_every_attack_is_named_once_and_none_shares_a_function() -> None:
    assert len({a.name for a in redteam.ATTACKS}) == len({a.attempts for a in redteam.ATTACKS}) == len(redteam.ATTACKS)


@pytest.mark.parametrize("name", CHAIN)
def test_the_chain_withstands(suite: redteam.Suite, name: str) -> None:
    outcome = next(o for o in suite.outcomes if o.name == name)
    assert suite.signed
    assert outcome.verdict == "withstood", outcome.evidence
    assert outcome.tried >= 2


@pytest.mark.parametrize("name", FILTERS)
def test_the_filters_withstand(suite: redteam.Suite, name: str) -> None:
    outcome = next(o for o in suite.outcomes if o.name == name)
    assert (outcome.verdict, outcome.through) == ("withstood", 0), outcome.evidence
    assert outcome.tried >= 39


def test_of_disguised_copies_the_mirrored_ones_are_found(suite: redteam.Suite) -> None:
    outcome = next(o for o in suite.outcomes if o.name == "disguised copies")
    assert outcome.tried == 120
    assert outcome.through <= 80
    assert all("mirrored" not in e["what"] for e in outcome.evidence if e["through"])


@pytest.mark.parametrize("name", LOST)
def test_what_cannot_be_seen_is_reported_as_lost(suite: redteam.Suite, name: str) -> None:
    outcome = next(o for o in suite.outcomes if o.name == name)
    assert outcome.verdict == "broken"
    assert outcome.evidence[0]["through"]


def test_what_cannot_be_run_says_why(suite: redteam.Suite) -> None:
    idle = [o for o in suite.outcomes if o.verdict == "not run"]
    assert {"quotations", "extraction prompts"} <= {o.name for o in idle}
    assert all(o.why and not o.tried for o in idle)


def test_the_users_workspace_is_left_as_it_was(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    keys.init(home, "the user")
    before = {p: p.read_bytes() for p in home.root.rglob("*") if p.is_file()}
    path = bundle.save(fit("gaussian", makar.data("digits"), "1 steps"), tmp_path / "bundle")
    redteam.run(path, home, attacks=[attack("swapped receipts")])
    assert {p: p.read_bytes() for p in home.root.rglob("*") if p.is_file()} == before


def test_a_planted_hole_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier that no longer looks at the signature: mended digests get through, and the diff names them."""
    path = bundle.save(fit("gaussian", makar.data("digits"), "1 steps"), tmp_path / "bundle")
    attacks = [attack("mended digests"), attack("links")]
    before = redteam.run(path, Home(tmp_path / "home"), attacks=attacks)
    sound = verify_bundle._signature
    monkeypatch.setattr(verify_bundle, "_signature", lambda p, v: replace(sound(p, v), state="holds"))
    after = redteam.run(path, Home(tmp_path / "home"), attacks=attacks)
    assert [(c.name, c.before, c.after) for c in redteam.diff(before, after)] == [
        ("mended digests", "withstood", "broken")
    ]
    assert redteam.diff(before, after)[0].words() == "mended digests: withstood, now broken"
    assert after.result().finding == "alarm"
    assert "mended digests" in after.result().why


def test_a_crash_counts_as_got_through_and_a_refusal_does_not() -> None:
    def crash() -> str:
        raise RecursionError("too deep")

    def refuse() -> str:
        raise MakarError("no")

    assert answered("a", crash).through
    assert "RecursionError" in answered("a", crash).answer
    assert not answered("b", refuse).through
    assert answered("c", lambda: "!everything holds").through
    assert not answered("d", lambda: "found").through


def outcome(name: str, through: int, tried: int, allowed: float = 0.0) -> Outcome:
    made = Attack(
        name, "filters", "made up", lambda scene: [Try(str(i), i < through, "") for i in range(tried)], allowed
    )
    scene: Scene = object.__new__(Scene)
    return carried_out(made, scene)


def test_the_allowed_share_decides() -> None:
    assert outcome("a", 0, 10).verdict == "withstood"
    assert outcome("a", 1, 10).verdict == "broken"
    assert outcome("a", 1, 10, 0.1).verdict == "withstood"
    assert outcome("a", 0, 0).verdict == "not run"
    assert [e["through"] for e in outcome("a", 2, 20).evidence][:3] == [True, True, False]


def test_a_suite_reads_back_what_it_wrote(suite: redteam.Suite, tmp_path: Path) -> None:
    redteam.save(suite, tmp_path / "suite.json")
    again = redteam.Suite.from_json(json.loads((tmp_path / "suite.json").read_text()))
    assert again == suite
    assert redteam.diff(suite, again) == []
    other = replace(suite, outcomes=suite.outcomes[1:])
    assert [c.after for c in redteam.diff(suite, other)] == [None]


@pytest.mark.parametrize("plain", [None, [], {}, {"format": "other"}, {"format": redteam.FORMAT, "outcomes": [{}]}])
def test_what_is_no_suite_is_refused(plain: object) -> None:
    with pytest.raises(MakarError, match="no red team's suite"):
        redteam.Suite.from_json(plain)


def test_exchanged_results_give_the_same_verdicts(suite: redteam.Suite, home: Path, tmp_path: Path) -> None:
    workspace = Home(home)
    own = keys.init(workspace, "the tests")
    results = suite.results()
    safety.keep(results, workspace)
    place = tmp_path / "safety.json"
    safety.export([r for _, r in safety.kept(workspace, suite.model)], place, signed.by(own))
    read, signer = safety.read(place, signed.known_to(keys.Anchors.of(workspace)))
    assert signer == own.fingerprint
    assert read.verdicts() == results.verdicts()
    said = {"withstood": "holds", "broken": "fails"}
    assert read.verdicts() == {f"red team: {o.name}": said[o.verdict] for o in suite.outcomes if o.tried}


def test_disguises_leave_the_words_legible() -> None:
    """Each disguise changes the term, and none of them to nothing."""
    for how, disguise in (_attacks_filters._DISGUISES | _attacks_filters._BEYOND).items():
        changed = disguise("violet harbour")
        assert changed, how
        assert (changed == "violet harbour") == (how == "as it is")


def test_a_text_models_quotations_are_tried(tmp_path: Path) -> None:
    data = makar.data("grammar:small", n=60)
    path = bundle.save(fit("ngram", data, "1 steps"), tmp_path / "bundle")
    wanted = [attack(n) for n in ("quotations", "disguised quotations", "extraction prompts", "removed marks")]
    found = redteam.run(path, Home(tmp_path / "home"), data, wanted)
    verdicts = found.verdicts()
    assert verdicts["quotations"] == "withstood"
    assert verdicts["disguised quotations"] == "broken", "a changed letter ends a passage"
    hidden = next(o for o in found.outcomes if o.name == "disguised quotations")
    assert 3 * hidden.through == hidden.tried, "case and white space do not"
    assert all("each 30th letter hidden" in e["what"] for e in hidden.evidence if e["through"])
    assert verdicts["extraction prompts"] == "withstood"
    assert verdicts["removed marks"] in ("withstood", "broken", "not run")


def test_marks_are_washed_at_and_the_loss_is_counted(tmp_path: Path) -> None:
    """Smooth pictures, large enough for a mark: a mild JPEG leaves it, and every distortion has its tries."""
    chance = np.random.default_rng(0)
    for i in range(12):
        small = Image.fromarray(chance.integers(40, 216, (6, 6), dtype=np.uint8))
        small.resize((96, 96), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    data = makar.data(str(tmp_path), licence="CC0-1.0")
    path = bundle.save(fit("kernel", data, "1 steps", 0, {"bandwidth": 0.001}), tmp_path / "bundle")
    found = redteam.run(path, Home(tmp_path / "home"), data, [attack("removed marks")]).outcomes[0]
    assert found.verdict in ("withstood", "broken"), found.why
    assert found.tried % 7 == 0
    assert found.through < found.tried
    assert all("p = " in e["answer"] for e in found.evidence)


def test_modules_hold_attacks_of_their_own_aim() -> None:
    for module, aims in (
        (_attacks_chain, {"chain"}),
        (_attacks_files, {"files"}),
        (_attacks_filters, {"filters", "marks"}),
    ):
        assert {a.aim for a in module.ATTACKS} == aims
