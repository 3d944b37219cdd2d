"""Numbers that check themselves: accounts, cards, and the national numbers of a few countries.

BR  CPF              two digits by weights 10..2 and 11..2, mod 11
DE  Steuer-ID        ISO 7064 mod 11, 10; one digit of the first ten stands two or three times
ES  DNI, NIE         letter by mod 23
FI  henkilötunnus    character by mod 31
FR  NIR              97 - n mod 97
GB  NI number        letters that are issued; it has no check digit
IN  Aadhaar          Verhoeff 1969
IT  codice fiscale   letter by the tables of the decree of 23 December 1976
NL  BSN              weights 9..2, -1, mod 11
PL  PESEL            weights 1 3 7 9, mod 10, and a month and day that exist
SE  personnummer     Luhn, and a month and day that exist
US  SSN              areas, groups and serials that are issued; it has no check digit
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IS": 26, "IT": 27, "LI": 21,
    "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SA": 24,
    "SE": 24, "SI": 19, "SK": 24, "TR": 26,
}  # fmt: skip
"""Characters of an IBAN by country, from the registry of ISO 13616."""

_VERHOEFF_D = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
"""Multiplication of the dihedral group of ten elements."""
_VERHOEFF_P = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)  # the permutation applied once more at every place to the left
_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10,
    22, 25, 24, 23), strict=True))  # fmt: skip
"""Values of the characters at odd places of a codice fiscale."""


def digits(text: str) -> list[int]:
    """The digits in a text, in order."""
    return [int(c) for c in text if c in "0123456789"]


def luhn_sum(numbers: list[int]) -> int:
    """Luhn's sum: from the right every second digit doubled, the digits of the doubles added up."""
    return sum(n if k % 2 == 0 else sum(divmod(2 * n, 10)) for k, n in enumerate(reversed(numbers)))


def luhn(text: str) -> bool:
    """A card number: Luhn's sum is a multiple of 10, and the digits are not all alike."""
    numbers = digits(text)
    return 13 <= len(numbers) <= 19 and len(set(numbers)) > 1 and luhn_sum(numbers) % 10 == 0


def iban(text: str) -> bool:
    """An IBAN of a known country: the right length, and mod 97 = 1."""
    plain = re.sub(r"[ -]", "", text)
    if len(plain) != _LENGTHS.get(plain[:2]):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _weighted(numbers: list[int], weights: tuple[int, ...]) -> int:
    return sum(n * w for n, w in zip(numbers, weights, strict=False))


def cpf(text: str) -> bool:
    d = digits(text)
    first = _weighted(d, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = _weighted(d, tuple(range(11, 1, -1))) * 10 % 11 % 10
    return len(set(d)) > 1 and d[9:] == [first, second]


def steuer_id(text: str) -> bool:
    d = digits(text)
    product = 10
    for n in d[:10]:
        total = (n + product) % 10 or 10
        product = 2 * total % 11
    repeats = sorted(d[:10].count(n) for n in range(10))[-2:]
    return d[0] != 0 and repeats[1] in (2, 3) and repeats[0] == 1 and (11 - product) % 10 == d[10]


def dni(text: str) -> bool:
    plain = re.sub(r"[ .-]", "", text.upper())
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == plain[-1]


def henkilotunnus(text: str) -> bool:
    number = int(text[:6] + text[7:10])
    return _day_exists(text[2:4], text[:2]) and "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31] == text[10]


def nir(text: str) -> bool:
    plain = re.sub(r"[ .]", "", text)
    number = plain[:-2].replace("2A", "19").replace("2B", "18")  # Corsica
    return 97 - int(number) % 97 == int(plain[-2:])


def aadhaar(text: str) -> bool:
    check = 0
    for place, n in enumerate(reversed(digits(text))):
        for _ in range(place % 8):
            n = _VERHOEFF_P[n]
        check = _VERHOEFF_D[check][n]
    return check == 0


def codice_fiscale(text: str) -> bool:
    plain = text.upper()
    total = sum(_ODD[c] if k % 2 == 0 else int(c, 36) - (10 if c.isalpha() else 0) for k, c in enumerate(plain[:15]))
    return chr(ord("A") + total % 26) == plain[15]


def bsn(text: str) -> bool:
    d = digits(text)
    return len(set(d)) > 1 and _weighted(d, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def pesel(text: str) -> bool:
    d = digits(text)
    month = (10 * d[2] + d[3]) % 20
    exists = _day_exists(f"{month:02d}", text[4:6])
    return exists and (10 - _weighted(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10) % 10 == d[10]


def personnummer(text: str) -> bool:
    plain = re.sub(r"[-+ ]", "", text)[-10:]
    return _day_exists(plain[2:4], plain[4:6]) and luhn_sum(digits(plain)) % 10 == 0


def ni_number(text: str) -> bool:
    return text[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def ssn(text: str) -> bool:
    area, group, serial = re.split(r"[- ]", text)
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _day_exists(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


@dataclass(frozen=True)
class Number:
    """A country's number: its shape, and whether one in that shape can be."""

    country: str
    regex: str
    check: Callable[[str], bool]
    confidence: float = 0.95


_L, _R = r"(?<![\w.+/:#=-])", r"(?![\w/-])(?!\.\d)"

_AFTER = r"(?<=ID\s)\d{11}{R}|(?<=ID:\s)\d{11}{R}|(?<=Nr\.\s)\d{11}{R}|(?<=Nr\s)\d{11}{R}".replace("{R}", _R)
_DNI = r"(?:\d{8}|\d{2}\.\d{3}\.\d{3})[ -]?[A-HJ-NP-TV-Z]"
_NIR = r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}"
_BSN = r"(?i:(?<=BSN\s)|(?<=BSN:\s)|(?<=nummer\s)|(?<=nummer:\s))\d{4}[ .]?\d{2}[ .]?\d{3}(?!\w)"
_SSN = r"(?i:(?<=SSN\s)|(?<=SSN:\s)|(?<=security\snumber\s)|(?<=security\snumber:\s))\d{3} \d{2} \d{4}(?!\w)"

NUMBERS = (
    Number("BR", rf"{_L}\d{{3}}\.\d{{3}}\.\d{{3}}-\d{{2}}{_R}", cpf),
    Number("BR", rf"(?<=CPF\s)\d{{11}}{_R}|(?<=CPF:\s)\d{{11}}{_R}", cpf),
    Number("DE", rf"{_L}\d{{2}} \d{{3}} \d{{3}} \d{{3}}{_R}|{_AFTER}", steuer_id),
    Number("ES", rf"{_L}{_DNI}{_R}|{_L}[XYZ]-?\d{{7}}-?[A-HJ-NP-TV-Z]{_R}", dni),
    Number("FI", rf"{_L}\d{{6}}[-+A]\d{{3}}[0-9A-FHJ-NPR-Y]{_R}", henkilotunnus),
    Number("FR", rf"{_L}{_NIR}{_R}", nir),
    Number("GB", rf"{_L}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{{2}} ?\d{{2}} ?\d{{2}} ?[A-D]{_R}", ni_number, 0.9),
    Number("IN", rf"{_L}[2-9]\d{{3}} \d{{4}} \d{{4}}{_R}|{_L}[2-9]\d{{3}}-\d{{4}}-\d{{4}}{_R}", aadhaar),
    Number("IT", rf"{_L}[A-Z]{{6}}\d{{2}}[ABCDEHLMPRST]\d{{2}}[A-Z]\d{{3}}[A-Z]{_R}", codice_fiscale),
    Number("NL", _BSN, bsn),
    Number("NL", rf"{_L}\d{{4}}\.\d{{2}}\.\d{{3}}{_R}", bsn),
    Number("PL", rf"{_L}\d{{11}}{_R}", pesel, 0.8),
    Number("SE", rf"{_L}(?:19|20)?\d{{6}}[-+]\d{{4}}{_R}", personnummer),
    Number("US", rf"{_L}\d{{3}}-\d{{2}}-\d{{4}}{_R}", ssn, 0.9),
    Number("US", _SSN, ssn, 0.95),
)

SURE = ("BR", "DE", "FR", "IT", "NL")
"""Countries whose numbers, written without any sign between the digits, show a word before them or two check digits."""
