"""Release: what may leave leaves unchanged, and what may not is refused with every reason at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import approvals, consent, profile, safety, signed
from makar.provenance import keys as keyring
from makar.provenance.authorship import Authorship
from makar.provenance.findings import State
from makar.provenance.home import Home
from makar.provenance.keys import Anchors
from makar.provenance.ledger import Ledger
from makar.provenance.policy import Policy, Use
from makar.provenance.safety import Result, Results
from makar.verbs.release import PURPOSE, Refused, Released, release
from tests.provenance.signers import NOW, Person, person
from tests.verbs import outgoing
from tests.verbs.outgoing import DATA, ITEM, MODEL

BOAT = b"a boat in the harbour"


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("people"), "Ann")


@pytest.fixture
def place(ann: Person, home: Path) -> Home:
    """A workspace that believes Ann and knows the data."""
    workspace = Home(home)
    for path in ann.home.anchors.iterdir():
        files.write_bytes(workspace.anchors / path.name, path.read_bytes())
    outgoing.manifest(workspace)
    return workspace


def go(source: Path, place: Home, use: Use = "private", credential: State = "holds", **changes: Any) -> Released:
    to = source.with_name("released")
    return release(source, to, use, place, changes.pop("now", NOW), checks=outgoing.checks(credential), **changes)


def reasons(source: Path, place: Home, use: Use = "private", **changes: Any) -> tuple[str, ...]:
    """Why it does not go; and that nothing went."""
    with pytest.raises(Refused) as refused:
        go(source, place, use, **changes)
    assert not source.with_name("released").exists()
    return refused.value.reasons


def test_what_may_go_is_copied_byte_for_byte(place: Home, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"0.png": outgoing.picture(), "1.txt": BOAT})
    Authorship(out, Policy()).propose("1.txt", NOW)
    files.write_text(out / "notes.txt", "not an output")
    done = go(out, place, "commercial")
    for name in ("0.png", "1.txt", "1.txt.c2pa", "outputs.json", "authorship.jsonl"):
        assert (done.folder / name).read_bytes() == (out / name).read_bytes()
    assert {p.name for p in done.folder.iterdir()} - {p.name for p in out.iterdir()} == {
        "release.json", "marking_report.json",
    }  # fmt: skip
    assert not (done.folder / "notes.txt").exists()
    entries = list(Ledger(place.ledger).entries())
    assert [e.kind for e in entries] == ["release"]
    assert entries[0].body["files"]["1.txt"] == outgoing.sha256(BOAT)
    assert entries[0].body["summary"] == outgoing.sha256((done.folder / "release.json").read_bytes())


def test_one_file_goes_alone(place: Home, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"0.png": outgoing.picture(), "1.txt": BOAT})
    done = release(out / "1.txt", tmp_path / "r", "private", place, NOW, checks=outgoing.checks())
    assert done.files == ("1.txt",)
    assert [e["file"] for e in json.loads((done.folder / "outputs.json").read_text())] == ["1.txt"]
    with pytest.raises(MakarError, match="does not list"):
        release(out / "2.txt", tmp_path / "s", "private", place, NOW, checks=outgoing.checks())


def test_nothing_is_overwritten(place: Home, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    files.write_text(tmp_path / "released" / "mine.txt", "mine")
    with pytest.raises(MakarError, match="there already"):
        go(out, place)
    assert [p.name for p in (tmp_path / "released").iterdir()] == ["mine.txt"]


def test_the_summary_is_signed_where_there_are_keys(place: Home, tmp_path: Path) -> None:
    own = keyring.init(place, "House")
    done = go(outgoing.folder(tmp_path / "o", {"1.txt": BOAT}), place)
    summary = json.loads((done.folder / "release.json").read_text())
    check = signed.known_to(Anchors.of(place))
    assert signed.signer(summary, PURPOSE, check) == own.fingerprint
    assert summary["files"]["1.txt"] == outgoing.sha256(BOAT)
    assert signed.signer(summary | {"use": "commercial"}, PURPOSE, check) is None


def test_non_commercial_data_do_not_go_for_commerce(place: Home, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {f"{i}.txt": BOAT + b" %d" % i for i in range(3)}, licence="CC-BY-NC-4.0")
    (reason,) = reasons(out, place, "commercial")
    assert reason.startswith("0.txt and 2 more: commercial use of its outputs is refused: CC-BY-NC-4.0 in boats")
    assert go(out, place, "research").use == "research"


def test_the_policys_uses_bind(place: Home, tmp_path: Path) -> None:
    files.write_text(place.policy, 'name = "house"\nuses = ["private"]')
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    assert reasons(out, place, "commercial") == ("the policy 'house' releases for private, not for commercial use",)


def test_an_altered_file_and_a_broken_credential_are_refused(place: Home, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    assert "its credential does not hold" in reasons(out, place, credential="fails")[0]
    (out / "1.txt").write_bytes(b"another boat")
    assert reasons(out, place) == ("1.txt is not the file that outputs.json names; it was changed",)


def test_a_receipt_that_nobody_vouches_for_is_refused(place: Home, tmp_path: Path) -> None:
    """Without a credential the ledger says which receipt the file has: a kinder licence written in is found."""
    honest = outgoing.receipt(BOAT, "text", licence="CC-BY-NC-4.0")
    Ledger(place.ledger).append("output", {"receipt": honest.digest(), "sha256": outgoing.sha256(BOAT)})
    forged = outgoing.folder(tmp_path / "o", {"1.txt": BOAT}, licence="CC0-1.0")
    assert "neither a credential of a known key nor the ledger" in reasons(forged, place, credential="absent")[0]
    assert "neither a credential" in reasons(forged, place, credential="untrusted")[0]
    files.remove(forged)
    honest_folder = outgoing.folder(tmp_path / "o", {"1.txt": BOAT}, licence="CC-BY-NC-4.0")
    assert go(honest_folder, place, "research", credential="absent").files == ("1.txt",)


def test_where_nobody_vouches_there_is_no_release(place: Home, tmp_path: Path) -> None:
    """Neither without a ledger, nor by one that does not hold, nor by one alone where there are keys."""
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    assert "neither a credential" in reasons(out, place, credential="absent")[0]
    receipt = outgoing.receipt(BOAT, "text")
    Ledger(place.ledger).append("output", {"receipt": receipt.digest(), "sha256": outgoing.sha256(BOAT)})
    for credential, ledger in (("absent", "fails"), ("untrusted", "untrusted")):
        checks = outgoing.checks(cast(State, credential), ledger=cast(State, ledger))
        with pytest.raises(Refused, match="neither a credential"):
            release(out, tmp_path / "r", "private", place, NOW, checks=checks)
    keyring.init(place, "House")
    assert "neither a credential" in reasons(out, place, credential="absent")[0]
    assert go(out, place).files == ("1.txt",)


def listed(out: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Change what outputs.json lists."""
    listing = json.loads((out / "outputs.json").read_text())
    change(listing)
    files.write_json(out / "outputs.json", listing)


@pytest.mark.parametrize("key", ["id", "kind", "recipe", "parents", "note"])
def test_a_list_that_says_more_than_its_receipts_is_refused(place: Home, tmp_path: Path, key: str) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    listed(out, lambda listing: listing[0].update({key: "0" * 64}))
    with pytest.raises(MakarError, match=f"another '{key}' of 1.txt than its receipt"):
        go(out, place)


def test_a_file_that_is_listed_twice_is_refused(place: Home, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    listed(out, lambda listing: listing.append(listing[0]))
    with pytest.raises(MakarError, match="twice"):
        go(out, place)


@pytest.mark.parametrize(
    ("line", "touched"),
    [
        ({"source": "BOATS"}, True),
        ({"source": "Harbour"}, True),
        ({"creator": "b. other"}, True),
        ({"item": ITEM}, True),
        ({"source": "boat"}, False),
        ({"creator": "other"}, False),
        ({"item": "d" * 64}, False),
    ],
)
def test_what_was_learnt_from_withdrawn_data_does_not_go(
    place: Home, tmp_path: Path, line: dict[str, str], touched: bool
) -> None:
    data = outgoing.manifest(place, creators={ITEM: "A. Maker; B. Other"})
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT}, data=data)
    files.append_line(place.withdrawn, json.dumps(line | {"time": "2026-11-22"}))
    if touched:
        (reason,) = reasons(out, place)
        assert "which was withdrawn" in reason
    else:
        assert go(out, place).files == ("1.txt",)


def test_copies_and_personal_data_go_as_the_policy_says_now(place: Home, tmp_path: Path) -> None:
    near = {"item": ITEM, "distance": 0.5, "threshold": 1.0, "measure": "any"}
    contents = {"1.txt": b"write to jane.doe@example.com"}
    out = outgoing.folder(tmp_path / "o", contents, nearest=near)
    files.write_text(place.policy, 'copies = "refuse"\npii = "refuse"')
    copy, personal = reasons(out, place)
    assert f"near copy of training item {ITEM[:12]}" in copy
    assert "personal data (email)" in personal
    far = outgoing.folder(tmp_path / "p" / "o", {"1.txt": BOAT}, nearest=near | {"distance": 2.0})
    assert go(far, place).files == ("1.txt",)
    files.write_text(place.policy, 'copies = "record"\npii = "off"')
    assert go(out, place).files == ("1.txt",)


def test_an_output_without_a_receipt_is_refused(place: Home, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    listing = json.loads((out / "outputs.json").read_text())
    del listing[0]["receipt"]
    files.write_json(out / "outputs.json", listing)
    assert "no receipt" in reasons(out, place)[0]


def test_an_approver_is_required_and_is_enough(ann: Person, place: Home, tmp_path: Path) -> None:
    """CORE-18."""
    files.write_text(place.policy, f'approvers = ["{ann.fingerprint}"]')
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    assert "1.txt has no approval by the approvers" in reasons(out, place)[0]
    approvals.save(place, approvals.decide(outgoing.sha256(BOAT), "approve", "Ann", NOW, ann.sign))
    assert go(out, place).files == ("1.txt",)


def test_consent_is_required_and_is_enough(ann: Person, place: Home, tmp_path: Path) -> None:
    """GOV-24."""
    data = outgoing.manifest(place, tags={ITEM: ["likeness:Jane Doe"]})
    out = outgoing.folder(tmp_path / "o", {"0.png": outgoing.picture(), "1.png": outgoing.picture(shade=9)}, data=data)
    (reason,) = reasons(out, place)
    assert reason.startswith("0.png and 1 more: the likeness of Jane Doe is used without consent to private")
    scope = {"uses": ["private"], "of": ["boats"], "until": "2027-01-01T00:00:00Z"}
    token = consent.grant("Jane Doe", "likeness", scope, "Jane Doe", NOW, ann.sign)
    consent.save(place.consent, token)
    assert "permits only to private" in reasons(out, place, "research")[0]
    assert "until 2027" in reasons(out, place, now=NOW + timedelta(days=60))[0]
    files.append_line(place.withdrawn, json.dumps({"token": consent.Token.read(token, "it").id}))
    assert "was revoked" in reasons(out, place)[0]
    files.remove(place.withdrawn)
    assert len(go(out, place).files) == 2


def test_where_the_data_are_not_known_consent_cannot_be_told(place: Home, tmp_path: Path) -> None:
    files.remove(place.root / "data" / f"{DATA}.json")
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    assert "give the model's bundle" in reasons(out, place)[0]
    assert go(out, place, bundle=outgoing.bundle(tmp_path / "v")).files == ("1.txt",)


@pytest.mark.parametrize(
    ("text", "recipe", "data"),
    [
        (b"in the style of V\xc3\xa1n G0gh", {}, {}),
        (BOAT, {"label": "van gogh"}, {}),
        (BOAT, {}, {"tags": {ITEM: ["style:Van Gogh"]}}),
        (BOAT, {}, {"creators": {ITEM: "Vincent van Gogh"}}),
    ],
)
def test_blocked_styles_do_not_go(
    place: Home, tmp_path: Path, text: bytes, recipe: dict[str, Any], data: dict[str, Any]
) -> None:
    """FTA-18, by name."""
    files.write_text(place.policy, 'blocked = ["Van Gogh"]')
    made = outgoing.manifest(place, **data)
    out = outgoing.folder(tmp_path / "o", {"1.txt": text}, recipe=recipe, data=made)
    assert any("policy blocks: Van Gogh" in reason for reason in reasons(out, place))
    files.write_text(place.policy, 'blocked = ["Somebody Else"]')
    if "tags" not in data:
        assert go(out, place).files == ("1.txt",)


def test_the_policys_labels_must_be_on(place: Home, tmp_path: Path) -> None:
    files.write_text(place.policy, 'labels = ["eu", "cn"]')
    out = outgoing.folder(tmp_path / "o", {"0.png": outgoing.picture(), "1.txt": BOAT, "2.csv": b"a\n1\n"})
    found = reasons(out, place)
    assert [r.split(",")[0] for r in found] == [
        "0.png lacks the label 'eu'",
        "0.png lacks the label 'cn'",
        "0.png lacks the metadata field AIGC",
        "1.txt lacks the label 'eu'",
        "1.txt lacks the label 'cn'",
    ]
    files.write_text(place.policy, 'labels = ["cn"]')
    good = outgoing.folder(
        tmp_path / "p",
        {"0.png": outgoing.labelled(outgoing.picture()), "1.txt": "[AI生成]\nboat".encode(), "2.csv": b"a\n1\n"},
        labels=["visible:cn", "metadata:cn"],
    )
    assert len(go(good, place).files) == 3


def test_text_in_bulk_is_limited(place: Home, tmp_path: Path) -> None:
    """GOV-27: near-duplicates, and texts an hour."""
    words = [f"w{i}" for i in range(400)]
    different = {f"{i}.txt": " ".join(words[i * 20 : i * 20 + 20]).encode() for i in range(15)}
    praise = "this wonderful product changed my whole life for the better, please buy it today and tell your friends"
    same = {f"{i}.txt": f"dear friend number {i} {praise}".encode() for i in range(15)}
    out = outgoing.folder(tmp_path / "same", same)
    assert reasons(out, place) == ("100% of the 15 texts are near-duplicates of others; the limit is 20%",)
    assert len(go(outgoing.folder(tmp_path / "o", different), place).files) == 15
    line = {"time": signed.stamp(NOW), "texts": 990}
    files.append_line(place.root / "releases.jsonl", json.dumps(line))
    again = outgoing.folder(tmp_path / "p" / "o", different)
    assert "15 texts after 1005 within the hour" in reasons(again, place)[0]
    assert len(go(again, place, now=NOW + timedelta(hours=1)).files) == 15


def test_switching_the_profile_changes_what_blocks(ann: Person, place: Home, tmp_path: Path) -> None:
    """GOV-34: one folder, three profiles."""
    out = outgoing.folder(tmp_path / "o", {"0.png": outgoing.picture()})
    blocked: dict[str, list[str]] = {}
    for name in ("eu", "china", "company", "nist"):
        files.write_text(place.policy, f'profiles = ["{name}"]')
        try:
            release(out, tmp_path / name, "private", place, NOW, checks=outgoing.checks())
            blocked[name] = []
        except Refused as refused:
            blocked[name] = [r.partition(" (")[0] for r in refused.reasons]
    assert blocked == {
        "eu": ["eu: Deep fakes, and texts that inform the public, are labelled so that people see it"],
        "china": [
            "china: A label that people see says that the content is generated",
            "china: The file's metadata hold the AIGC field",
        ],
        "company": [
            "company: A person who is named for it has approved",
            "company: The model was audited, and not before it was made",
        ],
        "nist": [],
    }


def test_the_company_profile_can_be_satisfied(ann: Person, place: Home, tmp_path: Path) -> None:
    files.write_text(place.policy, f'approvers = ["{ann.fingerprint}"]\nprofiles = ["company"]')
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    approvals.save(place, approvals.decide(outgoing.sha256(BOAT), "approve", "Ann", NOW, ann.sign))
    figure = Result(audit="copying", name="share", figure=0.0, low=0.0, high=0.1, n=100, threshold=0.2)
    safety.keep(Results(model=MODEL, time="2026-11-22T10:00:00Z", results=[figure]), place)
    done = go(out, place, "commercial")
    assert [report.counts()["met"] for report in done.reports] == [5]
    assert "Not legal advice." in done.words()


def test_all_reasons_are_listed_at_once_and_the_refusal_is_recorded(place: Home, tmp_path: Path) -> None:
    files.write_text(
        place.policy,
        'uses = ["research"]\napprovers = ["ab"]\nlabels = ["eu"]\nblocked = ["boat"]\nprofiles = ["eu", "company"]',
    )
    data = outgoing.manifest(place, tags={ITEM: ["voice:Jane"]})
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT}, licence="CC-BY-NC-4.0", data=data)
    found = reasons(out, place, "commercial", credential="fails")
    for part in (
        "not for commercial use", "credential does not hold", "commercial use of its outputs is refused",
        "the text holds what the policy blocks: boat", "voice of Jane", "has no approval", "lacks the label 'eu'",
        "eu: ", "company: What leaves the house is signed",
    ):  # fmt: skip
        assert any(part in reason for reason in found), part
    (entry,) = Ledger(place.ledger).entries()
    assert entry.kind == "refusal"
    assert entry.body["reasons"] == list(found)


def test_without_the_chain_no_ledger_grows(place: Home, tmp_path: Path) -> None:
    files.write_text(place.policy, "chain = false")
    go(outgoing.folder(tmp_path / "o", {"1.txt": BOAT}), place)
    assert not place.ledger.exists()


def test_the_marking_report_says_which_measures_are_met(place: Home, tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    Ledger(place.ledger).append("output", {"receipt": outgoing.receipt(BOAT, "text").digest()})
    report = json.loads((go(out, place).folder / "marking_report.json").read_text())
    measures = report["files"]["1.txt"]
    assert [answer["met"] for answer in measures.values()] == ["in part", "yes", "yes", "yes", "yes"]
    assert report["note"] == profile.NO_ADVICE
    bare = outgoing.folder(tmp_path / "p" / "o", {"1.txt": BOAT}, watermark={"name": None, "why": "too short"})
    made = outgoing.receipt(BOAT, "text", watermark={"name": None, "why": "too short"})
    Ledger(place.ledger).append("output", {"receipt": made.digest(), "sha256": outgoing.sha256(BOAT)})
    report = json.loads((go(bare, place, credential="absent").folder / "marking_report.json").read_text())
    measures = report["files"]["1.txt"]
    assert [answer["met"] for answer in measures.values()] == ["no", "no", "yes", "yes", "yes"]
    assert measures["1.1.2 imperceptible watermark"]["why"] == "too short"


def test_nothing_secret_leaves(place: Home, tmp_path: Path) -> None:
    keyring.init(place, "House")
    done = go(outgoing.folder(tmp_path / "o", {"1.txt": BOAT}), place)
    secrets = [path.read_bytes() for path in place.keys.iterdir() if path.suffix == ".key"]
    for path in done.folder.iterdir():
        data = path.read_bytes()
        assert b"PRIVATE" not in data
        assert str(tmp_path).encode() not in data
        assert not any(secret in data for secret in secrets)
