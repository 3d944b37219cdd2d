"""Bytes of a signed file that no signature covers, held to the one form in which they say nothing.

A credential's signature leaves room for what was not known when it was made: the padding of its COSE header (a byte
string of zeros named "pad" or "pad2"). Nor does it cover the lengths and types of all its boxes (ISO 19566-5) or, in
PNG, the checksum of the chunk that holds it. The C2PA library looks at none of them, so about a kilobyte a file could
be altered unseen. Here padding must be zeros, boxes whole and checksums right; with that every byte of a PNG is bound,
by the signature or by its own form. Of the whole file outputs.json and the ledger keep a digest besides.
"""

from __future__ import annotations

import re
import struct
import zlib

_PNG = b"\x89PNG\r\n\x1a\n"
_GIF_BLOCK = b"!\xff\x0bC2PA_GIF\x01\x00\x00"  # the application extension that holds a credential
_PAD = re.compile(rb"(?:cpad|dpad2)([\x41-\x57]|\x58.|\x59..|\x5a....)", re.DOTALL)  # CBOR: a text, then a byte string
_TYPE_END = bytes.fromhex("00110010800000aa00389b71")
_LABELS = {
    b"c2pa": (b"c2pa",),
    b"c2as": (b"c2pa.assertions",),
    b"c2cl": (b"c2pa.claim", b"c2pa.claim.v2"),
    b"c2cs": (b"c2pa.signature",),
}
_AFTER = {b"\xf6", *(bytes([b]) for b in range(0x61, 0x78))}  # CBOR: no payload, or the next entry's name
_ZEROS = re.compile(rb"\0{24,}")
_DEEPEST = 16  # boxes within boxes


def altered(data: bytes, sidecar: bytes | None) -> str | None:
    """What is not as a signer leaves it, in a clause; None where all is."""
    store = sidecar
    if data.startswith(_PNG):
        why, store = _png(data)
        if why:
            return why
    elif store is None and data.startswith(b"GIF8"):
        store = _gif(data)
    if store is not None and not _boxes(store, 0, len(store), 0):
        return "the boxes of its credential were altered"
    held = data if store is None else store
    start = held.rfind(b"c2pa.signature\0")  # where there is none, this looks at all of it
    pads = [(m.end(), m.end() + _size(m[1])) for m in _PAD.finditer(held, max(0, start))] if b"jumb" in held else []
    for begin, end in pads:
        if end > len(held) or any(held[begin:end]) or held[end : end + 1] not in _AFTER:
            return "the padding of its credential was altered"
    if start >= 0 and store is not None:
        loose = (m.span() for m in _ZEROS.finditer(held, start))
        if not all(any(b <= low and high <= e for b, e in pads) for low, high in loose):
            return "the padding of its credential was altered"
    return None


def _size(head: bytes) -> int:
    return head[0] - 0x40 if len(head) == 1 else int.from_bytes(head[1:], "big")


def _boxes(data: bytes, at: int, end: int, depth: int) -> bool:
    """Whether boxes fill the bytes from `at` to `end` exactly, each part of a credential under its own name."""
    if depth > _DEEPEST:
        return False
    while at < end:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if depth == 0 and size == 1 and kind == b"jumb":
            return True  # an extended length; none that is written here
        if size < 8 or at + size > end or not kind.isalnum():
            return False
        if kind == b"jumd" and not _described(data[at + 8 : at + size]):
            return False
        if kind == b"jumb" and not _boxes(data, at + 8, at + size, depth + 1):
            return False
        at += size
    return at == end


def _described(body: bytes) -> bool:
    """Whether a description box (type of 16 bytes, toggles, label, salt) is whole."""
    kind, toggles, label = body[:4], body[16:17], body[17:].partition(b"\0")[0]
    known = kind in _LABELS or kind in (b"c2ma", b"json", b"cbor")
    if known and (body[4:16] != _TYPE_END or toggles not in (b"\x03", b"\x13")):
        return False
    return label in _LABELS.get(kind, (label,))


def _png(data: bytes) -> tuple[str | None, bytes | None]:
    """What is wrong with the chunks of a PNG, and the credential that one of them holds."""
    at, store = len(_PNG), None
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        end = at + 8 + size
        if end + 4 > len(data):
            return "a chunk of it is cut short", None
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return "the checksum of a chunk is wrong", None
        kind = data[at + 4 : at + 8]
        if kind == b"caBX":
            store = data[at + 8 : end]
        at = end + 4
        if kind == b"IEND":
            return ("something was added to its end" if at < len(data) else None), store
    return "its last chunk is missing", None


def _gif(data: bytes) -> bytes | None:
    """The credential of a GIF, whose sub-blocks of up to 255 bytes each begin with their size; None without one."""
    at = data.find(_GIF_BLOCK)
    if at < 0:
        return None
    at, parts = at + len(_GIF_BLOCK), []
    while at < len(data) and data[at]:
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(parts)
