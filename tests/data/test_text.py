"""Text of the user's own: nothing is lost in cutting, and unreadable bytes are named."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.data import load
from makar.data.sources.text import cut, items


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab \n\t\r", max_size=200), st.integers(1, 40))
def test_blocks_joined_are_the_file(text: str, size: int) -> None:
    documents = cut(text, size=size)
    assert "".join(documents) == text
    assert all(0 < len(document) <= size for document in documents)


def test_paragraphs_stay_whole_where_they_fit() -> None:
    text = "one\ntwo\n\nthree\n\n\nfour\n"
    assert cut(text, size=14) == ["one\ntwo\n\n", "three\n\n\nfour\n"]
    assert cut(text, "paragraphs") == ["one\ntwo", "three", "four"]
    assert cut(text, "lines") == ["one", "two", "three", "four"]
    assert cut("a long line of words", size=8) == ["a long ", "line of ", "words"]


def test_a_byte_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("caf\u00e9\n".encode("latin-1") * 40)
    with pytest.raises(MakarError, match=r"a\.txt is not utf-8: byte 0xe9 at offset 3"):
        load(f"text:{path}")
    with pytest.raises(MakarError, match="identical"):
        load(f"text:{path}", by="lines", encoding="latin-1")
    with pytest.raises(MakarError, match="no encoding 'latin-x'"):
        load(f"text:{path}", encoding="latin-x")


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\ntwo\nthree\n")
    assert {*load(str(path), by="lines").train.things, *load(str(path), by="lines").held_out.things} == {
        "one",
        "two",
        "three",
    }


def test_a_text_of_two_short_paragraphs_is_two_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text, by in (("to be or not\n\nthat is it\n", "paragraphs"), ("to be or not\nthat is it\n", "lines")):
        path.write_text(text)
        data = load(f"text:{path}")
        assert sorted([*data.train.things, *data.held_out.things]) == ["that is it", "to be or not"]
        assert f"cut into {by}: 2 documents" in " ".join(data.manifest.notes)


def test_a_short_or_empty_file_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one two three")
    with pytest.raises(MakarError, match=r"one line of text .13 characters., .* give a longer text"):
        load(f"text:{path}")
    with pytest.raises(MakarError, match=r"cut into blocks of 2,000 characters gives 1 document, .* leave --by"):
        load(f"text:{path}", by="blocks")
    path.write_text("")
    for by in ("auto", "lines"):
        with pytest.raises(MakarError, match="holds no text"):
            load(f"text:{path}", by=by)


WORDS = ["the", "river", "and", "a", "boat", "went", "down", "past", "old", "grey", "stones", "nobody"]


def lines_of(words: int, count: int, seed: int = 0) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=max(1, chance.randint(words // 2, 2 * words)))) for _ in range(count)]


def wrapped(width: int) -> list[str]:
    """Prose broken at a width, its paragraphs not parted."""
    return [line for paragraph in lines_of(120, 40) for line in textwrap.wrap(paragraph, width)]


@pytest.mark.parametrize(
    ("lines", "are"),
    [
        pytest.param(lines_of(5, 300), True, id="sayings"),
        pytest.param([w + str(i) for i, w in enumerate(lines_of(1, 200))], True, id="names"),
        pytest.param(["ACGT"[i % 4] * 30 for i in range(100)], True, id="strings of one length"),
        pytest.param(["| ".join(["A2 Bc", "d2 e>f"] * (9 + i % 20)) for i in range(60)], True, id="tunes"),
        pytest.param(lines_of(5, 40), False, id="few lines"),
        pytest.param(wrapped(60), False, id="prose broken at 60"),
        pytest.param(wrapped(79), False, id="prose broken at 79"),
        pytest.param(["日本語の文章は間を空けずに書かれる" * 3 for _ in range(99)], False, id="Japanese broken at 48"),
        pytest.param(
            [". ".join(["It rained", "We slept", "He left"]) for _ in range(99)], False, id="a paragraph a line"
        ),
        pytest.param([*lines_of(9, 14), ""] * 9, False, id="stanzas"),
        pytest.param(["def f():", "    return 1"] * 60, False, id="code"),
        pytest.param(["x" * 3000] * 99, False, id="pages"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_lines_that_are_items_are_told_from_those_of_running_text(lines: list[str], are: bool) -> None:
    assert items(lines) == are


def test_a_file_of_short_lines_is_lines_unless_it_is_asked_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\n".join(lines_of(5, 300)) + "\n")
    data = load(f"text:{path}")
    assert len(data.train) + len(data.held_out) == 300
    (note,) = [n for n in data.manifest.notes if "was cut into" in n]
    assert "cut into lines: 300 documents" in note
    assert "--by blocks or --by paragraphs cuts it otherwise" in note
    asked = load(f"text:{path}", by="blocks")
    assert len(asked.train) + len(asked.held_out) < 10
    assert "otherwise" not in " ".join(asked.manifest.notes)
    path.write_text("\n".join(wrapped(70)))
    assert "cut into blocks" in " ".join(load(f"text:{path}").manifest.notes)


def test_a_folder_with_a_file_that_is_no_text(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.txt").write_text(f"rain {i}")
    (tmp_path / "~lock.txt").write_bytes(b"\xc3\x28\x00")
    with pytest.raises(MakarError, match=r"~lock\.txt is not utf-8.*--skip-bad"):
        load(f"text:{tmp_path}")
    data = load(f"text:{tmp_path}", skip_bad=True)
    assert len(data.train) + len(data.held_out) == 4
    assert "1 files that cannot be read were left out: ~lock.txt" in " ".join(data.manifest.notes)


def test_a_folder_of_texts_and_its_own_split(tmp_path: Path) -> None:
    with pytest.raises(MakarError, match=r"no \.txt file"):
        load(f"text:{tmp_path}")
    for side, count in (("train", 4), ("test", 2), ("validation", 1)):
        (tmp_path / side).mkdir()
        for i in range(count):
            (tmp_path / side / f"{i}.txt").write_text(f"{side} {i}")
    (tmp_path / "train" / "empty.txt").write_text("  \n")
    (tmp_path / "train" / "copy.txt").write_text("test 1")
    data = load(str(tmp_path))
    assert sorted(data.train.things) == [f"train {i}" for i in range(4)]
    assert sorted(data.held_out.things) == ["test 0", "test 1"]
    notes = " ".join(data.manifest.notes)
    assert "1 empty files were dropped" in notes
    assert "'validation' was left out" in notes
    assert "1 training items were dropped" in notes
    assert len(load(str(tmp_path), held_out=0.5).held_out) == 4  # of 7, two of which are equal
