"""Text and XMP within PNG, JPEG and WebP files, read and put in without touching a pixel.

PNG: specification, third edition, section 5 (chunks) and 11.3.3 (tEXt, iTXt). JPEG: ITU-T T.81, annex B (segments).
WebP: RFC 9649, section 2.7 (RIFF chunks, VP8X). XMP: ISO 16684-3 says where the packet stands in each.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from makar.core.errors import MakarError

_PNG = b"\x89PNG\r\n\x1a\n"
_XMP_KEY = b"XML:com.adobe.xmp"
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\x00"


def insert(data: bytes, media_type: str, texts: dict[str, str], xmp: str) -> bytes:
    """The file with text entries (PNG alone has them) and an XMP packet. Raises MakarError where it cannot be."""
    _, there = _read(data, media_type)
    if there is not None:
        raise MakarError(f"the {media_type} file has XMP already; put the label in before anything else")
    if media_type == "image/png":
        return _png_with(data, texts, xmp)
    return _jpeg_with(data, xmp) if media_type == "image/jpeg" else _webp_with(data, xmp)


def texts(data: bytes, media_type: str) -> tuple[dict[str, str], str | None]:
    """The text entries and the XMP packet, where there is one. Raises MakarError for a damaged or unknown file."""
    return _read(data, media_type)


def _read(data: bytes, media_type: str) -> tuple[dict[str, str], str | None]:
    if media_type == "image/png":
        return _png_read(data)
    if media_type == "image/jpeg":
        packets = [p[len(_XMP_HEAD) :] for m, p in _segments(data) if m == 0xE1 and p.startswith(_XMP_HEAD)]
    elif media_type == "image/webp":
        packets = [body for name, body in _riff(data) if name == b"XMP "]
    else:
        raise MakarError(f"no metadata field is known for {media_type}; PNG, JPEG and WebP have one")
    return {}, packets[0].decode("utf-8", "replace") if packets else None


def _damaged(kind: str) -> MakarError:
    return MakarError(f"the file is not a {kind} file or is cut short")


def _png_chunks(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Every chunk's place, name and body."""
    if not data.startswith(_PNG):
        raise _damaged("PNG")
    at = len(_PNG)
    while at < len(data):
        if at + 12 > len(data):
            raise _damaged("PNG")
        (size,) = struct.unpack_from(">I", data, at)
        if at + 12 + size > len(data):
            raise _damaged("PNG")
        yield at, data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _png_read(data: bytes) -> tuple[dict[str, str], str | None]:
    found: dict[str, str] = {}
    xmp = None
    for _, name, body in _png_chunks(data):
        key, _, rest = body.partition(b"\x00")
        if name == b"tEXt":
            found.setdefault(key.decode("latin-1"), rest.decode("latin-1"))
        elif name == b"iTXt" and key == _XMP_KEY and rest[:1] == b"\x00":  # not compressed
            xmp = rest[2:].split(b"\x00", 2)[-1].decode("utf-8", "replace")
    return found, xmp


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png_with(data: bytes, entries: dict[str, str], xmp: str) -> bytes:
    places = [(at, name) for at, name, _ in _png_chunks(data)]
    if len(places) < 2 or places[0][1] != b"IHDR":
        raise _damaged("PNG")
    new = b"".join(_png_chunk(b"tEXt", f"{key}\x00{text}".encode("latin-1")) for key, text in entries.items())
    new += _png_chunk(b"iTXt", _XMP_KEY + b"\x00\x00\x00\x00\x00" + xmp.encode())
    after_header = places[1][0]
    return data[:after_header] + new + data[after_header:]


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The JPEG's segments before its first scan: marker and payload."""
    if not data.startswith(b"\xff\xd8"):
        raise _damaged("JPEG")
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", data, at + 2)
        if size < 2 or at + 2 + size > len(data):
            raise _damaged("JPEG")
        yield data[at + 1], data[at + 4 : at + 2 + size]
        at += 2 + size
    if at + 4 > len(data) or data[at] != 0xFF:
        raise _damaged("JPEG")


def _jpeg_with(data: bytes, xmp: str) -> bytes:
    body = _XMP_HEAD + xmp.encode()
    if len(body) + 2 > 0xFFFF:
        raise MakarError("the label is longer than a JPEG segment holds")
    at = 2
    for marker, payload in _segments(data):
        if marker != 0xE0:  # JFIF's own segment stays first
            break
        at += 4 + len(payload)
    return data[:at] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[at:]


def _riff(data: bytes) -> list[tuple[bytes, bytes]]:
    """The WebP's chunks: name and body."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise _damaged("WebP")
    chunks, at = [], 12
    while at < len(data):
        if at + 8 > len(data):
            raise _damaged("WebP")
        (size,) = struct.unpack_from("<I", data, at + 4)
        if at + 8 + size > len(data):
            raise _damaged("WebP")
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return chunks


def _webp_with(data: bytes, xmp: str) -> bytes:
    chunks = _riff(data)
    if not chunks:
        raise _damaged("WebP")
    if chunks[0][0] == b"VP8X":
        head = chunks[0][1]
        chunks[0] = (b"VP8X", bytes([head[0] | 0x04]) + head[1:])
    else:
        try:
            with Image.open(io.BytesIO(data)) as image:
                (width, height), alpha = image.size, "A" in image.getbands()
        except (OSError, ValueError, Image.DecompressionBombError):
            raise _damaged("WebP") from None
        head = bytes([0x04 | (0x10 if alpha else 0), 0, 0, 0])
        head += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        chunks.insert(0, (b"VP8X", head))
    chunks.append((b"XMP ", xmp.encode()))
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(part)) + part + b"\x00" * (len(part) % 2) for name, part in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body
