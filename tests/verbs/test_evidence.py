"""Evidence: every key that a profile names is looked for, and held only where what it stands for is there and right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import approvals, profile, safety
from makar.provenance.authorship import Authorship
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.provenance.safety import Result, Results
from makar.verbs import evidence
from tests.provenance.signers import NOW, Person, person
from tests.verbs import outgoing
from tests.verbs.outgoing import MODEL

AUDITS = ("copying", "extraction", "membership", "leakage", "bias")


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("people"), "Ann")


def results(time: str = "2026-11-22T10:00:00Z", **changes: Any) -> Results:
    figures = [Result(audit=a, name=f"{a}@100", figure=0.1, low=0.05, high=0.2, n=100, threshold=0.3) for a in AUDITS]
    return Results(**{"model": MODEL, "time": time, "results": figures} | changes)


def furnished(ann: Person, home: Path) -> Home:
    """A workspace that has everything."""
    place = Home(home)
    files.write_text(place.policy, f'approvers = ["{ann.fingerprint}"]\nblocked = ["Jane Painter"]\n')
    for path in ann.home.anchors.iterdir():
        files.write_bytes(place.anchors / path.name, path.read_bytes())
    files.write_text(place.root / "copyright_policy.md", "We honour every reservation of rights.")
    files.write_text(place.root / "incidents" / "one" / "incident.json", "{}")
    files.write_text(place.root / "documents" / MODEL[:12] / "training_summary.md", "# Summary")
    place.ledger.mkdir()
    safety.keep(results(), place)
    evidence.share_results(place, MODEL, ann.sign)
    return place


def furnished_outputs(ann: Person, place: Home, at: Path) -> Path:
    picture = outgoing.labelled(outgoing.picture())
    folder = outgoing.folder(at, {"000.png": picture}, labels=["visible:eu", "visible:cn", "metadata:cn"])
    approvals.save(place, approvals.decide(outgoing.sha256(picture), "approve", "Ann", NOW, ann.sign))
    Authorship(folder, Policy()).propose("000.png", NOW)
    return folder


def test_profiles_ask_only_for_what_can_be_gathered(ann: Person, home: Path, tmp_path: Path) -> None:
    place = furnished(ann, home)
    of_bundle = evidence.gather(outgoing.bundle(tmp_path / "v"), place, outgoing.checks())
    of_outputs = evidence.gather(furnished_outputs(ann, place, tmp_path / "o"), place, outgoing.checks())
    assert set(of_bundle) == set(evidence.MODEL_KEYS | evidence.BOTH_KEYS)
    assert set(of_outputs) == set(evidence.OUTPUT_KEYS | evidence.BOTH_KEYS)
    for name in profile.names():
        for requirement in profile.load(name).requirements:
            asked, what = set(requirement.evidence), f"{name}: {requirement.id}"
            assert asked <= set(evidence.KEYS), what
            if requirement.needs == "all":  # else nothing that can be looked at would ever meet it
                assert asked <= set(of_bundle) or asked <= set(of_outputs), what


def test_where_everything_is_there_everything_is_held(ann: Person, home: Path, tmp_path: Path) -> None:
    place = furnished(ann, home)
    for path in (outgoing.bundle(tmp_path / "v"), furnished_outputs(ann, place, tmp_path / "o")):
        found = evidence.gather(path, place, outgoing.checks())
        assert [e for e in found.values() if not e.held] == []
    assert found["audit"].where[0].name.startswith("audits/")
    assert len(found["audit"].where[0].sha256) == 64


def test_where_nothing_is_there_nothing_is_held(home: Path, tmp_path: Path) -> None:
    bare = outgoing.bundle(tmp_path / "v", config={"id": MODEL}, data={}, run={}, rights=None, chain={"on": False})
    for name in ("README.md", "datasheet.md", "croissant.json", "bom.cdx.json", "spdx.json"):
        files.write_text(bare / name, "altered")
    found = evidence.gather(bare, Home(home), outgoing.checks(signature="absent"))
    assert [e.key for e in found.values() if e.held] == []
    mark = {"watermark": {"name": None, "why": "turned off"}}
    out = outgoing.folder(
        tmp_path / "o", {"000.png": outgoing.picture(), "001.txt": b"a boat"}, licence="unknown", **mark
    )
    listing = json.loads((out / "outputs.json").read_text())
    del listing[0]["receipt"]
    files.write_json(out / "outputs.json", listing)
    shown = evidence.gather(out, Home(home), outgoing.checks(credential="absent"))
    assert [e.key for e in shown.values() if e.held] == ["kept_marks"]  # nothing was made from an input
    assert "turned off" in shown["watermark"].why or "no receipt" in shown["watermark"].why


@pytest.mark.parametrize(
    ("key", "records"),
    [
        ("compute", {"run": {"flops": "many"}}),
        ("energy", {"run": {"flops": 1.0, "joules": None}}),
        ("below_systemic", {"run": {"flops": 1.1e25}}),
        ("data_sources", {"data": {"source": "x", "licence": "unknown"}}),
        ("data_sources", {"data": {"members": [{"source": "x", "licence": "MIT"}, {"source": "", "licence": "MIT"}]}}),
        ("opt_outs", {"data": {"optouts": []}}),
        ("chain", {"chain": {"on": "yes"}}),
        ("architecture", {"config": {"id": MODEL, "family": "vae", "settings": {}}}),
    ],
)
def test_a_record_that_does_not_say_it_is_no_evidence(
    home: Path, tmp_path: Path, key: str, records: dict[str, Any]
) -> None:
    found = evidence.gather(outgoing.bundle(tmp_path / "v", **records), Home(home), outgoing.checks())
    assert not found[key].held


def test_the_compute_threshold_is_shown(home: Path, tmp_path: Path) -> None:
    why = evidence.gather(outgoing.bundle(tmp_path / "v"), Home(home), outgoing.checks())["below_systemic"].why
    assert "1e+09 operations, 1e-16 of the 1e+25" in why


def test_non_commercial_data_are_no_evidence_for_commerce(home: Path, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"000.txt": b"a boat"}, licence="CC-BY-NC-4.0")
    found = evidence.gather(out, Home(home), outgoing.checks())
    assert found["rights"].held
    assert not found["rights_commercial"].held
    assert "CC-BY-NC-4.0 in boats" in found["rights_commercial"].why


def test_audits_of_another_model_or_older_than_the_model_do_not_count(home: Path, tmp_path: Path) -> None:
    from makar.provenance.ledger import Ledger

    place, path = Home(home), outgoing.bundle(tmp_path / "v")
    safety.keep(results(model="9" * 64), place)
    assert not evidence.gather(path, place, outgoing.checks())["audit"].held
    safety.keep(results("2026-11-20T10:00:00Z"), place)
    Ledger(place.ledger).append("model", {"id": MODEL, "made": "2026-11-21T00:00:00Z"})
    found = evidence.gather(path, place, outgoing.checks())
    assert found["audit"].held
    assert not found["audit_fresh"].held
    safety.keep(results("2026-11-22T10:00:00Z"), place)
    assert evidence.gather(path, place, outgoing.checks())["audit_fresh"].held


def test_labels_are_read_from_texts_and_metadata_from_files(home: Path, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"0.txt": b"[AI-generated text]\nboat", "1.png": outgoing.picture()},
                          labels=["visible:eu", "visible:cn", "metadata:cn"])  # fmt: skip
    found = evidence.gather(out, Home(home), outgoing.checks())
    assert found["label_eu"].held  # the text has it, and the picture's receipt says so
    assert not found["label_cn"].held  # the text's receipt says so, and the text does not bear it
    assert not found["aigc_field"].held  # the receipt says so, and the file does not


def test_an_output_made_from_an_input_needs_its_history(home: Path, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"0.txt": b"boat"}, recipe={"input": "a" * 64})
    assert evidence.gather(out, Home(home), outgoing.checks())["kept_marks"].held
    assert not evidence.gather(out, Home(home), outgoing.checks(credential="absent"))["kept_marks"].held


@pytest.mark.parametrize("listing", ["{", "{}", "[1]", '[{"file": "../x"}]', '[{"file": ""}]', "[" * 100_000])
def test_a_broken_listing_is_one_sentence(home: Path, tmp_path: Path, listing: str) -> None:
    files.write_text(tmp_path / "o" / "outputs.json", listing)
    with pytest.raises(MakarError):
        evidence.gather(tmp_path / "o", Home(home), outgoing.checks())


def test_what_is_nothing_is_one_sentence(home: Path, tmp_path: Path) -> None:
    with pytest.raises(MakarError, match="cannot be read"):
        evidence.gather(tmp_path / "nowhere", Home(home), outgoing.checks())


def test_shared_results_give_the_same_verdicts_elsewhere(ann: Person, home: Path, tmp_path: Path) -> None:
    """GOV-19, GOV-35: exported, signed, read again."""
    place = Home(home)
    mixed = [
        Result(audit="copying", name="share", figure=0.1, low=0.0, high=0.2, n=100, threshold=0.3),
        Result(audit="membership", name="rate", figure=0.4, low=0.35, high=0.5, n=100, threshold=0.3),
        Result(audit="leakage", name="found", figure=0.3, low=0.2, high=0.4, n=100, threshold=0.3),
        Result(audit="bias", name="gap", figure=0.9, low=0.85, high=1.0, n=100, threshold=0.8, safe="above"),
        Result(audit="bias", name="share of a", figure=0.5, low=0.4, high=0.6, n=100),
    ]
    safety.keep(results(results=mixed), place)
    path = evidence.share_results(place, MODEL, ann.sign)
    read, signer = safety.read(path, ann.check)
    assert signer == ann.fingerprint
    assert (
        read.verdicts()
        == results(results=mixed).verdicts()
        == {
            "copying: share": "holds",
            "membership: rate": "fails",
            "leakage: found": "undecided",
            "bias: gap": "holds",
            "bias: share of a": "reported",
        }
    )
    altered = json.loads(path.read_text())
    altered["results"][1]["threshold"] = 0.9
    files.write_json(tmp_path / "altered.json", altered)
    assert safety.read(tmp_path / "altered.json", ann.check)[1] is None
    assert "| membership | rate | 0.4 |" in read.words()
    with pytest.raises(MakarError, match="there already"):
        evidence.share_results(place, MODEL, ann.sign)


def test_figures_outside_their_interval_are_no_results() -> None:
    good = results().plain()
    for change in ({"figure": 0.9}, {"low": float("nan")}, {"n": -1}, {"safe": "maybe"}):
        broken = good | {"results": [good["results"][0] | change]}
        with pytest.raises(MakarError, match="no safety results"):
            Results.read(broken, "it")


def test_the_registry_entry_quotes_the_records(tmp_path: Path) -> None:
    entry = evidence.registry_entry(outgoing.bundle(tmp_path / "v"))
    assert entry["algorithm"] == "vae"
    assert entry["training data"]["source"] == "harbour"
    assert entry["provider"] == "not answered"
    assert entry["note"] == "Not legal advice."


def test_real_credentials_signatures_and_ledgers_are_checked(ann: Person, home: Path, tmp_path: Path) -> None:
    """With keys, a text's side-car, a bundle's signature and the ledger's head are evidence; altered they are none."""
    from makar.provenance import credentials, signing
    from makar.provenance import keys as keyring
    from makar.provenance.ledger import Ledger
    from makar.verbs.chain import HeadSigner

    place = Home(home)
    keys = keyring.init(place, "House")
    out = outgoing.folder(tmp_path / "o", {"1.txt": b"a boat"})
    made = outgoing.receipt(b"a boat", "text").plain()
    claim = credentials.Claim("1.txt", "text/plain", "trainedAlgorithmicMedia", made)
    signed_text = credentials.sign(b"a boat", claim, keys)
    assert signed_text.sidecar is not None
    files.write_bytes(out / "1.txt.c2pa", signed_text.sidecar)
    bundle = outgoing.bundle(tmp_path / "v")
    files.remove(bundle / "model.sig")
    contents = {path.name: path.read_bytes() for path in bundle.iterdir()}
    files.write_bytes(bundle / "model.sig", signing.sign(contents, keys.model_key))
    Ledger(place.ledger, HeadSigner(keys)).append("model", {"id": MODEL})
    of_outputs, of_bundle = evidence.gather(out, place), evidence.gather(bundle, place)
    assert of_outputs["credential"].held, of_outputs["credential"].why
    assert of_bundle["signature"].held, of_bundle["signature"].why
    assert of_bundle["ledger"].held, of_bundle["ledger"].why
    listing = (out / "outputs.json").read_text()
    files.write_text(out / "outputs.json", listing.replace("CC0-1.0", "MIT"))
    assert "another receipt" in evidence.gather(out, place)["credential"].why
    files.write_text(out / "outputs.json", listing)
    stranger = evidence.gather(out, ann.home)
    assert not stranger["credential"].held  # intact, and signed by nobody whom Ann knows
    files.write_bytes(out / "1.txt", b"a ship")
    files.write_text(bundle / "README.md", "altered")
    segment = next(place.ledger.glob("0*.jsonl"))
    segment.write_text(segment.read_text().replace(MODEL, "9" * 64))
    assert not evidence.gather(out, place)["credential"].held
    altered = evidence.gather(bundle, place)
    assert not altered["signature"].held
    assert not altered["ledger"].held
