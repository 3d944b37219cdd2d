"""Licences are SPDX expressions, stated by the user or by a file beside the data; else the licence is unknown.

An expression joins identifiers with AND, OR, WITH and brackets (SPDX specification 2.3, annex D). Identifiers are
compared without regard to case and must be on the list below, which holds the common ones, or begin `LicenseRef-`.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from makar.core.errors import MakarError

UNKNOWN = "unknown"

_IDS = """
0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-2.0 BSD-1-Clause BSD-2-Clause BSD-3-Clause
BSD-4-Clause BSL-1.0 BUSL-1.1 C-UDA-1.0 CC-BY-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-1.0 CC-BY-NC-2.0
CC-BY-NC-2.5 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-2.0 CC-BY-NC-ND-2.5 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0
CC-BY-NC-SA-2.0 CC-BY-NC-SA-2.5 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CC-BY-ND-2.0 CC-BY-ND-3.0 CC-BY-ND-4.0 CC-BY-SA-1.0
CC-BY-SA-2.0 CC-BY-SA-2.5 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-PDDC CC0-1.0 CDDL-1.0 CDDL-1.1 CDLA-Permissive-1.0
CDLA-Permissive-2.0 CDLA-Sharing-1.0 CECILL-2.1 ECL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 etalab-2.0 FSFAP
GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only GFDL-1.3-or-later GPL-2.0-only GPL-2.0-or-later GPL-3.0-only
GPL-3.0-or-later HPND ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later MIT MIT-0 MPL-1.1 MPL-2.0
MS-PL NCSA O-UDA-1.0 ODbL-1.0 ODC-By-1.0 OFL-1.0 OFL-1.1 OGL-UK-1.0 OGL-UK-2.0 OGL-UK-3.0 OSL-3.0 PDDL-1.0 PSF-2.0
Python-2.0 Unicode-3.0 Unicode-DFS-2016 Unlicense UPL-1.0 W3C WTFPL X11 Zlib
"""
_CANONICAL = {name.lower(): name for name in _IDS.split()}
_EXCEPTIONS = {
    name.lower(): name
    for name in ("Classpath-exception-2.0", "LLVM-exception", "GCC-exception-3.1", "Font-exception-2.0")
}
_REFERENCE = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_FILES = ("LICENCE", "LICENSE", "LICENCE.txt", "LICENSE.txt", "LICENCE.md", "LICENSE.md", "LICENSE.spdx")


def _identifier(word: str) -> str:
    if _REFERENCE.fullmatch(word):
        return word
    plain = word.removesuffix("+")
    name = _CANONICAL.get(plain.lower())
    if name is None:
        near = difflib.get_close_matches(plain.lower(), _CANONICAL, n=1)
        hint = f" (did you mean '{_CANONICAL[near[0]]}'?)" if near else ""
        raise MakarError(
            f"'{word}' is not an SPDX licence identifier known here{hint}; "
            f"a licence of another kind is written 'LicenseRef-' and a name, and one you do not know '{UNKNOWN}'"
        )
    return name + word[len(plain) :]


def expression(text: str) -> str:
    """The SPDX expression in its usual spelling. Raises MakarError where it is none."""
    text = text.strip()
    if text.lower() == UNKNOWN:
        return UNKNOWN
    words = re.findall(r"[()]|[^\s()]+", text)
    spelt: list[str] = []
    depth, operand = 0, True  # operand: whether an identifier is due, rather than an operator
    for word in words:
        upper = word.upper()
        if word == "(" and operand:
            depth += 1
        elif word == ")" and not operand and depth:
            depth -= 1
        elif not operand and upper in ("AND", "OR", "WITH"):
            word, operand = upper, True
        elif operand and spelt and spelt[-1] == "WITH" and word.lower() in _EXCEPTIONS:
            word, operand = _EXCEPTIONS[word.lower()], False
        elif operand and word != ")":
            word, operand = _identifier(word), False
        else:
            raise MakarError(
                f"'{text}' is not an SPDX licence expression; write one such as 'MIT' or 'CC-BY-4.0 OR MIT'"
            )
        spelt.append(word)
    if operand or depth:
        raise MakarError(f"'{text}' is not an SPDX licence expression; write one such as 'MIT' or 'CC-BY-4.0 OR MIT'")
    return " ".join(spelt).replace("( ", "(").replace(" )", ")")


def _no_expression(text: str) -> MakarError:
    return MakarError(f"'{text}' is not an SPDX licence expression; write one such as 'MIT' or 'CC-BY-4.0 OR MIT'")


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
            return expression(
                line.removeprefix("SPDX-License-Identifier:")
            ), f"the licence is stated by the file {name}"
        except MakarError:
            seen = seen or name
    said = f"the first line of {seen} is no SPDX identifier" if seen else "nobody has stated it"
    return UNKNOWN, f"the licence of this data is unknown, for {said}; state it with licence= (an SPDX identifier)"
