"""Hostile files given to those who load and verify: cut, oversized, nested; names and links that lead elsewhere."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from makar.core import files
from makar.provenance import safety, signed
from makar.verbs.audits._attack import Attack, Scene, Try, answered, loaded, mended, verified
from makar.verbs.audits.detector import load as load_detector
from makar.verbs.detect import detect

_DEEP = b"[" * 100_000 + b"]" * 100_000
_NOTHING = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
_RECORDS = ("config.json", "data.json", "run.json", "rights.json", "chain.json", "digests.json")
_WRONG = {
    "nested 100,000 deep": _DEEP, "empty": b"", "not UTF-8": b"\xff\xfe{", "a list": b"[]", "a number": b"7",
    "an empty object": b"{}", "a text": b'"x"', "null": b"null", "not a number": b'{"format": NaN}',
    "a name twice": b'{"format": 1, "format": 2}', "a huge integer": b'{"format": ' + b"9" * 5000 + b"}",
}  # fmt: skip


def _put(scene: Scene, name: str, data: bytes, mend: bool = True) -> Path:
    """A copy of the bundle with another file in it, its digests made right."""
    place = scene.copied(scene.bundle, "hostile")
    files.write_bytes(place / name, data)
    if mend and name != "digests.json":
        mended(place)
    return place


def hostile_tensors(scene: Scene) -> list[Try] | str:
    found = []
    good = (scene.bundle / "model.safetensors").read_bytes()
    for what, data in _tensor_files(good):
        place = _put(scene, "model.safetensors", data)
        found += [loaded(place, f"load: {what}"), verified(scene, place, f"verify: {what}")]
    return found


def _tensor_files(good: bytes) -> Iterator[tuple[str, bytes]]:
    size = int.from_bytes(good[:8], "little")
    for share in (0, 1, 2, 3):
        yield f"cut after {share} quarters", good[: len(good) * share // 4]
    yield "cut by one byte", good[:-1]
    yield "cut within the header's length", good[:5]
    yield "a header of 2^63 - 1 bytes", struct.pack("<Q", 2**63 - 1) + good[8:]
    yield "a header of 100 MB", struct.pack("<Q", 100_000_000) + good[8:]
    for what, header in (
        ("a header nested 100,000 deep", _DEEP),
        ("a tensor of 2^60 numbers", _header({"a": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 4]}})),
        ("a tensor beyond the end", _header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [2**40, 2**40 + 9]}})),
        ("a tensor of negative place", _header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}})),
        ("overlapping tensors", _header({k: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for k in "ab"})),
        ("100,000 tensors", _header(dict.fromkeys(map(str, range(100_000)), _NOTHING))),
        ("a header that is a list", b"[]"),
        ("a header with a name twice", b'{"a":1,"a":2}'),
        ("no tensors", b"{}"),
    ):  # fmt: skip
        yield what, struct.pack("<Q", len(header)) + header + good[8 + size :][:16]


def _header(plain: object) -> bytes:
    return json.dumps(plain).encode()


def hostile_records(scene: Scene) -> list[Try] | str:
    found = []
    for name in _RECORDS:
        for what, data in _WRONG.items():
            place = _put(scene, name, data)
            found.append(verified(scene, place, f"verify: {name} is {what}"))
            if name in ("config.json", "data.json", "run.json", "digests.json"):
                found.append(loaded(place, f"load: {name} is {what}"))
    return found


def hostile_names(scene: Scene) -> list[Try] | str:
    found = []
    for name in ("../outside", "../../outside", "/etc/hostname", "a/../../outside", "nul\0byte", "x" * 5000, ".", ""):
        place = scene.copied(scene.bundle, "names")
        digests = json.loads((place / "digests.json").read_bytes())
        files.write_json(place / "digests.json", digests | {name: "0" * 64})
        shown = name[:20] + ("…" if len(name) > 20 else "")
        found += [
            loaded(place, f"load: digests.json lists {shown!r}"),
            verified(scene, place, f"verify: it lists {shown!r}"),
        ]
        folder = scene.copied(scene.out, "listed")
        listed = json.loads((folder / "outputs.json").read_bytes())
        files.write_json(folder / "outputs.json", [listed[0] | {"file": name}])
        found.append(verified(scene, folder, f"verify: outputs.json lists {shown!r}"))
    return found


def links(scene: Scene) -> list[Try] | str:
    found = []
    secret = scene.root / "secret"
    files.write_bytes(secret, b"not for bundles")
    for name in ("model.safetensors", "config.json", "README.md", "extra"):
        place = scene.copied(scene.bundle, "links")
        target = secret
        if (place / name).exists():
            target = scene.root / f"moved-{name}"
            files.write_bytes(target, (place / name).read_bytes())
            files.remove(place / name)
        (place / name).symlink_to(target)
        found.append(verified(scene, place, f"{name} is a link to a file elsewhere"))
        found.append(loaded(place, f"load: {name} is a link"))
    place = scene.copied(scene.bundle, "links")
    (place / "folder").symlink_to(scene.root)
    found.append(verified(scene, place, "a link to a folder above"))
    return found


def hostile_outputs(scene: Scene) -> list[Try] | str:
    chunk = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", chunk), (b"IDAT", zlib.compress(bytes(10_000))), (b"IEND", b""))
    )
    made = {
        "bomb.png": bomb, "cut.png": bomb[:40], "empty.png": b"", "lies.png": b"GIF89a", "cut.jpg": b"\xff\xd8\xff",
        "riff.webp": b"RIFF\xff\xff\xff\xffWEBP", "sound.wav": b"RIFF\x10\0\0\0WAVEfmt ",
        "binary.txt": bytes(range(256)), "noname": b"\0" * 64,
    }  # fmt: skip
    found = []
    for name, data in made.items():
        place = scene.root / "tries" / "outputs" / name
        files.write_bytes(place, data)
        files.write_bytes(place.with_name(f"{name}.c2pa"), bytes(range(256)) * 8)
        found.append(verified(scene, place, f"verify: {name}"))
        found.append(answered(f"detect: {name}", partial(_detected, place, scene)))
    for what, data in _WRONG.items():
        place = scene.copied(scene.out, "listing")
        files.write_bytes(place / "outputs.json", data)
        found.append(verified(scene, place, f"verify: outputs.json is {what}"))
    return found


def _detected(path: Path, scene: Scene) -> str:
    return detect(path, scene.chain).verdict


def _results(path: Path, scene: Scene) -> str:
    return f"!read as {safety.read(path, signed.known_to(scene.verifier.anchors))}"


def _detector(folder: Path) -> str:
    return f"!read as {load_detector(folder)}"


def hostile_exchange(scene: Scene) -> list[Try] | str:
    found = []
    for what, data in _WRONG.items():
        path = scene.root / "tries" / "results.json"
        files.write_bytes(path, data)
        found.append(answered(f"safety results: {what}", partial(_results, path, scene)))
        folder = scene.root / "tries" / "detector"
        files.write_directory(folder, {"detector.json": data, "detector.safetensors": data})
        found.append(answered(f"a detector: {what}", partial(_detector, folder)))
    return found


ATTACKS = (
    Attack("hostile tensors", "files", "weights that are cut, oversized in header or nonsense", hostile_tensors),
    Attack(
        "hostile records", "files", "records of a bundle that are nested, empty or of another type", hostile_records
    ),
    Attack("names that lead elsewhere", "files", "lists of files that name places outside", hostile_names),
    Attack("links", "files", "files of a bundle that are links", links),
    Attack("hostile outputs", "files", "outputs and credentials that are cut, lying or bombs", hostile_outputs),
    Attack("hostile exchange files", "files", "safety results and detectors that are none", hostile_exchange),
)
