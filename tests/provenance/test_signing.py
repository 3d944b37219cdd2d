"""Signatures of bundles: the official tool accepts ours and we accept its, and both refuse every change."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from makar.core.errors import MakarError, MissingExtra
from makar.provenance import keys, signing
from makar.provenance.home import Home

CONTENTS = {
    "config.json": b'{"family": "vae"}\n',
    "model.safetensors": bytes(range(256)) * 40,
    "README.md": b"# A model\n",
    "documents/card.md": b"",
    "documents/caf\xc3\xa9.json".encode("latin-1").decode(): b"{}",
}


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> keys.Keys:
    return keys.init(Home(tmp_path_factory.mktemp("owner")), "Owner")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> keys.Keys:
    return keys.init(Home(tmp_path_factory.mktemp("stranger")), "Stranger")


@pytest.fixture(scope="module")
def known(owner: keys.Keys) -> dict[str, bytes]:
    return {owner.fingerprint: owner.model_public}


def write(path: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


@pytest.fixture(scope="module")
def signed(owner: keys.Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed bundle that tests copy before they change it."""
    path = write(tmp_path_factory.mktemp("signed") / "bundle", CONTENTS)
    (path / signing.SIGNATURE).write_bytes(signing.sign(CONTENTS, owner.model_key))
    return path


@pytest.fixture
def bundle(signed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed, tmp_path / "bundle"))


def official(*arguments: str | Path) -> bool:
    """Whether the library's own command line says yes, in a process of its own."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0


def officially(bundle: Path, owner: keys.Keys) -> bool:
    public = bundle.parent / "model.pub"
    public.write_bytes(owner.model_public)
    return official("verify", "key", bundle, "--signature", bundle / signing.SIGNATURE, "--public_key", public)


def changed(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:] if data else b"x")


# --- both ways --------------------------------------------------------------------------------------------------------


def test_the_official_tool_accepts_ours(bundle: Path, owner: keys.Keys, known: dict[str, bytes]) -> None:
    assert officially(bundle, owner)
    found = signing.verify(bundle, known)
    assert found.state == "holds", found
    assert owner.fingerprint in found.why


def test_we_accept_what_the_official_tool_signed(tmp_path: Path, owner: keys.Keys, known: dict[str, bytes]) -> None:
    bundle = write(tmp_path / "bundle", CONTENTS)
    (tmp_path / "key").write_bytes(owner.model_key)
    assert official("sign", "key", bundle, "--signature", bundle / "model.sig", "--private_key", tmp_path / "key")
    found = signing.verify(bundle, known)
    assert found.state == "holds", found
    changed(bundle / "config.json")
    assert signing.verify(bundle, known).state == "fails"
    changed(bundle / "config.json")
    (bundle / ".git").mkdir()
    (bundle / ".git" / "config").write_text("hidden by the official tool's default")
    assert officially(bundle, owner), "it lets this pass"
    found = signing.verify(bundle, known)
    assert (found.state, ".git/config" in found.why) == ("fails", True), "we do not"


def mutations() -> dict[str, Callable[[Path], object]]:
    ways: dict[str, Callable[[Path], object]] = {"added": lambda b: (b / "extra.json").write_bytes(b"{}")}
    ways["added below"] = lambda b: (b / "documents" / "extra").write_bytes(b"")
    ways["hidden"] = lambda b: (b / ".gitignore").write_bytes(b"*")
    ways["a link"] = lambda b: (b / "link").symlink_to("config.json")
    ways["a link to a folder"] = lambda b: (b / "link").symlink_to("documents")
    for name in CONTENTS:
        ways[f"{name} changed"] = lambda b, name=name: changed(b / name)  # type: ignore[misc]
        ways[f"{name} removed"] = lambda b, name=name: (b / name).unlink()  # type: ignore[misc]
        ways[f"{name} made a link"] = lambda b, name=name: (  # type: ignore[misc]
            (b / name).rename(b.parent / "away"),
            (b / name).symlink_to(b.parent / "away"),
        )
    ways["two exchanged"] = lambda b: (
        (b / "README.md").rename(b / "x"),
        (b / "config.json").rename(b / "README.md"),
        (b / "x").rename(b / "config.json"),
    )
    return ways


@pytest.mark.parametrize("kind", mutations())
def test_every_change_is_refused_by_name(bundle: Path, known: dict[str, bytes], kind: str) -> None:
    mutations()[kind](bundle)
    found = signing.verify(bundle, known)
    assert found.state == "fails"
    subject = {"added": "extra.json", "added below": "documents/extra", "hidden": ".gitignore"}
    name = subject.get(kind) or ("link" if kind.startswith("a link") else kind.split(" ")[0])
    assert (name if kind != "two exchanged" else "README.md") in found.why, found.why


def test_the_official_tool_refuses_the_same(signed: Path, tmp_path: Path, owner: keys.Keys) -> None:
    """Every mutation but the hidden file, which its default ignores; by its API, since a process each takes seconds."""
    from model_signing import verifying

    tool: Any = verifying  # it has no types
    (tmp_path / "model.pub").write_bytes(owner.model_public)
    config = tool.Config().use_elliptic_key_verifier(public_key=tmp_path / "model.pub")
    for number, (kind, change) in enumerate(mutations().items()):
        bundle = Path(shutil.copytree(signed, tmp_path / f"{number}" / "bundle"))
        config.verify(bundle, bundle / signing.SIGNATURE)
        change(bundle)
        if kind == "hidden":
            continue
        with pytest.raises(ValueError):
            tool.Config().use_elliptic_key_verifier(public_key=tmp_path / "model.pub").verify(
                bundle, bundle / signing.SIGNATURE
            )
    assert not officially(bundle, owner), "and so does its command line, of the last"


# --- who signed -------------------------------------------------------------------------------------------------------


def test_intact_by_nobody_known_is_untrusted(bundle: Path, stranger: keys.Keys) -> None:
    assert signing.verify(bundle, {}).state == "untrusted"
    assert signing.verify(bundle, {stranger.fingerprint: stranger.model_public}).state == "untrusted"
    changed(bundle / "config.json")
    assert signing.verify(bundle, {}).state == "fails"


def test_unsigned_is_absent(tmp_path: Path, known: dict[str, bytes]) -> None:
    found = signing.verify(write(tmp_path / "bundle", CONTENTS), known)
    assert found.state == "absent"
    assert found.wrong


def test_the_signature_of_another_bundle_does_not_fit(bundle: Path, owner: keys.Keys, known: dict[str, bytes]) -> None:
    older = {**CONTENTS, "config.json": b'{"family": "gan"}\n'}
    (bundle / signing.SIGNATURE).write_bytes(signing.sign(older, owner.model_key))
    found = signing.verify(bundle, known)
    assert (found.state, "config.json" in found.why) == ("fails", True)


Change = Callable[[dict[str, Any], dict[str, Any]], object]


def edited(bundle: Path, change: Change) -> None:
    """Change the envelope and the statement in a signature."""
    place = bundle / signing.SIGNATURE
    outer = json.loads(place.read_bytes())
    statement = json.loads(base64.b64decode(outer["dsseEnvelope"]["payload"]))
    change(outer, statement)
    outer["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    place.write_text(json.dumps(outer))


def serialization(**fields: Any) -> Change:
    return lambda outer, inner: inner["predicate"]["serialization"].update(fields)


EDITS: dict[str, Change] = {
    "resealed by nobody": lambda outer, inner: inner["subject"][0].update(name="other"),
    "hides more": serialization(ignore_paths=["model.sig", "extra.json"]),
    "hides a way out": serialization(ignore_paths=["../x"]),
    "links allowed": serialization(allow_symlinks=True),
    "another hash": serialization(hash_type="blake2"),
    "shards": serialization(method="shards", shard_size=10),
    "no resources": lambda outer, inner: inner["predicate"].update(resources=[]),
    "a name twice": lambda outer, inner: inner["predicate"]["resources"].append(inner["predicate"]["resources"][0]),
    "a way out": lambda outer, inner: inner["predicate"]["resources"][0].update(name="../../etc/passwd"),
    "a weak digest": lambda outer, inner: inner["predicate"]["resources"][0].update(algorithm="md5"),
    "another predicate": lambda outer, inner: inner.update(predicateType="https://slsa.dev/provenance/v1"),
    "no signature": lambda outer, inner: outer["dsseEnvelope"].update(signatures=[]),
    "two signatures": lambda outer, inner: outer["dsseEnvelope"].update(
        signatures=outer["dsseEnvelope"]["signatures"] * 2
    ),
    "an empty signature": lambda outer, inner: outer["dsseEnvelope"]["signatures"][0].update(sig=""),
    "a strange signature": lambda outer, inner: outer["dsseEnvelope"]["signatures"][0].update(sig="!!"),
    "another type": lambda outer, inner: outer["dsseEnvelope"].update(payloadType="text/plain"),
    "another bundle": lambda outer, inner: outer.update(mediaType="application/json"),
    "no key": lambda outer, inner: outer["verificationMaterial"].update(publicKey={}),
    "a certificate": lambda outer, inner: outer.update(verificationMaterial={"certificate": {"rawBytes": ""}}),
}


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_of_a_signature_is_refused(bundle: Path, known: dict[str, bytes], name: str) -> None:
    edited(bundle, EDITS[name])
    found = signing.verify(bundle, known)
    assert found.state == "fails", found
    assert "\n" not in found.why


def test_a_stranger_who_names_our_key_is_found(bundle: Path, stranger: keys.Keys, owner: keys.Keys) -> None:
    ours = json.loads((bundle / signing.SIGNATURE).read_bytes())
    theirs = json.loads(signing.sign(CONTENTS, stranger.model_key))
    theirs["verificationMaterial"] = ours["verificationMaterial"]
    (bundle / signing.SIGNATURE).write_text(json.dumps(theirs))
    found = signing.verify(bundle, {owner.fingerprint: owner.model_public})
    assert (found.state, owner.fingerprint in found.why) == ("fails", True)


def test_a_file_changed_and_its_digest_with_it(bundle: Path, known: dict[str, bytes]) -> None:
    """The one change that only the signature itself can find."""
    from hashlib import sha256

    changed(bundle / "config.json")
    new = sha256((bundle / "config.json").read_bytes()).hexdigest()

    def follow(outer: dict[str, Any], inner: dict[str, Any]) -> None:
        for resource in inner["predicate"]["resources"]:
            if resource["name"] == "config.json":
                resource["digest"] = new
        digests = b"".join(bytes.fromhex(r["digest"]) for r in inner["predicate"]["resources"])
        inner["subject"][0]["digest"]["sha256"] = sha256(digests).hexdigest()

    edited(bundle, follow)
    assert signing.verify(bundle, known).state == "fails"


def test_a_signature_cut_anywhere_is_refused(bundle: Path, known: dict[str, bytes]) -> None:
    whole = (bundle / signing.SIGNATURE).read_bytes()
    for k in range(50):
        (bundle / signing.SIGNATURE).write_bytes(whole[: len(whole) * k // 50])
        assert signing.verify(bundle, known).state == "fails"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_signature_with_a_changed_byte_never_holds_wrongly(
    bundle: Path, known: dict[str, bytes], owner: keys.Keys, data: st.DataObject
) -> None:
    whole = signing_bytes(bundle)
    place = data.draw(st.integers(0, len(whole) - 1))
    wrong = bytearray(whole)
    wrong[place] ^= 1 << data.draw(st.integers(0, 7))
    (bundle / signing.SIGNATURE).write_bytes(wrong)
    found = signing.verify(bundle, known)
    (bundle / signing.SIGNATURE).write_bytes(whole)
    # Bits outside of what is signed (a field that nobody reads, base64's spare bits) can change and mean nothing.
    if found.state == "holds":
        assert payload(bytes(wrong)) == payload(whole)


def signing_bytes(bundle: Path) -> bytes:
    return (bundle / signing.SIGNATURE).read_bytes()


def payload(signature: bytes) -> bytes:
    return base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"])


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 200_000, b'{"mediaType": ' + b"9" * 10_000 + b"}"],
    ids=["empty", "object", "list", "null", "not text", "deep", "a long number"],
)
def test_a_hostile_signature_is_a_finding(bundle: Path, known: dict[str, bytes], data: bytes) -> None:
    (bundle / signing.SIGNATURE).write_bytes(data)
    assert signing.verify(bundle, known).state == "fails"


def test_a_signature_that_is_no_plain_file_is_refused(bundle: Path, known: dict[str, bytes]) -> None:
    place = bundle / signing.SIGNATURE
    place.rename(bundle.parent / "away")
    place.symlink_to(bundle.parent / "away")
    assert signing.verify(bundle, known).state == "fails"
    place.unlink()
    os.mkfifo(place)
    assert signing.verify(bundle, known).state == "fails"
    place.unlink()
    with open(place, "wb") as file:
        file.truncate(signing.LARGEST + 1)
    found = signing.verify(bundle, known)
    assert (found.state, "is larger than" in found.why) == ("fails", True)


# --- signing ----------------------------------------------------------------------------------------------------------


def test_the_key_is_written_nowhere(owner: keys.Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that signing makes is kept and looked at; the secret is in none."""
    secret = owner.model_key.splitlines()[1]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept: list[bytes] = []
    monkeypatch.setattr(
        "shutil.rmtree",
        lambda path, *a, **k: kept.extend(p.read_bytes() for p in Path(path).rglob("*") if p.is_file()),
    )
    signature = signing.sign(CONTENTS, owner.model_key)
    assert len(kept) >= len(CONTENTS), "what was written was kept for this test"
    assert not any(secret in data for data in [*kept, signature])


def test_what_cannot_be_signed_is_refused_without_quoting_the_key(owner: keys.Keys) -> None:
    for bad in (b"", b"secret words", owner.model_public, b"x" * 10_000):
        with pytest.raises(MakarError) as caught:
            signing.sign(CONTENTS, bad)
        assert "secret words" not in str(caught.value)
    with pytest.raises(MakarError, match="already"):
        signing.sign({**CONTENTS, "model.sig": b""}, owner.model_key)


def test_no_library_is_one_line(bundle: Path, owner: keys.Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(MissingExtra, match=r"makar\[provenance\]"):
        signing.sign(CONTENTS, owner.model_key)
    with pytest.raises(MissingExtra, match=r"makar\[provenance\]"):
        signing.verify(bundle, {owner.fingerprint: owner.model_public})


def test_the_library_is_imported_only_to_sign_and_to_check_with_a_key(bundle: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from makar.provenance import signing\n"
        f"assert signing.verify(Path({str(bundle)!r}), {{}}).state == 'untrusted'\n"
        "assert 'model_signing' not in sys.modules and 'requests' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
