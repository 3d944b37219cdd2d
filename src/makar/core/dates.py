"""Dates and times as people write them: which form a column has, and there and back without loss.

A form is a pattern in the directives of strftime, read strictly: what it reads it writes in the same characters. Beside
the usual directives there are %-d, %-m, %-H and %-I (no leading zero), %^b (JAN), %P (am), %3f and %6f (thousandths and
millionths of a second). A zone ("Z", "+02:00") is part of the form as it stands. Years of two digits lie in 1969..2068
(POSIX). No locale is asked: months have their English names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_DAYS = (
    "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d",
    "%d-%b-%Y", "%d-%b-%y", "%d-%^b-%Y", "%d-%^b-%y", "%-d-%b-%Y", "%-d-%b-%y", "%d %b %Y", "%d %B %Y", "%-d %b %Y",
    "%-d %B %Y", "%-d. %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %-d, %Y", "%B %-d, %Y", "%d.%m.%y", "%m/%d/%y",
    "%d/%m/%y", "%-d.%-m.%Y", "%-m/%-d/%Y", "%-d/%-m/%Y", "%-d.%-m.%y", "%-m/%-d/%y", "%-d/%-m/%y", "%Y/%-m/%-d",
    "%Y-%-m-%-d",
)  # fmt: skip
_TIMES = (
    "", " %H:%M", "T%H:%M", " %H:%M:%S", "T%H:%M:%S", " %H:%M:%S.%3f", "T%H:%M:%S.%3f", " %H:%M:%S.%6f",
    "T%H:%M:%S.%6f", " %-H:%M", " %-H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %-I:%M %p", " %-I:%M:%S %p",
    " %-I:%M %P", ", %H:%M", ", %H:%M:%S",
)  # fmt: skip
_PATTERNS = {
    "%Y": r"(?P<Y>\d{4})", "%y": r"(?P<y>\d{2})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})",
    "%-m": r"(?P<m>[1-9]\d?)", "%-d": r"(?P<d>[1-9]\d?)", "%b": r"(?P<b>[A-Z][a-z]{2})", "%^b": r"(?P<b>[A-Z]{3})",
    "%B": r"(?P<B>[A-Z][a-z]{2,8})", "%H": r"(?P<H>\d{2})", "%-H": r"(?P<H>\d|[12]\d)", "%I": r"(?P<I>\d{2})",
    "%-I": r"(?P<I>[1-9]\d?)", "%M": r"(?P<M>\d{2})", "%S": r"(?P<S>\d{2})", "%3f": r"(?P<f>\d{3})",
    "%6f": r"(?P<f>\d{6})", "%p": r"(?P<p>AM|PM)", "%P": r"(?P<p>am|pm)",
}  # fmt: skip
_DIRECTIVE = re.compile(r"%[-^36]?[A-Za-z]")
_LIKE = re.compile(
    r"(\d{1,4}[-/. ]+\d{1,2}[-/. ]+\d{1,4}|\d{1,2}[-. ]+[A-Za-z]{3,9}[-, ]+\d{2,4}|[A-Za-z]{3,9} \d{1,2},)"
)
_ZONE = re.compile(r"(?<=[\dMm])( ?Z| UTC| GMT| ?[+-]\d{2}:?\d{2})$")
_COMPACT = "%Y%m%d"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PIVOT = 1969  # the first year that two digits can mean
_LONGEST = 40


def is_form(form: str) -> bool:
    """Whether it is a form of dates, and not another name of what a column holds."""
    return "%" in form


def looks_like_a_date(text: str) -> bool:
    """Whether a person would take it for a date, in whichever form."""
    return len(text) <= _LONGEST and _LIKE.match(text) is not None


def is_compact(text: str) -> bool:
    """Whether eight digits are a date of the years 1900 to 2100, such as 20221231, and not a number."""
    return len(text) == 8 and text.isdecimal() and "1900" <= text[:4] <= "2100" and count(text, _COMPACT) is not None


def forms_of(texts: Sequence[str]) -> list[str]:
    """Every form that all of the texts have, the likeliest first; more than one where day and month may be swapped."""
    if not texts or len(texts[0]) > _LONGEST:
        return []
    first = texts[0]
    if len(first) == 8 and first.isdecimal():
        return [_COMPACT] if all(map(is_compact, texts)) else []
    if not _LIKE.match(first):
        return []
    zone = zone_of(first)
    bare = first.removesuffix(zone)
    heads = [(day, found.end()) for day in _DAYS if (found := _reader(day).match(bare))]
    forms = [day + time + zone for day, end in heads for time in _TIMES if _reader(time).fullmatch(bare, end)]
    return [form for form in forms if all(count(text, form) is not None for text in texts)]


def form_of(texts: Sequence[str]) -> str | None:
    """The form that all of the texts have, or None."""
    return next(iter(forms_of(texts)), None)


def zone_of(text: str) -> str:
    """The zone that a time ends in, such as "+02:00"; "" where there is none."""
    found = _ZONE.search(text) if ":" in text else None
    return found.group(1) if found else ""


def moved(text: str, zone: str) -> str | None:
    """A time with a zone, in ISO form, as the same moment in another zone; None where it is no such time."""
    own = zone_of(text)
    form = form_of([text]) if own else None
    if form is None:
        return None
    moment = count(text, form)
    assert moment is not None, "the form was found from the text"
    seconds = (_offset(zone) - _offset(own)) * 60
    return written(moment + round(seconds / unit(form)), form.removesuffix(own) + zone)


def unit(form: str) -> float:
    """Seconds of the smallest step of a form: a day, a minute, a second, or a part of one."""
    for directive, seconds in (("%6f", 1e-6), ("%3f", 1e-3), ("%S", 1.0), ("%M", 60.0)):
        if directive in form:
            return seconds
    return 86400.0


def count(text: str, form: str) -> int | None:
    """A date in steps since 1970 (in its own zone), or None where it is not in this form or no date there is."""
    found = _reader(form).fullmatch(text)
    if found is None:
        return None
    moment = _moment(found.groupdict())
    if moment is None:
        return None
    passed = moment - _EPOCH
    step = unit(form)
    return passed // timedelta(microseconds=round(step * 1e6))


def written(steps: int, form: str) -> str:
    """The inverse of `count`; what lies beyond the years that the form can write is its first or last date."""
    low, high = (_PIVOT, _PIVOT + 99) if "%y" in form else (1, 9999)
    step = unit(form)
    try:
        moment = _EPOCH + timedelta(microseconds=steps * round(step * 1e6))
    except OverflowError:
        moment = datetime(high, 12, 31, tzinfo=UTC) if steps > 0 else datetime(low, 1, 1, tzinfo=UTC)
    if not low <= moment.year <= high:
        moment = datetime(low, 1, 1, tzinfo=UTC) if moment.year < low else datetime(high, 12, 31, tzinfo=UTC)
    return _shown(moment, form)


def example(form: str) -> str:
    """The last day of January 2024, at half past twelve."""
    return _shown(datetime(2024, 1, 31, 12, 30, tzinfo=UTC), form)


@lru_cache(maxsize=1024)
def _reader(form: str) -> re.Pattern[str]:
    parts = re.split(f"({_DIRECTIVE.pattern})", form)
    return re.compile("".join(_PATTERNS[part] if i % 2 else re.escape(part) for i, part in enumerate(parts)), re.ASCII)


def _moment(found: dict[str, str]) -> datetime | None:
    if "Y" in found:
        year = int(found["Y"])
    else:
        year = 1900 + int(found["y"])
        year += 100 if year < _PIVOT else 0
    month = int(found["m"]) if "m" in found else _month(found)
    hour = int(found.get("H", 0))
    if "I" in found:
        if not 1 <= int(found["I"]) <= 12:
            return None
        hour = int(found["I"]) % 12 + (12 if found["p"].upper() == "PM" else 0)
    fraction = int(found.get("f", "0").ljust(6, "0"))
    try:
        return datetime(
            year, month, int(found["d"]), hour, int(found.get("M", 0)), int(found.get("S", 0)), fraction, tzinfo=UTC
        )
    except ValueError:
        return None


def _month(found: dict[str, str]) -> int:
    """The month of a name, 0 where it is none."""
    if "B" in found:
        return _MONTHS.index(found["B"]) + 1 if found["B"] in _MONTHS else 0
    short = [name[:3] for name in _MONTHS]
    name = found["b"].capitalize()
    return short.index(name) + 1 if name in short else 0


_WRITERS: dict[str, Callable[[datetime], str]] = {
    "%Y": lambda at: f"{at.year:04d}", "%y": lambda at: f"{at.year % 100:02d}",
    "%m": lambda at: f"{at.month:02d}", "%-m": lambda at: str(at.month),
    "%d": lambda at: f"{at.day:02d}", "%-d": lambda at: str(at.day),
    "%B": lambda at: _MONTHS[at.month - 1], "%b": lambda at: _MONTHS[at.month - 1][:3],
    "%^b": lambda at: _MONTHS[at.month - 1][:3].upper(),
    "%H": lambda at: f"{at.hour:02d}", "%-H": lambda at: str(at.hour),
    "%I": lambda at: f"{(at.hour + 11) % 12 + 1:02d}", "%-I": lambda at: str((at.hour + 11) % 12 + 1),
    "%M": lambda at: f"{at.minute:02d}", "%S": lambda at: f"{at.second:02d}",
    "%3f": lambda at: f"{at.microsecond // 1000:03d}", "%6f": lambda at: f"{at.microsecond:06d}",
    "%p": lambda at: "AM" if at.hour < 12 else "PM", "%P": lambda at: "am" if at.hour < 12 else "pm",
}  # fmt: skip


def _shown(moment: datetime, form: str) -> str:
    return _DIRECTIVE.sub(lambda found: _WRITERS[found.group()](moment), form)


def _offset(zone: str) -> int:
    """Minutes east of Greenwich."""
    digits = re.sub(r"[^\d]", "", zone)
    if not digits:
        return 0
    return (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if "-" in zone else 1)
