"""Attacks on the chain: what was signed is stripped, altered, exchanged."""

from __future__ import annotations

import io
import json
from functools import partial
from pathlib import Path

from PIL import Image

from makar.core import files
from makar.verbs import bundle
from makar.verbs.audits._attack import Attack, Scene, Try, answered, mended, verified
from makar.verbs.detect import detect

_FLIPS = 16
_UNSIGNED = "there are no keys here, so nothing is signed: install 'makar[provenance]'"


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _bare(path: Path) -> bytes:
    """A file's content without its credential."""
    if path.suffix != ".png":
        return path.read_bytes()
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.save(buffer, format="PNG")
    return buffer.getvalue()


def stripped(scene: Scene) -> list[Try] | str:
    if not scene.signed:
        return _UNSIGNED
    found = []
    for path in scene.outputs()[:4]:
        place = scene.root / "tries" / "stripped" / path.name
        files.write_bytes(place, _bare(path))
        found.append(verified(scene, place, f"{path.name} without its credential"))
        found.append(answered(f"{path.name} stripped, asked where it is from", partial(_called, place, scene)))
    return found


def _called(path: Path, scene: Scene) -> str:
    verdict = detect(path, scene.chain)
    lies = verdict.verdict == "signed" or verdict.ai is False or "real" in verdict.why.split()
    return f"{'!' if lies else ''}{verdict.verdict}: {verdict.why}"


def flipped_outputs(scene: Scene) -> list[Try] | str:
    if not scene.signed:
        return _UNSIGNED
    place = scene.copied(scene.out, "flipped")
    found = []
    for path in scene.outputs()[:2]:
        data = path.read_bytes()
        for i in range(_FLIPS):
            at = (2 * i + 1) * len(data) // (2 * _FLIPS)
            files.write_bytes(place / path.name, _flipped(data, at))
            found.append(verified(scene, place / path.name, f"byte {at} of {path.name}"))
        files.write_bytes(place / path.name, data)
    return found


def swapped_receipts(scene: Scene) -> list[Try] | str:
    place = scene.copied(scene.out, "receipts")
    listed = json.loads((place / "outputs.json").read_bytes())
    if len(listed) < 2:
        return "there is only one output"
    listed[0]["receipt"], listed[1]["receipt"] = listed[1]["receipt"], listed[0]["receipt"]
    files.write_json(place / "outputs.json", listed)
    names = [item["file"] for item in listed[:2]]
    found = [verified(scene, place / name, f"{name} with the other's receipt") for name in names]
    other = scene.copied(scene.out, "files")
    contents = [(other / name).read_bytes() for name in names]
    for name, data in zip(names, reversed(contents), strict=True):
        files.write_bytes(other / name, data)
    return [*found, verified(scene, other, f"{names[0]} and {names[1]} exchanged")]


def swapped_sidecars(scene: Scene) -> list[Try] | str:
    place = scene.copied(scene.out, "sidecars")
    sides = sorted(place.glob("*.c2pa"))
    if len(sides) < 2:
        return "fewer than two outputs have a side-car"
    one, two = (p.read_bytes() for p in sides[:2])
    files.write_bytes(sides[0], two)
    files.write_bytes(sides[1], one)
    owners = [p.with_name(p.name.removesuffix(".c2pa")) for p in sides[:2]]
    return [verified(scene, p, f"{p.name} with the other's side-car") for p in owners]


def changed_bundles(scene: Scene) -> list[Try] | str:
    found = []
    for path in sorted(p for p in scene.bundle.iterdir() if p.is_file()):
        place = scene.copied(scene.bundle, "bundle")
        data = path.read_bytes()
        for what, changed in (
            ("a bit flipped", _flipped(data, len(data) // 2)),
            ("cut in half", data[: len(data) // 2]),
        ):
            files.write_bytes(place / path.name, changed)
            found.append(verified(scene, place, f"{path.name}: {what}"))
        files.remove(place / path.name)
        found.append(verified(scene, place, f"{path.name}: removed"))
    return found


def mended_bundles(scene: Scene) -> list[Try] | str:
    if not scene.signed:
        return _UNSIGNED
    found = []
    for path in sorted(p for p in scene.bundle.iterdir() if p.name not in ("digests.json", bundle.SIGNATURE)):
        for keep in (True, False):
            place = scene.copied(scene.bundle, "mended")
            signature = (place / bundle.SIGNATURE).read_bytes()
            files.write_bytes(place / path.name, (place / path.name).read_bytes() + b" ")
            mended(place)
            if keep:
                files.write_bytes(place / bundle.SIGNATURE, signature)
            how = "the old signature kept" if keep else "the signature taken away"
            found.append(verified(scene, place, f"{path.name} changed, digests mended, {how}"))
    return found


def changed_ledgers(scene: Scene) -> list[Try] | str:
    original = scene.chain.home.ledger
    logs = sorted(original.glob("[0-9]*.jsonl")) if original.is_dir() else []
    if not logs:
        return "there is no ledger"
    lines = logs[0].read_bytes().splitlines(keepends=True)
    found = []
    for i in range(len(lines)):
        changes = {
            "altered": [lines[i].replace(b"a", b"b", 1)],
            "removed": [],
            "doubled": [lines[i], lines[i]],
            "moved": [lines[i + 1], lines[i]] if i + 1 < len(lines) else [],
        }
        for how, new in changes.items():
            place = scene.copied(original, "ledger")
            rest = lines[i + 2 :] if how == "moved" and i + 1 < len(lines) else lines[i + 1 :]
            files.write_bytes(place / logs[0].name, b"".join([*lines[:i], *new, *rest]))
            found.append(verified(scene, place, f"line {i} {how}"))
    return found


ATTACKS = (
    Attack("stripped credentials", "chain", "a credential is removed from an output", stripped),
    Attack("flipped bits in outputs", "chain", "one bit of a signed output is turned", flipped_outputs),
    Attack("swapped receipts", "chain", "two outputs exchange their receipts, or their files", swapped_receipts),
    Attack("swapped side-cars", "chain", "two outputs exchange the credentials beside them", swapped_sidecars),
    Attack("changed bundles", "chain", "a file of a bundle is altered, cut or removed", changed_bundles),
    Attack("mended digests", "chain", "a file of a bundle is altered and all digests made right again", mended_bundles),
    Attack("changed ledger lines", "chain", "a ledger line is altered, removed, doubled or moved", changed_ledgers),
)  # fmt: skip
