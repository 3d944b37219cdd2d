"""Keys: files that nobody else reads, certificates that conform, signatures that hold for one purpose only."""

from __future__ import annotations

import base64
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import keys
from makar.provenance.home import Home
from makar.provenance.keys import Anchors, Keys


@pytest.fixture
def place(home: Path) -> Home:
    return Home(home / "of" / "ours")


@pytest.fixture
def own(place: Home) -> Keys:
    return keys.init(place, "Test")


def secrets_of(own: Keys) -> list[bytes]:
    """Every form in which a secret could leak."""
    found = [own.watermark, own.watermark.hex().encode(), base64.b64encode(own.watermark)]
    for pem in (own.signer_key, own.model_key):
        key = load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        scalar = key.private_numbers().private_value.to_bytes(32, "big")
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        found += [scalar, scalar.hex().encode(), der, *pem.splitlines()[1:-1]]
    return found


def test_what_is_made_is_what_is_loaded(place: Home, own: Keys) -> None:
    assert keys.load(place) == own
    assert own.name == "Test"
    assert len(own.watermark) == 32


def test_without_keys_there_are_none(place: Home) -> None:
    assert keys.load(place) is None
    assert Anchors.of(place) == Anchors()
    assert Anchors().empty


def test_nobody_else_reads_the_secrets(place: Home, own: Keys) -> None:
    assert stat.S_IMODE(place.keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in place.keys.iterdir()} == {0o600}
    assert stat.S_IMODE(place.anchors.stat().st_mode) & 0o005 == 0o005, "what is public stays readable"


def test_secrets_are_private_from_their_first_moment(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at every file the moment that it is written, before it is renamed into place."""
    seen: dict[str, int] = {}

    class Watching(files.LocalDisk):
        def write(self, path: Path, data: bytes) -> None:
            super().write(path, data)
            folder = stat.S_IMODE(path.parent.stat().st_mode)
            seen[str(path.relative_to(place.root))] = stat.S_IMODE(path.stat().st_mode) | folder << 9

    monkeypatch.setattr(files, "disk", Watching())
    keys.init(place, "Test")
    keys.rotate(place)
    private = {name: mode for name, mode in seen.items() if "keys" in name}
    assert len(private) == 7
    assert all(mode & 0o777 == 0o600 and mode >> 9 == 0o700 for mode in private.values())
    assert all(mode & 0o044 for name, mode in seen.items() if "anchors" in name)


def test_the_umask_is_as_it_was(place: Home) -> None:
    before = os.umask(0o027)
    try:
        keys.init(place, "Test")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_keys_are_not_made_over_keys(place: Home, own: Keys) -> None:
    with pytest.raises(MakarError, match="keys rotate"):
        keys.init(place, "Test")
    assert keys.load(place) == own


@pytest.mark.parametrize("name", ["", "  ", "a" * 41, "two\nlines", "é" * 21])
def test_names_that_a_certificate_cannot_hold(place: Home, name: str) -> None:
    with pytest.raises(MakarError, match="name"):
        keys.init(place, name)
    assert not place.keys.exists()


@pytest.mark.parametrize("days", [0, -1, 99999])
def test_days_that_make_no_sense(place: Home, days: int) -> None:
    with pytest.raises(MakarError, match="days"):
        keys.init(place, "Test", days)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666])
def test_a_secret_that_others_can_read_is_refused(place: Home, own: Keys, mode: int) -> None:
    (place.keys / keys.MODEL).chmod(mode)
    with pytest.raises(MakarError, match="read by others"):
        keys.load(place)


def test_a_folder_that_others_can_enter_is_refused(place: Home, own: Keys) -> None:
    place.keys.chmod(0o755)
    with pytest.raises(MakarError, match="chmod"):
        keys.load(place)


def _not_whole(own: Keys, error: MakarError) -> None:
    assert not any(secret.decode("latin-1") in str(error) for secret in secrets_of(own))


@pytest.mark.parametrize("name", [keys.ROOT, keys.INTERMEDIATE, keys.SIGNER, keys.MODEL, keys.WATERMARK])
@pytest.mark.parametrize("kept", [None, 0.0, 0.5])
def test_a_lost_or_torn_file_is_found(place: Home, own: Keys, name: str, kept: float | None) -> None:
    path = place.keys / name
    data = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(data[: int(len(data) * kept)])
        path.chmod(0o600)
    with pytest.raises(MakarError) as error:
        keys.load(place)
    _not_whole(own, error.value)


@pytest.mark.parametrize("name", [keys.ROOT, keys.INTERMEDIATE, keys.SIGNER])
def test_another_workspaces_certificate_is_found(place: Home, own: Keys, name: str, home: Path) -> None:
    keys.init(Home(home / "other"), "Test")
    (place.keys / name).write_bytes((home / "other" / "keys" / name).read_bytes())
    with pytest.raises(MakarError, match="belong together") as error:
        keys.load(place)
    _not_whole(own, error.value)


def test_certificates_conform(own: Keys) -> None:
    """Chain, and the fields that the C2PA certificate profile asks for."""
    root, middle, signer = (x509.load_pem_x509_certificate(pem) for pem in (own.root, own.intermediate, own.signer))
    root.verify_directly_issued_by(root)
    middle.verify_directly_issued_by(root)
    signer.verify_directly_issued_by(middle)
    for certificate, depth in ((root, 1), (middle, 0), (signer, None)):
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        assert certificate.version is x509.Version.v3
        assert constraints.critical
        assert usage.critical
        assert (constraints.value.ca, constraints.value.path_length) == (depth is not None, depth)
        assert usage.value.digital_signature == (depth is None)
        assert usage.value.key_cert_sign == (depth is not None)
        assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
        for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
            assert certificate.subject.get_attributes_for_oid(oid)[0].value
    use = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(use) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]


def test_the_roots_key_is_nowhere(place: Home, own: Keys) -> None:
    root = (
        x509.load_pem_x509_certificate(own.root)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    for path in place.root.rglob("*.*"):
        for block in re.findall(rb"-----BEGIN PRIVATE KEY.*?END PRIVATE KEY-----", path.read_bytes(), re.S):
            key = load_pem_private_key(block, None).public_key()
            assert key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != root


def test_rotation_keeps_root_and_trust(place: Home, own: Keys) -> None:
    signature = keys.sign(own, "test", b"data")
    new = keys.rotate(place)
    assert (new.root, new.intermediate) == (own.root, own.intermediate)
    for part in ("signer", "signer_key", "model_key", "model_public"):
        assert getattr(new, part) != getattr(own, part)
    assert new.watermark == own.watermark
    anchors = Anchors.of(place)
    assert set(anchors.model_keys) == {own.fingerprint, new.fingerprint}
    assert keys.check(anchors, "test", b"data", signature) == own.fingerprint
    assert keys.check(anchors, "test", b"data", keys.sign(new, "test", b"data")) == new.fingerprint


def test_nothing_to_rotate(place: Home) -> None:
    with pytest.raises(MakarError, match="keys init"):
        keys.rotate(place)


def test_what_has_run_out_is_not_rotated(place: Home) -> None:
    keys.init(place, "Test", 30, datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(MakarError, match="run out"):
        keys.rotate(place)


class Failing(files.LocalDisk):
    """Loses power at one of its renames."""

    def __init__(self, at: int) -> None:
        self.left = at

    def rename(self, source: Path, target: Path) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError("power cut")
        super().rename(source, target)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_crash_while_rotating_leaves_whole_keys(
    place: Home, own: Keys, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(files, "disk", Failing(at))  # anchors twice, then the signer, then the key for models
    with pytest.raises(MakarError):
        keys.rotate(place)
    left = keys.load(place)
    assert left is not None
    assert left.model_key == own.model_key
    assert (left.signer == own.signer) == (at < 4)


@settings(deadline=None)
@given(data=st.binary(max_size=50), purpose=st.text(max_size=9), other=st.text(max_size=9), at=st.integers(0, 10**6))
def test_a_signature_is_for_one_purpose_and_one_text(data: bytes, purpose: str, other: str, at: int) -> None:
    own, anchors = _ours()
    signature = keys.sign(own, purpose, data)
    assert keys.check(anchors, purpose, data, signature) == own.fingerprint
    assert keys.check(anchors, purpose, data + b"\0", signature) is None
    assert (keys.check(anchors, other, data, signature) is None) == (other != purpose)
    raw = bytearray(base64.b64decode(signature))
    raw[at % len(raw)] ^= 1 << (at % 8)
    assert keys.check(anchors, purpose, data, base64.b64encode(raw).decode()) is None


@settings(deadline=None)
@given(junk=st.one_of(st.text(max_size=99), st.binary(max_size=99).map(lambda b: base64.b64encode(b).decode())))
def test_junk_is_no_signature(junk: str) -> None:
    assert keys.check(_ours()[1], "test", b"", junk) is None


_CACHE: list[tuple[Keys, Anchors]] = []


def _ours() -> tuple[Keys, Anchors]:
    """Keys without a workspace: hypothesis calls a test many times."""
    if not _CACHE:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            own = keys.init(Home(Path(folder)), "Test")
        _CACHE.append((own, Anchors((own.root,), {own.fingerprint: own.model_public})))
    return _CACHE[0]


def test_purpose_and_data_do_not_run_together(own: Keys, place: Home) -> None:
    assert keys.check(Anchors.of(place), "a", b"bc", keys.sign(own, "ab", b"c")) is None


def test_a_stranger_signs_nothing_here(own: Keys, home: Path) -> None:
    stranger = Home(home / "stranger")
    keys.init(stranger, "Test")
    assert keys.check(Anchors.of(stranger), "test", b"data", keys.sign(own, "test", b"data")) is None


def test_watermark_keys_differ_by_model_and_master(own: Keys) -> None:
    made = {keys.watermark_key(own, f"model {i}") for i in range(20)} | {keys.watermark_key(bytes(32), "model 0")}
    assert len(made) == 21
    assert {len(key) for key in made} == {32}
    assert keys.watermark_key(own, "m") == keys.watermark_key(own.watermark, "m")


def test_known_answers() -> None:
    """Computed apart: openssl dgst -sha256 -mac hmac, and sha256sum."""
    assert (
        keys.watermark_key(bytes(32), "m").hex() == "c3e40d6670caf449972573d3dd500892e69d9de7bed1aaa7b9a383b9da02d7f0"
    )
    assert keys.fingerprint(bytes(32)) == "9dc3d431ad6592ba"


def test_keys_print_as_their_fingerprint(own: Keys) -> None:
    for text in (repr(own), str(own), f"{own}", f"{[own]}"):
        assert own.fingerprint in text
        assert len(text) < 30


def test_export_is_public_and_serves_a_stranger(own: Keys, home: Path) -> None:
    folder = home / "for strangers"
    keys.export(own, folder)
    assert {p.name for p in folder.iterdir()} == {"root.pem", "intermediate.pem", "model.pub", "README.md"}
    everything = b"".join(p.read_bytes() for p in folder.iterdir())
    assert b"PRIVATE" not in everything
    assert not any(secret in everything for secret in secrets_of(own))
    assert {"valid", "untrusted"} <= set(re.findall(r"\w+", (folder / "README.md").read_text()))
    anchors = Anchors.read(folder)
    assert set(anchors.model_keys) == {own.fingerprint}
    assert own.root in anchors.roots
    assert isinstance(load_pem_public_key((folder / "model.pub").read_bytes()), ec.EllipticCurvePublicKey)


def test_anchors_from_one_file(own: Keys, home: Path) -> None:
    both = home / "both.pem"
    both.write_bytes(b"a word before\n" + own.root + own.model_public + own.root)
    assert Anchors.read(both) == Anchors((own.root,), {own.fingerprint: own.model_public})


@pytest.mark.parametrize("what", ["signer", "signer_key", "model_key"])
def test_what_is_no_anchor(own: Keys, home: Path, what: str) -> None:
    path = home / "anchor.pem"
    path.write_bytes(getattr(own, what))
    with pytest.raises(MakarError) as error:
        Anchors.read(path)
    assert not any(secret.decode("latin-1") in str(error.value) for secret in secrets_of(own))


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\0\xff" * 99,
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN " * 300_000,
        b"-----BEGIN \xff-----x-----END \xff-----",
        bytes(5 << 20),
    ],
    ids=["empty", "binary", "torn", "certificate", "key", "many begins", "label", "large"],
)
def test_junk_is_no_anchor(home: Path, junk: bytes) -> None:
    (home / "junk.pem").write_bytes(junk)
    for path in (home, home / "junk.pem"):
        with pytest.raises(MakarError, match=r"junk\.pem"):
            Anchors.read(path)


def test_a_pipe_and_a_device_are_no_anchors(home: Path) -> None:
    os.mkfifo(home / "junk.pem")
    for path in (home, home / "junk.pem", Path("/dev/zero")):
        with pytest.raises(MakarError, match="a pipe, a socket or a device"):
            Anchors.read(path)


def test_a_home_that_is_a_file_gets_no_keys(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("mine")
    with pytest.raises(MakarError, match="cannot be written"):
        keys.init(Home(tmp_path / "home"), "me")
    assert (tmp_path / "home").read_text() == "mine"


def test_no_anchors_at_a_place_that_is_not_there(home: Path) -> None:
    with pytest.raises(MakarError, match="cannot be read"):
        Anchors.read(home / "nowhere")
