"""Licences are SPDX expressions, stated by the user or by a file beside the data; else the licence is unknown.

An expression joins identifiers with AND, OR, WITH and brackets (SPDX specification 3.0.1, annex B). The library
`license-expression` parses it and knows the identifiers, which are compared without regard to case. What SPDX has no
identifier for begins `LicenseRef-`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from makar.core.errors import MakarError

UNKNOWN = "unknown"
MOST_CHARACTERS = 4000
MOST_BRACKETS = 60  # a tree of this depth is walked without fear for the stack

_UNSTATED = (UNKNOWN, "noassertion", "none", "other")  # SPDX 3.0.1, annex B, and what model hubs write for it
_NAMES = {  # what model hubs call licences that SPDX lacks
    "openrail": "LicenseRef-OpenRAIL",
    "openrail++": "LicenseRef-OpenRAIL",
    "creativeml-openrail-m": "LicenseRef-OpenRAIL-M",
    "bigscience-openrail-m": "LicenseRef-scancode-bigscience-open-rail-m",
    "bigcode-openrail-m": "LicenseRef-scancode-bigcode-open-rail-m-v1",
    "bigscience-bloom-rail-1.0": "LicenseRef-scancode-bigscience-rail-1.0",
}
_REFERENCE = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_FILES = ("LICENCE", "LICENSE", "LICENCE.txt", "LICENSE.txt", "LICENCE.md", "LICENSE.md", "LICENSE.spdx")


@cache
def _spdx() -> Any:
    """The library's list of licences: 20 ms to read, so only where an expression is at hand."""
    import license_expression

    return license_expression.get_spdx_licensing()


@cache
def _known() -> dict[str, str]:
    """Identifiers and their former spellings, in small letters, with the usual spelling."""
    known: dict[str, str] = {}
    for key, symbol in _spdx().known_symbols.items():
        known[key.lower()] = key
        for alias in symbol.aliases:
            known.setdefault(alias.lower(), key)
    return known | _NAMES | {name.lower(): name for name in _NAMES.values()}


def identifiers() -> tuple[str, ...]:
    """Every identifier of a licence (not of an exception) on SPDX's list, in order."""
    symbols = _spdx().known_symbols
    return tuple(sorted(k for k, s in symbols.items() if not s.is_exception and not k.startswith("LicenseRef-")))


def expression(text: str) -> str:
    """The SPDX expression in its usual spelling, or `unknown`. Raises MakarError where it is neither."""
    if text.strip().lower() in _UNSTATED:
        return UNKNOWN
    return str(parsed(text).render())


def parsed(text: str) -> Any:
    """The expression as the library's tree, each name in its usual spelling. Raises MakarError where it is none."""
    import license_expression

    if len(text) > MOST_CHARACTERS or text.count("(") > MOST_BRACKETS:
        raise MakarError(
            f"a licence expression of {len(text):,} characters and {text.count('(')} brackets was given; at most "
            f"{MOST_CHARACTERS:,} and {MOST_BRACKETS} are read: state the licences of the parts one by one"
        )
    words = re.sub(r"[^\s()]+", lambda found: _spelt(found[0]), text)
    if not _well_formed(words):
        raise _no_expression(text)
    try:
        return _spdx().parse(words, simple=True, strict=True)
    except license_expression.ExpressionError:  # an exception where a licence is due, or the reverse
        raise _no_expression(text) from None


def _well_formed(words: str) -> bool:
    """Whether operators and brackets stand where they may; the library lets `((OR MIT` pass and breaks on `MIT ()`."""
    kinds = {"AND": "o", "OR": "o", "WITH": "w", "(": "(", ")": ")"}
    shape = "".join(kinds.get(word, "x") for word in re.findall(r"[()]|[^\s()]+", words))
    shape = shape.replace("xwx", "x")
    for _ in range(MOST_BRACKETS):
        shape = re.sub(r"\(x(ox)*\)", "x", shape)
    return re.fullmatch(r"x(ox)*", shape) is not None


def _spelt(word: str) -> str:
    if word.upper() in ("AND", "OR", "WITH"):
        return word.upper()
    known = _known().get(word.lower())
    if known is not None:
        return known
    plain = word.removesuffix("+")  # "or any later version"
    if plain != word and plain.lower() in _known():
        return _known()[plain.lower()] + "+"
    if _REFERENCE.fullmatch(word):
        return word
    near = difflib.get_close_matches(plain.lower(), [n for n in _known() if not n.startswith("licenseref")], n=1)
    hint = f" (did you mean '{_known()[near[0]]}'?)" if near else ""
    raise MakarError(
        f"'{word[:80]}' is not an SPDX licence identifier known here{hint}; "
        f"a licence of another kind is written 'LicenseRef-' and a name, and one you do not know '{UNKNOWN}'"
    )


def _no_expression(text: str) -> MakarError:
    return MakarError(f"'{text[:80]}' is not an SPDX licence expression; write one such as 'MIT' or 'CC-BY-4.0 OR MIT'")


def conjunction(expressions: Iterable[str]) -> str:
    """What holds where all of them hold: joined with AND, each once, in brackets where it needs them.

    `unknown` where one of them is: who does not know a part does not know the whole.
    """
    parts = list(dict.fromkeys(expressions))
    if not parts or UNKNOWN in parts:
        return UNKNOWN
    if len(parts) == 1:
        return parts[0]
    return " AND ".join(f"({part})" if re.search(r"\b(AND|OR)\b", part) else part for part in parts)


def beside(folder: Path) -> tuple[str, str]:
    """The licence that a file in `folder` states on its first line, and a note that says where it is from."""
    seen = None
    for name in _FILES:
        path = folder / name
        if not path.is_file():
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            line = file.readline(200).strip()
        try:
            stated = expression(line.removeprefix("SPDX-License-Identifier:").strip())
        except MakarError:
            seen = seen or name
            continue
        if stated != UNKNOWN:
            return stated, f"the licence is stated by the file {name}"
        seen = seen or name
    said = f"the first line of {seen} is no SPDX identifier" if seen else "nobody has stated it"
    return UNKNOWN, unstated(said)


def unstated(why: str) -> str:
    """The note on data whose licence is unknown, for this reason, and what to do."""
    return (
        f"the licence of this data is unknown, for {why}; "
        "state it with --licence (licence=): an SPDX identifier, or LicenseRef-own for data of your own"
    )
