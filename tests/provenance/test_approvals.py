"""Approvals: only those whom the policy names can let something go, and they can take it back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from makar.core.errors import MakarError
from makar.provenance import approvals, signed
from makar.provenance.keys import Anchors
from makar.provenance.policy import Policy
from tests.provenance.signers import NOW, Person, person

WHAT, OTHER = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Person, Person]:
    root = tmp_path_factory.mktemp("people")
    return person(root, "Ann"), person(root, "Bob")


def believing(*people: Person) -> signed.Check:
    return signed.known_to(Anchors(model_keys={k: v for p in people for k, v in p.anchors.model_keys.items()}))


def test_a_policy_without_approvers_asks_for_none() -> None:
    approvals.require_approved(Policy(), {"000.png": WHAT}, [], lambda *_: None)


def test_without_approval_it_does_not_go(people: tuple[Person, Person]) -> None:
    ann, _ = people
    policy = Policy(name="house", approvers=[ann.fingerprint])
    with pytest.raises(MakarError, match=r"000\.png has no approval by the approvers whom the policy 'house' names"):
        approvals.require_approved(policy, {"000.png": WHAT}, [], ann.check)


def test_an_approvers_signature_lets_it_go(people: tuple[Person, Person]) -> None:
    ann, _ = people
    policy = Policy(approvers=[ann.fingerprint])
    decision = approvals.decide(WHAT, "approve", "Ann", NOW, ann.sign)
    approvals.require_approved(policy, {"000.png": WHAT}, [decision], ann.check)
    assert approvals.lacking(policy, {"000.png": WHAT, "001.png": OTHER}, [decision], ann.check)[0].startswith("001")


def test_somebody_who_is_believed_but_not_named_cannot(people: tuple[Person, Person]) -> None:
    ann, bob = people
    policy = Policy(approvers=[ann.fingerprint])
    decision = approvals.decide(WHAT, "approve", "Ann", NOW, bob.sign)  # Bob says that he is Ann
    assert approvals.approved(policy, [WHAT], [decision], believing(ann, bob)) == set()


def test_a_later_rejection_takes_it_back(people: tuple[Person, Person]) -> None:
    ann, bob = people
    policy = Policy(approvers=[ann.fingerprint, bob.fingerprint])
    yes = approvals.decide(WHAT, "approve", "Ann", NOW, ann.sign)
    no = approvals.decide(WHAT, "reject", "Ann", NOW + timedelta(hours=1), ann.sign)
    again = approvals.decide(WHAT, "approve", "Ann", NOW + timedelta(hours=2), ann.sign)
    veto = approvals.decide(WHAT, "reject", "Bob", NOW, bob.sign)
    check = believing(ann, bob)
    assert approvals.approved(policy, [WHAT], [no, yes], check) == set()
    assert approvals.approved(policy, [WHAT], [yes, again, no], check) == {WHAT}
    assert approvals.approved(policy, [WHAT], [yes, veto], check) == set()


@pytest.mark.parametrize("field", ["what", "decision", "by", "time", "note", "signature"])
def test_every_altered_field_voids_it(people: tuple[Person, Person], field: str) -> None:
    ann, _ = people
    policy = Policy(approvers=[ann.fingerprint])
    decision = approvals.decide(OTHER, "reject", "Ann", NOW, ann.sign, note="no")
    forged: dict[str, Any] = {"what": WHAT, "decision": "approve", "by": "A", "time": "2026-01-01T00:00:00Z",
                              "note": "yes", "signature": "AAAA"}  # fmt: skip
    altered = decision | {field: forged[field]} | ({"decision": "approve"} if field != "decision" else {})
    assert approvals.approved(policy, [WHAT, OTHER], [altered], ann.check) == set()


def test_decisions_are_kept(people: tuple[Person, Person]) -> None:
    ann, _ = people
    decision = approvals.decide(WHAT, "approve", "Ann", NOW, ann.sign)
    approvals.save(ann.home, decision)
    assert approvals.kept(ann.home) == [decision]


def test_what_is_no_digest_cannot_be_approved(people: tuple[Person, Person]) -> None:
    with pytest.raises(MakarError, match="no approval: what"):
        approvals.decide("000.png", "approve", "Ann", NOW, people[0].sign)
    with pytest.raises(MakarError, match="needs its zone"):
        approvals.decide(WHAT, "approve", "Ann", NOW.replace(tzinfo=None), people[0].sign)
