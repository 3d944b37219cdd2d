"""Text as it looks, whatever characters draw it, and runs of digits that were set apart.

A character counts as its NFKC form where that is a single character (Unicode Standard Annex 15: full-width,
mathematical and small forms), a decimal digit of any script as its value, a dash or full stop of another script as "-"
or "."; what draws nothing (format characters, variation selectors) is left out. Superscripts stay, since "m²" is not
"m2". Places are kept, so that what is found in the plain text can be named in the given one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

_INVISIBLE = frozenset("ㅤᅠﾠᅟ⠀͏឴឵")  # letters and marks that draw nothing
_SIGNS = {**dict.fromkeys("‐‑‒–—―−﹘", "-"), **dict.fromkeys("。｡․", ".")}
_SMALL = ("<super>", "<sub>")
_AROUND = 200  # characters that are looked at on both sides of one in disguise
_BEFORE = 40  # characters before a run of digits in which a word may say what they are


@dataclass(frozen=True)
class Plain:
    """A text in its plain form, and where each of its characters stands in the given one."""

    text: str
    places: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the given text that [start, end) of the plain one, not empty, was made of."""
        return self.places[start], self.places[end - 1] + 1


def plain(text: str) -> Iterator[Plain]:
    """The plain forms of those lines that are not plain already, with the lines around them.

    Nothing of a text that is plain, which costs next to nothing to see.
    """
    if text.isascii():
        return
    forms = {c: form for c in set(text) if (form := _form(c)) != c}
    if not forms:
        return
    for begins, ends in _stretches(text, re.compile(f"[{re.escape(''.join(forms))}]")):
        kept = [(i, form) for i in range(begins, ends) if (form := forms.get(text[i], text[i]))]
        yield Plain("".join(form for _, form in kept), tuple(i for i, _ in kept))


def _stretches(text: str, odd: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Whole lines that reach at least `_AROUND` characters, or to the text's end, to both sides of every odd one."""
    begins, ends = 0, -1
    for match in odd.finditer(text):
        if match.end() + _AROUND <= ends or ends == len(text):
            continue
        first = text.rfind("\n", 0, max(0, match.start() - _AROUND)) + 1
        if first > ends >= 0:
            yield begins, ends
        if first > ends:
            begins = first
        line_end = text.find("\n", match.end() + _AROUND)
        ends = len(text) if line_end < 0 else line_end
    yield begins, ends


@cache
def _form(character: str) -> str:
    """The plain form of one character, empty where it draws nothing."""
    if character in _SIGNS:
        return _SIGNS[character]
    if character in _INVISIBLE or unicodedata.category(character) == "Cf" or _varies(character):
        return ""
    value = unicodedata.decimal(character, None)
    if value is not None:
        return str(value)
    form = unicodedata.normalize("NFKC", character)
    return form if len(form) == 1 and not unicodedata.decomposition(character).startswith(_SMALL) else character


def _varies(character: str) -> bool:
    """A variation selector: it draws nothing itself."""
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


_RUN = re.compile(r"(?<![^\W_])[A-Z0-9](?:[ ._·•-]{1,3}[A-Z0-9]){6,50}(?![^\W_])")


def joined(text: str) -> Iterator[tuple[Plain, int]]:
    """Every run of seven or more digits or capitals that stand apart from each other, joined, after what precedes it.

    With each comes the place in the joined text at which the run begins.
    """
    for match in _RUN.finditer(text):
        begins = max(0, match.start() - _BEFORE)
        places = list(range(begins, match.start()))
        before = len(places)
        places += [i for i in range(match.start(), match.end()) if text[i].isalnum()]
        yield Plain("".join(text[i] for i in places), tuple(places)), before
