"""Personal data that belongs to nobody, in sentences: what a scanner is shown to see whether it finds it.

Numbers are drawn at random and given the check digits that make them valid, so a few of them will exist by chance.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from makar.data import _ids

_FIRST = ("Mara", "Jonas", "Aylin", "Pierre", "Lucía", "Tom", "Ingrid", "Kofi", "Yuki", "Anders", "Priya", "Sofia")
_LAST = ("Keller", "Smith", "Okafor", "Dubois", "García", "Nielsen", "Rossi", "Kowalska", "Tanaka", "Sharma", "Silva")
_HOSTS = ("example.org", "mail.example.com", "posteo.example", "firma-mueller.example", "uni.example.ac.uk")
_ROADS = ("High Street", "Station Road", "Maple Avenue", "Church Lane", "King George Square")
_STRASSEN = ("Hauptstraße", "Goethestr.", "Bahnhofplatz", "Lindenallee")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")


@dataclass(frozen=True)
class Plant:
    """A sentence with one piece of personal data, `secret`, in it."""

    text: str
    kind: str  # as `pii.find` names it
    secret: str


def number(chance: random.Random, shape: str) -> str:
    """`shape` with every # as any digit and every @ as a digit from 2 to 9."""
    return "".join(
        str(chance.randrange(10) if c == "#" else chance.randrange(2, 10)) if c in "#@" else c for c in shape
    )


def valid(chance: random.Random, shape: str, check: Callable[[str], bool]) -> str:
    """A number of this shape that passes a check; most checks let 1 in 10 to 1 in 97 through."""
    for _ in range(100_000):
        if check(found := number(chance, shape)):
            return found
    raise ValueError(f"no number of the shape {shape} passes {check.__name__}")


def iban(chance: random.Random, country: str, shape: str) -> str:
    """An IBAN with right check digits, in groups of four."""
    body = number(chance, shape)
    rest = 98 - int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    plain = f"{country}{rest:02d}{body}"
    return " ".join(plain[i : i + 4] for i in range(0, len(plain), 4))


def email(chance: random.Random) -> str:
    first, last = chance.choice(_FIRST).lower(), chance.choice(_LAST).lower()
    separator = chance.choice((".", "_", "-", ""))
    return f"{first}{separator}{last}{chance.choice(('', '7', '84'))}@{chance.choice(_HOSTS)}"


def phone(chance: random.Random) -> str:
    shapes = (
        "+44 20 @### ####", "+49 30 @######", "+1-@##-@##-####", "+33 6 ## ## ## ##", "(@##) @##-####", "@##-@##-####",
        "020 @### ####", "06 ## ## ## ##", "030/@######", "0049 (0)@# #######", "+91 9#### #####", "07### ######",
    )  # fmt: skip
    return number(chance, chance.choice(shapes))


def card(chance: random.Random) -> str:
    shapes = (
        "4### #### #### ####",
        "51## #### #### ####",
        "4###############",
        "37## ###### #####",
        "55##-####-####-####",
    )
    return valid(chance, chance.choice(shapes), _ids.luhn)


def _identity(chance: random.Random) -> tuple[str, str]:
    made = (
        ("US", "@##-##-####", _ids.ssn), ("BR", "###.###.###-##", _ids.cpf), ("IN", "@### #### ####", _ids.aadhaar),
        ("DE", "## ### ### ###", _ids.steuer_id), ("FR", "1 8# 05 75 ### ### ##", _ids.nir),
        ("SE", "19##0#1#-####", _ids.personnummer), ("PL", "##0#1######", _ids.pesel),
    )  # fmt: skip
    country, shape, check = chance.choice(made)
    return f"id-{country}", valid(chance, shape, check)


def plant(chance: random.Random, kind: str | None = None) -> Plant:
    """One sentence, of a kind ("email", "phone", "card", "iban", "id", "birth", "street", "ip") or of any."""
    kind = kind or chance.choice(("email", "phone", "card", "iban", "id", "birth", "street", "ip"))
    name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
    if kind == "email":
        return _said(
            chance, kind, email(chance), ("Write to {} any time.", f"{name} <{{}}>", "Contact: {}", "mail {},")
        )
    if kind == "phone":
        return _said(
            chance, kind, phone(chance), ("Tel. {}", f"{name} can be called at {{}}.", "Fax: {};", "phone {} x")
        )
    if kind == "card":
        return _said(chance, kind, card(chance), ("paid with {} today", "Card number: {}", "{} exp 04/29"))
    if kind == "iban":
        country, shape = chance.choice(
            (("DE", "#" * 18), ("GB", "WEST" + "#" * 14), ("FR", "#" * 23), ("NL", "INGB" + "#" * 10))
        )
        return _said(chance, kind, iban(chance, country, shape), ("IBAN {}", "transfer to {}.", f"{name}, {{}}"))
    if kind == "id":
        kind, secret = _identity(chance)
        return _said(chance, kind, secret, (f"{name}, ID {{}}", "number: {}.", "({})"))
    if kind == "birth":
        day, month, year = chance.randrange(1, 29), chance.randrange(10), chance.randrange(1930, 2010)
        dates = (f"{day}.{month + 1}.{year}", f"{year}-{month + 1:02d}-{day:02d}", f"{day} {_MONTHS[month]} {year}")
        return _said(
            chance,
            kind,
            chance.choice(dates),
            ("Date of birth: {}", f"{name}, born on {{}},", "DOB {}", "geboren am {}"),
        )
    if kind == "street":
        house = chance.randrange(1, 200)
        streets = (
            f"{house} {chance.choice(_ROADS)}",
            f"{chance.choice(_STRASSEN)} {house}",
            f"{house}, rue de la Paix",
        )
        return _said(chance, kind, chance.choice(streets), ("She lives at {}, ", "Address: {};", f"{name}, {{}}, "))
    found = ".".join(str(chance.randrange(1, 256)) for _ in range(4))
    if chance.random() < 0.3:
        found = ":".join(f"{chance.randrange(1, 65536):x}" for _ in range(8))
    return _said(chance, "ip", found, ("from {} at noon", "host {}, port 80", "[{}]"))


def _said(chance: random.Random, kind: str, secret: str, sentences: tuple[str, ...]) -> Plant:
    return Plant(chance.choice(sentences).format(secret), kind, secret)


def plants(count: int, seed: int = 0, kind: str | None = None) -> list[Plant]:
    """So many sentences, the same for the same seed."""
    chance = random.Random(f"planted personal data {seed}")
    return [plant(chance, kind) for _ in range(count)]
