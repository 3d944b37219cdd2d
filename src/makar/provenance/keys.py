"""Keys: who signs here, and whom a verifier believes.

A workspace has three secrets. A certificate chain (root, intermediate, signer; EC P-256, as the C2PA specification asks
of signing credentials) signs the content credentials of what is made. A second P-256 key signs
models and records: `model_signing` takes it as it is, and `sign` uses it for ledger heads and tokens. 32 random bytes
are the watermark's master key. The root's private key is never written: the intermediate renews the signer, and nobody
can make a second intermediate.

Nobody outside knows such a root. To a stranger's reader a file that it signed is "valid but untrusted": the file is
intact, its signer unknown, until the stranger takes `root.pem` as a trust anchor.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from makar.core import files
from makar.core.errors import MakarError
from makar.provenance import _pem
from makar.provenance.home import Home

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate

ROOT, INTERMEDIATE, SIGNER, MODEL, WATERMARK = (
    "root.pem",
    "intermediate.pem",
    "signer.pem",
    "model.key",
    "watermark.key",
)
LONGEST_NAME = 40  # bytes; a name in a certificate holds 64 characters (X.520), and ours add a word
ANCHOR_SUFFIXES = (".pem", ".pub", ".crt")

_Validity = tuple[datetime, datetime]
_Issuer = tuple["Certificate", "EllipticCurvePrivateKey"]


@dataclass(frozen=True, repr=False)
class Keys:
    """The keys of a workspace. What it prints as is only the fingerprint."""

    name: str
    root: bytes  # certificates, PEM
    intermediate: bytes
    signer: bytes
    model_public: bytes  # PEM
    signer_key: bytes  # secret: PKCS #8, PEM
    model_key: bytes  # secret: PKCS #8, PEM
    watermark: bytes  # secret: 32 bytes

    @property
    def chain(self) -> bytes:
        """The certificates that a signature carries: the signer's, then the intermediate's. PEM."""
        return self.signer + self.intermediate

    @property
    def fingerprint(self) -> str:
        """That of the public key for models and records: how people name these keys."""
        return fingerprint(self.model_public)

    def __repr__(self) -> str:
        return f"Keys({self.fingerprint})"


@dataclass(frozen=True)
class Anchors:
    """What a verifier believes. Empty anchors are allowed: then whatever is intact is untrusted."""

    roots: tuple[bytes, ...] = ()  # certificates of authorities for content credentials, PEM
    model_keys: dict[str, bytes] = field(default_factory=dict)  # public keys for models and records: fingerprint to PEM

    @property
    def empty(self) -> bool:
        """Whether nobody is believed."""
        return not self.roots and not self.model_keys

    @classmethod
    def of(cls, home: Home) -> Self:
        """What a workspace believes: its own keys, old ones too, and what was put beside them."""
        return cls.read(home.anchors) if home.anchors.exists() else cls()

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a PEM file, or from every .pem, .pub and .crt file of a folder.

        Raises MakarError where there is anything in them but certificates of authorities and P-256 public keys.
        """
        _pem.require()
        roots: dict[bytes, None] = {}  # each once, in order
        model_keys: dict[str, bytes] = {}
        try:
            places = sorted(p for p in path.iterdir() if p.suffix in ANCHOR_SUFFIXES) if path.is_dir() else [path]
            found = [(place, label, block) for place in places for label, block in _pem.blocks(place)]
        except OSError as error:
            raise MakarError(f"the trust anchors {path} cannot be read ({error.strerror or error})") from None
        for place, label, block in found:
            if label == "CERTIFICATE":
                roots[_pem.authority(block, place)] = None
            elif label == "PUBLIC KEY":
                public = _pem.of_public(_pem.public(block, place))
                model_keys[fingerprint(public)] = public
            else:
                what = "a private key" if "PRIVATE" in label else "neither a certificate nor a public key"
                raise MakarError(f"{place} holds {what}; a trust anchor is a root certificate or a public key")
        return cls(tuple(roots), model_keys)


def init(home: Home, name: str, days: int = 3650, start: datetime | None = None) -> Keys:
    """Make a workspace's keys, valid for `days` from `start` (by default now, less an hour for clocks that differ).

    `name` is who signs, as readers will show it. Raises MakarError where keys exist already.
    """
    _pem.require()
    if not name.strip() or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise MakarError(f"'{name}' cannot name a signer; give 1 to {LONGEST_NAME} bytes of printable text")
    if _exist(home):
        raise MakarError(f"{home.keys} holds keys already; renew them with: makar keys rotate")
    valid = _validity(start, days)
    root_key, middle_key = _pem.new_key(), _pem.new_key()
    root = _certificate(name, "root", root_key, None, valid)
    middle = _certificate(name, "intermediate", middle_key, (root, root_key), valid)
    secrets = {
        ROOT: _pem.of_certificate(root),
        INTERMEDIATE: _pem.of_private(middle_key) + _pem.of_certificate(middle),
        SIGNER: _new_signer(name, (middle, middle_key), valid),
        MODEL: _pem.of_private(_pem.new_key()),
        WATERMARK: os.urandom(32),
    }
    _believe(home, secrets[ROOT], secrets[MODEL])  # first: an anchor whose key was never written does no harm
    with _nobody_else_reads():
        files.write_directory(home.keys, secrets)
    return _loaded(home)


def load(home: Home) -> Keys | None:
    """A workspace's keys, or None where it has none.

    Raises MakarError where they are damaged or where others can read them.
    """
    return _loaded(home) if _exist(home) else None


def rotate(home: Home, days: int = 3650, start: datetime | None = None) -> Keys:
    """New keys for the signer and for models, under the same root, in place of the old ones.

    What the old ones signed stays trusted: the root is the same, and the old public key stays an anchor. The watermark
    secret stays, since old marks could not be found without it.
    """
    old = load(home)
    if old is None:
        raise MakarError(f"there are no keys in {home.keys} to renew; make some with: makar keys init")
    place = home.keys / INTERMEDIATE
    issuer = _pem.certificate(old.intermediate, place), _pem.private(place.read_bytes(), place)
    first, last = _validity(start, days)
    last = min(last, issuer[0].not_valid_after_utc)
    if last <= first:
        raise MakarError(
            f"the certificates in {home.keys} have run out; move that folder away and run: makar keys init"
        )
    model = _pem.of_private(_pem.new_key())
    _believe(home, old.root, model)
    with _nobody_else_reads():
        files.write_bytes(home.keys / SIGNER, _new_signer(old.name, issuer, (first, last)))
        files.write_bytes(home.keys / MODEL, model)
    return _loaded(home)


def export(keys: Keys, folder: Path) -> None:
    """Write what strangers need to check what was signed here, and nothing secret."""
    files.write_bytes(folder / "root.pem", keys.root)
    files.write_bytes(folder / "intermediate.pem", keys.intermediate)
    files.write_bytes(folder / "model.pub", keys.model_public)
    files.write_text(folder / "README.md", _FOR_STRANGERS.format(name=keys.name, fingerprint=keys.fingerprint))


def sign(keys: Keys, purpose: str, data: bytes) -> str:
    """ECDSA over P-256 with SHA-256, base64, by the key for models and records.

    `purpose` is signed with the data, so that a signature made for one purpose is none for another.
    """
    signature = _pem.private(keys.model_key, MODEL).sign(_statement(purpose, data), _pem.ecdsa())
    return base64.b64encode(signature).decode()


def check(anchors: Anchors, purpose: str, data: bytes, signature: str) -> str | None:
    """The fingerprint of the believed key that signed `data` for `purpose`, or None where none of them did."""
    _pem.require()
    from cryptography.exceptions import InvalidSignature

    try:
        decoded = base64.b64decode(signature, validate=True)
    except ValueError:  # not base64, or not ASCII
        return None
    for name, pem in anchors.model_keys.items():
        try:
            _pem.public(pem, "a trust anchor").verify(decoded, _statement(purpose, data), _pem.ecdsa())
        except InvalidSignature:
            continue
        return name
    return None


def watermark_key(secret: Keys | bytes, model_id: str) -> bytes:
    """32 bytes for one model's watermark: HMAC-SHA256 of the model's id under the workspace's secret."""
    master = secret.watermark if isinstance(secret, Keys) else secret
    return hmac.digest(master, b"makar watermark v1\0" + model_id.encode(), "sha256")


def fingerprint(key: bytes) -> str:
    """16 hexadecimal characters that name a key (a secret, or a public key's PEM) and tell nothing of it."""
    return hashlib.sha256(b"makar fingerprint v1\0" + key).hexdigest()[:16]


_FOR_STRANGERS = """# Public keys of {name}

`root.pem` and `intermediate.pem` are the certificates behind content credentials (C2PA). `model.pub`, fingerprint
{fingerprint}, signs models and records. Nothing here is secret.

A reader that does not know the root calls a signed file "valid" and its signer "untrusted". That means: the file is as
it was when it was signed, and the reader cannot tell by whom. Whether to believe that it was {name} is for you to
decide: compare the fingerprint over a channel that you trust, then give the root to your reader.

    makar verify FILE --bundle BUNDLE --key .              # with makar, no workspace needed
    c2patool FILE trust --trust_anchors root.pem           # a file, with the official reader
    model_signing verify key BUNDLE --signature BUNDLE/model.sig --public_key model.pub
"""


def _statement(purpose: str, data: bytes) -> bytes:
    """What is signed: the purpose with its length before it, so that no two pairs share their bytes."""
    return b"makar signature v1 %d:%b" % (len(purpose.encode()), purpose.encode()) + data


@contextlib.contextmanager
def _nobody_else_reads() -> Iterator[None]:
    """What is made within is the user's alone from its first moment. It holds for the whole process."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _exist(home: Home) -> bool:
    return home.keys.is_dir() and any(home.keys.iterdir())


def _validity(start: datetime | None, days: int) -> _Validity:
    if not 1 <= days <= 36500:
        raise MakarError(f"keys cannot be valid for {days} days; give 1 to 36500")
    first = start or datetime.now(UTC) - timedelta(hours=1)
    return first, first + timedelta(days=days)


def _believe(home: Home, root: bytes, model_key: bytes) -> None:
    """Make anchors of a root certificate and of the public half of a key for models."""
    public = _pem.of_public(_pem.private(model_key, MODEL).public_key())
    files.write_bytes(home.anchors / f"root-{fingerprint(root)}.pem", root)
    files.write_bytes(home.anchors / f"model-{fingerprint(public)}.pub", public)


def _loaded(home: Home) -> Keys:
    """The keys, once it is certain that they belong together and that nobody else can read them."""
    folder = home.keys
    try:
        _refuse_open(folder)
        held = {name: (folder / name).read_bytes() for name in (ROOT, INTERMEDIATE, SIGNER, MODEL, WATERMARK)}
    except OSError as error:
        raise MakarError(f"the keys in {folder} are not whole: {error.filename} ({error.strerror})") from None
    root, middle, signer = (_pem.certificate(held[name], folder / name) for name in (ROOT, INTERMEDIATE, SIGNER))
    signer_key, model_key = (_pem.private(held[name], folder / name) for name in (SIGNER, MODEL))
    whole = _issued(middle, root) and _issued(signer, middle) and len(held[WATERMARK]) == 32
    if not whole or signer_key.public_key() != signer.public_key():
        raise MakarError(f"the keys in {folder} do not belong together; restore the folder from a copy")
    return Keys(
        name=_organisation(signer),
        root=held[ROOT],
        intermediate=_pem.of_certificate(middle),
        signer=_pem.of_certificate(signer),
        model_public=_pem.of_public(model_key.public_key()),
        signer_key=_pem.of_private(signer_key),
        model_key=held[MODEL],
        watermark=held[WATERMARK],
    )


def _refuse_open(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a file's mode says nothing of who can read it
        return
    for path in (folder, *folder.iterdir()):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise MakarError(f"{path} can be read by others (mode {mode:o}); run: chmod -R go-rwx {folder}")


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _organisation(certificate: Certificate) -> str:
    from cryptography.x509.oid import NameOID

    return "".join(str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))


def _new_signer(name: str, issuer: _Issuer, valid: _Validity) -> bytes:
    """A new key and its certificate in one file, so that no crash can part them."""
    key = _pem.new_key()
    return _pem.of_private(key) + _pem.of_certificate(_certificate(name, "signer", key, issuer, valid))


def _certificate(
    name: str,
    role: Literal["root", "intermediate", "signer"],
    key: EllipticCurvePrivateKey,
    issuer: _Issuer | None,
    valid: _Validity,
) -> Certificate:
    """One certificate, after the certificate profile of the C2PA specification."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)
    subject = x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {role}")])
    issuer_name, issuer_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    authority = role != "signer"
    below = {"root": 1, "intermediate": 0, "signer": None}[role]  # how many authorities may follow it in a chain
    usage = x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        **dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False),
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder(issuer_name, subject, key.public_key(), x509.random_serial_number(), *valid)
        .add_extension(x509.BasicConstraints(authority, below), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
