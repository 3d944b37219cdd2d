"""Withdraw: every maker counts, in any case, and what the ledger holds of another form is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.verbs.chain import Chain
from makar.verbs.permit import revoked
from makar.verbs.withdraw import items_of, search
from tests.verbs import outgoing
from tests.verbs.outgoing import ITEM, MODEL


@pytest.fixture
def chain(home: Path) -> Chain:
    return Chain(Home(home), Policy(), on=True)


@pytest.mark.parametrize(
    ("kind", "name", "count"),
    [
        ("creator", "a. maker", 1),
        ("creator", "B. OTHER", 2),
        ("creator", "A. Maker; B. Other", 1),
        ("creator", "Other", 0),
        ("creator", "", 0),
        ("item", ITEM.upper(), 1),
        ("source", "BOATS", 3),
        ("source", "harbour", 3),
        ("source", "boat", 0),
    ],
)
def test_items_are_found_by_any_of_their_makers(kind: str, name: str, count: int) -> None:
    manifest = outgoing.data(creators={ITEM: "A. Maker; B. Other", "b" * 64: "B. Other", "c" * 64: ""})
    assert items_of({kind: name}, manifest) == count


@pytest.mark.parametrize("body", [{}, {"id": "x", "place": "p", "data": []}, {"id": 5, "family": {}, "model": [1]}])
def test_entries_of_another_form_are_passed_over(chain: Chain, body: dict[str, Any]) -> None:
    data = outgoing.manifest(chain.home)
    model = {"id": MODEL, "family": "vae", "data": data, "place": "runs/v"}
    output = {"id": "o", "file": "0.png", "model": MODEL}
    chain.record_all([("model", body), ("output", body), ("model", model), ("output", output)])
    touched = search({"source": "boats"}, chain)
    assert touched.models == [model]
    assert touched.outputs == [output]
    assert "0.png" in touched.words()


def test_an_altered_manifest_is_named(chain: Chain) -> None:
    place = chain.home.root / "data" / f"{outgoing.manifest(chain.home)}.json"
    for text in ("{}", place.read_text().replace("harbour", "port")):
        files.write_text(place, text)
        with pytest.raises(MakarError, match="manifest"):
            search({"source": "boats"}, chain)


@pytest.mark.parametrize("line", ["{", "5", "[1]", "\xff"])
def test_a_broken_register_is_named(chain: Chain, line: str) -> None:
    assert revoked(chain) == set()
    chain.home.withdrawn.write_bytes(b'{"token": "ab", "why": "\xe2\x80\xa8"}\n')
    assert revoked(chain) == {"ab"}, "a line of text ends where JSON's lines do"
    chain.home.withdrawn.write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(MakarError, match="withdrawn"):
        revoked(chain)
