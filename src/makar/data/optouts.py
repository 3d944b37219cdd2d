"""Makers who opted out: evidence that a crawler left beside the data, signals within files, and those who withdrew.

A crawler (never makar, which fetches nothing) leaves `evidence.jsonl` in the folder of the data, a JSON object a line:

    {"file": "a.png", "url": "https://example.org/a.png", "time": "2026-05-01T10:00:00Z", "status": 200,
     "headers": {"X-Robots-Tag": "noai"},
     "site": {"robots.txt": {"file": "site/robots.txt", "sha256": "…"}, "tdmrep.json": {…}, "ai.txt": {…},
              "rsl.xml": {…}, "page": {…}}}

`site` names files in the folder, with the digest of each; `page` is the HTML page that held the file. A robots.txt that
its server could not give is written {"status": 503} and shuts out all (RFC 9309, section 2.3.1.4). Any "no" leaves the
item out; what was looked at is kept in the manifest.

`MAKAR_HOME/withdrawn.jsonl` names what its makers withdrew later: {"item": sha256} or {"source": name} or
{"creator": name}, with "time" and "why".
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from makar.core.errors import MakarError
from makar.data import pictures, signals
from makar.data.dataset import Evidence
from makar.data.signals import Found

NAME = "evidence.jsonl"
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".tif": "image/tiff"}
_SITE = {
    "robots.txt": (("robots.txt", signals.robots), ("Content-Usage", signals.usage_in_robots)),
    "tdmrep.json": (("TDMRep", signals.tdmrep),),
    "ai.txt": (("ai.txt", signals.ai_txt),),
    "rsl.xml": (("RSL", signals.rsl),),
}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class _Collected:
    """Evidence, each piece once, with the items that it governs."""

    found: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def add(self, kind: str, url: str, time: str, sha256: str, said: Found, item: str) -> Found:
        self.found.setdefault((kind, url, time, sha256, said.verdict, said.why), []).append(item)
        return said

    def evidence(self) -> list[Evidence]:
        names = ("kind", "url", "time", "sha256", "verdict", "why")
        return [
            Evidence.model_validate({**dict(zip(names, key, strict=True)), "items": items})
            for key, items in self.found.items()
        ]


@dataclass(frozen=True)
class _Line:
    """What a crawler wrote of one file."""

    file: Path
    url: str
    time: str
    headers: Mapping[str, str]
    site: Mapping[str, Mapping[str, Any]]


def _objects(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """The JSON objects of a file, a line each, with line numbers and raw bytes. Raises MakarError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MakarError(f"{path} cannot be read ({error.strerror})") from None
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError):
            plain = None
        if not isinstance(plain, dict):
            raise MakarError(f"{path} line {number} is not a JSON object; each line holds one")
        yield number, line, plain


def _inner(folder: Path, name: Any, where: str) -> Path:
    """A file within the folder. Raises MakarError for a name that leads out of it or to nothing."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise MakarError(f"{where} names no file; give its name within the folder as text")
    place = folder / name
    if not place.resolve().is_relative_to(folder.resolve()):
        raise MakarError(f"{where} names '{name}', which lies outside of the folder")
    return place


def _lines(folder: Path) -> list[_Line]:
    path = folder / NAME
    if not path.is_file():
        return []
    found = []
    for number, _, plain in _objects(path):
        where = f"{path} line {number}"
        headers, site = plain.get("headers", {}), plain.get("site", {})
        fit = isinstance(headers, dict) and isinstance(site, dict) and all(isinstance(v, dict) for v in site.values())
        if not fit:
            raise MakarError(f"{where}: 'headers' and 'site' must be objects, and each entry of 'site' too")
        strange = sorted(set(site) - {*_SITE, "page"})
        if strange:
            raise MakarError(f"{where} names '{strange[0]}' of the site; known are {', '.join([*_SITE, 'page'])}")
        file = _inner(folder, plain.get("file"), where)
        plain_headers = {str(key).lower(): str(value) for key, value in headers.items()}
        found.append(_Line(file, str(plain.get("url", "")), str(plain.get("time", "")), plain_headers, site))
    return found


def aside(folder: Path) -> set[Path]:
    """Files in a folder that are evidence and no data."""
    lines = _lines(folder)
    named = {_inner(folder, e["file"], str(folder / NAME)) for line in lines for e in line.site.values() if "file" in e}
    return named | {folder / NAME} if lines else named


def crawled(folder: Path) -> bool:
    """Whether a crawler left evidence in a folder."""
    return (folder / NAME).is_file()


def honoured(folder: Path, files: Sequence[Path], notes: list[str]) -> tuple[list[int], list[Evidence]]:
    """Places of the files that nobody opted out of, and the evidence looked at. What is left out is noted.

    Raises MakarError where evidence is missing or was altered: what it said can no longer be known.
    """
    lines = {line.file: line for line in _lines(folder)}
    stored: dict[Path, bytes] = {}
    collected = _Collected()
    kept: list[int] = []
    refused: list[str] = []
    for place, file in enumerate(files):
        said = list(_inside(file, folder, collected))
        if file in lines:
            said += _outside(lines[file], folder, stored, collected)
        if any(found.verdict == "no" for found in said):
            refused.append(file.name)
        else:
            kept.append(place)
    if refused:
        shown = ", ".join(refused[:5]) + (", …" if refused[5:] else "")
        notes.append(f"{len(refused)} items were left out, for their makers opted out: {shown}")
    bare = len(files) - len(set(files) & set(lines)) if lines else 0
    if bare:
        notes.append(f"{bare} items have no line in {NAME}")
    return kept, collected.evidence()


def _outside(line: _Line, folder: Path, stored: dict[Path, bytes], collected: _Collected) -> Iterator[Found]:
    """What headers, site and page say of one file."""
    name = line.url or line.file.name
    picture = pictures.is_picture(line.file)
    for header, kind, read in (
        ("content-usage", "Content-Usage", signals.usage),
        ("tdm-reservation", "TDMRep", signals.tdm_reservation),
        ("x-robots-tag", "X-Robots-Tag", lambda value: signals.robots_words(value, picture)),
    ):
        if header in line.headers:
            value = line.headers[header]
            yield collected.add(f"{kind} header", name, line.time, _sha256(value.encode()), read(value), name)
    for what, entry in line.site.items():
        data = _evidence_file(folder, what, entry, stored)
        url = str(entry.get("url", what))
        if data is None:
            down = what == "robots.txt" and str(entry.get("status", "")).startswith("5")
            said = Found("no", "its server was down") if down else Found("silent", "there was none")
            yield collected.add(what, url, line.time, "", said, name)
            continue
        text = signals.text_of(data, f"{what} of {name}")
        for kind, read_site in _SITE.get(what, ()):
            yield collected.add(kind, url, line.time, _sha256(data), read_site(text, line.url), name)
        for kind, said in signals.page(text, picture) if what == "page" else []:
            yield collected.add(kind, url, line.time, _sha256(data), said, name)


def _evidence_file(folder: Path, what: str, entry: Mapping[str, Any], stored: dict[Path, bytes]) -> bytes | None:
    if "file" not in entry:
        return None
    path = _inner(folder, entry["file"], f"{folder / NAME}, {what},")
    if path not in stored:
        try:
            stored[path] = path.read_bytes()
        except OSError as error:
            raise MakarError(f"the evidence {path} cannot be read ({error.strerror}); fetch it again") from None
    if entry.get("sha256") != _sha256(stored[path]):
        raise MakarError(f"the evidence {path} is not what {NAME} says it was: its SHA-256 differs; fetch it again")
    return stored[path]


def _inside(file: Path, folder: Path, collected: _Collected) -> Iterator[Found]:
    """What a picture's own metadata say."""
    if not pictures.is_picture(file):
        return
    try:
        data = file.read_bytes()
    except OSError:
        return  # whoever opens it next says so
    name = str(file.relative_to(folder))
    if b"DataMining" in data or b"XML:com.adobe.xmp" in data:  # in PNG the packet may be compressed
        packet = _packet(file, data)
        said = signals.xmp(packet)
        if said is not None:
            yield collected.add("XMP", name, "", _sha256(packet), said, name)
    kind = _TYPES.get(file.suffix.lower())
    if kind is not None and signals.has_c2pa(data):
        yield collected.add("C2PA", name, "", _sha256(data), signals.c2pa(data, kind), name)


def _packet(file: Path, data: bytes) -> bytes:
    """A picture's XMP as Pillow finds it, or else all of its bytes."""
    try:
        with Image.open(file) as picture:
            found = picture.info.get("xmp", picture.info.get("XML:com.adobe.xmp"))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return data
    return found.encode() if isinstance(found, str) else found or data


@dataclass(frozen=True)
class Withdrawn:
    """What makers withdrew: items by their SHA-256, sources and creators by name, casefolded."""

    items: Mapping[str, Evidence] = field(default_factory=dict)
    sources: Mapping[str, Evidence] = field(default_factory=dict)
    creators: Mapping[str, Evidence] = field(default_factory=dict)


def withdrawn(path: Path | None = None) -> Withdrawn:
    """The list in `path`, or in MAKAR_HOME/withdrawn.jsonl. Raises MakarError for a line that is none of its kind."""
    path = path or Path(os.environ.get("MAKAR_HOME") or ".makar") / "withdrawn.jsonl"
    found: dict[str, dict[str, Evidence]] = {"item": {}, "source": {}, "creator": {}}
    if not path.is_file():
        return Withdrawn()
    for number, line, plain in _objects(path):
        if isinstance(plain.get("token"), str):
            continue  # a consent that was taken back, which is no concern of loading
        kinds = [kind for kind in found if isinstance(plain.get(kind), str)]
        if len(kinds) != 1:
            raise MakarError(f"{path} line {number} must name one item, source or creator as text")
        kind, name = kinds[0], str(plain[kinds[0]]).strip()
        found[kind][name.casefold()] = Evidence(
            kind="withdrawn",
            url=path.name,
            time=str(plain.get("time", "")),
            sha256=_sha256(line),
            verdict="no",
            why=str(plain.get("why", "")) or "no reason was given",
            items=[],
        )
    return Withdrawn(found["item"], found["source"], found["creator"])
