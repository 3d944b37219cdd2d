"""Access: a role does what it may, no more and not too often, and every attempt is recorded."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from makar.core.errors import MakarError
from makar.provenance.access import ALLOWED, Access, Act, Role
from makar.provenance.home import Home
from tests.provenance.signers import NOW


@pytest.mark.parametrize("role", get_args(Role))
def test_every_role_does_what_it_may_and_no_more(home: Path, role: Role) -> None:
    access, key = Access.of(Home(home)).admit("Ann", role)
    for act in get_args(Act):
        if act in ALLOWED[role]:
            assert access.require(key, act, NOW).name == "Ann"
        else:
            with pytest.raises(MakarError, match=f"'Ann' is a {role} and may not {act}"):
                access.require(key, act, NOW)
    lines = [json.loads(line) for line in (home / "access.jsonl").read_text().splitlines()]
    assert [line["act"] for line in lines if line["allowed"]] == list(ALLOWED[role])
    assert len(lines) == len(get_args(Act))


def test_a_strange_or_dismissed_key_opens_nothing(home: Path) -> None:
    access, key = Access.of(Home(home)).admit("Ann", "keeper")
    for wrong in ("", key[:-1], key + "0", key.upper(), access.members[0].key):
        with pytest.raises(MakarError, match="nobody's"):
            access.require(wrong, "verify", NOW)
    assert Access.of(Home(home)).require(key, "verify", NOW).role == "keeper"
    access.dismiss("Ann")
    with pytest.raises(MakarError, match="nobody's"):
        Access.of(Home(home)).require(key, "verify", NOW)


def test_too_often_is_refused_until_the_minute_is_over(home: Path) -> None:
    access, key = Access.of(Home(home)).admit("Ann", "maker", a_minute=3)
    access, other = access.admit("Bob", "maker", a_minute=3)
    for _ in range(3):
        access.require(key, "sample", NOW)
    with pytest.raises(MakarError, match="3 times a minute"):
        access.require(key, "sample", NOW + timedelta(seconds=59))
    access.require(other, "sample", NOW)
    access.require(key, "sample", NOW + timedelta(seconds=60))


def test_no_key_is_kept(home: Path) -> None:
    access, key = Access.of(Home(home)).admit("Ann", "maker")
    access.require(key, "sample", NOW)
    for path in home.iterdir():
        assert key not in path.read_text()


def test_wrong_lists_are_one_sentence(home: Path) -> None:
    access, _ = Access.of(Home(home)).admit("Ann", "maker")
    with pytest.raises(MakarError, match="already"):
        access.admit("Ann", "reader")
    with pytest.raises(MakarError, match="no member"):
        access.dismiss("Bob")
    with pytest.raises(MakarError, match="cannot be a member"):
        access.admit("Cy", "maker", a_minute=0)
    (home / "access.json").write_text('{"members": [{"name": "x"}]}')
    with pytest.raises(MakarError, match="no list of members"):
        Access.of(Home(home))
