"""Text from the command line: a codec, a prompt in words and a length are asked for as a person would."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.apps.test_cli import Call, makar

__all__ = ["makar"]  # the fixture


def molecules(path: Path, count: int = 200) -> Path:
    chance = random.Random(0)
    path.write_text("\n".join("".join(chance.choices("CNO()=", k=chance.randint(8, 24))) for _ in range(count)))
    return path


def test_a_model_of_short_lines_from_training_to_texts(makar: Call, tmp_path: Path) -> None:
    place = tmp_path / "my model"
    data = ("--licence", "CC0-1.0", "--budget", "1 steps", "--out", place)
    code, out, err = makar("train", "ngram", f"text:{molecules(tmp_path / 'm.txt')}", *data)
    assert code == 0, err
    assert "codec symbols: a row a document, of up to " in out
    assert f"next: makar sample '{place}' -n 16" in out  # a path with a space, quoted
    made = tmp_path / "made here"
    code, out, err = makar(
        "sample", place, "-n", 3, "--prompt", "CCN", "--length", 12, "--out", made, "--set", "top_k=4"
    )
    assert code == 0, err
    assert f"makar verify '{made / '000.txt'}'" in out
    for i in range(3):
        text = (made / f"{i:03}.txt").read_text(encoding="utf-8")
        assert text.startswith("CCN")
        assert len(text) <= 12
    recipe = json.loads((made / "outputs.json").read_text(encoding="utf-8"))[0]["recipe"]
    assert recipe["length"] == 12
    assert recipe["sampler_settings"]["top_k"] == 4
    code, _, err = makar("sample", place, "--prompt", "CCX", "--out", made)
    assert code == 2
    assert err.strip() == "makar: the prompt has 'X', which is in no document that the model learnt from; leave it out"


def test_the_codec_and_its_settings_are_asked_for(makar: Call, tmp_path: Path) -> None:
    given = ("train", "ngram", f"text:{molecules(tmp_path / 'm.txt')}", "--licence", "CC0-1.0", "--budget", "1 steps")
    asked = ("--codec", "bytes", "--set", "codec.length=16", "--set", "codec.rows=packed", "--set", "order=3")
    code, out, err = makar(*given, *asked, "--out", tmp_path / "a")
    assert code == 0, err
    assert "codec bytes: documents laid end to end, in rows of 16 symbols" in out
    config = json.loads((tmp_path / "a" / "config.json").read_text(encoding="utf-8"))
    assert "bytes" in json.dumps(config)
    for words, sentence in (
        (("--codec", "bites"), "did you mean 'bytes'?"),
        (("--codec", "pixels"), "the codec 'pixels' is for pictures"),
        (("--codec", "bytes", "--set", "codec.lenght=8"), "lenght"),
        (("--set", "codec=bytes"), "codec"),
    ):
        code, _, err = makar(*given, *words, "--out", tmp_path / "b")
        assert code == 2
        assert sentence in err


@pytest.mark.parametrize("options", [("--prompt", "a"), ("--length", "9")])
def test_a_prompt_is_for_text(makar: Call, tmp_path: Path, options: tuple[str, str]) -> None:
    code, _, err = makar("train", "gaussian", "digits", "--out", tmp_path / "g")
    assert code == 0, err
    code, _, err = makar("sample", tmp_path / "g", *options, "--out", tmp_path / "out")
    assert code == 2
    assert "are for text, and this model makes pictures" in err
