"""Profiles: data files that say what is asked; what there is no check for is said, and no verdict on law is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import profile
from makar.provenance.policy import Policy
from makar.provenance.profile import Evidence, Place, Profile, Report

NAMES = profile.names()


def everything(found: Profile, held: bool) -> dict[str, Evidence]:
    keys = {key for requirement in found.requirements for key in requirement.evidence}
    return {key: Evidence(key, held, "it is there" if held else "it is not", (Place("a", "b" * 64),)) for key in keys}


def reports() -> list[Report]:
    """Every profile, with all evidence, with none, and without looking."""
    loaded = [profile.load(name) for name in NAMES]
    return [profile.check(p, e) for p in loaded for e in (everything(p, True), everything(p, False), {})]


def test_the_profiles_that_were_promised_are_there() -> None:
    assert {"eu", "nist", "china", "company", "voluntary"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_evidence_decides(name: str) -> None:
    found = profile.load(name)
    full, none, unseen = (profile.check(found, e) for e in (everything(found, True), everything(found, False), {}))
    covered = [r for r in found.requirements if r.evidence]
    uncovered = len(found.requirements) - len(covered)
    free = sum(bool(r.unless) for r in covered)
    stands = {"met": 0, "missing": 0, "not applicable": 0, "not covered": uncovered, "not looked at": 0}
    assert full.counts() == stands | {"met": len(covered) - free, "not applicable": free}
    assert none.counts() == stands | {"missing": len(covered)}
    assert unseen.counts() == stands | {"not looked at": len(covered)}
    assert not full.blocking
    assert not unseen.blocking
    assert {a.requirement.id for a in none.blocking} == {r.id for r in found.requirements if r.blocks_release}


@pytest.mark.parametrize("name", NAMES)
def test_each_missing_piece_alone_is_found(name: str) -> None:
    found = profile.load(name)
    for requirement in found.requirements:
        for key in requirement.evidence:
            evidence = everything(found, True) | {key: Evidence(key, False, "it is not")}
            evidence |= {requirement.unless: Evidence(requirement.unless, False, "it is above")}
            (answer,) = [a for a in profile.check(found, evidence).answers if a.requirement == requirement]
            enough = requirement.needs == "any" and len(requirement.evidence) > 1
            assert answer.outcome == ("met" if enough else "missing")
            if not enough:
                assert f"{key}: it is not" in answer.lacking
                assert requirement.obtain in answer.lacking


def test_what_was_not_looked_at_neither_meets_nor_fails() -> None:
    """An output shows its model's licences and not its card: Annex XI is then not met."""
    rights = Evidence("rights", True, "it is there")
    audit = Evidence("audit", False, "it is not")
    seen = {a.requirement.id: a.outcome for a in profile.check(profile.load("eu"), {"rights": rights}).answers}
    assert seen["53.1a-annex-xi"] == "not looked at"
    seen = {a.requirement.id: a.outcome for a in profile.check(profile.load("eu"), {"audit": audit}).answers}
    assert seen["55.1a-evaluation"] == "not looked at"  # its compute may be below the threshold


def test_a_duty_of_systemic_risk_does_not_apply_below_the_threshold() -> None:
    below = Evidence("below_systemic", True, "3 operations")
    report = profile.check(profile.load("eu"), {"below_systemic": below, "audit": Evidence("audit", False, "none")})
    seen = {a.requirement.id: a.outcome for a in report.answers}
    assert {seen[f"55.1{what}"] for what in ("a-evaluation", "c-incidents", "d-security")} == {"not applicable"}
    said = report.words()
    assert "NOT APPLICABLE: 55.1a-evaluation" in said
    assert "below the threshold: 3 operations" in said
    assert "lacks audit" not in said


def test_no_verdict_on_law_is_given_anywhere() -> None:
    texts = [path.read_text(encoding="utf-8") for path in profile.FOLDER.iterdir()]
    for report in reports():
        assert report.words().endswith("Not legal advice.")
        assert report.coverage().endswith("Not legal advice.")
        assert report.to_json()["note"] == "Not legal advice."
        texts += [report.words(), report.coverage(), files.to_json(report.to_json())]
    for text in texts:
        assert "complian" not in text.lower()
    assert len(texts) > 4 * len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_requirement_cites_its_rule_and_says_what_to_do(name: str) -> None:
    found = profile.load(name)
    ids = [r.id for r in found.requirements]
    assert len(ids) == len(set(ids))
    for requirement in found.requirements:
        assert requirement.citation
        assert requirement.obtain.endswith(".")
        assert not (requirement.blocks_release and not requirement.evidence)  # else nothing could ever be released


def test_nist_has_four_functions_and_twelve_risks_and_says_which_are_not_covered() -> None:
    """GOV-21."""
    found = profile.load("nist")
    risks = [r for r in found.requirements if r.id.startswith("600-1.")]
    assert [r.citation for r in risks] == [f"AI 600-1, risk 2.{i}" for i in range(1, 13)]
    assert [r.id for r in found.requirements if r not in risks] == ["govern", "map", "measure", "manage"]
    assert all(r.functions for r in found.requirements)
    assert {r.duty for r in risks if not r.evidence} == {"CBRN information or capabilities", "Confabulation"}
    table = profile.check(found, everything(found, True)).coverage().splitlines()
    assert len(table) == 2 + 16 + 2
    assert "| Confabulation |  |  | x |  | none | not covered |" in table


def test_a_profile_switches_its_settings_on() -> None:
    """GOV-23: what it wants is added to the policy, and nothing of the policy is lost."""
    policy = Policy(name="house", watermark="off", labels=["cn"], approvers=["ab"], chain=False)
    on = profile.switched_on(profile.load("eu"), policy)
    assert (on.watermark, on.labels, on.chain) == ("auto", ["cn", "eu"], True)
    assert (on.name, on.approvers, on.profiles) == ("house", ["ab"], ["eu"])
    for name in NAMES:
        assert name in profile.switched_on(profile.load(name), policy).profiles


def test_unknown_and_broken_profiles_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MakarError, match=r"no profile 'eux' \(did you mean 'eu'\?\)"):
        profile.load("eux")
    good = (profile.FOLDER / "company.toml").read_text()
    for broken in (
        "[",
        good + "\nmore = 1",
        good.replace('name = "company"', ""),
        good.replace("sources = [", "s = ["),
    ):
        files.write_text(tmp_path / "mine.toml", broken)
        with pytest.raises(MakarError, match="cannot be read"):
            profile.load(str(tmp_path / "mine.toml"))
    files.write_text(tmp_path / "mine.toml", good)
    assert profile.load(str(tmp_path / "mine.toml")) == profile.load("company")
    files.write_text(tmp_path / "mine.toml", good.replace('watermark = "auto"', "watermarks = 1"))
    with pytest.raises(MakarError, match="no policy has"):
        profile.switched_on(profile.load(str(tmp_path / "mine.toml")), Policy())
