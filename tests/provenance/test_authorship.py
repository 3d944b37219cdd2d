"""Authorship: what a person did is recorded in order, and every change of the record is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from makar.core.errors import MakarError
from makar.provenance import authorship
from makar.provenance.authorship import Authorship
from makar.provenance.findings import holds
from makar.provenance.policy import Policy
from tests.provenance.signers import NOW


@pytest.fixture
def record(tmp_path: Path) -> Authorship:
    """One prompt, three proposals: one accepted, one edited and accepted, one rejected; two selected."""
    kept = Authorship(tmp_path, Policy())
    kept.prompt("a red boat, secret words", "Ann", NOW)
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text(f"boat {i}")
        kept.propose(f"{i}.txt", NOW)
    kept.decide("0.txt", "accept", "Ann", NOW)
    (tmp_path / "1.txt").write_text("a better boat")
    kept.edit("1.txt", "Ann", NOW, "reworded | all")
    kept.decide("2.txt", "reject", "Ann", NOW)
    kept.select(["0.txt", "1.txt"], "Ann", NOW)
    return kept


def test_the_record_says_what_was_decided(record: Authorship) -> None:
    assert [e.step for e in authorship.read(record.path)] == [
        "prompt", "propose", "propose", "propose", "accept", "edit", "reject", "select", "select",
    ]  # fmt: skip
    assert authorship.decisions(record.path) == {"0.txt": "accept", "1.txt": "edit", "2.txt": "reject"}
    assert holds(authorship.check(record.path))


def test_a_prompt_is_kept_as_a_digest_unless_the_policy_says_so(record: Authorship, tmp_path: Path) -> None:
    assert "secret" not in record.path.read_text()
    open_record = Authorship(tmp_path / "open", Policy(prompt="text"))
    open_record.prompt("a red boat", "Ann", NOW)
    assert "a red boat" in open_record.path.read_text()


def test_deciding_on_what_was_never_proposed_is_an_error(record: Authorship, tmp_path: Path) -> None:
    (tmp_path / "9.txt").write_text("x")
    with pytest.raises(MakarError, match="never proposed"):
        record.decide("9.txt", "accept", "Ann", NOW)
    with pytest.raises(MakarError, match="no output"):
        record.propose("../9.txt", NOW)


def test_every_mutation_is_found(record: Authorship) -> None:
    lines = record.path.read_text().splitlines()
    known = authorship.head(record.path)
    mutations = [lines[:i] + lines[i + 1 :] for i in range(len(lines))]  # removed, the last one by `known`
    mutations += [[*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]] for i in range(len(lines) - 1)]  # reordered
    mutations += [[*lines[:i], lines[i], *lines[i:]] for i in range(len(lines))]  # repeated
    for i, line in enumerate(lines):
        for field in json.loads(line):
            plain = json.loads(line)
            plain[field] = plain[field] + 1 if field == "n" else "f" * 64 if field != "step" else "accept"
            if plain != json.loads(line):
                mutations.append([*lines[:i], json.dumps(plain), *lines[i + 1 :]])  # altered
    mutations.append([*lines[:3], "{", *lines[4:]])
    for mutated in mutations:
        record.path.write_text("\n".join(mutated) + "\n")
        assert not holds(authorship.check(record.path, known)), mutated
    record.path.write_text("\n".join(lines) + "\n")
    assert holds(authorship.check(record.path, known))
    assert len(mutations) > 80


def test_an_altered_record_is_not_added_to(record: Authorship) -> None:
    record.path.write_text(record.path.read_text().replace('"Ann"', '"Bob"', 1))
    with pytest.raises(MakarError, match="was altered"):
        record.prompt("more", "Ann", NOW)
    with pytest.raises(MakarError, match="not exported"):
        authorship.to_markdown(record.path)


def test_it_is_exported_as_markdown(record: Authorship) -> None:
    text = authorship.to_markdown(record.path)
    assert "9 entries: 1 accept, 1 edit, 1 prompt, 3 propose, 1 reject, 2 select" in text
    assert "reworded \\| all" in text
    assert text.count("\n| ") == 11  # header, rule, nine rows
    assert "Not legal advice." in text


def test_nothing_recorded_is_absent(tmp_path: Path) -> None:
    assert [f.state for f in authorship.check(tmp_path / authorship.NAME)] == ["absent"]
    assert not authorship.check(tmp_path / authorship.NAME)[0].wrong
    assert authorship.check(tmp_path / authorship.NAME, known=(3, "a" * 64))[0].wrong
