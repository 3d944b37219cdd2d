"""Quotation: what a document says is read from a record, and what no record holds fails the build.

The literal text of a document holds no digit, but for the names in FIXED. Figures are made by `quote`, which follows a
JSON Pointer (RFC 6901) into a record; words from outside by `words`, which makes them plain text within Markdown, HTML
and YAML. `say` joins the two, and `check` reads the finished text once more: every word with a digit in it must be a
record's word, or a record's figure rounded to the digits shown.
"""

from __future__ import annotations

import html
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from makar.core.errors import MakarError
from makar.provenance.records import Records

NOT_STATED = "not stated"
KILOWATT_HOUR, MEGAJOULE = 3.6e6, 1e6  # joules in one
FIXED = (
    "sha256",
    "SHA-256",
    "95 % interval",
    "95% interval",
    "Regulation (EU) 2024/1689",
    "Article 53(1)(d)",
    "C(2025) 8311",
    "http://mlcommons.org/croissant/1.1",
    "http://mlcommons.org/croissant/RAI/1.0",
    "http://www.w3.org/ns/odrl/2/",
    "http://www.w3.org/ns/prov#",
    '"md5": "cr:md5"',
    '"version": 1,',
    "http://cyclonedx.org/schema/bom-1.6.schema.json",
    "http://cyclonedx.org/schema/bom-1.7.schema.json",
    '"specVersion": "1.6"',
    '"specVersion": "1.7"',
    '"specVersion": "3.0.1"',
    "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
)
"""Phrases with digits that are names, not figures."""

_BULK = {
    "items",
    "creators",
    "tags",
    "history",
    "plan",
    "curve",
    "codec_state",
}  # too long to vouch for any figure; the last entry may
_COUNTED = {"classes", "events", "members", "optouts", "notes"}  # lists whose length is a figure
_JOINERS = "\u200c\u200d"  # parts of words in several scripts, unlike other characters without a shape
_TOKEN = re.compile(r"[\w.,+\-]+")
_NUMBER = re.compile(r"\d+(,\d{3})*(\.\d+)?(e[+-]?\d{1,4})?")
_UUID = re.compile(r"urn:uuid:[0-9a-f-]{36}")


@dataclass(frozen=True)
class Quoted:
    """Text that was read from a record, safe within Markdown."""

    text: str


def record(records: Records, file: str) -> Any:
    """What a file of the bundle holds: "run.json" is `records.run`. Empty where the bundle has no such file."""
    return vars(records).get(file.removesuffix(".json")) or {}


def find(records: Records, file: str, pointer: str) -> Any:
    """The value at a JSON Pointer, or None where there is none."""
    value = record(records, file)
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def need(records: Records, file: str, pointer: str) -> Any:
    """As `find`. Raises MakarError where the record does not hold it."""
    value = find(records, file, pointer)
    if value is None or value in ("", [], {}):
        raise MakarError(
            f"the record {file} holds no {pointer.strip('/').replace('/', '.')}, which the documents of a bundle must "
            "state; add it to the record and write the documents again"
        )
    return value


def listed(records: Records, file: str, pointer: str) -> list[Any]:
    """The list at a JSON Pointer; empty where there is none."""
    value = find(records, file, pointer)
    return value if isinstance(value, list) else []


def clean(text: object) -> str:
    """One line of plain text: no control character, no direction mark, no half of a surrogate pair."""
    spaced = "".join(" " if c.isspace() else c for c in str(text))
    kept = (c for c in spaced if c in _JOINERS or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    return " ".join("".join(c for c in kept if c not in "\ufffe\uffff").split())


def markdown(text: object) -> str:
    """Text from outside as Markdown that shows it and does nothing else."""
    escaped = html.escape(clean(text), quote=False)
    escaped = re.sub(r"([\\`*\[\]|~$!#{}])", r"\\\1", escaped)
    escaped = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)
    escaped = re.sub(r"^([-+=])", r"\\\1", escaped)  # at the start of a line these make lists and headings
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", escaped)


def read(text: str) -> str:
    """What a reader sees of text that `markdown` made."""
    return html.unescape(re.sub(r"\\([^\w\s]|_)", r"\1", text))


def plain(value: object) -> str:
    """A JSON value as words: true is yes, nothing is not stated, a mapping is `key value, key value`."""
    if value is None or value in ("", [], {}):
        return NOT_STATED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{clean(key)} {_within(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_within, value))
    return clean(value)


def _within(value: object) -> str:
    """As `plain`, for a value within another."""
    if value is None or value in ("", [], {}):
        return "none"
    return f"({plain(value)})" if isinstance(value, list | dict) else plain(value)


def words(value: object) -> Quoted:
    """A value that was read from a record or stated by a person, as words."""
    return Quoted(markdown(plain(value)))


def code(value: object) -> Quoted:
    """A digest or an identifier, set as code."""
    return Quoted("`" + clean(value).replace("`", "'") + "`")


def quote(records: Records, file: str, pointer: str, form: str = "", unit: float = 1.0) -> Quoted:
    """The figure at a JSON Pointer, written by a format such as ",", ".1f" or ".3g".

    `unit` divides it (KILOWATT_HOUR, MEGAJOULE). Raises MakarError where there is none.
    """
    value = need(records, file, pointer)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MakarError(f"{pointer} of the record {file} is {value!r}, where a finite number is due")
    return Quoted(format(value / unit if unit != 1.0 else value, form))


def count(records: Records, file: str, pointer: str) -> Quoted:
    """How many entries the list at a JSON Pointer has."""
    return Quoted(f"{len(listed(records, file, pointer)):,}")


def say(template: str, *quoted: Quoted) -> str:
    """A sentence with quotations in place of `{}`. Raises MakarError where its own words hold a figure."""
    bare = template
    for phrase in FIXED:
        bare = bare.replace(phrase, "")
    if re.search(r"\d", bare):
        raise MakarError(f"the text {template!r} cites a number itself; numbers are quoted from a record")
    return template.format(*(q.text for q in quoted))


def check(text: str, records: Records, stated: Iterable[str] = ()) -> str:
    """The text itself. Raises MakarError for a number in it that is in no record and was not `stated` by a person.

    A number is held if a record's figure rounds to it at the digits shown; a word with digits (a digest, a version, a
    year of an attribution) if it is a word of a record. Joules count in kilowatt hours and megajoules too.
    """
    _vouch(read(text), records, stated)
    return text


def check_json(document: dict[str, Any], records: Records, stated: Iterable[str] = ()) -> dict[str, Any]:
    """As `check`, for a document that is JSON."""
    check_quoted(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False), records, stated)
    return document


def check_quoted(text: str, records: Records, stated: Iterable[str] = ()) -> str:
    """As `check`, for text whose words stand in JSON's quotation marks."""
    _vouch(re.sub(r"\\([\"\\])", r"\1", text), records, stated)
    return text


def _vouch(text: str, records: Records, stated: Iterable[str]) -> None:
    """Raise MakarError for a number that nothing holds."""
    bare = _UUID.sub(" ", text)
    for phrase in FIXED:
        bare = bare.replace(phrase, " ")
    figures, known = _held(records, stated)
    for token in _tokens(bare):
        if token in known:
            continue
        if not _NUMBER.fullmatch(token) or not any(_rounds_to(figure, token) for figure in figures):
            raise MakarError(
                f"a document cites {token}, which no record of the bundle holds; quote a record, or take it out"
            )


def slug(text: object) -> str:
    """A name as the hubs write names: lower case, digits, dots and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", clean(text).lower()).strip("-.") or "unnamed"


def version_of_licence(expression: object) -> str:
    """A licence as the hubs name it: GPL-3.0-only and GPL-3.0-or-later are gpl-3.0."""
    return clean(expression).lower().removesuffix("-only").removesuffix("-or-later")


def letters(size: int) -> list[str]:
    """As many different names without a digit in them: a, b, ..., z, aa, ab, ..."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    words_of = ("".join(word) for length in itertools.count(1) for word in itertools.product(alphabet, repeat=length))
    return list(itertools.islice(words_of, size))


def _tokens(text: str) -> Iterator[str]:
    """The words that have a digit in them, in lower case."""
    return (found.strip(".,+-").lower() for found in _TOKEN.findall(text) if re.search(r"\d", found))


def _held(records: Records, stated: Iterable[str]) -> tuple[set[Decimal], set[str]]:
    """All figures, and all words with digits, that the records hold."""
    figures: set[Decimal] = set()
    known: set[str] = set()
    for value in _leaves(vars(records)):
        if isinstance(value, str):
            known.update(_tokens(clean(value)), [slug(value), version_of_licence(value)])
        elif math.isfinite(value):
            figures.add(Decimal(repr(value)))
    for text in stated:
        known.update(_tokens(clean(text)))
    joules = find(records, "run.json", "/joules")
    if isinstance(joules, int | float):
        figures.update(Decimal(repr(joules / unit)) for unit in (KILOWATT_HOUR, MEGAJOULE))
    return figures, known


def _leaves(value: Any, key: str = "") -> Iterator[str | int | float]:
    """Strings, keys and numbers within JSON data; of what is long, the last entry only."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            if name not in _BULK:
                yield from _leaves(inner, name)
            elif isinstance(inner, list) and inner:
                yield from _leaves(inner[-1], name)
    elif isinstance(value, list):
        if key in _COUNTED:
            yield len(value)
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def _rounds_to(figure: Decimal, token: str) -> bool:
    """Whether the figure is the token at the digits that the token shows."""
    shown = Decimal(token.replace(",", ""))
    exponent = int(shown.as_tuple().exponent)
    return abs(abs(figure) - shown) <= Decimal(5).scaleb(exponent - 1)  # the token is without its sign
