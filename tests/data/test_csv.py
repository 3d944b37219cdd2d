"""Tables: cells keep their values and types there and back, and what is wrong with a file is said in one sentence."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makar.core.errors import MakarError
from makar.data import cells, load
from makar.data.cells import typed
from makar.data.dataset import Dataset
from makar.data.export import bare, cell, to_csv, write_csv

WORDS = st.text(alphabet="abZ é,;\"\n\t|=+-@#'\u4e16", min_size=1, max_size=8).filter(
    lambda s: s == s.strip() and not cells.absent(s)
)
COLUMNS = st.one_of(
    st.just(st.one_of(st.none(), WORDS)),
    st.just(st.one_of(st.none(), st.integers(-(2**53) + 1, 2**53 - 1))),
    st.just(st.one_of(st.none(), st.floats(-1e30, 1e30))),
    st.just(st.dates(datetime.date(1000, 1, 1)).map(datetime.date.isoformat)),
)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
    count = draw(st.integers(3, 12))
    columns = [draw(st.lists(draw(COLUMNS), min_size=count, max_size=count)) for _ in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def everything(data: Dataset) -> list[dict[str, Any]]:
    return [*data.train.things, *data.held_out.things]


def counted(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted((k, type(v).__name__, v) for k, v in row.items())) for row in rows)


@settings(max_examples=80, deadline=None)
@given(rows=tables())
def test_a_table_written_and_read_is_the_table(rows: list[dict[str, Any]], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(rows, path)
    full = {name for name in rows[0] if any(row[name] is not None for row in rows)}
    expected = [{name: value for name, value in row.items() if name in full} for row in rows]
    for row in expected:
        for name, value in row.items():
            row[name] = 0.0 if isinstance(value, float) and value == 0 else value  # -0.0 is the number 0
    if not full or all(row == expected[0] for row in expected):
        with pytest.raises(MakarError, match=r"no column left|identical"):
            load(f"csv:{path}", delimiter=",", held_out=1)
        return
    data = load(f"csv:{path}", delimiter=",", held_out=1)
    found = everything(data)
    for row in found:
        for name, value in row.items():
            row[name] = 0.0 if isinstance(value, float) and value == 0 else value
    assert counted(found) == counted(expected)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (["1", "-2", "+3", None], [1, -2, 3, None]),
        (["1", "2.5", ".5", "1e3"], [1.0, 2.5, 0.5, 1000.0]),
        (["007", "12"], ["007", "12"]),
        (["9007199254740993", "1"], ["9007199254740993", "1"]),
        (["1e999", "1"], ["1e999", "1"]),
        (["inf", "1"], [None, 1]),
        (["1,5", "2"], [1.5, 2.0]),
        (["1_000", "2"], ["1_000", "2"]),
        (["2024-01-31", None], ["2024-01-31", None]),
        ([".", "e5"], [".", "e5"]),
    ],
)
def test_types_of_cells(column: list[str | None], values: list[Any]) -> None:
    found = typed(column)
    assert found == values
    assert [type(v) for v in found] == [type(v) for v in values]


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "header but no rows"),
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 cells were found where the header has 2"),
        ('a,b\n1,"x\ny"\n1\n', "line 4: 1 cells were found where the header has 2"),
        ("a,b,a\n1,2,3\n", r"two columns 'a' \(places 1 and 3\)"),
        ('a,b\n1,"open\n2,3\n', "line 2: a quote is opened and not closed"),
        ('a,b\n1,"x"y\n', "line 2: the cells cannot be told apart"),
        (b"a,b\n1,\xff\n", "byte 0xff at offset 6"),
        ("a\n1\n", "holds 1 items"),
        ("a,b\n,\n,\n", "no column left to learn"),
        (",".join(f"c{i}" for i in range(10_001)) + "\n", "has 10001 columns"),
    ],
)
def test_a_bad_file_is_explained(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    before = path.read_bytes()
    with pytest.raises(MakarError, match=message) as caught:
        load(f"csv:{path}")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_marks_delimiters_quotes_and_unnamed_columns(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeff;"a;b"; c \n0;"x ""y"";z"; 1.5 \n1;NA;?\n\n2;w;3\n')
    data = load(str(path))
    assert set(data.train.things[0]) == {"column 1", "a;b", "c"}
    assert counted(everything(data)) == counted(
        [
            {"column 1": 0, "a;b": 'x "y";z', "c": 1.5},
            {"column 1": 1, "a;b": None, "c": None},
            {"column 1": 2, "a;b": "w", "c": 3.0},
        ]
    )
    assert any("'column 1'" in note for note in data.manifest.notes)


def test_what_is_dropped_kept_and_noted(tmp_path: Path) -> None:
    rows = [
        {
            "id": i + 1,
            "name": f"person {i}",
            "same": "x",
            "none": None,
            "kind": "ab"[i % 2],
            "size": i * i,
            "extra": i % 3,
        }
        for i in range(40)
    ]
    path = tmp_path / "t.csv"
    write_csv(rows, path)
    data = load(f"csv:{path}", drop="extra")
    assert list(data.train.things[0]) == ["same", "kind", "size"]
    notes = "\n".join(data.manifest.notes)
    for part in (
        "'id' was dropped: its values are a running number",
        "'name' was dropped: 40 of its 40 values are distinct",
        "'none' was dropped: it has no value",
        "'extra' was dropped as asked",
        "'same' has one value, 'x': it is kept",
    ):
        assert part in notes
    kept = load(f"csv:{path}", keep=("id", "name"), drop=("extra", "none"))
    assert list(kept.train.things[0]) == ["id", "name", "same", "kind", "size"]
    with pytest.raises(MakarError, match=r"no column 'nam'.*did you mean 'name'"):
        load(f"csv:{path}", drop="nam")


def test_a_column_as_the_class(tmp_path: Path) -> None:
    path = write(tmp_path, "x,y,z\n" + "".join(f"{i * i},{i % 3 or ''},{i / 8}\n" for i in range(30)))
    data = load(f"csv:{path}", label="y")
    assert data.classes == ("1", "2")
    assert data.train.labels is not None
    for row, label in zip(data.train.things, data.train.labels, strict=True):
        assert row["y"] - 1 == label == round(math.sqrt(row["x"])) % 3 - 1
    assert list(data.train.things[0]) == ["x", "y", "z"]
    assert len(data.train) + len(data.held_out) == 20
    assert "10 of 30 rows have no class and were left out" in data.manifest.notes
    with pytest.raises(MakarError, match="'z' cannot be the class: it has 30 distinct values with decimals"):
        load(f"csv:{path}", label="z")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("-", "-"),
        ("-1 year", "-1 year"),
        ("-2.5 to", "-2.5 to"),
        ("-1+1", "'-1+1"),
        ("-1 A1", "'-1 A1"),
        ("-x", "'-x"),
        ("-1|x", "'-1|x"),
        ("'=x", "''=x"),
        ("\t=1", "'\t=1"),
        ("+1", "'+1"),
        (-1, "-1"),
        (-1.5, "-1.5"),
        (None, ""),
        ("a=b", "a=b"),
    ],
)
def test_no_cell_is_a_formula(value: Any, written: str) -> None:
    assert cell(value) == written
    assert not isinstance(value, str) or bare(cell(value)) == value


def test_rows_to_write_must_agree(tmp_path: Path) -> None:
    with pytest.raises(MakarError, match="no rows"):
        to_csv([])
    with pytest.raises(MakarError, match="must have the columns a"):
        to_csv([{"a": 1}, {"b": 1}])
    assert to_csv([{"a": None}, {"a": 'x "y"'}]) == 'a\n""\n"x ""y"""\n'


def test_parquet_keeps_types(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(
        {
            "n": [3, None, 5, 9],
            "f": [0.5, math.nan, math.inf, 1.0],
            "yes": [True, False, None, True],
            "day": [datetime.date(2024, 2, 29)] * 3 + [None],
            "at": [datetime.datetime(2024, 2, 29, 1, 2, 3, 9)] * 4,
            "list": [[1]] * 4,
            "text": ["x", "y", "x", "z"],
        }
    )
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(table, path)
    data = load(str(path))
    assert counted(everything(data)) == counted(
        [
            {"n": 3, "f": 0.5, "yes": "true", "day": "2024-02-29", "at": "2024-02-29 01:02:03", "text": "x"},
            {"n": None, "f": None, "yes": "false", "day": "2024-02-29", "at": "2024-02-29 01:02:03", "text": "y"},
            {"n": 5, "f": None, "yes": None, "day": "2024-02-29", "at": "2024-02-29 01:02:03", "text": "x"},
            {"n": 9, "f": 1.0, "yes": "true", "day": None, "at": "2024-02-29 01:02:03", "text": "z"},
        ]
    )
    assert any("'list' was dropped" in note for note in data.manifest.notes)
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(MakarError, match="cannot be read as Parquet"):
        load(f"parquet:{path}")
