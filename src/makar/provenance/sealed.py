"""Sealed bundles: card, records and digests stay readable, the weights open only with a key.

    model.safetensors.sealed   the weights, AES-256-GCM (NIST SP 800-38D) in pieces of 16 MiB
    seal.json                  cipher, key derivation, salt, nonce, sha256 of the sealed file; nothing secret

The key is scrypt (RFC 7914) of a passphrase or of a key file's bytes with a salt of the seal's own. Pieces are
numbered, the last is marked as such, and seal.json is authenticated with each (the STREAM construction: Hoang,
Reyhanitabar, Rogaway and Vizár 2015, section 7), so that none can be dropped, moved or taken from another seal. All
else in the bundle, digests.json and signature included, is as it was: what the weights must be is public, and opening
them is checked against it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makar.core import files
from makar.core.errors import MakarError, MissingExtra
from makar.provenance import signed
from makar.provenance.findings import Finding

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

WEIGHTS, SEALED, SEAL = "model.safetensors", "model.safetensors.sealed", "seal.json"
PIECE = 16 << 20  # bytes of plain text
_TAG = 16  # bytes that GCM adds to a piece
SHORTEST = 12  # characters of a passphrase, bytes of a key file
_COST = {"n": 1 << 15, "r": 8, "p": 1}  # 32 MiB of memory; fixed by the version, so no file can ask for more


class Seal(BaseModel):
    """What seal.json says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    cipher: Literal["AES-256-GCM"] = "AES-256-GCM"
    derivation: Literal["scrypt n=32768 r=8 p=1"] = "scrypt n=32768 r=8 p=1"
    piece: Literal[16777216] = 16777216
    salt: str = Field(pattern=r"^[0-9a-f]{32}$")
    nonce: str = Field(pattern=r"^[0-9a-f]{14}$")  # 7 bytes; 4 of a counter and 1 of the mark of the last follow
    weights: str = Field(pattern=r"^[0-9a-f]{64}$")  # sha256 of model.safetensors, as digests.json has it
    sealed: str = ""  # sha256 of model.safetensors.sealed

    @classmethod
    def of(cls, bundle: Path) -> Self:
        """The seal of a bundle. Raises MakarError where it has none."""
        if not (bundle / SEAL).is_file():
            raise MakarError(f"{bundle} is not sealed: it has no {SEAL}")
        plain = signed.read(bundle / SEAL)
        try:
            return cls.model_validate(plain)
        except ValidationError as error:
            first = error.errors()[0]
            raise MakarError(
                f"{bundle / SEAL} is no seal of this version: {'.'.join(map(str, first['loc']))}"
            ) from None

    def bound(self) -> bytes:
        """What is authenticated with every piece."""
        return signed.canonical(self.model_dump(mode="json", exclude={"sealed"}))


def key_file(path: Path) -> bytes:
    """The secret in a key file. Raises MakarError where it is too short to be one."""
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise MakarError(f"the key file {path} cannot be read ({error.strerror})") from None
    return _secret(secret)


def passphrase(text: str) -> bytes:
    """The secret that a passphrase is. Raises MakarError where it is too short."""
    return _secret(text.encode("utf-8"))


def _secret(secret: bytes) -> bytes:
    if len(secret) < SHORTEST:
        raise MakarError(f"the secret is too short to keep anything; give at least {SHORTEST} characters")
    return secret


def _cipher(secret: bytes, salt: str) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM as Cipher
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    except ImportError:
        raise MissingExtra("cryptography", "provenance") from None
    return Cipher(Scrypt(salt=bytes.fromhex(salt), length=32, **_COST).derive(_secret(secret)))


def _nonce(seal: Seal, number: int, last: bool) -> bytes:
    return bytes.fromhex(seal.nonce) + number.to_bytes(4, "big") + bytes([last])


def seal(bundle: Path, to: Path, secret: bytes) -> Path:
    """Write a sealed copy of a bundle. Raises MakarError where `to` is there, or there is nothing to seal."""
    if to.exists():
        raise MakarError(f"{to} is there already; choose another place")
    contents = _contents(bundle)
    weights = contents.pop(WEIGHTS, None)
    if weights is None:
        raise MakarError(f"{bundle} holds no {WEIGHTS} to seal")
    stated = _digests(bundle).get(WEIGHTS)
    found = hashlib.sha256(weights).hexdigest()
    if stated != found:
        raise MakarError(f"{bundle}/{WEIGHTS} does not match digests.json; it is not sealed")
    note = Seal(salt=secrets.token_hex(16), nonce=secrets.token_hex(7), weights=found)
    cipher, bound = _cipher(secret, note.salt), note.bound()
    pieces = [weights[at : at + PIECE] for at in range(0, len(weights), PIECE)] or [b""]
    body = b"".join(
        cipher.encrypt(_nonce(note, number, number == len(pieces) - 1), piece, bound)
        for number, piece in enumerate(pieces)
    )
    note = note.model_copy(update={"sealed": hashlib.sha256(body).hexdigest()})
    contents |= {SEALED: body, SEAL: files.to_json(note.model_dump(mode="json")).encode()}
    files.write_directory(to, contents)
    return to


def open_weights(bundle: Path, secret: bytes) -> bytes:
    """The weights of a sealed bundle. Raises MakarError for a wrong secret and for anything altered."""
    note = Seal.of(bundle)
    if _digests(bundle).get(WEIGHTS) != note.weights:
        raise MakarError(f"{bundle}: the seal is of other weights than digests.json names")
    try:
        body = (bundle / SEALED).read_bytes()
    except OSError as error:
        raise MakarError(f"{bundle / SEALED} cannot be read ({error.strerror})") from None
    cipher, bound = _cipher(secret, note.salt), note.bound()
    step = PIECE + _TAG
    count = max(1, -(-len(body) // step))
    weights = b"".join(
        _piece(cipher, _nonce(note, number, number == count - 1), body[number * step : (number + 1) * step], bound)
        for number in range(count)
    )
    if hashlib.sha256(weights).hexdigest() != note.weights:
        raise MakarError(f"{bundle}: what was sealed is not the model that digests.json names")
    return weights


def _piece(cipher: AESGCM, nonce: bytes, body: bytes, bound: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(nonce, body, bound)
    except (InvalidTag, ValueError):
        raise MakarError("the weights do not open: the key is another, or the seal was altered") from None


def unseal(bundle: Path, to: Path, secret: bytes) -> Path:
    """Write the bundle as it was before it was sealed. Raises MakarError as `open_weights` does."""
    if to.exists():
        raise MakarError(f"{to} is there already; choose another place")
    weights = open_weights(bundle, secret)
    contents = {name: data for name, data in _contents(bundle).items() if name not in (SEAL, SEALED)}
    files.write_directory(to, contents | {WEIGHTS: weights})
    return to


def check(bundle: Path) -> list[Finding]:
    """What holds of a sealed bundle without its key: every readable file's digest, and the sealed file's."""
    try:
        note, stated = Seal.of(bundle), _digests(bundle)
    except MakarError as error:
        return [Finding(SEAL, "fails", str(error))]
    findings = [_found(bundle / name, digest) for name, digest in sorted(stated.items()) if name != WEIGHTS]
    findings.append(_found(bundle / SEALED, note.sealed))
    if stated.get(WEIGHTS) != note.weights:
        findings.append(Finding(WEIGHTS, "fails", "the seal is of other weights than digests.json names"))
    else:
        findings.append(Finding(WEIGHTS, "unknown", "sealed; the key is needed to check the weights", required=False))
    return findings


def _found(path: Path, digest: str) -> Finding:
    if not path.is_file() or path.is_symlink():
        return Finding(path.name, "fails", "it is named by a digest and is not there")
    same = hashlib.sha256(path.read_bytes()).hexdigest() == digest
    return Finding(path.name, "holds" if same else "fails", "matches its digest" if same else "it was altered")


def _contents(bundle: Path) -> dict[str, bytes]:
    if not bundle.is_dir():
        raise MakarError(f"{bundle} is not a bundle: there is no such folder")
    paths = [path for path in sorted(bundle.rglob("*")) if not path.is_dir()]
    links = [path for path in paths if path.is_symlink()]
    if links:
        raise MakarError(f"{links[0]} is a link; a bundle holds only plain files")
    return {str(path.relative_to(bundle)): path.read_bytes() for path in paths}


def _digests(bundle: Path) -> dict[str, Any]:
    try:
        plain: Any = json.loads((bundle / "digests.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        raise MakarError(f"{bundle} is not a bundle: its digests.json is missing or not JSON") from None
    if not isinstance(plain, dict) or any(Path(name).is_absolute() or ".." in Path(name).parts for name in plain):
        raise MakarError(f"{bundle}/digests.json does not list a bundle's files")
    return plain
