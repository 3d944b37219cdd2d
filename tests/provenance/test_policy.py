"""Policies: one file of rules; a wrong one is refused with a sentence, and its digest tells any two apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import profile
from makar.provenance.policy import Policy

OTHER: dict[str, Any] = {
    "name": "house", "version": "2", "chain": False, "watermark": "off", "labels": ["eu"], "prompt": "text",
    "copies": "refuse", "verbatim": 40, "pii": "refuse", "blocked": ["van gogh"], "approvers": ["ab"],
    "uses": ["private"], "profiles": ["eu"],
}  # fmt: skip
"""Every setting, at another value than its default."""


def written(path: Path, text: str) -> Path:
    files.write_text(path / "policy.toml", text)
    return path / "policy.toml"


def test_without_a_file_the_defaults_are_in_force(tmp_path: Path) -> None:
    found = Policy.load(tmp_path / "policy.toml")
    assert found == Policy()
    assert (found.chain, found.watermark, found.prompt) == (True, "auto", "digest")
    assert not found.approvers
    assert set(OTHER) == set(Policy.model_fields)
    assert not [key for key, value in OTHER.items() if getattr(found, key) == value]


@given(st.sets(st.sampled_from(sorted(OTHER))), st.sets(st.sampled_from(sorted(OTHER))))
def test_two_policies_have_one_digest_only_where_they_are_one(a: set[str], b: set[str]) -> None:
    first, second = (Policy.model_validate({key: OTHER[key] for key in keys}) for keys in (a, b))
    assert (first.digest() == second.digest()) == (a == b)


def test_the_digest_sees_neither_the_order_nor_the_comments_of_the_file(tmp_path: Path) -> None:
    one = Policy.load(written(tmp_path, 'name = "a"\nverbatim = 3'))
    other = Policy.load(written(tmp_path, '# ours\nverbatim = 3\n\nname = "a"\nchain = true'))
    assert one.digest() == other.digest()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("watermarks = 'off'", r"has no setting 'watermarks' \(did you mean 'watermark'\?\)"),
        ("labels = ['us']", "labels.0 is wrong"),
        ("labels = 'eu'", "labels is wrong"),
        ("verbatim = -1", "verbatim is wrong: input should be greater than or equal to 0"),
        ("copies = 'ignore'", "copies is wrong"),
        ("uses = ['sale']", "uses.0 is wrong"),
        ("chain = 'perhaps'", "chain is wrong"),
        ("approvers = [3]", "approvers.0 is wrong"),
        ("name = ", "cannot be read"),
        ("name = 'a'\nname = 'b'", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_file_and_setting(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(MakarError, match=sentence) as refused:
        Policy.load(path)
    assert str(path) in str(refused.value)


def test_bytes_that_are_no_text_and_a_folder_are_refused(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "policy.toml", b"name = '\xff'")
    with pytest.raises(MakarError, match="cannot be read"):
        Policy.load(tmp_path / "policy.toml")
    with pytest.raises(MakarError, match="cannot be read"):
        Policy.load(tmp_path)


def test_a_pipe_a_link_to_nothing_and_what_nests_without_end_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "policy.toml"
    os.mkfifo(place)
    with pytest.raises(MakarError, match="cannot be read"):
        Policy.load(place)
    place.unlink()
    place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(MakarError, match="a link"):
        Policy.load(place)
    place.unlink()
    files.write_text(place, "a = " + "[" * 10**5)
    with pytest.raises(MakarError, match="cannot be read"):
        Policy.load(place)


def test_rules_do_not_change_while_they_are_in_force() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Policy().chain = False


def test_every_setting_that_a_profile_wants_is_one_that_a_policy_has() -> None:
    for name in profile.names():
        assert set(profile.load(name).settings) <= set(Policy.model_fields)
