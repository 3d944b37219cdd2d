"""Hostile arguments and files at the command line: exit code 2 or 3 and words, never 1, a traceback or a lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from makar.apps.office import verified
from makar.data import Manifest
from makar.data.manifest import digest_of
from makar.provenance import credentials, keys
from makar.provenance.home import Home
from makar.verbs import bundle
from makar.verbs.trained import Trained
from tests.apps.test_cli import Call
from tests.verbs.test_chain import mend

LONG = "x" * 5000
UNTIL = ("--until", "2030-01-01T00:00:00Z")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the chain was gone through once, and hostile files beside."""
    from typer.testing import CliRunner

    from makar.apps.cli import app

    root = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MAKAR_HOME", ".makar")
        for words in (
            ["keys", "init", "--name", "victim"],
            ["train", "gaussian", "digits", "--budget", "3 steps", "--out", "runs/g"],
            ["sample", "runs/g", "-n", "2", "--out", "out"],
        ):
            done = CliRunner().invoke(app, words, catch_exceptions=False)
            assert done.exit_code == 0, done.output
    (root / "folder").mkdir()
    (root / "deep.json").write_text("[" * 10**5)
    (root / "noise").write_bytes(bytes(range(256)) * 4)
    (root / "noise.png").write_bytes(bytes(range(256)) * 4)
    return root


@pytest.fixture
def desk(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """A copy of it to work in."""
    shutil.copytree(made, tmp_path / "desk")
    monkeypatch.chdir(tmp_path / "desk")
    monkeypatch.setenv("MAKAR_HOME", ".makar")
    return Call(monkeypatch, capsys)


REFUSED: list[tuple[str, ...]] = [
    *((command, path) for command in ("verify", "trace") for path in ("nowhere", "folder", "a\0b")),
    *(("verify", path) for path in ("", "/", "/dev/null", "noise", "noise.png", "deep.json")),
    *(("verify", "out/000.png", "--key", path) for path in ("nowhere", "folder", "noise", "/dev/zero", LONG)),
    *(("verify", "out/000.png", "--bundle", path) for path in ("nowhere", "folder", "noise", "out")),
    *(("trace", path) for path in ("out", "noise", "/dev/null")),
    *(("detect", path) for path in ("nowhere", "folder", "noise.png", "/dev/zero", "a\0b")),
    *(("audit", path) for path in ("nowhere", "folder", "noise")),
    ("audit", "runs/g", "--only", "nonsense"),
    ("ledger", "prove", "99999"),
    ("ledger", "prove", "9" * 5000),
    ("ledger", "prove", "-1"),
    ("ledger", "show", "--last", "0"),
    *(("ledger", "check", path) for path in ("nowhere", "folder", "noise", "deep.json", LONG)),
    *(("withdraw", what) for what in ("x", "item:", ":", "file:folder", "nobody:x")),
    ("edit", "out/000.png", "--out", "o.png"),
    ("edit", "out/000.png", "--out", "o.png", "--resize", "0x0"),
    ("edit", "out/000.png", "--out", "o.png", "--resize", "99999x99999"),
    ("edit", "out/000.png", "--out", "o.png", "--crop", "5,5,9,9"),
    ("edit", "out/000.png", "--out", "o.png", "--with", "noise.png"),
    ("edit", "out/000.png", "--out", "out/001.png", "--resize", "4x4"),
    ("edit", "out/000.png", "--out", "noise/o.png", "--resize", "4x4"),
    ("edit", "nowhere", "--out", "o.png", "--resize", "4x4"),
    ("vouch", "out/000.png", "--out", "o.png"),
    ("vouch", "noise", "--out", "o", "--kind", "trainedAlgorithmicMedia"),
    ("vouch", "folder", "--out", "o"),
    ("keys", "init"),
    ("keys", "init", "--name", "\n"),
    ("keys", "export", "noise"),
    ("keys", "export", LONG),
    ("sample", "folder"),
    ("sample", "runs/g", "-n", "1", "--out", "noise"),
    ("sample", "runs/g", "-n", "1", "--out", LONG),
    ("release", "folder", "--to", "to", "--use", "private"),
    ("release", "out", "--to", "folder/../noise", "--use", "private"),
    ("release", "out", "--to", "to", "--use", "nonsense"),
    ("approve", "folder", "--by", "x"),
    ("approve", "out", "--by", ""),
    ("consent", "grant", "", "--kind", "voice", "--use", "train", "--of", "*", *UNTIL),
    ("consent", "grant", "J", "--kind", "voice", "--use", "nonsense", "--of", "*", *UNTIL),
    ("consent", "grant", "J", "--kind", "voice", "--use", "train", "--of", "*", "--until", "soon"),
    ("consent", "revoke", "nothing"),
    ("seal", "folder", "--to", "to", "--key-file", "noise"),
    ("seal", "runs/g", "--to", "to", "--key-file", "folder"),
    ("unseal", "runs/g", "--to", "to", "--key-file", "noise"),
    ("incident", "folder", "--what", "x"),
    *(("card", path) for path in ("folder", "noise")),
    *(("safety", "read", path) for path in ("noise", "deep.json", LONG)),
    *(("policy", "check", "runs/g", "--profile", name) for name in ("nonsense", "../../../etc/passwd", "noise", LONG)),
]


def identified(words: tuple[str, ...]) -> str:
    return " ".join(repr(word)[1:24] for word in words)


def said(desk: Call, *words: object) -> tuple[int, str]:
    code, out, err = desk(*words)
    assert "Traceback" not in err
    return code, out + err


@pytest.mark.parametrize("words", REFUSED, ids=identified)
def test_what_makes_no_sense_is_refused_in_words(desk: Call, words: tuple[str, ...]) -> None:
    code, text = said(desk, *words)
    assert code in (2, 3), text
    assert text.strip()


UNCAUGHT: list[tuple[str, ...]] = [
    *((command, LONG) for command in ("verify", "trace", "detect", "audit", "card", "sample", "rights")),
    ("verify", "out/000.png", "--bundle", LONG),
    ("verify", "/proc/self/mem"),
    ("withdraw", f"file:{LONG}"),
    ("edit", LONG, "--out", "o.png", "--resize", "4x4"),
    ("edit", "out/000.png", "--out", LONG, "--resize", "4x4"),
    ("vouch", LONG, "--out", "o"),
    ("release", LONG, "--to", "to", "--use", "private"),
    ("release", "out", "--to", LONG, "--use", "private"),
    ("approve", LONG, "--by", "x"),
    ("unseal", LONG, "--to", "to", "--key-file", "noise"),
    ("incident", LONG, "--what", "x"),
]


@pytest.mark.parametrize("words", UNCAUGHT, ids=identified)
def test_paths_that_the_system_refuses_are_a_mistake_and_no_failure_of_ours(desk: Call, words: tuple[str, ...]) -> None:
    assert said(desk, *words)[0] in (2, 3)


CRASHES: dict[str, tuple[str, tuple[str, ...]]] = {
    "crop": ("PIL.UnidentifiedImageError", ("edit", "noise.png", "--out", "o.png", "--crop", "0,0,1,1")),
    "resize": ("PIL.UnidentifiedImageError", ("edit", "noise.png", "--out", "o.png", "--resize", "1x1")),
    "digit": ("'²'.isdigit() is true", ("edit", "out/000.png", "--out", "o.png", "--crop", "0,0,²,1")),
    "digits": ("int() takes 4,300 digits", ("edit", "out/000.png", "--out", "o.png", "--resize", f"{'9' * 5000}x1")),
    "surrogate": ("the line is encoded as it is", ("withdraw", "creator:\ud800")),
}


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, (why, words) in CRASHES.items()])
def test_values_of_options_are_checked(desk: Call, words: tuple[str, ...]) -> None:
    assert said(desk, *words)[0] == 2


def test_nothing_is_left_where_a_command_was_refused(desk: Call) -> None:
    before = sorted(Path().rglob("*"))
    for words in REFUSED:
        if words[0] in ("edit", "vouch", "seal", "unseal", "release"):
            desk(*words)
    after = [path for path in sorted(Path().rglob("*")) if path not in before]
    assert not [path for path in after if ".makar" not in path.parts], after


def test_an_edit_that_the_ledger_refuses_leaves_nothing(desk: Call) -> None:
    note = "n" * 2**21
    assert said(desk, "edit", "out/000.png", "--out", "o.png", "--resize", "4x4", "--note", note)[0] == 2
    assert not Path("o.png").exists()


POLICIES = ["chain = 5", "a = \0", "verbatim = -1", "watermark = 'nonsense'", "profiles = ['x']", "blocked = ['...']"]
DEEP = pytest.param("a = " + "[" * 10**5, id="deep")


@pytest.mark.parametrize("text", [*POLICIES, DEEP])
def test_a_broken_policy_stops_what_it_governs(desk: Call, text: str) -> None:
    Path(".makar/policy.toml").write_text(text)
    codes = {said(desk, *words)[0] for words in (
        ("policy", "show"),
        ("sample", "runs/g", "-n", "1", "--out", "new"),
        ("release", "out", "--to", "to", "--use", "private"),
    )}  # fmt: skip
    assert codes <= {0, 2, 3}
    assert codes & {2, 3}


HOMES = ["noise", "/dev/null", "out/000.png"]
IN_HOME: list[tuple[str, ...]] = [
    ("keys", "show"), ("keys", "rotate"), ("verify", "out/000.png"), ("verify", "ledger"), ("ledger", "head"),
    ("ledger", "show"), ("ledger", "prove", "0"), ("withdraw", "item:x"), ("policy", "show"), ("detect", "out/000.png"),
    ("trace", "out/000.png"), ("consent", "list"),
]  # fmt: skip


@pytest.mark.parametrize("home", HOMES)
def test_a_home_that_is_no_folder_is_no_failure_of_ours(desk: Call, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("MAKAR_HOME", home)
    for words in IN_HOME:
        assert said(desk, *words)[0] in (0, 2, 3), words


@pytest.mark.parametrize("home", HOMES)
def test_keys_in_a_home_that_is_no_folder_are_a_mistake(desk: Call, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("MAKAR_HOME", home)
    assert said(desk, "keys", "init")[0] == 2


def listed(name: str) -> None:
    Path("out/outputs.json").write_text(json.dumps([{"file": name}]))


@pytest.mark.parametrize("name", ["a\n✓ signature of g: signed by the victim", "a\x1b[8m", "a\r✓ all of it holds"])
@pytest.mark.usefixtures("desk")
def test_a_name_cannot_speak_for_makar(name: str) -> None:
    listed(name)
    plain, words = verified(Path("out"), None, None)
    lines = words.split("\n")
    assert len(lines) == len(plain["findings"]) + 1
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["words", "json"])
def test_a_name_that_is_no_unicode_is_printed_somehow(desk: Call, options: tuple[str, ...]) -> None:
    listed("\ud800")
    assert said(desk, "verify", "out", *options)[0] == 3


def test_a_folder_named_ledger_is_not_the_ledger(desk: Call) -> None:
    Path("ledger").mkdir()
    Path("ledger/0.jsonl").touch()
    place = next(Path(".makar/ledger").glob("0*.jsonl"))
    place.write_text(place.read_text().replace("digits", "numbers"))
    assert said(desk, "verify", "ledger")[0] == 3


def lax(path: Path) -> None:
    """The licence of a bundle's data becomes CC0-1.0, and everything but the signature is computed anew."""
    trained = bundle.load(path)
    data: dict[str, Any] = json.loads((path / "data.json").read_text()) | {"licence": "CC0-1.0"}
    data["digest"] = digest_of(data)
    run, config = (json.loads((path / name).read_text()) for name in ("run.json", "config.json"))
    run["recipe"]["data"] = trained.record.recipe["data"] = data["digest"]
    manifest = Manifest.model_validate(data)
    config["id"] = Trained(trained.model, trained.codec, trained.record, manifest).id
    for name, plain in (("data.json", data), ("run.json", run), ("config.json", config)):
        (path / name).write_text(json.dumps(plain))
    mend(path)


@pytest.mark.parametrize("keep", [True, False], ids=["broken signature", "no signature"])
def test_nothing_is_signed_that_comes_from_an_altered_bundle(desk: Call, keep: bool) -> None:
    lax(Path("runs/g"))
    if not keep:
        Path("runs/g/model.sig").unlink()
    code, text = said(desk, "sample", "runs/g", "-n", "1", "--out", "new")
    if code == 0:  # to refuse would be right too
        reading = credentials.read(
            Path("new/000.png").read_bytes(), "image/png", None, keys.Anchors.of(Home(Path(".makar")))
        )
        assert "CC0-1.0" not in json.dumps(reading.receipt), text


def test_a_stranger_is_never_told_that_an_attackers_file_holds(desk: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(desk, "keys", "export", "public")[0] == 0
    monkeypatch.setenv("MAKAR_HOME", "attacker")
    assert said(desk, "keys", "init", "--name", "victim")[0] == 0
    assert said(desk, "sample", "runs/g", "-n", "1", "--out", "forged")[0] == 2, "of a model that nobody vouches for"
    shutil.copy("public/model.pub", "attacker/anchors/victim.pub")
    assert said(desk, "sample", "runs/g", "-n", "1", "--out", "forged")[0] == 0
    assert said(desk, "verify", "forged/000.png", "--key", "public", "--bundle", "runs/g")[0] == 3
    assert said(desk, "trace", "forged/000.png", "--key", "public", "--bundle", "runs/g")[0] == 3
    Image.new("L", (8, 8)).save("forged/bare.png")
    assert said(desk, "verify", "forged/bare.png", "--key", "public", "--bundle", "runs/g")[0] == 3


def test_the_chain_that_is_off_claims_nothing(desk: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKAR_CHAIN", "off")
    assert said(desk, "sample", "runs/g", "-n", "2", "--out", "out", "--seed", "9")[0] == 0
    monkeypatch.delenv("MAKAR_CHAIN")
    for name in ("out/000.png", "out/grid.png", "out"):
        assert said(desk, "verify", name)[0] == 3
    first = json.loads(Path("out/outputs.json").read_text())[0]
    assert "off" in first["receipt"]["watermark"]["why"]
