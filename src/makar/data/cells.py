"""The cells of one column of a text file become values of one type, and what was made of odd ones is said.

    no value    blank cells, "NA", "n/a", "#N/A", "NULL" and the like; in a column of numbers or dates also marks that
                could be a category elsewhere ("-", "none", "?"), and "inf", which is no number to learn
    numbers     as int where all are whole, else as float; also with thousands or decimal commas, as money, as percent
                (45 % is 45): they come back as plain numbers
    dates       in any usual form (`core/dates.py`), kept as text and made in the same form
    text        everything else

Where all but a few cells of a column are numbers or dates, these few are left without a value, and named.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from makar.core import dates

Value = str | int | float | None

NONE = frozenset({"", "NA", "NaN", "nan", "NULL", "null", "None", "?"})  # spelt just so
_NONE_ANY_CASE = frozenset(
    {"n/a", "n.a.", "#n/a", "#n/a n/a", "#na", "<na>", "#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!"}
)
_NONE_AMONG_NUMBERS = frozenset(
    {"na", "nan", "-nan", "null", "none", "nil", "n.a", "missing", "-", "--", "---", "\u2013", "\u2014", ".", "..",
     "...", "?", "??", "*", "$-", "inf", "-inf", "+inf", "infinity", "-infinity", "#inf", "1.#inf", "-1.#inf"}
)  # fmt: skip
_EXACT = 2**53  # beyond it float64 no longer tells whole numbers apart
_INT = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_MONEY = r"[$€£¥₹₽₩₺]|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|BRL|R\$|kr\.?|zł"
_DRESSED = re.compile(
    rf"(?P<open>\()?(?P<sign>[+\-\u2212]?)\s?(?P<before>{_MONEY})?\s?(?P<inner>[+\-\u2212]?)"
    rf"(?P<body>[0-9.,'\u2019 \u00a0\u202f]*[0-9])\s?(?P<after>%|{_MONEY})?(?P<close>\))?"
)
_WHOLE = r"(0|[1-9][0-9]*)"
_BODIES = {  # how the digits are grouped, and with what decimals begin; in the order in which they are preferred
    "plain numbers": (re.compile(rf"{_WHOLE}?(\.[0-9]+)?"), "", "."),
    "commas at the thousands": (re.compile(rf"({_WHOLE}|[1-9][0-9]{{0,2}}(,[0-9]{{3}})+)(\.[0-9]+)?"), ",", "."),
    "decimal commas": (re.compile(rf"({_WHOLE}|[1-9][0-9]{{0,2}}(\.[0-9]{{3}})+)(,[0-9]+)?"), ".", ","),
    "spaces at the thousands": (re.compile(rf"({_WHOLE}|[1-9][0-9]{{0,2}}( [0-9]{{3}})+)([.,][0-9]+)?"), " ", ","),
}
_FEW = 20  # a cell in so many may be odd
_MANY_VALUES = 20  # a column of more distinct numbers than this is one of numbers though a cell is odd


def absent(cell: str, further: frozenset[str] = frozenset(), usual: bool = True) -> bool:
    """Whether a cell stands for no value whatever its column holds: one of `further`, blank, or a usual mark.

    A number among `further` may be spelt as the file has it (-1e308) or as makar shows it (-1e+308).
    """
    if cell in further or not cell or (further and is_number(cell) and repr(float(cell)) in further):
        return True
    return usual and (cell in NONE or cell.casefold() in _NONE_ANY_CASE)


def typed(cells: Sequence[str | None], name: str = "", notes: list[str] | None = None) -> list[Value]:
    """Cells of one column as int, float or str, whichever they allow; what was done about odd ones goes to `notes`."""
    notes = notes if notes is not None else []
    there = [cell for cell in cells if cell is not None]
    core = [cell for cell in there if cell.casefold() not in _NONE_AMONG_NUMBERS]
    if not core:
        return list(cells)
    read = _compact(core, name, notes) or _numbers(core) or _dates(core, name, notes)
    if read is None:
        read = _dressed(core, name, notes) or _few_odd(core, name, notes)
    if read is None:
        return list(cells)
    marks = Counter(cell for cell in there if cell.casefold() in _NONE_AMONG_NUMBERS)
    if marks:
        notes.append(f"{_some(sum(marks.values()))} of '{name}' read as missing: {_quoted(list(marks))}")
    return [None if cell is None else read.get(cell) for cell in cells]


def is_number(cell: str) -> bool:
    """Whether a cell is a number as programs write it, and a finite one."""
    if not _NUMBER.fullmatch(cell) or not any(c.isdigit() for c in cell.lower().partition("e")[0]):
        return False
    return math.isfinite(float(cell))


def _numbers(core: list[str]) -> dict[str, Value] | None:
    """Plain numbers by their cells; whole ones that are dates (20221231), or too large to be exact, stay text."""
    distinct = set(core)
    if all(_INT.fullmatch(cell) for cell in distinct):
        if all(len(cell) < 20 and abs(int(cell)) < _EXACT for cell in distinct) and not dates.form_of(core):
            return {cell: int(cell) for cell in distinct}
        return {cell: cell for cell in distinct}
    if all(map(is_number, distinct)):
        return {cell: float(cell) for cell in distinct}
    return None


def _compact(core: list[str], name: str, notes: list[str]) -> dict[str, Value] | None:
    """Dates such as 20221231 where all but a few cells (a mark such as 99999999, say) are ones."""
    read = {cell for cell in core if dates.is_compact(cell)}
    odd = [cell for cell in core if cell not in read]
    if not odd or len(read) <= _MANY_VALUES or len(odd) * _FEW > len(core):
        return None
    notes.append(_without(name, "dates", core, odd))
    return {cell: cell for cell in read}


def _dates(core: list[str], name: str, notes: list[str]) -> dict[str, Value] | None:
    distinct = list(dict.fromkeys(core))
    forms = dates.forms_of(distinct)
    if forms:
        read = [dates.count(distinct[0], form) for form in forms]
        if any(other != read[0] for other in read[1:]) or any(
            dates.count(text, forms[0]) != dates.count(text, form) for form in forms[1:] for text in distinct
        ):
            notes.append(
                f"the dates of '{name}', such as '{distinct[0]}', may have the day or the month first; they were read "
                f"as {dates.example(forms[0])} is written"
            )
        return {cell: cell for cell in distinct}
    zones = Counter(map(dates.zone_of, core))
    if len(zones) < 2 or "" in zones:
        return None
    zone = zones.most_common(1)[0][0]
    moved = {cell: dates.moved(cell, zone) for cell in distinct}
    if None in moved.values() or not dates.form_of([text for text in moved.values() if text is not None]):
        return None
    notes.append(f"the times of '{name}' are of {len(zones)} zones; all were written in one of them, '{zone.strip()}'")
    return dict(moved)


def _number(cell: str, style: str, dress: tuple[str, str]) -> float | None:
    """A number that is written in a style and with a certain money or percent sign, or None."""
    found = _DRESSED.fullmatch(cell)
    if found is None or (found["open"] is None) != (found["close"] is None) or (found["sign"] and found["inner"]):
        return None
    if (found["before"] or "", found["after"] or "") not in (dress, ("", "")) or (
        dress[1] == "%" and not found["after"]
    ):
        return None
    pattern, thousands, point = _BODIES[style]
    body = re.sub("['\u2019\u00a0\u202f]", " ", found["body"])
    if not pattern.fullmatch(body):
        return None
    plain = body.replace(thousands, "").replace(point, ".") if thousands else body
    negative = bool(found["open"]) or (found["sign"] or found["inner"]) in ("-", "\u2212")
    return -float(plain) if negative else float(plain)


def _dress(core: Sequence[str]) -> tuple[str, str]:
    """The money or percent sign that most of the cells have."""
    found = Counter((m["before"] or "", m["after"] or "") for m in map(_DRESSED.fullmatch, core) if m)
    return found.most_common(1)[0][0] if found else ("", "")


def _styled(core: list[str]) -> tuple[str, tuple[str, str], dict[str, float]]:
    """The style in which the most cells are numbers, their money or percent sign, and these numbers by cell."""
    dress = _dress(core)
    best: tuple[str, dict[str, float]] = ("plain numbers", {})
    for style in _BODIES:
        read = {cell: number for cell in dict.fromkeys(core) if (number := _number(cell, style, dress)) is not None}
        if len(read) > len(best[1]):
            best = style, read
    plain = {cell: float(cell) for cell in dict.fromkeys(core) if is_number(cell)}
    if len(plain) >= len(best[1]):
        return "plain numbers", ("", ""), plain
    return best[0], dress, best[1]


def _dressed(core: list[str], name: str, notes: list[str]) -> dict[str, Value] | None:
    style, dress, read = _styled(core)
    if len(read) < len(set(core)):
        return None
    notes.append(_said(name, style, dress, core[0], read[core[0]]))
    return _whole(read)


def _said(name: str, style: str, dress: tuple[str, str], cell: str, number: float) -> str:
    sign = "percent" if dress[1] == "%" else "money" if any(dress) else ""
    how = " and ".join(part for part in (sign, style if style != "plain numbers" or not sign else "") if part)
    return f"'{name}' was read as {how}: '{cell}' is {number:g}, and comes back as a plain number"


def _whole(read: dict[str, float]) -> dict[str, Value]:
    if all(number.is_integer() and abs(number) < _EXACT for number in read.values()) and not any(
        re.search(r"[.,][0-9]{1,2}\D*$|[0-9][eE][+-]?[0-9]", cell) for cell in read
    ):
        return {cell: int(number) for cell, number in read.items()}
    return dict(read)


def _few_odd(core: list[str], name: str, notes: list[str]) -> dict[str, Value] | None:
    """Numbers or dates with a few cells that are none: those get no value; where they are more, all stays text."""
    style, dress, numbers = _styled(core)
    kind: Literal["numbers", "dates"] = "numbers"
    read: dict[str, Value] = _whole(numbers)
    if not numbers:
        liked = [cell for cell in core if dates.looks_like_a_date(cell)]
        form = dates.form_of([Counter(liked).most_common(1)[0][0]]) if liked else None
        kind = "dates"
        read = {cell: cell for cell in liked if form is not None and dates.count(cell, form) is not None}
    good = sum(cell in read for cell in core)
    odd = [cell for cell in core if cell not in read]
    if 2 * good < len(core) or not good:
        return None
    if len(read) <= _MANY_VALUES or (len(odd) > 1 and len(odd) * _FEW > len(core)):
        notes.append(f"{_counted(name, kind, core, odd)}; the column is kept as text")
        return None
    notes.append(_without(name, kind, core, odd))
    if (style, dress) != ("plain numbers", ("", "")) and kind == "numbers":
        first = next(iter(numbers))
        notes.append(_said(name, style, dress, first, numbers[first]))
    return read


def _counted(name: str, kind: str, core: Sequence[str], odd: Sequence[str]) -> str:
    are = "is not" if len(odd) == 1 else "are not"
    good = len(core) - len(odd)
    return f"{good} of {len(core)} values of '{name}' are {kind}, {len(odd)} {are}: {_quoted(odd)}"


def _without(name: str, kind: str, core: Sequence[str], odd: Sequence[str]) -> str:
    return f"{_counted(name, kind, core, odd)}; {'it was' if len(odd) == 1 else 'they were'} read as missing"


def _some(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _quoted(cells: Sequence[str]) -> str:
    """The first three different cells, in quotes."""
    distinct = list(dict.fromkeys(cells))
    shown = ", ".join(f"'{cell[:30]}'" for cell in distinct[:3])
    return shown + (", …" if len(distinct) > 3 else "")
