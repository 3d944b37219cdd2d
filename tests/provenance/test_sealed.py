"""Sealed bundles: the card is public, the weights open only with the key, and nothing altered opens."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import sealed
from makar.provenance.findings import holds

SECRET = sealed.passphrase("correct horse battery")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    contents = {"README.md": b"# A card", "config.json": b"{}", sealed.WEIGHTS: bytes(range(256)) * 40}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    files.write_directory(tmp_path / "v", contents | {"digests.json": files.to_json(digests).encode()})
    return tmp_path / "v"


@pytest.fixture
def shut(bundle: Path) -> Path:
    return sealed.seal(bundle, bundle.with_name("sealed"), SECRET)


def test_opened_it_is_what_it_was(bundle: Path, shut: Path, tmp_path: Path) -> None:
    back = sealed.unseal(shut, tmp_path / "back", SECRET)
    assert {p.name: p.read_bytes() for p in back.iterdir()} == {p.name: p.read_bytes() for p in bundle.iterdir()}


def test_card_and_digests_stay_readable_and_the_weights_do_not(bundle: Path, shut: Path) -> None:
    assert (shut / "README.md").read_bytes() == (bundle / "README.md").read_bytes()
    assert not (shut / sealed.WEIGHTS).exists()
    weights = (bundle / sealed.WEIGHTS).read_bytes()
    everything = b"".join(path.read_bytes() for path in shut.iterdir())
    assert not any(weights[i : i + 16] in everything for i in range(0, len(weights), 16))
    assert holds(sealed.check(shut))


def test_another_key_does_not_open_it(shut: Path) -> None:
    with pytest.raises(MakarError, match="the key is another"):
        sealed.open_weights(shut, sealed.passphrase("correct horse batterx"))


def test_a_key_file_opens_it(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)))
    shut = sealed.seal(bundle, tmp_path / "s", sealed.key_file(tmp_path / "key"))
    assert sealed.open_weights(shut, sealed.key_file(tmp_path / "key")) == (bundle / sealed.WEIGHTS).read_bytes()
    (tmp_path / "short").write_bytes(b"123")
    with pytest.raises(MakarError, match="too short"):
        sealed.key_file(tmp_path / "short")
    with pytest.raises(MakarError, match="too short"):
        sealed.passphrase("123")


def test_many_pieces(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With small pieces, so that there are several: none can be dropped or moved."""
    monkeypatch.setattr(sealed, "PIECE", 1000)
    shut = sealed.seal(bundle, tmp_path / "s", SECRET)
    assert sealed.open_weights(shut, SECRET) == (bundle / sealed.WEIGHTS).read_bytes()
    body = (shut / sealed.SEALED).read_bytes()
    step = 1016
    for wrong in (body[step:], body[:-step], body[step : 2 * step] + body[:step] + body[2 * step :], body[:-1], b""):
        (shut / sealed.SEALED).write_bytes(wrong)
        assert not holds(sealed.check(shut))
        with pytest.raises(MakarError, match="do not open"):
            sealed.open_weights(shut, SECRET)


@pytest.mark.parametrize("field", ["salt", "nonce", "weights", "cipher", "piece", "version", "derivation"])
def test_an_altered_seal_does_not_open(shut: Path, field: str) -> None:
    note = json.loads((shut / sealed.SEAL).read_text())
    note[field] = note[field][:-1] + ("0" if note[field][-1] != "0" else "1") if isinstance(note[field], str) else 2
    (shut / sealed.SEAL).write_text(json.dumps(note))
    with pytest.raises(MakarError):
        sealed.open_weights(shut, SECRET)


def test_a_public_file_altered_is_found_without_the_key(shut: Path) -> None:
    for name in ("README.md", "config.json", sealed.SEALED):
        before = (shut / name).read_bytes()
        (shut / name).write_bytes(before + b"x")
        assert [f.what for f in sealed.check(shut) if f.wrong] == [name]
        (shut / name).unlink()
        assert [f.what for f in sealed.check(shut) if f.wrong] == [name]
        (shut / name).write_bytes(before)
    assert holds(sealed.check(shut))


def test_weights_of_another_bundle_are_found(shut: Path) -> None:
    digests = json.loads((shut / "digests.json").read_text())
    digests[sealed.WEIGHTS] = "0" * 64
    (shut / "digests.json").write_text(json.dumps(digests))
    assert any(f.wrong and f.what == sealed.WEIGHTS for f in sealed.check(shut))
    with pytest.raises(MakarError, match="other weights"):
        sealed.open_weights(shut, SECRET)


def test_two_seals_of_one_bundle_differ(bundle: Path, tmp_path: Path) -> None:
    one, two = (sealed.seal(bundle, tmp_path / name, SECRET) for name in ("a", "b"))
    assert (one / sealed.SEALED).read_bytes() != (two / sealed.SEALED).read_bytes()


def test_nothing_is_overwritten_and_altered_weights_are_not_sealed(bundle: Path, shut: Path, tmp_path: Path) -> None:
    with pytest.raises(MakarError, match="there already"):
        sealed.seal(bundle, shut, SECRET)
    with pytest.raises(MakarError, match="there already"):
        sealed.unseal(shut, bundle, SECRET)
    (bundle / sealed.WEIGHTS).write_bytes(b"other")
    with pytest.raises(MakarError, match="does not match"):
        sealed.seal(bundle, tmp_path / "t", SECRET)
    with pytest.raises(MakarError, match="not sealed"):
        sealed.open_weights(bundle, SECRET)
