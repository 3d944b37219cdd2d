"""The command line: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from makar.apps import cli, doctor, place, workbench, workshop
from makar.core.errors import MakarError
from makar.verbs.compare import Watch
from makar.verbs.summary import Summary, summarise
from makar.verbs.trained import Record
from tests.verbs import made_up

ROOT = Path(__file__).resolve().parents[2]


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run a command in this process: exit code, output, error output."""
    monkeypatch.setattr(sys, "argv", ["makar", *map(str, words)])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def makar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)
    return Call(monkeypatch, capsys)


class Call:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._given = (monkeypatch, capsys)

    def __call__(self, *words: object) -> tuple[int, str, str]:
        return call(*self._given, *words)

    def json(self, *words: object) -> object:
        code, out, err = self(*words, "--json")
        assert code == 0, err
        return json.loads(out)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_help_and_listings_import_no_torch() -> None:
    code = (
        "import sys; from makar.apps import cli\n"
        "rooms = [[room] for room in ('families', 'metrics', 'samplers', 'codecs', 'watermarks', 'recipes')]\n"
        "for words in (['--help'], *rooms, ['data', 'sources']):\n"
        "    sys.argv = ['makar', *words]\n"
        "    try: cli.main()\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_one_begins_with_heads_the_help(makar: Call) -> None:
    code, out, _ = makar("--help")
    assert code == 0
    places = [out.index(f" {name} ") for name in ("compare", "train", "sample", "score", "verify")]
    assert places == sorted(places)


@pytest.mark.parametrize("room", ["families", "metrics", "samplers", "codecs", "watermarks", "recipes"])
def test_listings(makar: Call, room: str) -> None:
    listed = makar.json(room)
    assert isinstance(listed, dict)
    assert listed
    code, out, _ = makar(room)
    assert code == 0
    assert len(out.splitlines()) == len(listed)


def test_train_sample_score(makar: Call, tmp_path: Path) -> None:
    trained = makar.json("train", "gaussian", "digits", "--budget", "2 steps", "--out", "runs/g", "--seed", "3")
    assert isinstance(trained, dict)
    assert trained["family"] == "gaussian"
    assert trained["licence"] == "CC-BY-4.0"
    made = makar.json("sample", "runs/g", "-n", "5", "--class", "3", "--seed", "7", "--out", "out")
    assert isinstance(made, list)
    assert [m["file"] for m in made] == [f"{i:03d}.png" for i in range(5)]
    assert all(m["parents"] == [trained["id"]] and m["recipe"]["label"] == 3 for m in made)
    assert size(tmp_path / "out" / "000.png") == (8, 8)
    assert size(tmp_path / "out" / "grid.png")[0] > 100
    assert not list((tmp_path / "runs").glob(".*")), "no checkpoint is left behind"
    scored = makar.json("score", "runs/g", "digits", "-n", "200")
    assert isinstance(scored, dict)
    assert set(scored) == {"scores", "floor", "ceiling"}
    (fd,) = [s for name, s in scored["scores"].items() if name.startswith("fd[")]
    assert fd["low"] <= fd["value"] <= fd["high"]
    code, out, err = makar("score", "runs/g", "digits", "-n", "200")
    assert code == 0
    assert "floor" in out
    assert all(name in out for name in scored["scores"]), "no name is broken in a file or a pipe"
    assert err == "", "these are the data it learnt from, and there is nothing to note"
    _, _, err = makar("score", "runs/g", "digits", "-n", "50", "--held-out", "600")
    assert "100 of the 600 held-out items of digits were among those that runs/g learnt from" in err


def test_objects_print_short_and_refuse_what_does_not_fit() -> None:
    """At a prompt the value of a line is printed; and what the command line refuses, Python does."""
    data = workbench.data("grammar:small")
    model = workbench.fit("independent", data, budget="1 steps")
    assert (
        repr(data) == f"<Dataset {data.name}: text, {len(data.train):,} train, {len(data.held_out):,} held out; "
        f"licence {data.manifest.licence}>"
    )
    assert repr(data.train) == f"<Split of {len(data.train):,} things>"
    assert "<independent on grammar:small: 1 step, " in repr(model)
    assert all(len(repr(value)) < 2000 for value in (model, model.trained, model.record, data.manifest))
    with pytest.raises(MakarError, match="makes text, and digits holds pictures; score it against text"):
        model.score(workbench.data("digits"))


def test_spikes_of_the_loss_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    events = [{"step": step, "kind": "spike", "why": "above"} for step in (5, 7, 9, 11, 13)]
    record = Record({}, 20, [], 1.0, 1.0, 0.0, events=[*events, {"step": 20, "kind": "interrupted", "why": "stopped"}])
    workshop.tell_trained(record, {"loss": 1.0, "out": "m", "licence": "CC0-1.0", "chain": "off"})
    out, _ = capsys.readouterr()
    assert out.splitlines()[0].startswith("note: the loss jumped 5 times (step 5, 7, 9, 11, …)")
    assert out.splitlines()[1] == "note, step 20: interrupted: stopped"
    assert out.count("note") == 2


def test_same_seed_same_files(makar: Call, tmp_path: Path) -> None:
    makar.json("train", "gaussian", "digits", "--budget", "2 steps", "--out", "g")
    for out, n in (("a", 3), ("b", 20)):
        makar.json("sample", "g", "-n", n, "--seed", "5", "--out", out)
    for name in ("000.png", "001.png", "002.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_table_and_a_text(makar: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{a:.2f},{'red' if a > 0 else 'blue'},{k}"
        for a, k in zip(rng.normal(size=120), rng.integers(3, size=120), strict=True)
    ]
    (tmp_path / "people.csv").write_text("size,colour,kind\n" + "\n".join(rows) + "\n")
    trained = makar.json(
        "train", "mixture", "csv:people.csv", "--budget", "20 steps", "--out", "t", "--licence", "CC0-1.0"
    )
    assert isinstance(trained, dict)
    assert trained["licence"] == "CC0-1.0"
    _, out, _ = makar("sample", "t", "-n", "10", "--out", "rows")
    assert "wrote 2 files to rows: rows.csv, outputs.json\n" in out
    assert "watermark: none, for no watermark is made for rows\n" in out, "keys would not help"
    lines = (tmp_path / "rows" / "rows.csv").read_text().splitlines()
    assert lines[0] == "size,colour,kind"
    assert len(lines) == 11
    makar.json("train", "ngram", "grammar:small", "--budget", "1 steps", "--out", "n")
    makar.json("sample", "n", "-n", "3", "--out", "words")
    assert len(list((tmp_path / "words").glob("*.txt"))) == 3


def test_data_show(makar: Call, tmp_path: Path) -> None:
    shown = makar.json("data", "show", "digits")
    assert isinstance(shown, dict)
    assert shown["counts"] == {"train": 1297, "held_out": 500}
    code, out, _ = makar("data", "show", "digits", "--sheet", "sheet.png")
    assert code == 0
    assert "CC-BY-4.0" in out
    assert "8 x 8 pixels, grey" in out
    assert size(tmp_path / "sheet.png")[0] > 50


def test_data_show_tells_of_columns_and_texts(makar: Call, tmp_path: Path) -> None:
    rows = [f"{i % 9},{'ab'[i % 2]},{'' if i % 10 else 'x'},{i % 28 + 1:02d}.03.2024" for i in range(60)]
    (tmp_path / "t.csv").write_text("n,kind,gap,day\n" + "\n".join(rows) + "\n")
    _, out, _ = makar("data", "show", "csv:t.csv", "--label", "kind")
    for said in (
        "n: numbers, 0 to 8",
        "kind: 2 categories: a, b",
        "gap: 1 category: x; 54 missing",
        "day: dates, 01.03.2024 to 28.03.2024",
    ):
        assert f"column       {said}\n" in out
    (tmp_path / "t.txt").write_text("\n".join(f"the cat number {i} sat down" for i in range(100)))
    _, out, _ = makar("data", "show", "text:t.txt")
    assert "2,590 characters; an item has 26 (median), at most 26" in out


def test_recipes_print_and_run(makar: Call, tmp_path: Path) -> None:
    names = makar.json("recipes")
    assert isinstance(names, dict)
    code, out, _ = makar("recipe", "show", "edm", "--size", "tiny")
    assert code == 0
    (tmp_path / "mine.toml").write_text(out)
    assert makar.json("train", "mine.toml", "digits", "--budget", "2 steps", "--out", "m")
    (tmp_path / "mine.toml").write_text(out.replace("[settings]", "[settings]\nwidht = 3"))
    code, _, err = makar("train", "mine.toml", "digits", "--budget", "2 steps", "--out", "m2")
    assert code == 2
    assert "did you mean 'width'" in err


def test_doctor(makar: Call) -> None:
    found = makar.json("doctor")
    assert isinstance(found, dict)
    assert found["core"]["torch"]
    code, out, _ = makar("doctor")
    assert code == 0
    assert "processor" in out


def test_version(makar: Call) -> None:
    code, out, _ = makar("--version")
    assert code == 0
    assert out == f"makar {importlib.metadata.version('makar')}\n"
    assert makar()[1].startswith(makar("--help")[1][:40])


def test_the_doctor_knows_what_each_extra_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of libraries and of their modules are not confused, and are those that pyproject.toml asks for."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    here = doctor.examine()["extras"]
    for extra, libraries in here.items():
        wanted = {re.split(r"[\[>=]", line)[0] for line in asked[extra]}
        assert {"dask" if name == "distributed" else name for name in libraries} == wanted
    for name, version in here["provenance"].items():
        assert version == importlib.metadata.version(name)
    monkeypatch.setattr(doctor, "find_spec", lambda module: None if module == "c2pa" else module)
    monkeypatch.setattr(doctor, "installed", lambda name: "1.0" if name not in doctor._HARMFUL else None)
    found = doctor.examine()
    assert found["extras"]["provenance"] == {
        "c2pa-python": None, "cryptography": "1.0", "protego": "1.0", "model-signing": "1.0", "pyopenssl": "1.0"
    }  # fmt: skip
    said = doctor.report(found)
    assert "missing c2pa-python; pip install 'makar[provenance]'" in said
    assert said.endswith("nothing is wrong; without the optional provenance")
    monkeypatch.setattr(doctor, "installed", lambda name: None if name in ("torch", *doctor._HARMFUL) else "1.0")
    assert "trouble: torch is not installed" in doctor.report(doctor.examine())


_INTERRUPTED = """
import os, signal, sys, threading
sys.path.insert(0, {where!r})
from makar.apps.interrupts import quiet
try:
    with quiet():
        if {early}:
            import interrupted  # a module that is interrupted while it is loaded
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(9)
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.parametrize(("early", "code"), [(True, 130), (False, 7)])
def test_ctrl_c_during_an_import_ends_at_once_and_else_raises(tmp_path: Path, early: bool, code: int) -> None:
    """No exception passes through what is being loaded: a library that catches everything cannot swallow it."""
    (tmp_path / "interrupted.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    for _ in range(9): pass\n"
        "except BaseException:\n    print('terminate called')\n"
    )
    words = _INTERRUPTED.format(where=str(tmp_path), early=early)
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_an_interrupted_race_is_exit_code_130(makar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(spec: str, *_: object, watch: Watch, **__: object) -> Summary:
        Path("c").mkdir(exist_ok=True)
        made_up.protocol().write(Path("c"))
        (Path("c") / "summary.json").write_text("{}")
        watch.end(complete=False)
        return summarise(made_up.protocol(), []).model_copy(update={"interrupted": True})

    monkeypatch.setattr("makar.apps.race.compare", stopped)
    assert makar("compare", "digits", "--out", "c", "--json")[0] == 130
    code, out, err = makar("compare", "digits", "--out", "c")
    assert code == 130
    assert "None" not in out
    assert "the same command goes on from here" in err


def test_a_training_replaces_no_other_model_and_has_a_place_of_its_own(makar: Call, tmp_path: Path) -> None:
    words = ("digits", "--budget", "2 steps", "--no-chain")
    first = makar.json("train", "gaussian", *words)
    assert isinstance(first, dict)
    assert first["out"] == "runs/gaussian-digits"
    other = makar.json("train", "independent", *words, "--seed", "3")
    assert isinstance(other, dict)
    assert other["out"] == "runs/independent-digits-seed3"
    again = makar.json("train", "gaussian", *words)  # the same model once more, as with another budget
    assert isinstance(again, dict)
    assert again["id"] == first["id"]
    before = (tmp_path / "runs/gaussian-digits/model.safetensors").read_bytes()
    for changed, what in (
        (("independent", *words), "another family"),
        (("gaussian", *words, "--seed", "1"), "another seed"),
        (("gaussian", *words, "--held-out", "200"), "another data"),
        (("gaussian", *words, "--set", "floor=0.1"), "another settings"),
    ):
        code, _, err = makar("train", *changed, "--out", "runs/gaussian-digits")
        assert code == 2
        assert what in err
        assert "give another --out" in err
    assert (tmp_path / "runs/gaussian-digits/model.safetensors").read_bytes() == before
    (tmp_path / "runs/gaussian-digits/notes.txt").write_text("mine")
    code, _, err = makar("train", "gaussian", *words)
    assert code == 2
    assert "notes.txt" in err
    assert (tmp_path / "runs/gaussian-digits/notes.txt").read_text() == "mine"


def test_one_training_at_a_time_writes_to_a_place(makar: Call, tmp_path: Path) -> None:
    with place.claimed(tmp_path / "m"):
        code, _, err = makar("train", "gaussian", "digits", "--budget", "2 steps", "--out", "m", "--no-chain")
    assert code == 2
    assert "another training is writing to m" in err
    assert not (tmp_path / "m").exists()


MISTAKES = [
    ("train", "vea", "digits"),
    ("train", "vae", "digitz"),
    ("train", "vae", "csv:nothing.csv"),
    ("train", "vae", "digits", "--budget", "soon"),
    ("train", "vae", "digits", "--budget", "1 usd"),
    ("train", "vae", "digits", "--set", "latnet=3"),
    ("train", "vae", "digits", "--set", "latent"),
    ("train", "pixelcnn", "toy:ring8", "--budget", "1 steps"),
    ("train", "missing.toml", "digits"),
    ("sample", "nowhere"),
    ("sample", "."),
    ("score", "nowhere", "digits"),
    ("data", "show", "folder:nowhere"),
    ("data", "show", "toy:ring8", "--sheet", "x.png"),
    ("compare", "digits", "--families", "gaussiann"),
    ("recipe", "show", "edmm"),
    ("recipe", "show", "edm", "--size", "huge"),
]


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_sentence_and_exit_code_two(makar: Call, words: tuple[str, ...]) -> None:
    code, _, err = makar(*words)
    assert code == 2, err
    assert "Traceback" not in err
    assert err.startswith("makar: ")
    assert err.count("\n") == 1


def test_a_failure_of_ours_is_exit_code_one(makar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a screw is loose")

    monkeypatch.setattr("makar.apps.doctor.examine", broken)
    code, _, err = makar("doctor")
    assert code == 1
    assert "a failure of makar" in err
    assert "Traceback" not in err


def test_an_unknown_option_is_exit_code_two(makar: Call) -> None:
    assert makar("train", "vae", "digits", "--bugdet", "3s")[0] == 2
