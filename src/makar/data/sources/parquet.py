"""Tables of your own as Parquet files, through pyarrow. How columns are treated is told in `data/tables.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from makar.core.errors import MakarError, MissingExtra
from makar.data import paths, tables
from makar.data.loaded import Loaded


@dataclass(frozen=True)
class Options:
    """Which column is the class, and which are dropped or kept (a tuple, or names with commas)."""

    label: str | None = None
    drop: str | tuple[str, ...] = ()
    keep: str | tuple[str, ...] = ()


def load(argument: str, options: Options) -> Loaded:
    """Rows of the file that `argument` names."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "tables") from None
    path = paths.existing(argument, "parquet")
    if path.is_dir():
        raise MakarError(f"{path} is a folder; name one Parquet file in it")
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise MakarError(f"{path} cannot be read as Parquet ({str(error).splitlines()[0]})") from None
    notes: list[str] = []
    columns = tables.from_arrow(_coarse(table), notes)
    choice = tables.Choice(options.label, tables.names(options.drop), tables.names(options.keep))
    return tables.of_file(path, "parquet", columns, choice, notes)


def _coarse(table: Any) -> Any:
    """The table with times in millionths of a second, as finely as Python tells them."""
    import pyarrow

    for place, field in enumerate(table.schema):
        if pyarrow.types.is_timestamp(field.type) and field.type.unit == "ns":
            coarse = table.column(place).cast(pyarrow.timestamp("us", field.type.tz), safe=False)
            table = table.set_column(place, field.name, coarse)
    return table
