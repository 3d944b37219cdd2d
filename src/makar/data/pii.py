"""Personal data in text: e-mails, telephone numbers, accounts, cards, addresses, national numbers, dates of birth.

Patterns with a check wherever the number carries one, so that digits alone raise no alarm:

    iban     ISO 13616, letters as numbers, the first four characters last, mod 97 = 1; the country's length
    card     13 to 19 digits of a known issuer, Luhn's formula (ISO/IEC 7812-1, annex B)
    ip       four numbers up to 255 (RFC 791); groups of hexadecimal digits (RFC 4291), as Python's ipaddress reads them
    id-XX    the national number of country XX, by its own check digits where it has some (see `_ids`)
    phone    with a country code (ITU-T E.164), or in the shape that a country prints it in, or after a word ("tel")
    birth    a date within a few words after "born", "date of birth", "geboren", "né le" ...
    street   a number and a street's name, in the order and with the words of English, German, French or Spanish

What has neither check nor cue has a lower confidence. A text that holds characters in disguise (full-width or
invisible ones, digits of other scripts) is looked through as it is and once more in its plain form; numbers whose
digits were set apart are joined and found where a check digit or a word before them makes it sure (see `_disguise`).
This finds shapes: it knows no names, and a number in a shape that it does not know is missed, as is a letter that
stands for a digit outside cards. Absence of findings is no proof.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from makar.data import _disguise, _ids
from makar.data._ids import digits, iban, luhn


@dataclass(frozen=True)
class Span:
    """Personal data at [start, end) of a text."""

    start: int
    end: int
    kind: str
    confidence: float  # 0.9 and above: a check or a cue says so; below: a shape alone


@dataclass(frozen=True)
class _Pattern:
    kind: str
    regex: re.Pattern[str]
    confidence: float
    check: Callable[[str], bool] = bool


_MONTHS = (
    "jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|f[ée]v(?:rier)?|mar(?:ch|s|zo)?|m[äa]rz|apr(?:il)?|avr(?:il)?|may|mai|mayo|"
    "june?|juni|juin|junio|july?|juli|juillet|julio|aug(?:ust)?|ao[uû]t|agosto|sep(?:t(?:ember|embre|iembre)?)?|"
    "o[ck]t(?:ober|obre|ubre)?|nov(?:ember|embre|iembre)?|de[czs](?:ember)?|d[ée]c(?:embre)?|diciembre|enero|febrero|abril"
)
_DATE = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\s?\d{1,2}[-/.]\s?(?:\d{4}|\d{2})"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|\.)?\s+(?:of\s+|de\s+)?(?:{_MONTHS})\.?,?\s+(?:de\s+)?\d{{4}}"
    rf"|(?:{_MONTHS})\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})"
)
_BORN = (
    r"(?:date of birth|birth\s?-?date|birthday|d\.?o\.?b\b\.?|born|geboren|geb\.|geburtsdatum|n[ée]e?\s+le|"
    r"date de naissance|nacid[oa]|fecha de nacimiento)"
)
_CALL = (
    r"(?:tel(?:ephone|efon|[ée]fono)?|t[ée]l(?:[ée]phone)?|phone|mobile|mobil|cell|fax|call|ring|handy|whatsapp|contact|"
    r"ph|m[óo]vil|portable|hotline|rufnummer|reach\s+(?:me|us|him|her|them)\s+(?:at|on))"
)
_NAME = r"[A-ZÀ-ÝĀ-Ž][\w'’.-]*"
_LEFT, _RIGHT = r"(?<![\w.+/:#=-])", r"(?![\w/])(?![.,:-]\d)"  # not within a longer number, version, path or key


def _one(kind: str, regex: str, confidence: float, check: Callable[[str], bool] = bool, case: bool = True) -> _Pattern:
    return _Pattern(kind, re.compile(regex, 0 if case else re.IGNORECASE), confidence, check)


def _telephone(text: str) -> bool:
    """7 to 15 digits that are not one digit repeated."""
    found = digits(text)
    return 7 <= len(found) <= 15 and len(set(found)) > 2


def _abroad(text: str) -> bool:
    """A number with a country code, and no decimal: those have one point and nothing else between their digits."""
    return _telephone(text) and re.sub(r"\d", "", text) != "+."


def _four(text: str) -> bool:
    return all(len(part) <= 3 and int(part) <= 255 and str(int(part)) == part for part in text.split("."))


def _misread(text: str) -> bool:
    """A card number of which a few digits are letters that look like them."""
    return sum(c in "OoIl" for c in text) <= 6 and luhn(text.translate(_ALIKE))


def _six(text: str) -> bool:
    """An IPv6 address that says something: not `::`, and of at least three groups."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return len([group for group in text.split(":") if group]) >= 3


_EMAIL = r"(?<![\w.+%-])[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-]|\.\w)"
_AT, _DOT = r"\s?[\[({]\s?at\s?[\])}]\s?", r"\s?(?:\.|[\[({]\s?dot\s?[\])}])\s?"
_LOCAL = r"[\w.+-]{1,64}(?:\s?[\[({]\s?dot\s?[\])}]\s?[\w.+-]{1,64}){0,4}"
_SPELT = rf"(?<![\w.+-]){_LOCAL}{_AT}[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{1,4}}"
_IBAN = r"(?<![\w])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?![A-Za-z0-9])"
_CARD = r"(?<![\w.-])[2-6]\d{3}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,4}(?:[ -]?\d{3})?(?![\w-]|\.\d)"
_AMEX = r"(?<![\w.-])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?![\w-]|\.\d)"
_ALIKE = str.maketrans("OoIl", "0011")
_D = r"[\dOoIl]"
_CARD_ALIKE = (
    rf"(?<![\w.-])(?=[ \d-]{{1,22}}[OoIl])[2-6]{_D}{{3}}[ -]?{_D}{{4}}[ -]?{_D}{{4}}[ -]?{_D}{{4}}(?![\w-]|\.\d)"
)
_CARD_AFTER = (
    r"(?i:\b(?:[a-z]*card|visa|maestro|amex|american express|discover|[a-z]*karte|carte|tarjeta|carta|pan))\b"
    r"[^\d\n]{0,24}?([2-6]\d{12,18})(?!\w)"
)
_IP4 = r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"
_IP6 = r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"
_BIRTH = rf"\b{_BORN}\W{{0,4}}(?:(?:on|am|le|el|is|was|the|:|=)\W{{1,3}}){{0,2}}({_DATE})(?!\d)"

_CALLED = rf"\b{_CALL}\b\.?(?:\s*(?:no|nr|number|num|us|me)\b\.?)?[^\w+(]{{0,4}}(\(?\+?\d[\d\s().\-/]{{5,18}}\d)(?!\w)"
_ABROAD = rf"{_LEFT}\+[1-9]\d{{0,2}}[\s.\-]?(?:\(0?\d{{0,4}}\)[\s.\-]?)?\d(?:[\s.\-/]?\d){{5,12}}{_RIGHT}"
_ZEROS = rf"{_LEFT}00[1-9]\d{{0,2}}[\s.\-](?:\(0\)\d{{1,4}}|\(?\d{{1,4}}\)?)[\s.\-]\d(?:[\s.\-]?\d){{4,10}}{_RIGHT}"
_AREA = rf"(?<![\w.+/:#=-])\([2-9]\d{{2}}\)[\s-]?[2-9]\d{{2}}[-.\s]\d{{4}}{_RIGHT}"
_AMERICA = rf"{_LEFT}(?:1[-.])?[2-9]\d{{2}}([-.])[2-9]\d{{2}}\1\d{{4}}{_RIGHT}"
_FRANCE = rf"{_LEFT}(?<!\d )0[1-9](?:([ .-])\d{{2}})(?:\1\d{{2}}){{3}}{_RIGHT}"
_EUROPE = rf"{_LEFT}(?<!\d )\(?0[1-9]\d{{1,4}}\)?[ /-]{{1,3}}\d{{3,4}}(?:[ -]?\d{{2,4}}){{1,2}}{_RIGHT}"
_MOBILE = rf"{_LEFT}0[67]\d{{8,9}}{_RIGHT}"

_WAYS = (
    "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Terrace|Crescent|Close|Way|"
    "Place|Pl|Parkway|Gardens"
)
_ENGLISH = rf"(?<![\w.-])\d{{1,5}}[a-zA-Z]?\s+(?:[NSEW]\.?\s+)?(?:{_NAME}\s+){{1,3}}(?:{_WAYS})\b\.?"
_GERMAN = r"\b[A-ZÄÖÜ][\wäöüß-]*(?:straße|strasse|str\.|gasse|allee|platz|ring|damm|ufer)\s+\d{1,4}(?:\s?[a-z])?(?!\w)"
_RUES = r"rue|avenue|boulevard|place|all[ée]e|chemin|impasse|quai"
_FRENCH = (
    rf"(?<![\w.-])\d{{1,4}}(?:\s?(?:bis|ter))?,?\s+(?:{_RUES})\s+"
    rf"(?:(?:de|du|des|la|le|les|d'|l')\s?){{0,3}}{_NAME}(?:[ -]{_NAME}){{0,3}}"
)
_SPANISH = (
    r"(?:\bCalle|\bC/|\bAvenida|\bAvda\.|\bPlaza|\bPaseo|\bVia|\bViale|\bPiazza|\bCorso)\s*"
    rf"(?:(?:de|del|la|las|los|el|della|di)\s){{0,3}}{_NAME}(?:\s{_NAME}){{0,3}},?\s+(?:n[º°.]\s?)?\d{{1,4}}\b"
)

_PATTERNS: tuple[_Pattern, ...] = (
    _one("email", _EMAIL, 0.99),
    _one("email", _SPELT, 0.9, case=False),
    _one("iban", _IBAN, 0.99, iban),
    _one("card", _CARD, 0.95, luhn),
    _one("card", _AMEX, 0.95, luhn),
    _one("card", _CARD_ALIKE, 0.9, _misread),
    _one("ip", _IP4, 0.8, _four),
    _one("ip", _IP6, 0.9, _six),
    _one("birth", _BIRTH, 0.95, case=False),
    *(_one(f"id-{i.country}", i.regex, i.confidence, i.check) for i in _ids.NUMBERS),
    _one("phone", _CALLED, 0.95, _telephone, case=False),
    *(_one("phone", regex, 0.9, _abroad) for regex in (_ABROAD, _ZEROS, _AREA)),
    *(_one("phone", regex, 0.8, _telephone) for regex in (_AMERICA, _FRANCE, _EUROPE)),
    _one("phone", _MOBILE, 0.6, _telephone),
    *(_one("street", regex, 0.7) for regex in (_ENGLISH, _GERMAN, _FRENCH, _SPANISH)),
)

_APART: tuple[_Pattern, ...] = (
    _one("iban", _IBAN, 0.99, iban),
    _one("card", _CARD_AFTER, 0.95, luhn),
    _one("phone", _CALLED, 0.95, _telephone, case=False),
    *(_one(f"id-{i.country}", i.regex, i.confidence, i.check) for i in _ids.NUMBERS if i.country in _ids.SURE),
)
"""What is found in digits that were set apart and joined again."""


def find(text: str) -> list[Span]:
    """All personal data in a text, in order; of overlapping spans the more confident one, then the longer."""
    found = list(_spans(text))
    for plain in _disguise.plain(text):
        found += [_given(span, plain) for span in _spans(plain.text)]
    found.sort(key=lambda s: (-s.confidence, s.start - s.end, s.start))
    taken: list[Span] = []
    covered = bytearray(len(text))
    for span in found:
        if not any(covered[span.start : span.end]):
            covered[span.start : span.end] = b"\x01" * (span.end - span.start)
            taken.append(span)
    return sorted(taken, key=lambda s: s.start)


def _spans(text: str) -> Iterator[Span]:
    """What stands in a text as it is, and in its digits set apart; spans may overlap."""
    for pattern in _PATTERNS:
        yield from _matches(pattern, text)
    for run, begins in _disguise.joined(text):
        for pattern in _APART:
            yield from (_given(span, run) for span in _matches(pattern, run.text) if span.start >= begins)


def _given(span: Span, plain: _disguise.Plain) -> Span:
    """A finding in the plain form, at its place in the given text."""
    start, end = plain.span(span.start, span.end)
    return Span(start, end, span.kind, span.confidence)


def _matches(pattern: _Pattern, text: str) -> Iterator[Span]:
    for match in pattern.regex.finditer(text):
        whole = 1 if pattern.kind in ("birth", "phone", "card") and match.re.groups and len(match[1] or "") > 5 else 0
        if pattern.check(match[whole]):
            yield Span(match.start(whole), match.end(whole), pattern.kind, pattern.confidence)


def redact(text: str) -> str:
    """The text with every finding replaced by its kind in brackets: "write to [email]"."""
    parts, done = [], 0
    for span in find(text):
        parts += [text[done : span.start], f"[{span.kind}]"]
        done = span.end
    return "".join([*parts, text[done:]])


def texts_of(thing: Any) -> list[str]:
    """The texts within a thing: a document itself, the strings of a row; none of a picture or a point."""
    if isinstance(thing, str):
        return [thing]
    if isinstance(thing, dict):
        return [f"{name}: {value}" for name, value in thing.items() if isinstance(value, str)]
    return []


@dataclass(frozen=True)
class Scan:
    """What was found in a collection."""

    things: int
    characters: int
    counts: dict[str, int]  # findings by kind
    items: dict[int, tuple[Span, ...]]  # place of each thing with findings, and what was found in it

    @property
    def total(self) -> int:
        """Findings of all kinds."""
        return sum(self.counts.values())


def scan(things: Sequence[Any], least: float = 0.0) -> Scan:
    """Findings of at least this confidence in documents or rows; spans of a row count within its `name: value` text."""
    counts: Counter[str] = Counter()
    items: dict[int, tuple[Span, ...]] = {}
    characters = 0
    for place, thing in enumerate(things):
        spans: list[Span] = []
        for text in texts_of(thing):
            characters += len(text)
            spans += [span for span in find(text) if span.confidence >= least]
        counts.update(span.kind for span in spans)
        if spans:
            items[place] = tuple(spans)
    return Scan(len(things), characters, dict(sorted(counts.items())), items)
