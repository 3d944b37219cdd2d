"""Attacks on the chain: what an attacker forges, moves, hides, swaps or floods must be found, and must crash nothing.

Every attack here was carried out. Those that are refused must stay refused; those that succeed are marked with the
cause, and the mark goes with the cause.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import struct
import sys
import threading
import wave
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import makar
from makar.core import files
from makar.core.errors import MakarError
from makar.data import Manifest
from makar.data.manifest import digest_of
from makar.provenance import approvals, credentials, keys, sealed, signed
from makar.provenance.credentials import Claim
from makar.provenance.entries import Entry
from makar.provenance.entries import digest as line_digest
from makar.provenance.findings import Finding, holds
from makar.provenance.home import Home
from makar.provenance.policy import Policy
from makar.provenance.receipts import Mark, Nearness, Receipt
from makar.verbs import _outputs, bundle, sample, withdraw
from makar.verbs import verify as verifying
from makar.verbs.chain import Chain
from makar.verbs.detect import detect, picture, sound
from makar.verbs.edit import crop, edit, resize
from makar.verbs.issue import Origin, issue
from makar.verbs.permit import revoked
from makar.verbs.release import Refused, Released, release
from makar.verbs.trace import trace
from makar.verbs.verify import Verifier, verify, verify_ledger
from tests.verbs.test_chain import Workspace, copied, mend

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LONG = "x" * 5000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Path]]:
    patch = pytest.MonkeyPatch()
    patch.setenv("MAKAR_HOME", str(tmp_path_factory.mktemp("none")))
    yield {signed: Workspace(tmp_path_factory.mktemp("space"), signed).root for signed in (True, False)}
    patch.undo()


@pytest.fixture
def space(made: dict[bool, Path], tmp_path: Path) -> Workspace:
    """The victim's, with keys."""
    return copied(made[True], tmp_path / "space")


@pytest.fixture
def unsigned(made: dict[bool, Path], tmp_path: Path) -> Workspace:
    """The victim's, without keys."""
    return copied(made[False], tmp_path / "space")


def attacker(space: Workspace, place: Path) -> Workspace:
    """Somebody who has the victim's public bundle, calls himself as the victim does, and draws with keys of his own."""
    shutil.copytree(space.bundle, place / "runs" / "g")
    other = object.__new__(Workspace)
    other.root, other.home, other.bundle, other.out = place, Home(place / ".makar"), place / "runs" / "g", place / "out"
    keys.init(other.home, "the tests")
    other.chain = Chain(other.home, Policy(), on=True)
    other.draw(other.out, seed=5)
    return other


def refused(look: Callable[[], list[Finding]]) -> bool:
    """Whether something is refused: in a sentence, or by a finding. Whatever else is raised is a crash."""
    try:
        return not holds(look())
    except MakarError:
        return True


def edited(path: Path, change: Callable[[Any], Any]) -> None:
    """Change JSON in a file; `change` alters it, or returns another."""
    plain = json.loads(path.read_text())
    new = change(plain)
    path.write_text(json.dumps(plain if new is None else new))


def outputs(space: Workspace, change: Callable[[list[Any]], Any]) -> None:
    edited(space.out / "outputs.json", change)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def forged_output(space: Workspace) -> None:
    """000.png becomes another picture without a credential; its entry says that this is right, and so lax a licence."""
    place = space.out / "000.png"
    Image.new("L", (8, 8), 9).save(place)

    def lie(listing: list[Any]) -> list[Any]:
        first = listing[0]
        first["sha256"] = first["receipt"]["content"] = sha256(place)
        first["receipt"]["rights"]["licences"] = {"digits": "CC0-1.0"}
        return [first]

    outputs(space, lie)


def forged_bundle(path: Path) -> None:
    """The licence becomes CC0-1.0, and every digest, the model's id too, is computed anew. The signature stays."""

    def lax(data: dict[str, Any]) -> None:
        data["licence"] = "CC0-1.0"
        data["digest"] = digest_of(data)

    trained = bundle.load(path)
    edited(path / "data.json", lax)
    manifest = Manifest.model_validate_json((path / "data.json").read_bytes())
    recipe = trained.record.recipe | {"data": manifest.digest}
    new = replace(trained, manifest=manifest, record=replace(trained.record, recipe=recipe))
    edited(path / "run.json", lambda run: run | {"recipe": recipe})
    edited(path / "config.json", lambda config: config | {"id": new.id})
    mend(path)


# Credentials


def test_a_file_of_an_attacker_who_names_the_victims_model_is_not_believed(space: Workspace, tmp_path: Path) -> None:
    other = attacker(space, tmp_path / "attacker")
    for path in (other.out, other.out / "000.png"):
        assert refused(partial(verify, path, replace(space.verifier, bundle=space.bundle)))
    assert trace(other.out / "000.png", space.verifier)[0].digest_ok is False
    assert detect(other.out / "000.png", space.chain).verdict != "signed"


def chunk(data: bytes) -> bytes:
    """The chunk of a PNG that holds its credential."""
    start = data.index(b"caBX") - 4
    return data[start : start + 12 + struct.unpack(">I", data[start : start + 4])[0]]


def test_a_credential_moved_to_another_picture_is_found(space: Workspace) -> None:
    bare, stolen = space.root / "bare.png", space.root / "stolen.png"
    Image.new("L", (8, 8), 9).save(bare)
    data = bare.read_bytes()
    stolen.write_bytes(data[:33] + chunk((space.out / "000.png").read_bytes()) + data[33:])
    assert credentials.read(stolen.read_bytes(), "image/png", None, space.verifier.anchors).state == "fails"
    assert refused(lambda: verify(stolen, space.verifier))


def test_side_cars_swapped_among_files_are_found(space: Workspace) -> None:
    own = space.chain.keys
    assert own is not None
    cars = {}
    for text in (b"one", b"two"):
        cars[text] = credentials.sign(text, Claim("a.txt", "text/plain", "trainedAlgorithmicMedia"), own).sidecar
    anchors = space.verifier.anchors
    assert credentials.read(b"one", "text/plain", cars[b"one"], anchors).state == "holds"
    assert credentials.read(b"one", "text/plain", cars[b"two"], anchors).state == "fails"
    shown = (space.out / "000.png").read_bytes()
    assert credentials.read(shown, "image/png", cars[b"one"], anchors).state != "holds"


def test_no_flipped_byte_changes_what_a_credential_that_holds_says(space: Workspace) -> None:
    """In the container, padding can be flipped unseen; no pixel can, nor a word of what is said."""
    data, anchors = (space.out / "000.png").read_bytes(), space.verifier.anchors
    before = credentials.read(data, "image/png", None, anchors)
    content = data.index(b"IDAT")
    places = [*random.Random(0).sample(range(content), 200), *range(content, len(data), 2)]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1
        after = credentials.read(bytes(flipped), "image/png", None, anchors)
        assert after.state == "fails" if place >= content else after.state != "holds" or after == before, place


def test_one_flipped_bit_anywhere_is_found(space: Workspace) -> None:
    """Also where the forger mends the checksum of the chunk that holds the credential: no byte is free."""
    data = (space.out / "000.png").read_bytes()
    chunk = data.index(b"caBX")
    end = chunk + 4 + int.from_bytes(data[chunk - 4 : chunk], "big")
    padding, signature = data.rindex(b"cpadY"), data.rindex(b"c2pa.signature\0")
    assert credentials.read(data, "image/png", None, space.verifier.anchors).state == "holds"
    places = {*range(chunk, chunk + 90), *range(signature - 40, signature + 20), *range(padding - 4, padding + 8)}
    for place in sorted(places | {padding + 40, end - 68, end - 67, end - 1, *range(chunk, end, 41)}):
        flipped = bytearray(data)
        flipped[place] ^= 1
        flipped[end : end + 4] = zlib.crc32(flipped[chunk:end]).to_bytes(4, "big")
        found = credentials.read(bytes(flipped), "image/png", None, space.verifier.anchors)
        assert found.state != "holds", place
    assert credentials.read(data + b"\0", "image/png", None, space.verifier.anchors).state != "holds"


def test_an_edit_does_not_vouch_for_the_receipt_of_a_stranger(space: Workspace, tmp_path: Path) -> None:
    source, out = attacker(space, tmp_path / "attacker").out / "000.png", tmp_path / "edited.png"
    with contextlib.suppress(MakarError):  # to refuse would be right too
        edit(source, resize(source.read_bytes(), "image/png", 8, 8), out, space.chain)
    assert (
        not out.exists()
        or credentials.read(out.read_bytes(), "image/png", None, space.verifier.anchors).receipt is None
    )


# Folders of outputs


def test_what_kind_of_folder_it_is_cannot_be_faked_by_other_files(space: Workspace) -> None:
    forged_output(space)
    assert refused(lambda: verify(space.out, space.verifier))
    shutil.copytree(space.bundle, space.out, dirs_exist_ok=True)
    assert refused(lambda: verify(space.out, space.verifier))


def test_an_empty_file_named_like_a_segment_hides_nothing(space: Workspace) -> None:
    forged_output(space)
    (space.out / "0.jsonl").touch()
    assert refused(lambda: verify(space.out, space.verifier))


def test_a_ledger_of_which_all_is_gone_does_not_hold(space: Workspace) -> None:
    for path in space.home.ledger.glob("*.jsonl"):
        path.unlink()
    assert refused(lambda: verify_ledger(space.home.ledger, space.verifier))


def test_a_forged_picture_that_is_taken_from_the_list_is_found(space: Workspace) -> None:
    Image.new("L", (8, 8), 9).save(space.out / "001.png")
    outputs(space, lambda listing: [entry for entry in listing if entry["file"] != "001.png"])
    assert refused(lambda: verify(space.out, space.verifier))


@pytest.mark.parametrize("field", ["id", "kind", "recipe", "parents"])
def test_every_field_of_an_entry_altered_is_found(space: Workspace, field: str) -> None:
    outputs(space, lambda listing: listing[0].update({field: "0" * 64}))
    assert refused(lambda: verify(space.out, space.verifier))


def twice(listing: list[Any]) -> list[Any]:
    """The first entry again, before the right one, of another model and a lax licence."""
    lie = json.loads(json.dumps(listing[0]))
    lie["receipt"] |= {"model": "0" * 64, "rights": lie["receipt"]["rights"] | {"licences": {"digits": "CC0-1.0"}}}
    return [lie, *listing]


def test_two_entries_for_one_file_are_found(space: Workspace) -> None:
    outputs(space, twice)
    assert refused(lambda: verify(space.out, space.verifier))


@pytest.mark.parametrize(
    "name",
    [
        "../space/out/000.png",
        "ABSOLUTE",
        pytest.param("LINK"),
        LONG,
        *("", ".", "..", "a/b", "\0", "\ud800", "\n\x1b[2J", "/dev/zero", 5, None, [1], {}),
    ],
    ids=lambda name: repr(name)[:20],
)
def test_outputs_json_cannot_name_what_is_elsewhere(space: Workspace, tmp_path: Path, name: object) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "LINK").symlink_to(space.out / "000.png")
    named = str(space.out / "000.png") if name == "ABSOLUTE" else name
    first = json.loads((space.out / "outputs.json").read_text())[0]
    (folder / "outputs.json").write_text(json.dumps([first | {"file": named}]))
    assert refused(lambda: verify(folder, space.verifier))


@pytest.mark.parametrize(
    "text",
    ["", "NaN", "5", "null", "{}", "[]", "[5]", "[{}]", "[" * 10**5, '[{"file":"000.png","receipt":' + "[" * 10**5],
)
def test_outputs_json_of_any_form_is_refused(space: Workspace, text: str) -> None:
    (space.out / "outputs.json").write_text(text)
    assert refused(lambda: verify(space.out, space.verifier))
    with pytest.raises(MakarError):
        let_go(space)


def test_outputs_json_is_read_once(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    before = verifying.listing

    def counted(folder: Path) -> Any:
        calls.append(folder)
        return before(folder)

    monkeypatch.setattr(verifying, "listing", counted)
    verify(space.out, space.verifier)
    assert len(calls) <= 2


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("k", range(1, 5))
def test_a_sampling_that_was_killed_is_not_taken_for_whole(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, k: int
) -> None:
    write, count = files.write_bytes, 0

    def torn(path: Path | str, data: bytes) -> None:
        nonlocal count
        count += 1
        if count > k:
            raise Killed
        write(path, data)

    monkeypatch.setattr(files, "write_bytes", torn)
    for out in (space.out, space.root / "fresh"):
        count = 0
        with pytest.raises(Killed):
            space.draw(out, seed=8)
        assert refused(partial(verify, out, space.verifier))


def test_two_samplings_into_one_folder_at_once_are_not_taken_for_one(
    space: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_json

    def late(path: Path | str, value: Any) -> None:
        monkeypatch.setattr(files, "write_json", write)
        with pytest.raises(MakarError, match="outputs are being written"):
            space.draw(space.out, seed=9)
        write(path, value)

    monkeypatch.setattr(_outputs, "PATIENCE", 0.05)
    monkeypatch.setattr(files, "write_json", late)
    space.draw(space.out, seed=8)
    assert holds(verify(space.out, space.verifier)), "the first is whole, and the second was told to wait"


def test_to_issue_nothing_is_no_crash(space: Workspace) -> None:
    origin = Origin.of(bundle.load(space.bundle), space.bundle, None, Mark(name=None))
    with contextlib.suppress(MakarError):
        issue(space.chain, origin, [], space.root / "none")


# Receipts


def misnamed(field: str, listing: list[Any]) -> None:
    listing[0]["receipt"][field] = "0" * 64


def test_a_receipt_that_names_another_bundle_model_or_data_is_found(unsigned: Workspace) -> None:
    stranger = Verifier(keys.Anchors(), None, unsigned.bundle)
    assert not refused(lambda: verify(unsigned.out / "000.png", stranger))
    for field in ("bundle", "model", "data"):
        outputs(unsigned, partial(misnamed, field))
        assert refused(lambda: verify(unsigned.out / "000.png", stranger)), field


@pytest.mark.parametrize(
    "lie",
    [
        {"model": "", "data": "", "bundle": ""},
        {"family": "gan"},
        {"rights": {"licences": {"digits": "CC0-1.0"}}},
    ],
    ids=["names nothing", "family", "rights"],
)
def test_a_receipt_that_disagrees_with_its_bundle_is_found(unsigned: Workspace, lie: dict[str, Any]) -> None:
    stranger = Verifier(keys.Anchors(), None, unsigned.bundle)
    outputs(unsigned, lambda listing: listing[0]["receipt"].update(lie))
    assert refused(lambda: verify(unsigned.out / "000.png", stranger))


def deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


HOSTILE_RECIPES = {
    "NaN": float("nan"),
    "large number": 10**4000,
    "depth": pytest.param(deep(400)),
    "surrogate": pytest.param("\ud800"),
}


@pytest.mark.parametrize("value", HOSTILE_RECIPES.values(), ids=HOSTILE_RECIPES.keys())
def test_a_hostile_receipt_is_no_crash(unsigned: Workspace, value: Any) -> None:
    outputs(unsigned, lambda listing: listing[0]["receipt"]["recipe"].update(x=value))
    assert refused(lambda: verify(unsigned.out / "000.png", unsigned.verifier))
    with contextlib.suppress(MakarError):
        trace(unsigned.out / "000.png", unsigned.verifier)


def test_trace_does_not_say_that_a_forged_receipt_is_right(space: Workspace) -> None:
    forged_output(space)
    steps = {step.kind: step for step in trace(space.out / "000.png", space.verifier)}
    assert steps["output"].digest_ok is False
    assert steps["receipt"].digest_ok is not True


def test_a_prompt_is_not_in_the_receipt(space: Workspace) -> None:
    trained = makar.fit("ngram", makar.data("grammar:small"), budget="1 steps").trained
    prompt = [0, 1, 0, 1, 1, 0, 1, 0]
    (one,) = sample.sample(trained, 1, settings={"prompt": prompt})
    issue(space.chain, Origin.of(trained, None, None, Mark(name=None)), [one], space.root / "text")
    (listed,) = json.loads((space.root / "text" / "outputs.json").read_text())
    assert '"prompt": [0, 1' not in json.dumps(listed)
    assert listed["receipt"]["prompt"]


# Bundles


@pytest.mark.parametrize("path", ["out/000.png", "runs/g"])
def test_a_bundle_that_was_made_lax_does_not_hold(space: Workspace, path: str) -> None:
    forged_bundle(space.bundle)
    verifier = replace(space.verifier, bundle=space.bundle)
    assert refused(lambda: verify(space.root / path, verifier))
    steps = {step.kind: step for step in trace(space.root / path, verifier)}
    assert steps["model"].digest_ok is False


@pytest.mark.parametrize("path", ["out/000.png", "runs/g"])
def test_trace_does_not_say_that_a_forged_licence_is_right(space: Workspace, path: str) -> None:
    forged_bundle(space.bundle)
    steps = trace(space.root / path, replace(space.verifier, bundle=space.bundle))
    assert not [step for step in steps if step.licence == "CC0-1.0" and step.digest_ok]


def test_an_unsigned_bundle_is_compared_with_the_ledger(unsigned: Workspace) -> None:
    forged_bundle(unsigned.bundle)
    assert refused(lambda: verify(unsigned.bundle, unsigned.verifier))


@pytest.mark.parametrize("path", ["sealed", "out/000.png"])
def test_a_forged_bundle_that_an_attacker_sealed_is_not_believed(space: Workspace, path: str) -> None:
    forged_bundle(space.bundle)
    place = sealed.seal(space.bundle, space.root / "sealed", b"of the attacker")
    steps = trace(space.root / path, replace(space.verifier, bundle=place))
    assert not [step for step in steps if step.licence == "CC0-1.0" and step.digest_ok]
    assert refused(lambda: verify(place, space.verifier))


@pytest.mark.parametrize("name", ["model.safetensors", "extra.py", "README.md"])
def test_a_seal_beside_the_weights_hides_nothing(space: Workspace, name: str) -> None:
    place = sealed.seal(space.bundle, space.root / "sealed", b"of the attacker")
    for made in (sealed.SEAL, sealed.SEALED):
        shutil.copy(place / made, space.bundle / made)
    (space.bundle / name).write_text("something else")
    digest = sha256(space.bundle / "README.md")
    edited(space.bundle / "digests.json", lambda plain: plain | {"README.md": digest})
    assert refused(lambda: verify(space.bundle, space.verifier))


def test_a_sealed_bundle_holds_and_no_other_seal_does(space: Workspace) -> None:
    place = sealed.seal(space.bundle, space.root / "sealed", b"of the victim")
    assert not refused(lambda: verify(place, space.verifier))
    for change in ({"weights": "0" * 64}, {"sealed": "0" * 64}, {"salt": 5}, {"version": 2}):
        shutil.copytree(place, space.root / "changed", dirs_exist_ok=True)
        edited(space.root / "changed" / sealed.SEAL, partial(joined, change))
        assert refused(lambda: verify(space.root / "changed", space.verifier)), change


def joined(change: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    return plain | change


LIES: dict[str, Callable[[str], str]] = {
    "rights.json": lambda text: json.dumps(json.loads(text) | {"licences": {"digits": "CC0-1.0"}, "attribution": []}),
    "README.md": lambda text: text.replace("CC-BY-4.0", "CC0-1.0"),
    "datasheet.md": lambda text: text.replace("CC-BY-4.0", "CC0-1.0"),
    "croissant.json": lambda text: text.replace("CC-BY-4.0", "CC0-1.0"),
    "spdx.json": lambda text: text.replace("CC-BY-4.0", "CC0-1.0"),
    "bom.cdx.json": lambda text: "{}",
}


@pytest.mark.parametrize("name", LIES)
def test_documents_that_disagree_with_the_records_are_found(unsigned: Workspace, name: str) -> None:
    place = unsigned.bundle / name
    before = place.read_text()
    place.write_text(LIES[name](before))
    assert place.read_text() != before
    mend(unsigned.bundle)
    assert refused(lambda: verify(unsigned.bundle, Verifier(keys.Anchors())))


FORMS = ["[]", "5", "{", "[" * 10**5]
BROKEN: list[tuple[str, str]] = [
    *(("data.json", text) for text in (*FORMS, "{}", "\xff")),
    *(("model.safetensors", text) for text in ("", "\x02\0\0\0\0\0\0\0[]", "\xff" * 100)),
    *(("rights.json", text) for text in FORMS),
    *(("chain.json", text) for text in FORMS),
]
WRONG_TYPES: dict[str, list[dict[str, Any]]] = {
    "config.json": [
        {"space": [1]}, {"space": {"space": "Levels", "shape": 5, "levels": 17}}, {"codec": 5}, {"codec_state": []},
        {"codec_state": {"shape": ["a"]}}, {"class_counts": 5}, {"settings": []}, {"family": "../x"},
    ],
    "run.json": [{"extra": 1}, {"plan": [["a", "b"]]}, {"recipe": []}],
}  # fmt: skip
WRONG = [
    *((name, content) for name, changes in WRONG_TYPES.items() for content in (*FORMS[2:], *changes)),
    *(("config.json", content) for content in FORMS[:2]),
    *(pytest.param("run.json", content) for content in FORMS[:2]),
    pytest.param("config.json", {"format": [1]}),
]


def rewritten(space: Workspace, name: str, content: str | dict[str, Any]) -> None:
    """Put something else into a file of the bundle, or change its JSON, and mend the digests."""
    if isinstance(content, dict):
        edited(space.bundle / name, lambda plain: plain | content)
    else:
        (space.bundle / name).write_bytes(content.encode("latin-1"))
    mend(space.bundle)


@pytest.mark.parametrize(("name", "content"), BROKEN, ids=lambda value: str(value)[:16])
def test_a_record_of_another_form_with_mended_digests_is_no_crash(unsigned: Workspace, name: str, content: str) -> None:
    rewritten(unsigned, name, content)
    refused(lambda: verify(unsigned.bundle, unsigned.verifier))
    trace(unsigned.bundle, unsigned.verifier)


@pytest.mark.parametrize(("name", "content"), WRONG, ids=lambda value: str(value)[:24])
def test_a_record_with_wrong_types_and_mended_digests_is_found(unsigned: Workspace, name: str, content: Any) -> None:
    rewritten(unsigned, name, content)
    assert refused(lambda: verify(unsigned.bundle, unsigned.verifier))
    assert not all(step.digest_ok for step in trace(unsigned.bundle, unsigned.verifier))


def test_folders_within_folders_are_no_crash(unsigned: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(unsigned.bundle)
    for _ in range(1100):
        os.mkdir("a")
        os.chdir("a")
    os.close(os.open("x", os.O_CREAT))
    os.chdir(unsigned.bundle)
    try:
        assert refused(lambda: verify(unsigned.bundle, unsigned.verifier))
    finally:  # what removes the folders of tests recurses too
        for _ in range(1100):
            os.chdir("a")
        os.unlink("x")
        for _ in range(1100):
            os.chdir("..")
            os.rmdir("a")


def test_to_verify_changes_nothing(space: Workspace) -> None:
    beside = space.bundle.with_name(f".{space.bundle.name}.new") / "config.json"
    files.write_bytes(beside, b"being written")
    verify(space.bundle, space.verifier)
    assert beside.exists()


# What waits, and what fills the memory


class Pipe:
    """A named pipe in place of a file. Whoever opens it would wait for ever; here a thread lets him go, and tells."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        self.path, self.opened, self.over = path, False, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        while not self.over.wait(0.01):
            with contextlib.suppress(OSError):  # nobody is waiting
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
                self.opened = True

    def __enter__(self) -> Pipe:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def waits(path: Path, look: Callable[[], object]) -> bool:
    """Whether somebody would wait for ever at a pipe in place of the file."""
    with Pipe(path) as pipe, contextlib.suppress(Exception):
        look()
    return pipe.opened


def test_a_pipe_in_place_of_a_file_is_not_waited_at(space: Workspace) -> None:
    for name in ("config.json", "rights.json", "digests.json", "model.sig"):
        assert not waits(space.bundle / name, lambda: verify(space.bundle, space.verifier)), name
    assert not waits(space.out / "outputs.json", lambda: verify(space.out, space.verifier))
    assert not waits(space.root / "a.png", lambda: detect(space.root / "a.png", space.chain))
    assert not waits(space.root / "b.png", lambda: trace(space.root / "b.png", space.verifier))
    assert not waits(space.out / "000.png.c2pa", lambda: verify(space.out / "000.png", space.verifier))
    assert not waits(next(space.home.ledger.glob("0*")), lambda: verify(space.home.ledger, space.verifier))


PIPES: dict[str, tuple[str, Callable[[Workspace], object]]] = {
    "load": ("runs/g/config.json", lambda s: bundle.load(s.bundle)),
    "match": ("runs/g/config.json", lambda s: verify(s.out / "000.png", replace(s.verifier, bundle=s.bundle))),
    "match data": ("runs/g/data.json", lambda s: verify(s.out / "000.png", replace(s.verifier, bundle=s.bundle))),
    "trace": ("runs/g/rights.json", lambda s: trace(s.bundle, s.verifier)),
    "signer": ("runs/g/chain.json", lambda s: verify(s.bundle, s.verifier)),
    "output": ("a.png", lambda s: verify(s.root / "a.png", s.verifier)),
    "anchor": ("a.pem", lambda s: keys.Anchors.read(s.root / "a.pem")),
    "policy": (".makar/policy.toml", lambda s: Policy.load(s.home.policy)),
}


@pytest.mark.parametrize("what", PIPES)
def test_a_pipe_in_place_of_these_is_not_waited_at(space: Workspace, what: str) -> None:
    name, look = PIPES[what]
    if what == "signer":
        (space.bundle / "model.sig").unlink()
    assert not waits(space.root / name, lambda: look(space))


@contextlib.contextmanager
def at_most(extra: int) -> Iterator[None]:
    """As much address space as there is in use, and no more than `extra` bytes beyond."""
    resource = pytest.importorskip("resource")
    if not sys.platform.startswith("linux"):
        pytest.skip("address space is limited on Linux only")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def sparse(path: Path) -> None:
    """A file of 3 GiB that takes no place; more would only be hashed for longer."""
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, 3 * 2**30)


def small(look: Callable[[], list[Finding]]) -> bool:
    """Whether something is refused with little memory."""
    with at_most(2**31):
        return refused(look)


def test_files_without_end_are_not_read_whole(space: Workspace) -> None:
    for place, look in (
        (space.out / "000.png", space.out / "000.png"),
        (space.bundle / "model.sig", space.bundle),
        (space.bundle / "extra", space.bundle),
        (next(space.home.ledger.glob("0*")), space.home.ledger),
    ):
        before = place.read_bytes() if place.exists() else b""
        sparse(place)
        assert small(partial(verify, look, space.verifier)), place
        place.write_bytes(before)


SPARSE: dict[str, tuple[str, Callable[[Workspace], object]]] = {
    "weights": ("runs/g/model.safetensors", lambda s: verify(s.bundle, s.verifier)),
    "digests": ("runs/g/digests.json", lambda s: verify(s.bundle, s.verifier)),
    "load": ("runs/g/config.json", lambda s: bundle.load(s.bundle)),
    "outputs.json": ("out/outputs.json", lambda s: verify(s.out, s.verifier)),
    "side-car": ("out/000.png.c2pa", lambda s: verify(s.out / "000.png", s.verifier)),
    "detect": ("out/000.png", lambda s: detect(s.out / "000.png", s.chain)),
}


@pytest.mark.parametrize("what", SPARSE)
def test_these_without_end_are_not_read_whole(space: Workspace, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_LARGEST_WEIGHTS", 2**31)  # hashing as much as is really allowed takes a minute
    name, look = SPARSE[what]
    sparse(space.root / name)
    with at_most(2**31), contextlib.suppress(MakarError):
        look(space)


def test_a_device_is_not_read(space: Workspace) -> None:
    with at_most(2**28):
        assert refused(lambda: verify(Path("/dev/zero"), space.verifier))


def test_a_model_larger_than_its_weights_is_not_built(unsigned: Workspace) -> None:
    rewritten(unsigned, "config.json", {"space": {"space": "Levels", "shape": [1, 200, 200], "levels": 17}})
    assert small(lambda: verify(unsigned.bundle, unsigned.verifier))


def bomb(path: Path, side: int) -> None:
    """A PNG that says that it is `side` pixels a side."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = part(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(bytes(1000))) + part(b"IEND", b""))


@pytest.mark.parametrize("side", [0, 50_000, 2**31 - 1, pytest.param(13_300)])
def test_a_picture_too_large_to_be_opened_is_refused(space: Workspace, side: int) -> None:
    bomb(space.root / "bomb.png", side)
    with at_most(2**31), pytest.raises(MakarError):
        detect(space.root / "bomb.png", space.chain)


def noise(seed: int, data: bytes) -> bytes:
    """The data with a few bytes altered, cut away, or made as large as can be."""
    rng, new = random.Random(seed), bytearray(data)
    for _ in range(rng.choice((1, 3, 10))):
        place = rng.randrange(min(len(new) - 4, 200)) if len(new) > 8 else 0
        kind = rng.randrange(3)
        if kind == 0:
            new[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1 and rng.random() < 0.3:
            del new[rng.randrange(len(new) + 1) :]
        else:
            new[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\1"))
    return bytes(new)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".tif"])
def test_pictures_with_noise_are_refused_or_read(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(whole)
    place, data = tmp_path / f"noisy{suffix}", whole.read_bytes()
    for seed in range(120):
        place.write_bytes(noise(seed, data))
        with contextlib.suppress(MakarError, Warning):  # Pillow's warnings are for people
            picture(place)


def test_sounds_with_noise_are_refused_or_read(tmp_path: Path) -> None:
    whole, place = tmp_path / "whole.wav", tmp_path / "noisy.wav"
    with wave.open(str(whole), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\1\2" * 2000)
    data = whole.read_bytes()
    for seed in range(200):
        place.write_bytes(noise(seed, data))
        with contextlib.suppress(MakarError):
            sound(place)


def test_an_edit_of_no_picture_is_refused() -> None:
    with pytest.raises(MakarError):
        crop(b"no picture", "image/png", 0, 0, 1, 1)


def test_credentials_with_noise_are_read_in_little_memory(space: Workspace) -> None:
    data, anchors = (space.out / "000.png").read_bytes(), space.verifier.anchors
    content = data[data.index(b"IDAT") :]
    with at_most(2**30):
        for seed in range(300):
            noisy = data[:41] + noise(seed, data[41:])
            for kind in ("image/png", ("image/jpeg", "image/webp", "audio/wav", "video/mp4")[seed % 4]):
                state = credentials.read(noisy, kind, None, anchors).state
                assert state != "holds" or noisy.endswith(content), seed


# The ledger


def injected(space: Workspace, kind: str, body: dict[str, Any]) -> None:
    """An entry at the ledger's end by somebody who can write there and has no key."""
    last = sorted(space.home.ledger.glob("0*.jsonl"))[-1]
    line = last.read_bytes().splitlines()[-1]
    entry = Entry.make(json.loads(line)["n"] + 1, "2026-11-22T00:00:00.000+00:00", kind, body, line_digest(line))
    files.append_line(last, entry.line)


def test_an_entry_by_somebody_without_the_key_is_found_at_once(space: Workspace) -> None:
    injected(space, "model", {})
    assert refused(lambda: verify_ledger(space.home.ledger, space.verifier))


def test_an_entry_by_somebody_without_the_key_is_never_signed_unseen(space: Workspace) -> None:
    injected(space, "model", {})
    space.chain.record("note", {})
    said = verify_ledger(space.home.ledger, space.verifier)
    assert any(f.state == "unknown" and "not signed when written" in f.why for f in said), "named for ever"


def test_a_place_that_points_elsewhere_is_not_taken(space: Workspace) -> None:
    shutil.copytree(space.bundle, space.root / "elsewhere")
    forged_bundle(space.root / "elsewhere")
    edited(space.bundle / "digests.json", lambda digests: None)
    shutil.rmtree(space.bundle)
    model = next(space.chain.ledger.entries("model")).body
    injected(space, "model", model | {"place": "elsewhere"})
    injected(space, "model", model | {"place": str(space.root / "elsewhere")})
    steps = trace(space.out / "000.png", space.verifier)
    assert not [step for step in steps if step.licence]


@pytest.mark.parametrize("body", [{}, {"id": "x", "place": LONG, "data": []}], ids=["empty", "wrong types"])
def test_a_hostile_entry_is_no_crash(space: Workspace, body: dict[str, Any]) -> None:
    injected(space, "model", body)
    Image.new("L", (64, 64)).save(space.root / "any.png")
    for look in (
        lambda: detect(space.root / "any.png", space.chain),
        lambda: withdraw.search({"source": "digits"}, space.chain),
    ):
        with contextlib.suppress(MakarError):
            look()


# Rules


def let_go(space: Workspace, path: Path | None = None) -> Released:
    return release(space.out, space.root / "to", "private", space.home, NOW, path)


def test_outputs_as_they_were_made_are_released(space: Workspace) -> None:
    assert let_go(space).files == ("000.png", "001.png", "002.png")


@pytest.mark.parametrize("name", ["../out/000.png", "/etc/hostname", "", "release.json", "LINK"])
def test_no_release_of_what_lies_elsewhere(space: Workspace, name: str) -> None:
    (space.out / "LINK").symlink_to("/etc/hostname")
    outputs(space, lambda listing: [listing[0] | {"file": name}])
    with pytest.raises(MakarError):
        let_go(space)
    assert not (space.root / "to").exists()


def test_no_release_of_a_forged_output(space: Workspace) -> None:
    forged_output(space)
    with pytest.raises(Refused, match="neither a credential"):
        let_go(space)


def test_no_release_of_a_forged_output_where_the_ledger_was_removed(space: Workspace) -> None:
    forged_output(space)
    shutil.rmtree(space.home.ledger)
    with pytest.raises(Refused):
        let_go(space)


def test_no_release_of_a_forged_output_that_was_put_into_the_ledger(space: Workspace) -> None:
    forged_output(space)
    (listed,) = json.loads((space.out / "outputs.json").read_text())
    receipt = Receipt.read(listed["receipt"], "it")
    injected(space, "output", {"sha256": listed["sha256"], "receipt": receipt.digest(), "file": "000.png"})
    with pytest.raises(Refused):
        let_go(space)


@pytest.mark.parametrize(
    "change", [twice, lambda listing: listing[0].update(parents=["0" * 64])], ids=["twice", "parents"]
)
def test_no_release_of_a_forged_list(space: Workspace, change: Callable[[list[Any]], Any]) -> None:
    outputs(space, change)
    with pytest.raises(MakarError):
        let_go(space)


def test_no_release_of_copies_that_the_policy_refuses(space: Workspace) -> None:
    trained = bundle.load(space.bundle)
    near = Nearness(item="0" * 64, distance=0.0, threshold=1.0, measure="any")
    made = sample.sample(trained, 1, 3)
    shutil.rmtree(space.out)
    issue(space.chain, Origin.of(trained, space.bundle, None, Mark(name=None)), made, space.out, [near])
    files.write_text(space.home.policy, 'copies = "refuse"\n')
    with pytest.raises(Refused):
        let_go(space)


def test_no_release_without_consent_by_an_altered_manifest(space: Workspace) -> None:
    place = next((space.home.root / "data").glob("*.json"))
    tags = {json.loads(place.read_text())["items"]["train"][0]: ["likeness:Jane Doe"]}
    edited(place, lambda plain: plain | {"tags": tags})
    with pytest.raises(MakarError):
        let_go(space)  # an altered manifest, or missing consent: either is right
    place.unlink()
    edited(space.bundle / "data.json", lambda plain: plain | {"notes": ["the tags were taken out"]})
    with pytest.raises(MakarError):
        let_go(space, space.bundle)


def test_no_release_of_what_was_learnt_from_withdrawn_data(space: Workspace) -> None:
    withdraw.withdraw("source:digits", space.chain)
    with pytest.raises(Refused):
        let_go(space)


def test_an_approval_is_for_one_file_and_by_one_key(space: Workspace, tmp_path: Path) -> None:
    own, other = space.chain.keys, keys.init(Home(tmp_path / "other"), "somebody else")
    assert own is not None
    policy = Policy(approvers=[own.fingerprint])
    first, second = (sha256(space.out / name) for name in ("000.png", "001.png"))
    good = approvals.decide(first, "approve", "me", NOW, signed.by(own))
    held = [good, good | {"what": second}, approvals.decide(second, "approve", "me", NOW, signed.by(other))]
    known = signed.known_to(space.verifier.anchors)
    assert approvals.approved(policy, [first, second], held, known) == {first}


def test_a_withdrawal_that_was_confirmed_is_heeded(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKAR_HOME", str(space.home.root))
    assert withdraw.withdraw("source:DIGITS", space.chain).datasets
    with pytest.raises(MakarError, match="withdrawn"):
        makar.data("digits")


def test_a_consent_can_be_taken_back_and_data_be_loaded(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKAR_HOME", str(space.home.root))
    files.append_line(space.home.withdrawn, json.dumps({"token": "0123456789abcdef"}))
    assert revoked(space.chain) == {"0123456789abcdef"}
    makar.data("digits")


@pytest.mark.parametrize("line", ["{", "5", "[1]", "[" * 10**5, "\xff"], ids=lambda line: line[:3])
def test_a_broken_register_of_withdrawals_is_no_crash(space: Workspace, line: str) -> None:
    space.home.withdrawn.write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(MakarError):
        revoked(space.chain)


# Secrets


def test_what_is_wrong_with_a_key_is_said_without_quoting_it(space: Workspace) -> None:
    own = space.chain.keys
    assert own is not None
    secret = own.signer_key + own.model_key + space.home.keys.joinpath("intermediate.pem").read_bytes()
    lines = [line for line in secret.decode().splitlines() if "-----" not in line]
    said = [repr(own), repr(space.chain), str(own), repr([own])]
    for path in sorted(space.home.keys.iterdir()):
        whole = path.read_bytes()
        for part in (whole[: len(whole) // 2], whole[:-40], b"", b"\xff" * 50, whole[:60] + b"A" * 60):
            path.write_bytes(part)
            with contextlib.suppress(MakarError) as caught:
                keys.load(space.home)
            said.append(repr(caught))
            try:
                keys.load(space.home)
            except MakarError as error:
                said.append(str(error))
        path.write_bytes(whole)
    text = "".join(said)
    assert not [line for line in lines if line[:16] in text]
    assert own.watermark.hex() not in text


def test_where_data_lie_is_in_nothing_that_leaves(space: Workspace) -> None:
    folder = space.root / "secret-folder-of-alice"
    folder.mkdir()
    rows = np.random.default_rng(0).normal(size=(60, 2))
    (folder / "people.csv").write_text("a,b\n" + "\n".join(f"{a:.2f},{b:.2f}" for a, b in rows) + "\n")
    trained = makar.fit("independent", makar.data(f"csv:{folder / 'people.csv'}", licence="CC0-1.0"), "1 steps").trained
    place = space.chain.save(trained, space.root / "runs" / "t", {"spec": "told"})
    issue(space.chain, Origin.of(trained, place, None, Mark(name=None)), sample.sample(trained, 2), space.root / "rows")
    looked = [path for folder in (place, space.root / "rows") for path in folder.rglob("*") if path.is_file()]
    assert len(looked) > 12
    for path in looked:
        assert b"alice" not in path.read_bytes(), path
        assert str(space.root).encode() not in path.read_bytes(), path


def test_an_expired_certificate_signs_nothing_and_leaves_nothing(space: Workspace, tmp_path: Path) -> None:
    old = copied(space.root, tmp_path / "old")
    shutil.rmtree(old.home.keys)
    keys.init(old.home, "long ago", days=1, start=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(MakarError, match="certificate"):
        old.draw(old.root / "late")
    assert not (old.root / "late").exists()
