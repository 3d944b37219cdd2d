"""Manifests: what a dataset is made of, in a form that can be checked, read by people, and looked at."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ValidationError

from makar.core import files
from makar.core.errors import MakarError
from makar.data.dataset import Evidence, Manifest, Member, Origin, Split

_LATER: dict[str, Any] = {
    "origin": "user", "members": [], "optouts": [], "accepted": [], "creators": {}, "tags": {}, "label": "",
}  # fmt: skip
_SHOWN = 6  # notes that a person is told unasked
_LOSS = re.compile(r"dropped|left out|read as|kept as text|no class|one row only|written in|have the day or the month")


@dataclass(frozen=True)
class Past:
    """What is known of how data were come by, beside its licence."""

    origin: Origin = "user"
    members: Sequence[Member] = ()
    optouts: Sequence[Evidence] = ()
    accepted: Sequence[str] = ()
    creators: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)


def digest_of(fields: dict[str, Any]) -> str:
    """SHA-256 over the manifest's fields, `digest` excepted, as JSON with sorted keys.

    Later fields at their default are left out, so that a manifest which was written before them keeps its digest.
    """
    content = {key: value for key, value in fields.items() if key != "digest" and not _unused(key, value)}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _unused(key: str, value: Any) -> bool:
    return key in _LATER and value == _LATER[key]


def build(
    *,
    name: str,
    modality: str,
    source: str,
    licence: str,
    attribution: str,
    classes: Sequence[str],
    items: dict[str, list[str]],
    split: str,
    notes: list[str],
    past: Past | None = None,
    label: str = "",
) -> Manifest:
    """A manifest with its counts and digest filled in."""
    past = past or Past()
    fields: dict[str, Any] = {
        "name": name,
        "modality": modality,
        "source": source,
        "licence": licence,
        "attribution": attribution,
        "counts": {side: len(hashes) for side, hashes in items.items()},
        "classes": list(classes),
        "items": items,
        "split": split,
        "notes": list(notes),
        "origin": past.origin,
        "members": [member.model_dump() for member in past.members],
        "optouts": [found.model_dump() for found in past.optouts],
        "accepted": list(past.accepted),
        "creators": dict(past.creators),
        "tags": {item: list(tags) for item, tags in past.tags.items()},
        "label": label,
    }
    return Manifest(**fields, digest=digest_of(fields))


def check(manifest: Manifest) -> None:
    """Raise MakarError unless the manifest's digest is that of its content."""
    if digest_of(manifest.model_dump()) != manifest.digest:
        raise MakarError(f"the manifest of '{manifest.name}' was altered: its digest is not that of its content")


def summary(manifest: Manifest) -> str:
    """What a person wants to know of a dataset, as a few lines of text."""
    counts = ", ".join(f"{count} {side.replace('_', ' ')}" for side, count in manifest.counts.items())
    lines = [
        f"{manifest.name}: {manifest.modality}, {counts}",
        f"source       {manifest.source}",
        f"licence      {manifest.licence}",
    ]
    if manifest.attribution:
        lines.append(f"attribution  {manifest.attribution}")
    lines += [f"member       {m.name}: {m.licence}, {sum(m.counts.values())} items" for m in manifest.members]
    if manifest.classes:
        shown = ", ".join(manifest.classes[:12]) + (", …" if len(manifest.classes) > 12 else "")
        lines.append(f"classes      {len(manifest.classes)}: {shown}")
    lines.append(f"split        {manifest.split}")
    lines += [f"accepted     {name}, of unknown licence" for name in manifest.accepted]
    refused = sum(found.verdict == "no" for found in manifest.optouts)
    if manifest.optouts:
        lines.append(f"opt-outs     {len(manifest.optouts)} pieces of evidence, {refused} of which say no")
    lines += [f"note         {note}" for note in manifest.notes]
    lines.append(f"digest       {manifest.digest}")
    return "\n".join(lines)


def losses(manifest: Manifest) -> list[str]:
    """The notes on what of the data was left out or read as something else: what a person must hear unasked."""
    found = [note for note in manifest.notes if _LOSS.search(note)]
    more = len(found) - _SHOWN
    return found if more <= 1 else [*found[:_SHOWN], f"{more} more notes on the data; makar data show tells all"]


def duplicates(hashes: Sequence[str]) -> int:
    """How many items repeat an earlier one."""
    return sum(count - 1 for count in Counter(hashes).values())


def contact_sheet(split: Split, levels: int = 256, columns: int = 10, rows: int = 10, cell: int = 64) -> Image.Image:
    """The first columns x rows pictures side by side, each at `cell` pixels or its own size where that is larger.

    Pictures are enlarged by whole factors and not blurred, so that one sees the pixels there are. Raises MakarError
    unless the split holds pictures.
    """
    pictures = list(split.things[: columns * rows])
    if not pictures or not all(isinstance(p, np.ndarray) and p.ndim == 3 for p in pictures):
        raise MakarError("a contact sheet is made of pictures, and this split holds none")
    height, width, channels = pictures[0].shape
    factor = max(1, cell // max(height, width))
    gap = 2
    across, down = min(columns, len(pictures)), -(-len(pictures) // columns)
    step_y, step_x = height * factor + gap, width * factor + gap
    sheet = np.full((down * step_y + gap, across * step_x + gap, channels), 255, np.uint8)
    for i, picture in enumerate(pictures):
        tone = np.rint(picture.astype(np.float64) * (255.0 / (levels - 1))).astype(np.uint8)
        large = tone.repeat(factor, 0).repeat(factor, 1)
        top, left = gap + (i // columns) * step_y, gap + (i % columns) * step_x
        sheet[top : top + height * factor, left : left + width * factor] = large
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)


def write_manifest(manifest: Manifest, path: Path | str) -> None:
    """Write the manifest as JSON, whole or not at all."""
    files.write_json(path, manifest.model_dump())


def read_manifest(path: Path | str) -> Manifest:
    """A manifest from its file, its digest checked. Raises MakarError for a file that holds none."""
    try:
        manifest = Manifest.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise MakarError(f"the manifest {path} cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise MakarError(
            f"{path} is not a manifest: {error.error_count()} of its fields are wrong or missing"
        ) from None
    check(manifest)
    return manifest
