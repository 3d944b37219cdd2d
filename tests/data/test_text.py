"""Text of the user's own: nothing is lost in cutting, and unreadable bytes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.data import load
from makar.data.sources.text import Options, cut


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab \n\t\r", max_size=200), st.integers(1, 40))
def test_blocks_joined_are_the_file(text: str, size: int) -> None:
    documents = cut(text, Options(size=size))
    assert "".join(documents) == text
    assert all(0 < len(document) <= size for document in documents)


def test_paragraphs_stay_whole_where_they_fit() -> None:
    text = "one\ntwo\n\nthree\n\n\nfour\n"
    assert cut(text, Options(size=14)) == ["one\ntwo\n\n", "three\n\n\nfour\n"]
    assert cut(text, Options(by="paragraphs")) == ["one\ntwo", "three", "four"]
    assert cut(text, Options(by="lines")) == ["one", "two", "three", "four"]
    assert cut("a long line of words", Options(size=8)) == ["a long ", "line of ", "words"]


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


def test_a_short_or_empty_file_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two three")
    with pytest.raises(MakarError, match="by='lines' or a smaller size"):
        load(f"text:{tmp_path / 'a.txt'}")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(MakarError, match="gives 0 documents"):
        load(f"text:{tmp_path / 'a.txt'}")


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
