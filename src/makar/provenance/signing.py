"""Signatures of bundles in the OpenSSF Model Signing format, by the library `model_signing`.

`model.sig` is a Sigstore bundle (v0.3) around a DSSE envelope around an in-toto statement
(`https://model_signing/signature/v1.0`) that names every file of the directory with its sha256. A stranger checks it
with that tool alone:

    model_signing verify key BUNDLE --signature BUNDLE/model.sig --public_key model.pub

Here more is refused than there: whatever lies in the directory and is not under the signature, even where the
signature's own list of ignored paths would let it pass.

The library is imported when it is needed, and not before: with all it brings that takes half a CPU second and more.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from makar.core import files
from makar.core.errors import MakarError, MissingExtra
from makar.provenance import _pem
from makar.provenance.findings import Finding

SIGNATURE = "model.sig"
"""The file within a bundle."""

LARGEST = 4 * 2**20
"""Bytes of the largest signature that is read: some ten thousand files."""

_IGNORED = {SIGNATURE, ".git", ".gitattributes", ".github", ".gitignore"}  # what the official tool ignores by default
_SHOWN = 3  # names in a sentence

_Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Identifier(BaseModel):
    hint: _Hex  # sha256 of the public key's PEM


class _Material(BaseModel):
    publicKey: _Identifier


class _Signed(BaseModel):
    sig: str


class _Envelope(BaseModel):
    payload: str
    payloadType: Literal["application/vnd.in-toto+json"]
    signatures: Annotated[list[_Signed], Field(min_length=1, max_length=1)]


class _Bundle(BaseModel):
    mediaType: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"]
    verificationMaterial: _Material
    dsseEnvelope: _Envelope


class _Resource(BaseModel):
    name: str
    algorithm: Literal["sha256"]
    digest: _Hex


class _Serialization(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    method: Literal["files"]
    hash_type: Literal["sha256"]
    allow_symlinks: Literal[False]
    ignore_paths: list[str] = []


class _Predicate(BaseModel):
    serialization: _Serialization
    resources: list[_Resource]


class _Statement(BaseModel):
    predicateType: Literal["https://model_signing/signature/v1.0"]
    predicate: _Predicate


@dataclass(frozen=True)
class _Claim:
    """What a signature says before anyone has checked it."""

    hint: str  # which key it names
    digests: dict[str, str]  # sha256 of every file


def sign(contents: Mapping[str, bytes], private_key: bytes, name: str = SIGNATURE) -> bytes:
    """The signature of a directory that is about to be written with these contents, for its file `name`.

    `private_key` is PEM, EC over P-256, without a password; it reaches the library through a pipe and no file.
    Raises MissingExtra without the library, MakarError where the key is none or the disk refuses.
    """
    hashing, signing, _ = _library()
    _pem.private(private_key, "the signing key")  # refuses in words that quote nothing of it
    if name in contents:
        raise MakarError(f"the contents hold {name} already; sign them before the signature is among them")
    try:
        with tempfile.TemporaryDirectory() as folder, _handed(private_key) as key:
            directory, signature = Path(folder) / "model", Path(folder) / name
            files.write_directory(directory, contents)
            ignored = hashing.Config().set_ignored_paths(paths=[name], ignore_git_paths=False)
            config = signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(ignored)
            config.sign(directory, signature)
            return signature.read_bytes()
    except (OSError, ValueError, TypeError) as error:
        raise MakarError(f"the bundle cannot be signed: {error}") from None


def verify(path: Path, public_keys: Mapping[str, bytes]) -> Finding:
    """How the signature of a bundle's directory stands.

    holds: every file is as it was when the key that is named signed it, and there is no other. fails: a file was
    changed, removed or added, there is a link, or the signature is torn, changed or of another form. untrusted: the
    files are those that it names, but it names a key that is not among `public_keys` (fingerprint to PEM). absent:
    there is none.
    """
    what = f"signature of {path.name or path.absolute().name}"
    place = path / SIGNATURE
    if not os.path.lexists(place):
        return Finding(what, "absent", f"there is no {SIGNATURE}: nobody signed it")
    hints = {_hint(pem, fingerprint): fingerprint for fingerprint, pem in public_keys.items()}
    try:
        claim = _claim(place)
        present = _present(path)
        unlike = _names(present, claim.digests)
        if unlike:
            return Finding(what, "fails", unlike)
        if claim.hint in hints:
            fingerprint = hints[claim.hint]
            return _checked(what, path, public_keys[fingerprint], fingerprint, claim)
        changed = _changed(path, claim.digests)
    except MissingExtra:
        raise
    except (MakarError, OSError) as error:
        return Finding(what, "fails", str(error))
    if changed:
        return Finding(what, "fails", changed)
    return Finding(what, "untrusted", f"its {len(present)} files are those that it names, signed by no key known here")


def verify_sealed(
    path: Path, public_keys: Mapping[str, bytes], hidden: Mapping[str, str], beside: Collection[str]
) -> Finding:
    """As `verify`, of a directory in which `hidden` files (name to sha256) are sealed away and `beside` lie instead.

    The library wants every file, so its envelope is checked here: ECDSA over the pre-authentication encoding
    `DSSEv1 len(type) type len(payload) payload` (DSSE protocol, version 1).
    """
    from cryptography.exceptions import InvalidSignature

    what = f"signature of {path.name or path.absolute().name}"
    place = path / SIGNATURE
    if not os.path.lexists(place):
        return Finding(what, "absent", f"there is no {SIGNATURE}: nobody signed it")
    try:
        claim, present = _claim(place), _present(path) - set(beside)
        named = dict(claim.digests)
        unlike = "".join(
            f"{name} was sealed from other bytes" for name, d in hidden.items() if named.pop(name, "") != d
        )
        unlike = unlike or _names(present, named) or _changed(path, named)
        envelope = _Bundle.model_validate_json(files.read(place, LARGEST)).dsseEnvelope
        payload, signature = base64.b64decode(envelope.payload), base64.b64decode(envelope.signatures[0].sig)
    except (MakarError, OSError, ValueError, IndexError) as error:
        return Finding(what, "fails", _unreadable(error))
    if unlike:
        return Finding(what, "fails", unlike)
    keys = {_hint(pem, fingerprint): fingerprint for fingerprint, pem in public_keys.items()}
    if claim.hint not in keys:
        return Finding(what, "untrusted", "its files are those that it names, signed by no key known here")
    fingerprint, kind = keys[claim.hint], envelope.payloadType.encode()
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    try:
        _pem.public(public_keys[fingerprint], "a trust anchor").verify(signature, encoded, _pem.ecdsa())
    except InvalidSignature:
        return Finding(what, "fails", f"it was not made by key {fingerprint}, which it names, or was changed since")
    return Finding(what, "holds", f"signed by key {fingerprint}; what is sealed is named by its digest")


def _unreadable(error: Exception) -> str:
    """Why a signature cannot be read."""
    return str(error) if isinstance(error, MakarError) else f"{SIGNATURE} cannot be read ({type(error).__name__})"


def _checked(what: str, path: Path, pem: bytes, fingerprint: str, claim: _Claim) -> Finding:
    """What the library says, with a public key that the signature names."""
    from cryptography.exceptions import InvalidSignature

    _, _, verifying = _library()
    try:
        with _handed(pem) as key:
            verifying.Config().use_elliptic_key_verifier(public_key=key).verify(path, path / SIGNATURE)
    except (ValueError, TypeError, LookupError, AttributeError, OSError, RecursionError, InvalidSignature) as error:
        forged = f"it was not made by key {fingerprint}, which it names, or was changed since"
        said = forged if isinstance(error, InvalidSignature) else f"model_signing refuses it: {_plain(str(error))}"
        return Finding(what, "fails", _changed(path, claim.digests) or said)
    return Finding(what, "holds", f"signed by key {fingerprint}; its {len(claim.digests)} files are as they were then")


def _claim(place: Path) -> _Claim:
    """Read a signature strictly. Raises MakarError where it is of no form that is written."""
    data = files.read(place, LARGEST)
    try:
        bundle = _Bundle.model_validate_json(data)
        payload = base64.b64decode(bundle.dsseEnvelope.payload, validate=True)
        statement = _Statement.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise MakarError(f"{SIGNATURE} is torn or of another form: {_plain(where)}: {first['msg'].lower()}") from None
    except ValueError as error:
        raise MakarError(f"{SIGNATURE} is torn or of another form: {error}") from None
    hidden = set(statement.predicate.serialization.ignore_paths) - _IGNORED
    if hidden:
        raise MakarError(f"the signature hides more than itself: it ignores {_listed(hidden)}")
    digests = {resource.name: resource.digest for resource in statement.predicate.resources}
    if len(digests) != len(statement.predicate.resources):
        raise MakarError("the signature names a file twice")
    return _Claim(bundle.verificationMaterial.publicKey.hint, digests)


def _present(path: Path) -> set[str]:
    """The files of a directory but its signature. Raises MakarError at a link, a pipe or a device."""
    found = set()
    for folder, below, names in os.walk(path, onerror=_refuse):
        for name in (*below, *names):
            place = Path(folder) / name
            mode = os.lstat(place).st_mode
            inner = place.relative_to(path).as_posix()
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                kind = "a link" if stat.S_ISLNK(mode) else "no plain file"
                raise MakarError(f"{_plain(inner)} is {kind}; a bundle holds plain files only")
            if stat.S_ISREG(mode) and inner != SIGNATURE:
                found.add(inner)
    return found


def _refuse(error: OSError) -> None:
    raise MakarError(f"{error.filename} cannot be read ({error.strerror or error})")


def _names(present: set[str], digests: Mapping[str, str]) -> str:
    """What is missing or too much, in a sentence; "" where the names are the same."""
    missing, extra = digests.keys() - present, present - digests.keys()
    parts = [f"missing since it was signed: {_listed(missing)}"] * bool(missing)
    parts += [f"not under the signature: {_listed(extra)}"] * bool(extra)
    return "; ".join(parts)


def _changed(path: Path, digests: Mapping[str, str]) -> str:
    """Which files have other digests, in a sentence; "" where none has."""
    changed = set()
    for name, expected in digests.items():
        with open(path / name, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                changed.add(name)
    return f"changed since it was signed: {_listed(changed)}" if changed else ""


def _listed(names: set[str]) -> str:
    some = sorted(names)[:_SHOWN]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(_plain, some)) + more


def _plain(text: str) -> str:
    """Text that somebody else wrote, fit for one line of ours."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])


def _library() -> tuple[Any, Any, Any]:
    try:
        from model_signing import hashing, signing, verifying
    except ImportError:
        raise MissingExtra("model_signing", "provenance") from None
    return hashing, signing, verifying


def _hint(pem: bytes, name: str) -> str:
    """How the format names a public key: sha256 of its PEM."""
    return hashlib.sha256(_pem.of_public(_pem.public(pem, f"the public key {name}"))).hexdigest()


@contextlib.contextmanager
def _handed(data: bytes) -> Iterator[Path]:
    """A path from which `data` can be read once, though no file of it exists: a pipe."""
    if len(data) > 4096:  # more might not fit into a pipe
        raise MakarError("a key has at most 4096 bytes as PEM; this is longer")
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
        os.close(writer)
        yield Path(f"/dev/fd/{reader}")
    finally:
        os.close(reader)
