"""PEM: certificates and P-256 keys as text, read from files that may hold anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makar.core import files
from makar.core.errors import MakarError, MissingExtra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.x509 import Certificate

LARGEST = 4 << 20  # bytes that are read from one file


def require() -> None:
    """Raises MissingExtra where `cryptography` is not installed."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise MissingExtra("cryptography", "provenance") from None


def ecdsa() -> Any:
    """The signature algorithm: ECDSA with SHA-256 (FIPS 186-5)."""
    require()
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(hashes.SHA256())


def new_key() -> EllipticCurvePrivateKey:
    """A fresh key on P-256."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def of_certificate(certificate: Certificate) -> bytes:
    """A certificate as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def of_private(key: EllipticCurvePrivateKey) -> bytes:
    """A private key as unencrypted PKCS #8 in PEM: as `model_signing` takes it."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def of_public(key: EllipticCurvePublicKey) -> bytes:
    """A public key as SubjectPublicKeyInfo in PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certificate(pem: bytes, place: Path | str) -> Certificate:
    """The first certificate of a text. Raises MakarError where there is none."""
    require()
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise MakarError(f"{place} holds no certificate that can be read") from None


def authority(pem: bytes, place: Path | str) -> bytes:
    """The certificate of an authority, as canonical PEM. Raises MakarError where it is not one."""
    from cryptography import x509

    found = certificate(pem, place)
    try:
        signs = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        signs = False
    if not signs:
        raise MakarError(f"{place} is the certificate of a signer, not of an authority; give the root certificate")
    return of_certificate(found)


def private(pem: bytes, place: Path | str) -> EllipticCurvePrivateKey:
    """A private key on P-256. Raises MakarError, which quotes nothing of it, where it is not one."""
    require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MakarError(f"{place} holds no private key on P-256 that can be read")
    return key


def public(pem: bytes, place: Path | str) -> EllipticCurvePublicKey:
    """A public key on P-256. Raises MakarError where it is not one."""
    require()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MakarError(f"{place} holds no public key on P-256 that can be read")
    return key


def blocks(path: Path) -> Iterator[tuple[str, bytes]]:
    """The labels and blocks of a PEM file. Raises MakarError for a file with none, a torn one, or one too large."""
    data = files.read(path, LARGEST)
    begin = b"-----BEGIN "
    parts = data.split(begin)[1:]
    if not parts:
        raise MakarError(f"{path} holds neither certificates nor public keys in PEM")
    for part in parts:
        label, dashes, rest = part.partition(b"-----")
        end = b"-----END " + label + b"-----"
        body, found, _ = rest.partition(end)
        if not dashes or not found or len(label) > 64:
            raise MakarError(f"{path} holds a block of PEM without an end")
        yield label.decode("ascii", "replace"), begin + label + dashes + body + end + b"\n"
