"""The chain from the command line: keys, train, sample, verify, trace, audit, withdraw, and their exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.apps.test_cli import Call


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the chain was gone through once."""
    from typer.testing import CliRunner

    from makar.apps.cli import app

    root = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("MAKAR_HOME", str(root / ".makar"))
        for words in (
            ["keys", "init", "--name", "tester"],
            ["train", "gaussian", "digits", "--budget", "2 steps", "--out", "runs/v"],
            ["sample", "runs/v", "-n", "3", "--out", "out"],
            ["keys", "export", "public"],
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


def found(desk: Call, code: int, *words: str) -> Any:
    got, out, err = desk(*words, "--json")
    assert got == code, err + out
    return json.loads(out)


def test_verify_says_what_holds(desk: Call) -> None:
    for path in ("out/000.png", "out", "runs/v", "ledger"):
        plain = found(desk, 0, "verify", path)
        assert set(plain) == {"holds", "findings"}
        assert plain["holds"] is True
        assert all(set(f) == {"what", "state", "why"} for f in plain["findings"])
    code, out, _ = desk("verify", "out/000.png")
    assert code == 0
    assert out.splitlines()[-1] == "all of it holds"


def test_verify_leaves_with_3_where_something_does_not_hold(desk: Call) -> None:
    path = Path("out/000.png")
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))
    plain = found(desk, 3, "verify", "out/000.png")
    assert plain["holds"] is False
    assert any(f["state"] == "fails" and "000.png" in f["what"] for f in plain["findings"])
    assert desk("verify", "nothing.png")[0] == 2


def test_a_stranger_needs_the_public_key_the_output_and_the_bundle(desk: Call) -> None:
    shutil.rmtree(".makar")
    shutil.copy("out/001.png", "001.png")
    plain = found(desk, 0, "verify", "001.png", "--bundle", "runs/v", "--key", "public")
    assert plain["holds"] is True
    assert found(desk, 3, "verify", "001.png", "--bundle", "runs/v")["holds"] is False


def test_trace_gives_the_steps_from_output_to_source(desk: Call) -> None:
    steps = found(desk, 0, "trace", "out/002.png")
    assert [s["kind"] for s in steps] == ["output", "receipt", "model", "run", "dataset", "source"]
    assert all({"kind", "id", "digest_ok"} <= set(s) and s["digest_ok"] is True for s in steps)
    dataset = next(s for s in steps if s["kind"] == "dataset")
    assert dataset["licence"] == "CC-BY-4.0"
    assert "Handwritten Digits" in dataset["source"]
    path = Path("runs/v/data.json")
    path.write_text(path.read_text().replace("CC-BY-4.0", "CC0-1.0"))
    altered = found(desk, 3, "trace", "out/002.png")
    assert any(s["digest_ok"] is False for s in altered)


def test_a_proof_from_the_ledger_is_checked_with_the_public_key_alone(desk: Call) -> None:
    code, out, _ = desk("ledger", "prove", "1")
    assert code == 0
    Path("proof.json").write_text(out)
    shutil.rmtree(".makar")
    assert found(desk, 0, "ledger", "check", "proof.json", "--key", "public")["state"] == "holds"
    Path("proof.json").write_text(out.replace("gaussian", "gaussiam"))
    assert found(desk, 3, "ledger", "check", "proof.json", "--key", "public")["state"] == "fails"


def test_detect_says_signed_or_unknown(desk: Call) -> None:
    assert found(desk, 0, "detect", "out/000.png")["verdict"] == "signed"
    from PIL import Image

    with Image.open("out/000.png") as image:
        image.save("bare.png")
    bare = found(desk, 0, "detect", "bare.png")
    assert bare["verdict"] == "unknown"
    assert bare["ai"] is None


def test_an_edit_keeps_the_history(desk: Call) -> None:
    assert desk("edit", "out/grid.png", "--crop", "0,0,80,80", "--out", "cut.png")[0] == 0
    assert [s["kind"] for s in found(desk, 0, "trace", "cut.png")][:3] == ["output", "edit", "receipt"]
    assert desk("edit", "out/grid.png", "--out", "cut2.png")[0] == 2
    assert desk("edit", "out/grid.png", "--crop", "1,2", "--out", "cut2.png")[0] == 2


def test_a_withdrawal_names_what_it_touches_and_is_honoured(desk: Call) -> None:
    plain = found(desk, 0, "withdraw", "source:digits", "--why", "asked for")
    assert [m["place"] for m in plain["models"]] == ["runs/v"]
    code, _, err = desk("train", "gaussian", "digits", "--budget", "2 steps")
    assert code == 2
    assert "withdrawn" in err
    assert desk("withdraw", "digits")[0] == 2


def test_an_audit_finds_nothing_to_alarm_in_a_gaussian_of_its_copying(desk: Call) -> None:
    results = found(desk, 0, "audit", "runs/v", "--only", "copying,leakage")
    assert [r["name"] for r in results] == ["copying", "overlap", "personal data"]
    assert {r["finding"] for r in results} <= {"none", "not measurable"}
    assert found(desk, 0, "audit", "runs/v", "--replay")["holds"] is True
    (kept,) = Path(".makar/audits").glob("*.json")
    plain = json.loads(kept.read_text())
    plain["results"][-1] |= {"figure": 0.5, "low": 0.5, "high": 0.5}
    kept.write_text(json.dumps(plain))
    assert found(desk, 3, "audit", "runs/v", "--replay")["holds"] is False
    assert desk("audit", "runs/v", "--only", "karma")[0] == 2


def test_keys_are_made_once_and_shown_without_secrets(desk: Call) -> None:
    assert desk("keys", "init")[0] == 2
    facts = found(desk, 0, "keys", "show")
    assert facts["fingerprint"] in facts["believes"]
    code, out, _ = desk("keys", "rotate")
    assert code == 0
    assert facts["fingerprint"] not in out
    assert found(desk, 0, "verify", "out/000.png")["holds"] is True


def test_unknown_licences_are_refused_unless_accepted_by_name(desk: Call, tmp_path: Path) -> None:
    Path("words.csv").write_text("a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(60)))
    code, _, err = desk("train", "independent", "csv:words.csv", "--budget", "2 steps", "--out", "runs/t")
    assert code == 2
    assert "licence" in err
    assert desk("train", "independent", "csv:words.csv", "--accept", "csv:words.csv", "--out", "runs/t")[0] == 0
    assert json.loads(Path("runs/t/rights.json").read_text())["accepted"] == ["csv:words.csv"]


def test_without_the_chain_nothing_is_written_down(desk: Call) -> None:
    before = sorted(Path(".makar").rglob("*"))
    assert desk("train", "gaussian", "digits", "--budget", "2 steps", "--out", "runs/off", "--no-chain")[0] == 0
    assert desk("sample", "runs/off", "-n", "2", "--out", "off", "--no-chain")[0] == 0
    assert sorted(Path(".makar").rglob("*")) == before
    assert "chain was off" in Path("runs/off/README.md").read_text()


def test_the_card_shows_the_scores_of_a_training_that_was_scored(desk: Call) -> None:
    words = ("train", "gaussian", "digits", "--budget", "2 steps", "--score", "100", "--out", "runs/s")
    assert desk(*words)[0] == 0
    (fd,) = [s for s in json.loads(Path("runs/s/score.json").read_text())["scores"] if s["name"].startswith("fd[")]
    card = Path("runs/s/README.md").read_text()
    assert "model-index" in card
    assert f"{fd['value']:.4g}" in card
    assert found(desk, 0, "verify", "runs/s")["holds"] is True
