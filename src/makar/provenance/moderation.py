"""Moderation of text: blocked words, names and styles, and limits on what leaves in bulk.

A term is found in spite of the common ways to hide it: case, accents, letters of other alphabets that look alike,
full-width and mathematical letters, invisible characters, digits for letters, drawn-out letters, and letters set
apart. What it cannot find is a description, a translation, a misspelling or an encoding: a list of words catches what
it names and no more, and is no judgement of meaning.

In bulk, texts that are near-duplicates of each other are counted: MinHash with banding (Broder 1997; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, section 3.4) proposes pairs, and their exact Jaccard similarity of
shingles decides.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from makar.core.errors import MakarError

# Letters that look like Latin ones and that no normal form maps to them, each with its likeness (a few of Unicode's
# confusables, UTS 39; the ones that are common in practice).
_LIKENESSES = (
    "аa вb еe нh оo рp сc тt уy хx іi јj ѕs ԁd ԛq ԝw һh кk мm гr пn ьb ӏl ԍg ѵv αa βb εe ηn ιi κk μm νv οo ρp σs τt υu "
    "χx γy ωw ɑa ɡg ıi łl øo đd ðd æae œoe օo սu ոn հh"
)
_ALIKE = str.maketrans({pair[0]: pair[1:] for pair in _LIKENESSES.split()})
_INVISIBLE = {"ㅤ", "ᅠ", "ﾠ", "ᅟ", "⠀", "͏"}  # letters and marks that draw nothing
_FORMS = {
    "a": "a4@", "b": "b8", "e": "e3€", "g": "g9", "i": "i1!|", "l": "l1|", "o": "o0", "s": "s5$", "t": "t7+", "z": "z2",
}  # fmt: skip
_SEPARATOR = r"[\W_]"
_ENOUGH = 3  # letters that stand as they are, of which a code of letters and digits seldom has those of a term
_DRAWN_OUT = 8  # further repetitions of a letter that are looked through


def normal(text: str) -> str:
    """The text in small plain letters: no accents, no invisible characters, no look-alikes."""
    wide = unicodedata.normalize("NFKC", text)
    bare = (
        c
        for c in unicodedata.normalize("NFD", wide)
        if unicodedata.category(c) not in ("Mn", "Me", "Cf") and c not in _INVISIBLE
    )
    return unicodedata.normalize("NFC", "".join(bare)).casefold().translate(_ALIKE)


@dataclass(frozen=True)
class Blocklist:
    """Terms that are neither asked for nor given out."""

    terms: tuple[str, ...]

    def __post_init__(self) -> None:
        for term in self.terms:
            if not re.search(r"\w", normal(term)):
                raise MakarError(f"the blocked term '{term}' has no letter; write a word or a name")

    @cached_property
    def _patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        return [(term, _pattern(normal(term))) for term in self.terms]

    def found(self, text: str) -> list[str]:
        """The terms that stand in the text."""
        plain = normal(text)
        return [term for term, pattern in self._patterns if any(_mostly_letters(m) for m in pattern.finditer(plain))]

    def refusal(self, text: str, what: str) -> str | None:
        """Why a prompt or an output (`what`) is refused; None where it is not."""
        found = self.found(text)
        return f"the {what} holds what the policy blocks: {', '.join(found)}" if found else None

    def tagged(self, tags: Iterable[str]) -> list[str]:
        """The terms that are among tags, alone or after a word and a colon (`style:NAME`)."""
        return self.found("\n".join(tag.partition(":")[2] or tag for tag in tags))


def _mostly_letters(match: re.Match[str]) -> bool:
    """Whether half of it is letters, or `_ENOUGH` are: "90" is not "go", and "v10137 h4rb0ur" is a violet harbour."""
    given = match.group()
    letters = sum(c.isalpha() for c in given)
    return letters >= _ENOUGH or (letters > 0 and 2 * letters >= sum(c.isalnum() for c in given))


def _pattern(term: str) -> re.Pattern[str]:
    """The term's words joined by anything or nothing, or all its letters set apart."""
    words = [[_letter(c, n) for c, n in _runs(word)] for word in re.findall(r"[^\W_]+", term)]
    together = f"{_SEPARATOR}{{0,3}}".join("".join(word) for word in words)
    apart = f"{_SEPARATOR}{{1,5}}".join(_letter(c, 1) for c in term if c.isalnum())
    first, last = (next(c for c in t if c.isalnum()) for t in (term, term[::-1]))
    before = "" if _unspaced(first) else r"(?<![^\W_])"
    after = "" if _unspaced(last) else r"(?![^\W_])"
    return re.compile(f"{before}(?:{together}|{apart}){after}")


def _runs(word: str) -> list[tuple[str, int]]:
    return [(m.group(1), len(m.group())) for m in re.finditer(r"(.)\1*", word)]


def _letter(letter: str, times: int) -> str:
    """A letter in all its forms, at least as often as it stands there."""
    forms = "".join(re.escape(c) for c in _FORMS.get(letter, letter))
    return f"[{forms}]{{{times},{times + _DRAWN_OUT}}}"


def _unspaced(letter: str) -> bool:
    """Whether its script puts no spaces between words."""
    return unicodedata.category(letter) == "Lo"


@dataclass(frozen=True)
class Limits:
    """What may leave in bulk."""

    an_hour: int = 1000  # texts
    similar: float = 0.5  # Jaccard similarity of shingles from which two texts are near-duplicates
    share: float = 0.2  # of texts that may have a near-duplicate, from `least` texts on
    least: int = 10

    def refusals(self, texts: Sequence[str], within_the_hour: int) -> list[str]:
        """Why these texts may not leave together, `within_the_hour` having left already; empty where they may."""
        reasons = []
        if len(texts) + within_the_hour > self.an_hour:
            reasons.append(
                f"{len(texts)} texts after {within_the_hour} within the hour are more than the limit of {self.an_hour}"
            )
        share = similar_share(texts, self.similar)
        if len(texts) >= self.least and share > self.share:
            reasons.append(
                f"{share:.0%} of the {len(texts)} texts are near-duplicates of others; the limit is {self.share:.0%}"
            )
        return reasons


_WORDS = 3  # words of a shingle
_HASHES, _BANDS = 126, 42  # pairs of similarity s are proposed with probability 1 - (1 - s^3)^42; at 0.5: 0.996
_PRIME = np.uint64((1 << 31) - 1)


def shingles(text: str) -> NDArray[np.uint64]:
    """Digests below 2^31 - 1 of all runs of three words, sorted, each once; of all words where there are fewer."""
    words = normal(text).split()
    runs = {" ".join(words[i : i + _WORDS]) for i in range(max(1, len(words) - _WORDS + 1))}
    return np.unique(np.array([zlib.crc32(run.encode()) for run in runs], dtype=np.uint64) % _PRIME)


def similar_share(texts: Sequence[str], similar: float) -> float:
    """Share of the texts that have another among them of at least this similarity."""
    if not texts:
        return 0.0
    sets = [shingles(text) for text in texts]
    signatures = _signatures(sets)
    near: set[int] = set()
    rows = _HASHES // _BANDS
    for band in range(_BANDS):
        groups: dict[bytes, list[int]] = {}
        for i, signature in enumerate(signatures):
            groups.setdefault(signature[band * rows : (band + 1) * rows].tobytes(), []).append(i)
        for group in groups.values():
            near |= _near(group, sets, similar, near)
    return len(near) / len(texts)


def _near(group: list[int], sets: list[NDArray[np.uint64]], similar: float, known: set[int]) -> set[int]:
    """Members of a group that are near another one; each is compared with at most the 16 after it."""
    found: set[int] = set()
    for place, i in enumerate(group):
        for j in group[place + 1 : place + 17]:
            if not (i in known and j in known) and jaccard(sets[i], sets[j]) >= similar:
                found |= {i, j}
    return found


def jaccard(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> float:
    """Size of the intersection over size of the union of two sets, given sorted and unique."""
    both = np.intersect1d(a, b, assume_unique=True).size
    return both / (a.size + b.size - both)


def _signatures(sets: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """MinHash signatures (n, 126): the least of a x + b mod 2^31 - 1 over each set, for 126 fixed pairs (a, b)."""
    generator = np.random.Generator(np.random.PCG64(20231))
    factor = generator.integers(1, int(_PRIME), (_HASHES, 1), dtype=np.uint64)
    shift = generator.integers(0, int(_PRIME), (_HASHES, 1), dtype=np.uint64)
    return np.stack([((factor * s + shift) % _PRIME).min(1) for s in sets])
