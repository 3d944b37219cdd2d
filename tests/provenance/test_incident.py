"""Incidents: what is reported can be checked by those who have the things, and tells others nothing secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from makar.core.errors import MakarError
from makar.provenance import incident
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from tests.provenance.signers import NOW, person
from tests.verbs import outgoing
from tests.verbs.outgoing import MODEL, sha256

PROMPT = "the secret prompt"
BOAT = b"the secret boat"


def test_a_report_bundles_run_output_prompt_policy_and_ledger(home: Path, tmp_path: Path) -> None:
    """GOV-33."""
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    bundle = outgoing.bundle(tmp_path / "v")
    made = outgoing.receipt(BOAT, "text")
    policy = Policy(name="house")
    found = incident.report("It names a person.", out / "1.txt", NOW, policy, made, PROMPT, {"size": 7}, bundle)
    place = incident.save(found, Home(home))
    plain = json.loads((place / "incident.json").read_text())
    assert plain["output"] == {"name": "1.txt", "sha256": sha256(BOAT)}
    assert plain["prompt_sha256"] == sha256(PROMPT.encode())
    assert plain["policy"]["digest"] == policy.digest()
    assert plain["ledger"] == {"size": 7}
    assert plain["run"] == {"model": MODEL, "record": sha256((bundle / "run.json").read_bytes())}
    assert plain["receipt"] == made.plain()
    assert plain["id"] == found.id
    text = (place / "incident.md").read_text()
    for part in (found.id, "It names a person.", sha256(BOAT), MODEL, "size 7", "house", "Not legal advice."):
        assert part in text


def test_it_holds_nothing_secret(home: Path, tmp_path: Path) -> None:
    ann = person(tmp_path / "people", "Ann")
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    place = incident.save(incident.report("Bad.", out / "1.txt", NOW, Policy(), None, PROMPT), Home(home))
    secrets = [PROMPT.encode(), BOAT, str(tmp_path).encode(), b"PRIVATE"]
    secrets += [path.read_bytes() for path in ann.home.keys.iterdir()]
    for path in place.iterdir():
        assert not any(secret in path.read_bytes() for secret in secrets)


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    text = incident.report("Bad.", out / "1.txt", NOW, Policy()).words()
    for part in ("prompt: none is known", "model: not known", "run record: not at hand", "ledger: none is kept"):
        assert part in text


def test_two_incidents_are_told_apart_and_one_is_always_the_same(tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    one, again = (incident.report("Bad.", out / "1.txt", NOW, Policy()) for _ in range(2))
    assert one.id == again.id
    assert incident.report("Worse.", out / "1.txt", NOW, Policy()).id != one.id


def test_without_a_note_or_an_output_there_is_no_report(tmp_path: Path) -> None:
    out = outgoing.folder(tmp_path / "o", {"1.txt": BOAT})
    with pytest.raises(MakarError, match="needs a note"):
        incident.report("  ", out / "1.txt", NOW, Policy())
    with pytest.raises(MakarError, match="no output"):
        incident.report("Bad.", out / "2.txt", NOW, Policy())
