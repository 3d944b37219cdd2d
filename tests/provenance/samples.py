"""Small files of every kind that carries a credential, made without any outside tool, and surgery on what is signed."""

from __future__ import annotations

import struct
import wave
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from PIL import Image

from makar.provenance import keys
from makar.provenance.home import Home
from makar.provenance.keys import Anchors, Keys


def picture(kind: str, side: int = 8, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).save(out, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return out.getvalue()


def _sound() -> bytes:
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.random.default_rng(0).integers(-9999, 9999, 200, dtype=np.int16).tobytes())
    return out.getvalue()


def _flac() -> bytes:
    """The stream's header (STREAMINFO: 16 bits, mono, 44.1 kHz), and bytes in the place of frames."""
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + (44100 << 44 | 15 << 36).to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info + b"\xff\xf8" + bytes(range(200))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _movie(brand: bytes) -> bytes:
    """The boxes of ISO/IEC 14496-12 that a file must have, with no track in them: nothing that plays."""
    header = bytes(12) + struct.pack(">IIIH", 1000, 0, 0x10000, 0x100) + bytes(10)
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    moov = _box(b"moov", _box(b"mvhd", header, matrix, bytes(24), struct.pack(">I", 2)))
    return _box(b"ftyp", brand, bytes(4), b"isom", b"mp42") + moov + _box(b"mdat", bytes(range(256)))


SAMPLES = {
    "image/png": picture("PNG"),
    "image/jpeg": picture("JPEG"),
    "image/webp": picture("WEBP"),
    "image/gif": picture("GIF"),
    "image/tiff": picture("TIFF"),
    "image/avif": picture("AVIF", 16),
    "image/svg+xml": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="3" height="3"/></svg>',
    "audio/wav": _sound(),
    "audio/mpeg": (b"\xff\xfb\x90\x00" + bytes(413)) * 3,  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz, silent
    "audio/flac": _flac(),
    "video/mp4": _movie(b"isom"),
    "audio/mp4": _movie(b"M4A "),
    "text/plain": b"It was a dark and stormy night.\n",
    "text/csv": b"a,b\n1,2\n",
    "application/json": b'{"a": 1}',
    "audio/midi": b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0",
    "chemical/x-daylight-smiles": b"CCO ethanol\n",
}


def new_keys(place: Path, name: str = "Test") -> tuple[Keys, Anchors]:
    """Keys of a workspace of their own, and the anchors that believe them."""
    home = Home(place)
    return keys.init(home, name), Anchors.of(home)


def region(signed: bytes, media_type: str) -> range:
    """Where the manifests lie within a signed file, with the header of what carries them."""
    if media_type == "image/svg+xml":
        return range(signed.index(b"<metadata"), signed.index(b"</metadata>") + 11)
    start = signed.index(b"jumb") - 4
    size = int.from_bytes(signed[start : start + 4], "big")
    return range(start - 24, start + size + 8)  # an MP4's box has 24 bytes before, a PNG's chunk 4 bytes after


def _chunk(png: bytes) -> tuple[int, int]:
    place = 8
    while png[place + 4 : place + 8] != b"caBX":
        place += 12 + int.from_bytes(png[place : place + 4], "big")
    return place, int.from_bytes(png[place : place + 4], "big")


def store_of(png: bytes) -> bytes:
    """The manifests of a PNG, as in a side-car."""
    place, size = _chunk(png)
    return png[place + 8 : place + 8 + size]


def with_store(png: bytes, store: bytes) -> bytes:
    """A PNG with other manifests in place of its own."""
    place, size = _chunk(png)
    body = b"caBX" + store
    return (
        png[:place]
        + struct.pack(">I", len(store))
        + body
        + struct.pack(">I", zlib.crc32(body))
        + png[place + 12 + size :]
    )


def boxes(store: bytes) -> list[bytes]:
    """The boxes within manifests (ISO/IEC 19566-5): the description, then the manifests, oldest first."""
    found, place = [], 8
    while place < len(store):
        size = int.from_bytes(store[place : place + 4], "big")
        found.append(store[place : place + size])
        place += size
    return found


def store_from(parts: list[bytes]) -> bytes:
    """Manifests from boxes."""
    return _box(b"jumb", *parts)


def resigned(store: bytes, old: Keys, certificate: bytes) -> bytes:
    """Manifests signed again by the same key, under another certificate (DER) of the same length.

    This is how a file looks that was signed long ago: the library signs under no certificate that has run out.
    COSE_Sign1 is RFC 9052, section 4.2; what is signed, section 4.4: ["Signature1", protected, external, payload].
    """
    before = x509.load_pem_x509_certificate(old.signer).public_bytes(Encoding.DER)
    assert len(before) == len(certificate)
    start = store.index(b"\xd2\x84\x59") + 5  # tag 18, array of 4, byte string with a length of 2 bytes
    size = int.from_bytes(store[start - 2 : start], "big")
    protected = store[start : start + size].replace(before, certificate)
    box = store.index(b"cbor", store.index(b"c2pa.claim.v2\0"))
    payload = store[box + 4 : box - 4 + int.from_bytes(store[box - 4 : box], "big")]
    parts = (_byte_string(protected), _byte_string(b""), _byte_string(payload))
    key = load_pem_private_key(old.signer_key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(b"\x84\x6aSignature1" + b"".join(parts), ec.ECDSA(SHA256())))
    place = store.rindex(b"\x58\x40") + 2  # byte string of 64 bytes, the last element
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return store[:start] + protected + store[start + size : place] + signature + store[place + 64 :]


def _byte_string(data: bytes) -> bytes:
    """CBOR, major type 2."""
    if len(data) < 24:
        return bytes([0x40 | len(data)]) + data
    return b"\x59" + len(data).to_bytes(2, "big") + data
