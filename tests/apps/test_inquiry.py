"""Commands of inquiry, end to end on tiny models: red team, inbreeding, explanations, detectors, styles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import makar
from makar.data import Dataset
from makar.provenance import safety
from makar.provenance.home import Home
from makar.verbs import bundle
from makar.verbs.audits import redteam
from makar.verbs.audits._attack import Attack, Try
from makar.verbs.evidence import gather
from tests.apps.test_cli import Call

FEW = ("swapped receipts", "encoded terms")
"""An attack on the chain, and one on a filter that always gets through."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with keys and two models."""
    from typer.testing import CliRunner

    from makar.apps.cli import app

    root = tmp_path_factory.mktemp("inquiry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MAKAR_HOME", str(root / ".makar"))
        for words in (
            ["keys", "init", "--name", "tester"],
            ["train", "gaussian", "digits", "--budget", "2 steps", "--out", "runs/g"],
            ["train", "kernel", "digits", "--budget", "2 steps", "--out", "runs/k"],
        ):
            done = CliRunner().invoke(app, words, catch_exceptions=False)
            assert done.exit_code == 0, done.output
    return root


@pytest.fixture
def desk(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """A copy of it to work in."""
    shutil.copytree(made, tmp_path / "desk")
    monkeypatch.chdir(tmp_path / "desk")
    monkeypatch.setenv("MAKAR_HOME", ".makar")
    return Call(monkeypatch, capsys)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[Attack]:
    """The attacks that the red team knows here; all of them are tried in tests/verbs/audits/test_redteam.py."""
    run = redteam.run
    attacks = [a for a in redteam.ATTACKS if a.name in FEW]
    monkeypatch.setattr(redteam, "run", lambda path, home, data=None: run(path, home, data, attacks))
    return attacks


def found(desk: Call, code: int, *words: str) -> Any:
    got, out, err = desk(*words, "--json")
    assert got == code, err + out
    return json.loads(out)


def refused(desk: Call, *words: str) -> str:
    code, _, err = desk(*words)
    assert code == 2, err
    assert err.startswith("makar: ")
    assert "Traceback" not in err
    return err


# Red team


@pytest.mark.usefixtures("few")
def test_lost_filters_are_said_and_are_no_failure_of_the_chain(desk: Call) -> None:
    plain = found(desk, 0, "redteam", "runs/g", "--out", "suite.json")
    assert plain["holds"] is True
    assert plain["broken"] == ["encoded terms"]
    assert redteam.Suite.from_json(plain["suite"]) == redteam.Suite.from_json(
        json.loads(Path("suite.json").read_text())
    )
    code, out, _ = desk("redteam", "runs/g")
    assert code == 0
    assert "broken     encoded terms: 18 of 18 tries got through" in out
    assert "no attack on the chain or its readers got through" in out


@pytest.mark.usefixtures("few")
def test_what_the_red_team_found_is_kept_where_profiles_look(desk: Call) -> None:
    plain = found(desk, 0, "redteam", "runs/g")
    model = bundle.load(Path("runs/g")).id
    ((path, results),) = safety.kept(Home.here(), model)
    assert str(path) == plain["kept"]
    assert results.verdicts()["red team: swapped receipts"] == "holds"
    assert results.verdicts()["red team: encoded terms"] == "fails"
    assert gather(Path("runs/g"), Home.here())["audit"].held
    entry = found(desk, 0, "ledger", "show", "--kind", "audit")[-1]["body"]
    assert (entry["audits"], entry["alarms"], entry["file"]) == (["red team"], ["encoded terms"], path.name)
    assert found(desk, 0, "verify", "ledger")["holds"] is True


def test_a_hole_in_the_chain_is_exit_3_and_the_old_suite_says_that_it_is_new(desk: Call, few: list[Attack]) -> None:
    assert desk("redteam", "runs/g", "--out", "before.json")[0] == 0
    assert found(desk, 0, "redteam", "runs/g", "--against", "before.json")["changes"] == []
    (place,) = (i for i, attack in enumerate(few) if attack.name == "swapped receipts")
    few[place] = replace(few[place], attempts=lambda scene: [Try("a planted hole", True, "everything holds")])
    alone = found(desk, 3, "redteam", "runs/g", "--out", "after.json")
    assert alone["wrong"] == ["swapped receipts"]
    against = found(desk, 3, "redteam", "runs/g", "--against", "before.json")
    assert against["changes"] == [{"name": "swapped receipts", "before": "withstood", "after": "broken"}]
    assert "is of another model" not in desk("redteam", "runs/g", "--against", "after.json")[1]
    code, out, _ = desk("redteam", "runs/k", "--against", "after.json")
    assert code == 0, "it got through before as well"
    assert "nothing gets through that did not before" in out
    assert "note: after.json is of another model" in out


@pytest.mark.parametrize(("content", "says"), [(b"[", "not JSON"), (b"{}", "no red team's suite"), (None, "cannot be")])
def test_an_old_suite_that_is_none_is_refused_before_the_attacks(desk: Call, content: bytes | None, says: str) -> None:
    if content is not None:
        Path("old.json").write_bytes(content)
    assert says in refused(desk, "redteam", "runs/g", "--against", "old.json")
    assert not Path(".makar/audits").exists()


@pytest.mark.usefixtures("few")
def test_without_its_data_a_model_is_attacked_still(desk: Call) -> None:
    shutil.rmtree(".makar")
    code, out, _ = desk("redteam", "runs/g")
    assert code == 0
    assert "without the data: this workspace does not remember" in out
    assert "its digest is" in refused(desk, "redteam", "runs/g", "--data", "grammar:small")


# Inbreeding


def test_a_gaussian_moves_away_from_digits_and_real_items_keep_it(desk: Call) -> None:
    bred = ("inbreed", "gaussian", "digits", "--generations", "2", "--budget", "1 steps")
    plain = found(desk, 3, *bred)
    assert plain["finding"] == "alarm"
    assert {f["name"].partition(" fd")[0] for f in plain["figures"] if " fd" in f["name"]} == {
        "generation 0", "generation 1", "floor",
    }  # fmt: skip
    body = found(desk, 0, "ledger", "show", "--kind", "audit")[-1]["body"]
    assert (body["audits"], body["alarms"]) == (["inbreeding"], ["inbreeding"])
    code, out, _ = desk(*bred, "--keep-real", "1.0")
    assert code == 0, out
    assert "neither lose spread" in out


def test_inbreeding_is_asked_for_sensibly(desk: Call) -> None:
    assert "at least 2" in refused(desk, "inbreed", "gaussian", "digits", "--generations", "1")
    assert "from 0 to 1" in refused(desk, "inbreed", "gaussian", "digits", "--keep-real", "1.5")
    assert "did you mean" in refused(desk, "inbreed", "gausian", "digits", "--budget", "1 steps")
    Path("t.csv").write_text("a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(60)))
    assert "licence" in refused(desk, "inbreed", "independent", "csv:t.csv", "--budget", "1 steps")


# Explanations


def test_an_output_has_its_nearest_items_a_map_and_a_sanity_check(desk: Call) -> None:
    plain = found(desk, 0, "explain", "runs/g", "-n", "2", "--class", "7", "--out", "maps")
    assert plain["finding"] == "none"
    assert plain["figures"][0]["n"] == 6, "one output alone cannot be judged"
    assert len(plain["details"]["outputs"]) == 2
    items = json.loads(Path("runs/g/data.json").read_text())["items"]["train"]
    for one in plain["details"]["outputs"]:
        assert one["nearest"]["item"] in items
        assert one["nearest"]["distance"] > 0
        assert len(one["alike"]) == 5
        assert len(one["attribution"]) == 64
    assert plain["files"] == ["maps/000-attribution.png", "maps/001-attribution.png"]
    with Image.open(plain["files"][0]) as image:
        assert image.size == (256, 256)
        assert image.mode == "RGB"
        shown = np.asarray(image)[::32, ::32].astype(int)
    worth = np.array(plain["details"]["outputs"][0]["attribution"]).reshape(8, 8)
    assert ((shown[..., 0] - shown[..., 2] > 0) == (worth > 0.002 * abs(worth).max())).mean() > 0.95
    assert tuple(shown[np.unravel_index(abs(worth).argmax(), worth.shape)]) in ((255, 0, 0), (0, 0, 255))


def test_it_explains_what_sample_makes(desk: Call) -> None:
    """The same outputs for the same seed: the receipt's nearest item is the explanation's."""
    assert desk("sample", "runs/g", "-n", "2", "--seed", "5", "--out", "out")[0] == 0
    receipts = [item["receipt"] for item in json.loads(Path("out/outputs.json").read_text())]
    plain = found(desk, 0, "explain", "runs/g", "-n", "2", "--seed", "5")
    for receipt, one in zip(receipts, plain["details"]["outputs"], strict=True):
        assert receipt["nearest"]["item"] == one["nearest"]["item"]
        assert receipt["nearest"]["distance"] == pytest.approx(one["nearest"]["distance"])


def test_what_sample_would_withhold_is_noted_and_no_output_is_written(desk: Call) -> None:
    Path(".makar/policy.toml").write_text('copies = "refuse"\n')
    words = ("train", "kernel", "digits", "--set", "bandwidth=0.001", "--budget", "2 steps", "--out", "runs/c")
    assert desk(*words)[0] == 0
    code, out, _ = desk("explain", "runs/c", "--out", "maps")
    assert code in (0, 3)
    assert "note: `makar sample` withholds output 0: the output is a near copy" in out
    assert [p.name for p in Path("maps").iterdir()] in ([], ["000-attribution.png"])


def test_a_text_has_no_map(desk: Call) -> None:
    assert desk("train", "ngram", "grammar:small", "--budget", "2 steps", "--out", "runs/t")[0] == 0
    assert "makes text" in refused(desk, "explain", "runs/t", "--out", "maps")
    code, out, _ = desk("explain", "runs/t")
    assert code in (0, 3)
    assert "output 0: nearest training item " in out


def test_explanations_are_asked_for_sensibly(desk: Call) -> None:
    assert "no class" in refused(desk, "explain", "runs/g", "--class", "dragon")
    assert refused(desk, "explain", "runs/none")
    shutil.rmtree(".makar")
    assert "name it with --data" in refused(desk, "explain", "runs/g")
    assert desk("explain", "runs/g", "--data", "digits")[0] == 0


# Detectors


def bare(path: str, to: str) -> str:
    with Image.open(path) as image:
        image.save(to)
    return to


def test_a_detector_is_trained_judged_shown_and_used(desk: Call) -> None:
    plain = found(desk, 0, "detector", "train", "runs/g", "runs/k")
    assert plain["families"] == ["gaussian", "kernel"]
    assert plain["tells"] is True
    figures = {f["name"].partition("@")[0]: f for f in plain["judged"]["figures"]}
    assert figures["auroc[gaussian;learnt;attack=none]"]["low"] > 0.9
    assert "false positives[attack=blur]" in figures, "its failure is shown with it"
    assert plain["judged"]["details"]["clean items"] == plain["clean"]
    (shown,) = found(desk, 0, "detector", "show")
    assert shown == plain
    assert desk("sample", "runs/g", "-n", "5", "--out", "out")[0] == 0
    verdicts = [found(desk, 0, "detect", bare(f"out/00{i}.png", f"bare{i}.png")) for i in range(5)]
    assert all(set(v) == {"verdict", "why", "ai", "found"} for v in verdicts)
    assert {(v["verdict"], v["ai"]) for v in verdicts} == {("unknown", None)}
    resembling = [v for v in verdicts if "it resembles what gaussian, kernel make" in v["why"]]
    assert len(resembling) >= 3
    assert f"on {plain['clean']} clean items" in resembling[0]["why"]
    assert "false-positive rate" in resembling[0]["why"]
    assert resembling[0]["found"][-1]["n"] == plain["clean"]
    assert not any("real" in v["why"].split() for v in verdicts)
    signed = found(desk, 0, "detect", "out/000.png")
    assert signed["verdict"] == "signed"
    assert "resembles" not in signed["why"], "evidence needs no resemblance"


def test_real_digits_seldom_resemble_what_models_make(desk: Call) -> None:
    assert desk("detector", "train", "runs/g")[0] == 0
    data = makar.data("digits")
    resembling = 0
    for i, picture in enumerate(data.train.things[:15]):
        grey = np.rint(picture[..., 0] * (255 / 16)).astype(np.uint8)
        Image.fromarray(grey).save(f"{i}.png")
        resembling += "it resembles" in found(desk, 0, "detect", f"{i}.png")["why"]
    assert resembling <= 2


def test_a_detector_that_was_altered_is_not_used(desk: Call) -> None:
    assert "no detector is kept here" in desk("detector", "show")[1]
    assert desk("detector", "train", "runs/g", "-n", "120")[0] == 0
    assert desk("sample", "runs/g", "-n", "1", "--out", "out")[0] == 0
    bare("out/000.png", "bare.png")
    path = Path(".makar/detectors/pictures/detector.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    assert "does not match its digest" in refused(desk, "detect", "bare.png")
    assert "does not match its digest" in refused(desk, "detector", "show")
    path.write_bytes(whole)
    Path(".makar/detectors/pictures.json").write_text("{}")
    assert "cannot be read" in refused(desk, "detector", "show")


def test_a_generator_of_real_items_cannot_be_told_and_that_is_exit_3(desk: Call) -> None:
    words = ("train", "kernel", "digits", "--set", "bandwidth=0.001", "--budget", "2 steps", "--out", "runs/c")
    assert desk(*words)[0] == 0
    plain = found(desk, 3, "detector", "train", "runs/c")
    assert plain["tells"] is False
    assert plain["judged"]["finding"] == "alarm"


def test_detectors_are_asked_for_sensibly(desk: Call) -> None:
    assert "holds text" in refused(desk, "detector", "train", "runs/g", "--data", "grammar:small")
    assert "at least 40" in refused(desk, "detector", "train", "runs/g", "-n", "20")
    folder = Path("large")
    folder.mkdir()
    for i in range(6):
        Image.new("L", (32, 32), 40 * i).save(folder / f"{i}.png")
    assert "same form" in refused(desk, "detector", "train", "runs/g", "--data", "folder:large")
    assert "does not remember" in refused_elsewhere(desk)


def refused_elsewhere(desk: Call) -> str:
    shutil.rmtree(".makar")
    return refused(desk, "detector", "train", "runs/g")


# Styles


def works(folder: str, data: Dataset, count: int, how: Callable[[np.ndarray], np.ndarray], side: int = 64) -> str:
    """Pictures of 256 levels and another size, as people keep them."""
    Path(folder).mkdir()
    for i, picture in enumerate(data.train.things[:count]):
        grey = np.rint(how(picture)[..., 0] * (255 / 16)).astype(np.uint8)
        Image.fromarray(grey).resize((side, side), Image.Resampling.NEAREST).save(f"{folder}/{i:02d}.png")
    return folder


def inverted(picture: np.ndarray) -> np.ndarray:
    return (16 - picture).astype(np.uint8)


def test_a_style_is_added_judged_listed_and_in_force_by_the_policy(desk: Call) -> None:
    folder = works("ink", makar.data("digits"), 30, inverted)
    plain = found(desk, 0, "style", "add", "white on black", folder, "--data", "digits")
    assert plain["references"] == 20
    assert plain["judged"]["finding"] == "none"
    assert plain["in_force"] is False
    code, out, _ = desk("style", "list")
    assert code == 0
    assert "not in force: put 'white on black' into the policy's `blocked`" in out
    Path(".makar/policy.toml").write_text('blocked = ["white on black"]\n')
    (listed,) = found(desk, 0, "style", "list")
    assert listed["in_force"] is True
    assert listed["name"] == "white on black"


def test_a_blocked_style_is_withheld_when_it_is_drawn(desk: Call) -> None:
    """A model that makes what a style's works look like: its outputs are withheld, and others' are not."""
    folder = works("works", makar.data("digits"), 60, inverted, side=8)
    words = (
        "train",
        "kernel",
        f"folder:{folder}",
        "--licence",
        "CC0-1.0",
        "--set",
        "bandwidth=0.02",
        "--budget",
        "2 steps",
    )
    assert desk(*words, "--out", "runs/i")[0] == 0
    assert desk("style", "add", "white on black", folder, "--data", "digits")[0] == 0
    assert desk("sample", "runs/i", "-n", "3", "--out", "before")[0] == 0
    Path(".makar/policy.toml").write_text('blocked = ["white on black"]\n')
    code, out, _ = desk("sample", "runs/g", "-n", "3", "--out", "clean")
    assert code == 0
    assert "withheld" not in out
    code, out, err = desk("sample", "runs/i", "-n", "3", "--out", "blocked")
    assert "the output is in the blocked style 'white on black'" in out + err
    assert not list(Path().glob("blocked/00*.png"))


def test_too_few_works_to_judge_are_said(desk: Call) -> None:
    folder = works("ink", makar.data("digits"), 8, inverted)
    code, out, _ = desk("style", "add", "ink", folder, "--data", "digits")
    assert code == 0
    assert "not judged: that takes 15 works, of 8" in out


def test_works_without_a_manner_are_exit_3(desk: Call) -> None:
    folder = works("plain", makar.data("digits"), 45, lambda picture: picture, side=8)
    assert found(desk, 3, "style", "add", "plain", folder, "--data", "digits")["judged"]["finding"] == "alarm"


def test_a_style_of_text_is_added(desk: Call) -> None:
    Path("shout").mkdir()
    for i, text in enumerate(makar.data("grammar:small").train.things[:20]):
        Path(f"shout/{i}.txt").write_text(text.replace(".", "!").replace(",", ";"))
    plain = found(desk, 0, "style", "add", "shouting", "shout", "--data", "grammar:small")
    assert (plain["modality"], plain["references"]) == ("text", 13)


def test_styles_are_asked_for_sensibly(desk: Call) -> None:
    assert "no folder" in refused(desk, "style", "add", "ink", "nowhere", "--data", "digits")
    Path("empty").mkdir()
    assert "at least 5" in refused(desk, "style", "add", "ink", "empty", "--data", "digits")
    Path("empty/a.png").write_bytes(b"no picture")
    assert "a.png cannot be used" in refused(desk, "style", "add", "ink", "empty", "--data", "digits")
    folder = works("ink", makar.data("digits"), 6, inverted)
    assert "cannot name a style" in refused(desk, "style", "add", "../up", folder, "--data", "digits")
    assert "pictures and text" in refused(desk, "style", "add", "ink", folder, "--data", "toy:moons")
    assert "no style is known here" in desk("style", "list")[1]
    assert desk("style", "add", "ink", folder, "--data", "digits")[0] == 0
    next(Path(".makar/styles").glob("*/style.json")).write_text("[")
    assert "names no style" in refused(desk, "style", "list")
