"""Consent: whoever's likeness or voice is used has signed for it, for this use and this time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.provenance import consent, signed
from tests.provenance.signers import NOW, Person, person

SCOPE = {"uses": ["train", "sample"], "of": ["voices"], "until": "2027-11-22T09:00:00Z"}
VOICES = {"name": "voices", "tags": {"a" * 64: ["voice:Jane Doe", "studio"], "b" * 64: ["voice:jane doe"]}}


@pytest.fixture(scope="module")
def jane(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("people"), "Jane")


@pytest.fixture(scope="module")
def mallory(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("others"), "Mallory")


def granted(by: Person, **changes: Any) -> dict[str, Any]:
    scope = SCOPE | changes.pop("scope", {})
    terms = {"subject": "Jane Doe", "kind": "voice", "grantor": "Jane Doe"} | changes
    return consent.grant(**terms, scope=scope, now=NOW, by=by.sign)


def refusals(tokens: list[dict[str, Any]], jane: Person, **changes: Any) -> list[str]:
    terms: dict[str, Any] = {"use": "train", "of": ["voices"], "revoked": [], "now": NOW} | changes
    return consent.lacking(VOICES, held=tokens, check=jane.check, **terms)


def test_a_token_of_the_right_scope_permits(jane: Person) -> None:
    assert refusals([granted(jane)], jane) == []
    consent.require(VOICES, "sample", ["voices"], [granted(jane)], jane.check, [], NOW + timedelta(days=300))


def test_names_are_compared_without_case_and_spaces(jane: Person) -> None:
    assert refusals([granted(jane, subject="jane   DOE")], jane) == []


def test_data_without_such_tags_need_nothing(jane: Person) -> None:
    given_tags: list[Any] = [{}, {"a": []}, {"a": ["studio"]}, {"a": ["voices"]}, None]
    for tags in given_tags:
        assert consent.lacking({"tags": tags}, "train", [], [], jane.check, [], NOW) == []


def test_without_a_token_the_refusal_names_what_is_missing(jane: Person) -> None:
    with pytest.raises(MakarError, match=r"voice of Jane Doe.*without consent to train.*no token names them"):
        consent.require(VOICES, "train", ["voices"], [], jane.check, [], NOW)


@pytest.mark.parametrize(
    ("change", "asked", "said"),
    [
        ({"subject": "John Doe"}, {}, "no token names them"),
        ({"kind": "likeness"}, {}, "no token names them"),
        ({"scope": {"uses": ["sample"]}}, {}, "permits only to sample"),
        ({"scope": {"of": ["other"]}}, {}, "is for other only"),
        ({}, {"now": NOW + timedelta(days=366)}, "until 2027-11-22T09:00:00Z only"),
        ({}, {"now": NOW - timedelta(seconds=1)}, "holds from 2026-11-22T09:00:00Z"),
        ({}, {"use": "commercial"}, "permits only to train, sample"),
    ],
)
def test_out_of_scope_is_refused(jane: Person, change: dict[str, Any], asked: dict[str, Any], said: str) -> None:
    found = refusals([granted(jane, **change)], jane, **asked)
    assert len(found) == 1
    assert said in found[0]


def test_any_data_may_be_named(jane: Person) -> None:
    assert refusals([granted(jane, scope={"of": ["*"]})], jane) == []


def test_a_strangers_token_is_refused(jane: Person, mallory: Person) -> None:
    assert "nobody whom this workspace knows" in refusals([granted(mallory)], jane)[0]


def test_a_revoked_token_is_refused(jane: Person) -> None:
    token = granted(jane)
    revoked = consent.revocations([{"source": "x"}, {"token": consent.Token.read(token, "it").id}])
    assert "was revoked" in refusals([token], jane, revoked=revoked)[0]


def test_every_altered_field_is_found(jane: Person) -> None:
    token = granted(jane, scope={"of": ["other"]})
    altered = [
        token | {"scope": token["scope"] | {"of": ["voices"]}},
        token | {"scope": token["scope"] | {"of": ["voices"], "until": "2099-01-01T00:00:00Z"}},
        token | {"scope": token["scope"] | {"of": ["voices"]}, "issued": "2026-01-01T00:00:00Z"},
        token | {"scope": token["scope"] | {"of": ["voices"]}, "grantor": "Somebody"},
        token | {"scope": token["scope"] | {"of": ["voices"]}, "signature": ""},
    ]
    for plain in altered:
        assert "was altered" in refusals([plain], jane)[0]
    assert refusals([token | {"more": 1}], jane)[0].count("no consent token") == 1


def test_a_signature_for_another_purpose_is_none(jane: Person) -> None:
    body = {key: value for key, value in granted(jane).items() if key != "signature"}
    assert refusals([signed.sign(body, "approval", jane.sign)], jane)


def test_one_good_token_among_bad_ones_is_enough(jane: Person, mallory: Person) -> None:
    assert refusals([granted(mallory), granted(jane)], jane) == []


def test_a_token_that_has_run_out_is_not_granted(jane: Person) -> None:
    with pytest.raises(MakarError, match="run out already"):
        granted(jane, scope={"until": "2026-11-22T08:59:59Z"})
    with pytest.raises(MakarError, match="no time with its zone"):
        granted(jane, scope={"until": "tomorrow"})


def test_tokens_are_kept_and_read(jane: Person, tmp_path: Path) -> None:
    token = granted(jane)
    consent.save(tmp_path / "consent", token)
    assert consent.tokens(tmp_path / "consent") == [token]
    assert consent.tokens(tmp_path / "nowhere") == []
    (tmp_path / "consent" / "zzz.json").write_text("[1]")
    with pytest.raises(MakarError, match="no JSON object"):
        consent.tokens(tmp_path / "consent")


def test_a_tag_that_names_nobody_is_an_error() -> None:
    with pytest.raises(MakarError, match="names nobody"):
        consent.needed({"tags": {"a": ["voice: "]}})
    with pytest.raises(MakarError, match="lists of words"):
        consent.needed({"tags": {"a": "voice:Jane"}})


@given(st.dictionaries(st.text(max_size=8), st.recursive(st.none() | st.text(max_size=5), st.lists, max_leaves=5)))
def test_whatever_claims_to_be_a_token_only_refuses(plain: dict[str, Any]) -> None:
    def nobody(purpose: str, data: bytes, signature: str) -> str | None:
        return None

    named = plain | {"kind": "voice", "subject": "Jane Doe"}
    assert consent.lacking(VOICES, "train", ["voices"], [named], nobody, [], NOW)
