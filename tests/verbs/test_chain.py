"""The chain: from data to signed output and back, by its owner and by a stranger, and every mutation found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import makar
from makar.core.artifact import Artifact
from makar.core.errors import MakarError
from makar.provenance import credentials, keys
from makar.provenance.authorship import Authorship
from makar.provenance.findings import holds
from makar.provenance.home import Home
from makar.provenance.receipts import Mark, Receipt
from makar.verbs import bundle, sample, withdraw
from makar.verbs.chain import Chain
from makar.verbs.detect import detect
from makar.verbs.edit import crop, edit, replaced, resize, vouch
from makar.verbs.guard import blocked, guard, objection, remember_items
from makar.verbs.hand_over import hand_over
from makar.verbs.issue import Origin, issue
from makar.verbs.trace import _data, trace
from makar.verbs.verify import Verifier, verify, verify_bundle, verify_ledger

COUNT = 3


class Workspace:
    """A folder with a home, a bundle and outputs."""

    def __init__(self, root: Path, signed: bool) -> None:
        self.root = root
        self.home = Home(root / ".makar")
        if signed:
            keys.init(self.home, "the tests")
        self.chain = Chain(self.home, Chain.here().policy, on=True)
        self.data = makar.data("digits")
        self.trained = makar.fit("gaussian", self.data, budget="3 steps").trained
        self.bundle = self.chain.save(self.trained, root / "runs" / "g")
        remember_items(self.chain, self.data, self.trained)
        self.out = root / "out"
        self.draw(self.out)

    def draw(self, out: Path, seed: int = 0) -> list[Path]:
        trained = bundle.load(self.bundle)
        mark, said = self.chain.watermark(trained, None)
        made = sample.sample(trained, COUNT, seed, mark=mark)
        kept = guard(self.chain, trained, made)
        return issue(self.chain, Origin.of(trained, self.bundle, mark, said), kept.artifacts, out, kept.nearest)

    @property
    def verifier(self) -> Verifier:
        return Verifier(keys.Anchors.of(self.home), self.home)

    def stranger(self, place: Path) -> Verifier:
        """Someone who has the public keys and the bundle, and nothing else of this workspace."""
        own = self.chain.keys
        assert own is not None
        if not place.exists():
            keys.export(own, place)
        return Verifier(keys.Anchors.read(place), None, self.bundle)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Path]]:
    patch = pytest.MonkeyPatch()
    patch.setenv("MAKAR_HOME", str(tmp_path_factory.mktemp("none")))
    yield {signed: Workspace(tmp_path_factory.mktemp("space"), signed).root for signed in (True, False)}
    patch.undo()


def copied(root: Path, place: Path) -> Workspace:
    """A workspace of one's own to break: a copy, since to train and to sign takes a while."""
    shutil.copytree(root, place, symlinks=True)
    space = object.__new__(Workspace)
    space.root, space.home = place, Home(place / ".makar")
    space.chain = Chain(space.home, Chain.here().policy, on=True)
    space.bundle, space.out = place / "runs" / "g", place / "out"
    return space


@pytest.fixture
def space(made: dict[bool, Path], tmp_path: Path) -> Workspace:
    return copied(made[True], tmp_path / "space")


@pytest.fixture
def unsigned(made: dict[bool, Path], tmp_path: Path) -> Workspace:
    return copied(made[False], tmp_path / "space")


def wrong(space: Workspace, path: Path) -> list[str]:
    return [f.what for f in verify(path, space.verifier) if f.wrong]


def test_everything_that_was_made_holds(space: Workspace) -> None:
    for path in (space.out, space.bundle, space.home.ledger, *sorted(space.out.glob("*.png"))):
        findings = verify(path, space.verifier)
        assert holds(findings), [f for f in findings if f.wrong]


def test_without_keys_everything_works_and_says_that_it_is_unsigned(unsigned: Workspace) -> None:
    for path in (unsigned.out, unsigned.bundle, unsigned.home.ledger, unsigned.out / "000.png"):
        findings = verify(path, unsigned.verifier)
        assert holds(findings), [f for f in findings if f.wrong]
    said = [f for f in verify(unsigned.out / "000.png", unsigned.verifier) if f.state == "absent"]
    assert any("without keys" in f.why for f in said)


def test_a_stranger_verifies_with_public_key_output_and_bundle_alone(space: Workspace, tmp_path: Path) -> None:
    place = tmp_path / "public"
    stranger = space.stranger(place)
    shutil.rmtree(space.home.root)
    findings = verify(space.out / "001.png", stranger)
    assert holds(findings), [f for f in findings if f.wrong]
    steps = trace(space.out / "001.png", stranger)
    assert [s.kind for s in steps] == ["output", "receipt", "model", "run", "dataset", "source"]
    assert all(s.digest_ok for s in steps), steps
    assert steps[-1].licence == "CC-BY-4.0"
    assert "Handwritten Digits" in str(steps[-1].source)


def test_the_official_tools_say_the_same(space: Workspace, tmp_path: Path) -> None:
    import subprocess
    import sys

    import c2pa

    place = tmp_path / "public"
    space.stranger(place)
    reader = c2pa.Reader(str(space.out / "000.png"))
    assert reader.get_validation_state() == "Valid"
    anchors = {"trust": {"user_anchors": (place / "root.pem").read_text()}, "verify": {"verify_trust": True}}
    trusting = c2pa.Reader(str(space.out / "000.png"), context=c2pa.Context.from_dict(anchors))
    assert trusting.get_validation_state() == "Trusted"
    words = ["verify", "key", str(space.bundle), "--signature", str(space.bundle / "model.sig")]
    call = [sys.executable, "-m", "model_signing", *words, "--public_key", str(place / "model.pub")]
    assert subprocess.run(call, capture_output=True, check=False).returncode == 0
    flip(space.bundle / "run.json", 40)
    assert subprocess.run(call, capture_output=True, check=False).returncode == 1
    flip(space.out / "000.png", -20)
    assert c2pa.Reader(str(space.out / "000.png")).get_validation_state() == "Invalid"


def test_who_does_not_know_the_key_is_told_so(space: Workspace, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    keys.init(other, "somebody else")
    findings = verify(space.out / "000.png", Verifier(keys.Anchors.of(other), None, space.bundle))
    assert not holds(findings)
    assert {f.state for f in findings if f.what.startswith(("credential", "signature"))} == {"untrusted"}


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1
    path.write_bytes(bytes(data))


def older(path: Path) -> None:
    """What an older version of the file might have been."""
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, Callable[[Path], object]] = {
    "altered": lambda p: flip(p, p.stat().st_size // 2),
    "removed": Path.unlink,
    "emptied": lambda p: p.write_bytes(b""),
    "cut": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "replaced by an older one": older,
    "a link": link,
    "a folder": folder,
}
NAMES = (
    "config.json", "model.safetensors", "data.json", "run.json", "rights.json", "chain.json", "README.md",
    "datasheet.md", "croissant.json", "bom.cdx.json", "spdx.json", "digests.json", "model.sig",
)  # fmt: skip


def test_the_matrix_covers_every_file_of_a_bundle(space: Workspace) -> None:
    assert sorted(NAMES) == sorted(p.name for p in space.bundle.iterdir())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_file_of_a_bundle_changed_in_every_way_is_found(space: Workspace, name: str, change: str) -> None:
    CHANGES[change](space.bundle / name)
    assert wrong(space, space.bundle)


def mend(path: Path) -> None:
    """Make all digests right again, as somebody with a purpose would."""
    digests = {
        p.name: bundle.sha256(p.read_bytes()) for p in path.iterdir() if p.name not in ("digests.json", "model.sig")
    }
    (path / "digests.json").write_text(json.dumps(digests))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("digests.json", "model.sig")])
def test_a_change_with_mended_digests_breaks_the_signature(space: Workspace, name: str) -> None:
    path = space.bundle / name
    path.write_bytes(path.read_bytes() + b" ")
    mend(space.bundle)
    assert "signature" in " ".join(wrong(space, space.bundle))


def test_a_stripped_signature_and_an_extra_file_are_found(space: Workspace, tmp_path: Path) -> None:
    (space.bundle / "helper.py").write_text("import os")
    assert "helper.py" in wrong(space, space.bundle)
    (space.bundle / "helper.py").unlink()
    (space.bundle / "model.sig").unlink()
    chain = json.loads((space.bundle / "chain.json").read_text()) | {"signer": None}
    (space.bundle / "chain.json").write_text(json.dumps(chain))
    mend(space.bundle)
    assert wrong(space, space.bundle), "who knows keys does not take an unsigned bundle for a signed one"


def leaves(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every plain value within nested data."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield way
    else:
        for key, inner in items:
            yield from leaves(inner, (*way, key))


def altered(value: Any, way: tuple[Any, ...]) -> None:
    *most, last = way
    for key in most:
        value = value[key]
    old = value[last]
    value[last] = (old + 1) if isinstance(old, int | float) and not isinstance(old, bool) else f"{old}x"


@pytest.mark.parametrize("signed", [True, False])
def test_every_field_of_a_receipt_altered_is_found(made: dict[bool, Path], tmp_path: Path, signed: bool) -> None:
    space = copied(made[signed], tmp_path / "space")
    place = space.out / "outputs.json"
    before = place.read_text()
    count = 0
    for way in leaves(json.loads(before)[0]["receipt"]):
        listing = json.loads(before)
        altered(listing[0]["receipt"], way)
        place.write_text(json.dumps(listing))
        assert wrong(space, space.out / "000.png"), way
        count += 1
    assert count > 20


def test_an_output_swapped_for_another_is_found(space: Workspace) -> None:
    first, second = space.out / "000.png", space.out / "001.png"
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    assert wrong(space, space.out)


def test_an_output_of_another_model_is_found(space: Workspace, tmp_path: Path) -> None:
    trained = makar.fit("gaussian", makar.data("digits"), budget="3 steps", seed=9).trained
    other = space.chain.save(trained, tmp_path / "runs" / "other")
    findings = verify(space.out / "000.png", Verifier(space.verifier.anchors, space.home, other))
    assert any(f.what == "receipt and bundle" and f.state == "fails" for f in findings)


def test_a_stripped_credential_says_so_and_never_that_it_is_real(space: Workspace, tmp_path: Path) -> None:
    from PIL import Image

    bare = tmp_path / "bare.png"
    with Image.open(space.out / "000.png") as image:
        image.save(bare)
    findings = verify(bare, space.verifier)
    assert not holds(findings)
    assert {f.state for f in findings} == {"absent"}
    words = " ".join(f.why for f in findings) + detect(bare, space.chain).why
    assert "real" not in words
    assert "authentic" not in words


@pytest.mark.parametrize("line", range(5))
@pytest.mark.parametrize("change", ["altered", "removed", "doubled"])
def test_every_ledger_line_changed_is_found(space: Workspace, line: int, change: str) -> None:
    place = next(space.home.ledger.glob("0*.jsonl"))
    lines = place.read_text().splitlines(keepends=True)
    assert len(lines) > 4
    new = {"altered": [lines[line].replace("a", "b", 1)], "removed": [], "doubled": [lines[line]] * 2}[change]
    place.write_text("".join([*lines[:line], *new, *lines[line + 1 :]]))
    assert any(f.wrong for f in verify_ledger(space.home.ledger, space.verifier))


def test_edits_keep_their_history_in_order(space: Workspace, tmp_path: Path) -> None:
    start = space.out / "grid.png"
    one, two, three = (tmp_path / f"{i}.png" for i in (1, 2, 3))
    edit(start, crop(start.read_bytes(), "image/png", 0, 0, 90, 90), one, space.chain)
    edit(one, resize(one.read_bytes(), "image/png", 64, 64), two, space.chain)
    drawn = tmp_path / "drawn.png"
    from PIL import Image

    Image.new("L", (64, 64), 7).save(drawn)
    edit(two, replaced(drawn), three, space.chain)
    findings = [f for f in verify(three, space.verifier) if f.what.startswith(("credential", "receipt"))]
    assert all(f.state == "holds" for f in findings), findings
    steps = trace(three, space.verifier)
    kinds = [s.kind for s in steps]
    assert kinds[0] == "output"
    assert kinds.count("edit") == 3
    assert kinds[-1] == "source"
    assert "cropped" in steps[2].why
    assert "resized" in steps[1].why


def test_genuine_things_can_be_signed_and_are_not_called_made_by_a_model(space: Workspace, tmp_path: Path) -> None:
    from PIL import Image

    photo, signed = tmp_path / "photo.jpg", tmp_path / "signed.jpg"
    Image.new("RGB", (64, 48), (90, 120, 30)).save(photo)
    vouch(photo, "digitalCapture", signed, space.chain)
    found = detect(signed, space.chain)
    assert found.verdict == "signed"
    assert found.ai is False
    assert detect(space.out / "000.png", space.chain).ai is True


def test_what_a_withdrawal_touches(space: Workspace) -> None:
    item = json.loads((space.bundle / "data.json").read_text())["items"]["train"][0]
    for spec, count in ((f"item:{item}", 1), ("source:digits", 1797)):
        touched = withdraw.withdraw(spec, space.chain, "asked for")
        assert [d["items"] for d in touched.datasets] == [count]
        assert [m["family"] for m in touched.models] == ["gaussian"]
        assert len(touched.outputs) == COUNT + 1  # and the grid
    assert not withdraw.search({"creator": "nobody"}, space.chain).datasets
    lines = space.home.withdrawn.read_text().splitlines()
    assert [json.loads(line)["why"] for line in lines] == ["asked for", "asked for"]
    with pytest.raises(MakarError, match="names nothing"):
        withdraw.withdraw("digits", space.chain)


def test_nothing_secret_leaves_the_folder_of_keys(space: Workspace, tmp_path: Path) -> None:
    own = space.chain.keys
    assert own is not None
    space.stranger(tmp_path / "public")
    secrets = [own.watermark, own.signer_key, own.model_key, own.watermark.hex().encode()]
    secrets += [b"".join(pem.splitlines()[1:-1]) for pem in (own.signer_key, own.model_key)]
    secrets.append(keys.watermark_key(own, json.loads((space.bundle / "config.json").read_text())["id"]))
    secrets.append(str(Path.home()).encode() if Path.home() != Path("/") else b"\x00never")
    looked = 0
    for path in [*space.root.rglob("*"), *(tmp_path / "public").rglob("*")]:
        if path.is_file() and space.home.keys not in path.parents:
            data = path.read_bytes()
            assert not [s for s in secrets if s in data], path
            looked += 1
    assert looked > 20


def test_one_switch_turns_it_off_and_the_card_says_so(space: Workspace, tmp_path: Path) -> None:
    off = Chain(space.home, space.chain.policy, on=False)
    before = (len(list(space.chain.ledger.entries())), sorted(space.home.root.rglob("*")))
    trained = makar.fit("gaussian", makar.data("digits"), budget="3 steps").trained
    place = off.save(trained, tmp_path / "runs" / "off")
    mark, said = off.watermark(trained, None)
    issue(off, Origin.of(trained, place, mark, said), sample.sample(trained, 2), tmp_path / "off")
    assert (len(list(space.chain.ledger.entries())), sorted(space.home.root.rglob("*"))) == before
    assert json.loads((place / "chain.json").read_text())["on"] is False
    assert "The chain was off when this was made" in (place / "README.md").read_text()
    assert not list((tmp_path / "off").glob("*.c2pa"))
    assert not (place / "model.sig").exists()
    assert said.name is None
    assert "turned off" in said.why


def test_formats_of_before_are_read_still(space: Workspace) -> None:
    for name in (
        "rights.json",
        "chain.json",
        "datasheet.md",
        "croissant.json",
        "bom.cdx.json",
        "spdx.json",
        "model.sig",
    ):
        (space.bundle / name).unlink()
    config = json.loads((space.bundle / "config.json").read_text()) | {"format": 1}
    config.pop("parameters")
    (space.bundle / "config.json").write_text(json.dumps(config))
    mend(space.bundle)
    assert bundle.load(space.bundle).family == "gaussian"
    unknown = Verifier(keys.Anchors())
    assert holds(verify_bundle(space.bundle, unknown))


@pytest.mark.parametrize("kept", ["digest", "text"])
def test_a_prompt_is_kept_as_a_digest_unless_the_policy_says_otherwise(
    space: Workspace, tmp_path: Path, kept: str
) -> None:
    data = makar.data("grammar:small", n=60)
    trained = makar.fit("ngram", data, budget="3 steps").trained
    place = space.chain.save(trained, tmp_path / "runs" / "t")
    policy = space.chain.policy.model_copy(update={"prompt": kept})
    chain = Chain(space.home, policy, on=True)
    prompt = [int(symbol) for symbol in trained.codec.encode(data.train.things[:1])[0][:5]]
    mark, said = chain.watermark(trained, None)
    made = sample.sample(trained, 2, sampler="ancestral", settings={"prompt": prompt}, mark=mark)
    issue(chain, Origin.of(trained, place, mark, said), made, tmp_path / "text")
    receipts = [entry["receipt"] for entry in json.loads((tmp_path / "text" / "outputs.json").read_text())]
    assert len(receipts) == 2
    for receipt in receipts:
        assert len(receipt["prompt"]) == 64
        assert receipt["recipe"]["sampler_settings"].get("prompt") == (prompt if kept == "text" else None)
    assert holds(verify(tmp_path / "text", Verifier(space.verifier.anchors, space.home, place)))


def test_what_python_exports_is_what_the_command_line_does(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKAR_HOME", str(space.home.root))
    written = makar.load(space.bundle).export(space.root / "python", 2, seed=4)
    assert [p.name for p in written] == ["000.png", "001.png", "grid.png", "outputs.json"]
    findings = verify(written[1], space.verifier)
    assert holds(findings), [f for f in findings if f.wrong]


def test_where_all_is_withheld_that_is_said(space: Workspace, tmp_path: Path) -> None:
    policy = space.chain.policy.model_copy(update={"copies": "refuse"})
    data = makar.data("digits")
    trained = makar.fit("kernel", data, budget="1 steps", settings={"bandwidth": 1e-3}).trained
    chain = Chain(space.home, policy, on=True)
    with pytest.raises(MakarError, match=r"all 3 outputs were withheld.*near copy"):
        hand_over(chain, trained, tmp_path / "copies", 3)
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("start", [makar.fit, makar.training])
def test_what_the_policy_blocks_is_not_trained_on_from_python_either(home: Path, start: Callable[..., Any]) -> None:
    (home / "policy.toml").write_text('blocked = ["digits"]')
    with pytest.raises(MakarError, match="the policy blocks digits"):
        start("gaussian", makar.data("digits"), budget="1 steps")


def test_a_table_of_any_length_has_a_receipt_of_one_size(space: Workspace, tmp_path: Path) -> None:
    """One digest stands for all rows, the id that a list of theirs had: 16,000 ids did not fit a credential."""
    trained = bundle.load(space.bundle)
    made = [replace(a, kind="rows", content={"a": i}) for i, a in enumerate(sample.sample(trained, 40))]
    rows = [replace(made[i % 40], recipe=made[i % 40].recipe | {"index": i}) for i in range(16_000)]
    issue(space.chain, Origin.of(trained, space.bundle, None, Mark(name=None)), rows, tmp_path / "t")
    assert holds(verify(tmp_path / "t", space.verifier))
    (listed,) = json.loads((tmp_path / "t" / "outputs.json").read_text())
    assert listed["receipt"]["recipe"]["index"] == "0-15999"
    assert len(json.dumps(listed)) < 10_000
    receipt = Receipt.read(listed["receipt"], "it")
    old = receipt.model_copy(update={"outputs": [a.id for a in rows]})
    assert old.listed()["id"] == receipt.listed()["id"] == listed["id"]


def test_earlier_outputs_keep_their_receipts_and_nobody_elses_file_is_replaced(space: Workspace) -> None:
    trained, out = bundle.load(space.bundle), space.root / "more"
    hand_over(space.chain, trained, out, 5, bundle=space.bundle)
    hand_over(space.chain, trained, out, 2, seed=9, bundle=space.bundle)
    assert [e["file"] for e in json.loads((out / "outputs.json").read_text())] == [f"{i:03d}.png" for i in range(5)]
    assert holds(verify(out, space.verifier))
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    (out / "001.png").write_bytes(b"a drawing of my own")
    with pytest.raises(MakarError, match=r"001.png is there and would be replaced, and it was changed since"):
        hand_over(space.chain, trained, out, 3, bundle=space.bundle)
    (out / "001.png").write_bytes(before["001.png"])
    (out / "005.png").write_bytes(b"another")
    with pytest.raises(MakarError, match=r"005.png is there .* outputs.json does not list it"):
        hand_over(space.chain, trained, out, 6, bundle=space.bundle)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before | {"005.png": b"another"}
    for name in ("grid.png", "000.png", "000.png.c2pa", "outputs.json"):
        other = space.root / f"of {name}"
        other.mkdir()
        (other / name).write_bytes(b"mine")
        with pytest.raises(MakarError, match="would be replaced"):
            hand_over(space.chain, trained, other, 1, bundle=space.bundle)
        assert [p.name for p in other.iterdir()] == [name]


def test_what_is_vouched_for_needs_no_receipt_and_is_said_to_be_what_it_is(space: Workspace) -> None:
    photo, signed = space.root / "photo.tiff", space.root / "signed.tiff"
    Image.new("RGB", (64, 48), (90, 120, 30)).save(photo)
    vouch(photo, "digitalCapture", signed, space.chain)
    found = verify(signed, space.verifier)
    assert holds(found), [f for f in found if f.wrong]
    note = space.root / "note.txt"
    note.write_text("by hand")
    vouch(note, "humanEdits", space.root / "signed.txt", space.chain)
    assert holds(verify(space.root / "signed.txt", space.verifier))
    (space.root / "empty.png").write_bytes(b"")
    Image.new("RGB", (64, 64)).save(space.root / "wrong.png", format="JPEG")
    (space.root / "words.jpg").write_text("no picture")
    for name, why in (("empty.png", "empty"), ("wrong.png", "a JPEG named .png"), ("words.jpg", "not the .jpg file")):
        with pytest.raises(MakarError, match=why):
            vouch(space.root / name, "digitalCapture", space.root / f"signed {name}", space.chain)
        assert any(why in f.why for f in verify(space.root / name, space.verifier))


def test_what_a_model_made_needs_a_receipt_whoever_signed_it(space: Workspace) -> None:
    own = space.chain.keys
    assert own is not None
    plain = space.root / "plain.png"
    Image.new("L", (8, 8)).save(plain)
    claim = credentials.Claim("a.png", "image/png", "trainedAlgorithmicMedia")
    plain.write_bytes(credentials.sign(plain.read_bytes(), claim, own).data)
    assert [f.what for f in verify(plain, space.verifier) if f.wrong] == ["receipt of plain.png"]


def test_what_people_decided_is_in_the_history_of_an_output(space: Workspace) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    log = Authorship(space.out, space.chain.policy)
    log.propose("000.png", now)
    log.propose("001.png", now)
    log.decide("000.png", "accept", "Ann", now)
    log.decide("001.png", "reject", "Bob", now)
    steps = trace(space.out / "000.png", space.verifier)
    assert [s.kind for s in steps[:3]] == ["output", "decision", "receipt"]
    assert "accept by Ann at 2026-01-02" in steps[1].why
    assert steps[1].digest_ok
    path = space.out / "authorship.jsonl"
    path.write_text(path.read_text().replace("Ann", "Eve"))
    assert trace(space.out / "000.png", space.verifier)[1].digest_ok is False


def test_a_mix_is_traced_to_each_source_with_its_share(tmp_path: Path) -> None:
    one, two = "pitch,loud\n1,2\n3,4\n5,6\n", "pitch,loud\n7,8\n"
    (tmp_path / "one.csv").write_text(one)
    (tmp_path / "two.csv").write_text(two)
    members = "//".join(f"csv:{tmp_path / name}.csv" for name in ("one", "two"))
    data = makar.data(f"mix:{members}", licence="CC0-1.0", held_out=1)
    sources = [step for step in _data(data.manifest.model_dump(mode="json"), sound=True) if step.kind == "source"]
    shares = {step.details["name"]: step.details["share"] for step in sources}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert sorted(shares.values()) == [pytest.approx(0.25), pytest.approx(0.75)]
    assert any("75 % of the items" in step.why for step in sources)
    assert all("csv:" in name for name in shares)


def test_what_the_policy_blocks_is_not_handed_over(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by the guard, with the chain off too, nor from Python."""
    policy = space.chain.policy.model_copy(update={"blocked": ["dog"]})
    texts = [Artifact("text", words, {"index": i}, ()) for i, words in enumerate(("a d0g ran", "a cat ran"))]
    for on in (True, False):
        chain = Chain(space.home, policy, on)
        assert [bool(blocked(chain, a)) for a in texts] == [True, False]
        assert objection(chain, texts[0], None, None) == "the output holds what the policy blocks: dog"
        row = Artifact("rows", {"pet": "Dog", "age": 3}, {"index": 0}, ())
        assert "dog" in objection(chain, row, None, None)
    monkeypatch.setenv("MAKAR_HOME", str(space.home.root))
    fitted = makar.load(space.bundle)
    assert len(fitted.sample(2)) == 2
    space.home.policy.write_text('blocked = ["digits"]\n')
    with pytest.raises(MakarError, match="the policy blocks digits"):
        fitted.sample(2)
    fox = Artifact("text", "a fox", {"index": 1}, ())
    space.home.policy.write_text('blocked = ["dog"]\n')
    monkeypatch.setattr("makar.verbs.sample.sample", lambda *_: [texts[0], fox])
    assert fitted.sample(2) == [fox]
    monkeypatch.setattr("makar.verbs.sample.sample", lambda *_: [texts[0]])
    with pytest.raises(MakarError, match="all 1 outputs were withheld"):
        fitted.sample(1)
