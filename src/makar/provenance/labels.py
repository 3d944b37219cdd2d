"""Labels that say that something was generated: one that people see, and China's field in the file's metadata.

    eu   "AI" on the picture, or a leading line of text       AI Act, Article 50(4); the wording is ours
    cn   "AI生成" on the picture, its characters at least 5 % of the shorter side high, or a leading line of text, and
         the metadata field `AIGC`                            GB 45438-2025, sections 4 and 5, annex E

The characters are drawn from strokes kept here, for no font that comes with Python draws 生成; so a label is the same
on every machine. A picture in which a label would be illegible, or would hide what it labels, is refused with the
reason. Sound and tables get no label that people perceive: there is none here yet.
"""

from __future__ import annotations

import html
import json
import math
import re
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from makar.core.errors import MakarError
from makar.provenance import _chunks
from makar.provenance.receipts import Receipt

Kind = Literal["eu", "cn"]
VISIBLE: dict[Kind, str] = {"eu": "visible:eu", "cn": "visible:cn"}
FIELD = "metadata:cn"
"""How a receipt names the labels that people see, and the metadata field."""

FIELD_TYPES = ("image/png", "image/jpeg", "image/webp")
SHARE = 0.05  # of the shorter side: height of the characters (GB 45438-2025, section 4: pictures)
SMALLEST = 32  # pixels of the shorter side below which nothing is legible beside what it labels
LINES = {"eu": "AI-generated text", "cn": "AI生成"}
NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
FIELDS = ("Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2")
_LONGEST = 65_536  # characters of metadata that are read

Stroke = tuple[tuple[float, float], ...]
# Width in heights, and strokes from (0, 0), top left, to (width, 1).
_GLYPHS: dict[str, tuple[float, tuple[Stroke, ...]]] = {
    "A": (0.8, (((0.05, 1.0), (0.4, 0.0), (0.75, 1.0)), ((0.18, 0.66), (0.62, 0.66)))),
    "I": (0.2, (((0.1, 0.0), (0.1, 1.0)),)),
    "生": (
        1.0,
        (
            ((0.28, 0.06), (0.12, 0.40)),
            ((0.22, 0.27), (0.88, 0.27)),
            ((0.20, 0.58), (0.82, 0.58)),
            ((0.53, 0.02), (0.53, 0.94)),
            ((0.06, 0.94), (0.94, 0.94)),
        ),
    ),
    "成": (
        1.0,
        (
            ((0.16, 0.28), (0.94, 0.28)),
            ((0.16, 0.28), (0.15, 0.62), (0.04, 0.96)),
            ((0.16, 0.50), (0.44, 0.50), (0.41, 0.82), (0.29, 0.76)),
            ((0.54, 0.03), (0.60, 0.45), (0.72, 0.78), (0.86, 0.94), (0.95, 0.74)),
            ((0.86, 0.44), (0.72, 0.70), (0.48, 0.94)),
            ((0.72, 0.05), (0.84, 0.17)),
        ),
    ),
}
_WORDS = {"eu": "AI", "cn": "AI生成"}
_LEGIBLE = {"eu": 7, "cn": 12}  # pixels of height from which the characters can be told
_GAP, _PAD, _PEN, _FINER = 0.16, 0.25, 0.11, 8


def visible(picture: NDArray[np.uint8], kind: Kind, levels: int = 256) -> NDArray[np.uint8] | str:
    """The picture uint8 (H, W, C), values below `levels`, with the label in its lower right corner; or why not."""
    height, width = picture.shape[:2]
    if min(height, width) < SMALLEST:
        return f"no label is legible in {width} by {height} pixels; at least {SMALLEST} by {SMALLEST} are needed"
    size = max(math.ceil(SHARE * min(height, width)), _LEGIBLE[kind])
    label = _drawn(_WORDS[kind], size)
    if label.shape[1] > width or label.shape[0] > height // 2:
        return f"the label '{_WORDS[kind]}' needs {label.shape[1]} pixels of width, and the picture has {width}"
    shade = label[..., None] * (levels - 1)
    result = picture.copy()
    result[-label.shape[0] :, -label.shape[1] :] = np.rint(shade).astype(np.uint8)
    return result


def _drawn(word: str, size: int) -> NDArray[np.float64]:
    """The word in light strokes `size` pixels high on a dark ground, values within [0, 1]."""
    fine = size * _FINER
    pad, gap, pen = _PAD * fine, _GAP * fine, max(_PEN * fine, 1.1 * _FINER)
    widths = [_GLYPHS[character][0] * fine for character in word]
    across = sum(widths) + gap * (len(word) - 1) + 2 * pad
    shape = (_FINER * math.ceil(across / _FINER), _FINER * math.ceil((fine + 2 * pad) / _FINER))
    sheet = Image.new("L", shape, color=24)
    pencil = ImageDraw.Draw(sheet)
    left = pad
    for character, width in zip(word, widths, strict=True):
        for stroke in _GLYPHS[character][1]:
            points = [(left + x * fine, pad + y * fine) for x, y in stroke]
            pencil.line(points, fill=255, width=round(pen), joint="curve")
        left += width + gap
    small = sheet.resize((shape[0] // _FINER, shape[1] // _FINER), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64) / 255.0


def visible_text(text: str, kind: Kind) -> str:
    """The text with the label as its first line; once only."""
    return text if has_visible_text(text, kind) else f"[{LINES[kind]}]\n{text}"


def has_visible_text(text: str, kind: Kind) -> bool:
    """Whether the first line is the label."""
    return text.partition("\n")[0].strip() == f"[{LINES[kind]}]"


def aigc_fields(receipt: Receipt, producer: str = "") -> dict[str, str]:
    """The seven fields of the standard's annex E. Label 1 means: generated.

    `producer` is the producer's registered name or code, which only the user knows. The fields stand in the file
    before it is hashed, so they use nothing of the receipt that depends on the file's bytes.
    """
    name = producer or f"makar {receipt.makar} model {receipt.model[:12]}"
    values = ("1", name, receipt.outputs[0], "", "", "", "")
    return dict(zip(FIELDS, values, strict=True))


def with_metadata(data: bytes, media_type: str, fields: dict[str, str]) -> bytes:
    """The file with the field `AIGC`: PNG (a text chunk and XMP), JPEG and WebP (XMP). Pixels are untouched.

    To be done before a credential is put in, which covers every byte. Raises MakarError for another kind of file, one
    that is damaged, and one that has XMP of another's already.
    """
    if tuple(fields) != FIELDS:
        raise MakarError(f"the AIGC field has the entries {', '.join(FIELDS)}, in this order")
    text = json.dumps(fields, ensure_ascii=True, separators=(",", ":"))
    return _chunks.insert(data, media_type, {"AIGC": text}, _xmp(text))


def read_metadata(data: bytes, media_type: str) -> dict[str, Any] | None:
    """What the field `AIGC` of a file says, or None where it has none. Raises MakarError where it is damaged."""
    texts, xmp = _chunks.texts(data, media_type)
    found = texts.get("AIGC")
    if found is None and xmp is not None:
        match = re.search(r"<TC260:AIGC>([^<]{0,65536})</TC260:AIGC>", xmp[: 2 * _LONGEST])
        found = html.unescape(match.group(1)) if match else None
    if found is None:
        return None
    try:
        fields = json.loads(found[:_LONGEST])
    except (ValueError, RecursionError):
        raise MakarError("the file's AIGC field is not JSON; it was cut or altered") from None
    if not isinstance(fields, dict) or "Label" not in fields:
        raise MakarError("the file's AIGC field has no entry 'Label'")
    return fields


def _xmp(text: str) -> str:
    """An XMP packet (ISO 16684-1) with the one property."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:TC260="{NAMESPACE}"><TC260:AIGC>{html.escape(text)}</TC260:AIGC>'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )
