"""Personal data: known numbers, planted sentences in shapes seen and unseen, clean text, redaction."""

from __future__ import annotations

import pydoc_data.topics
import random
import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makar.data import _disguise, _ids, planted
from makar.data.pii import find, redact, scan


def kinds(text: str) -> list[str]:
    return [span.kind for span in find(text)]


# Test numbers that authorities and standards publish, or that textbooks work through.
PUBLISHED = [
    ("DE89 3704 0044 0532 0130 00", "iban"),
    ("GB29 NWBK 6016 1331 9268 19", "iban"),
    ("FR1420041010050500013M02606", "iban"),
    ("4111 1111 1111 1111", "card"),
    ("5500005555555559", "card"),
    ("378282246310005", "card"),
    ("86 095 742 71", "none"),  # one digit short
    ("86 095 742 719", "id-DE"),
    ("12345678Z", "id-ES"),
    ("X1234567L", "id-ES"),
    ("131052-308T", "id-FI"),
    ("RSSMRA85T10A562S", "id-IT"),
    ("44051401359", "id-PL"),
    ("811218-9876", "id-SE"),
    ("111.444.777-35", "id-BR"),
    ("2 55 08 14 168 025 38", "id-FR"),
    ("BSN: 111222333", "id-NL"),
    ("AB 12 34 56 C", "id-GB"),
    ("078-05-1120", "id-US"),
    ("192.0.2.44", "ip"),
    ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "ip"),
]


@pytest.mark.parametrize(("text", "kind"), PUBLISHED)
def test_published_numbers_are_known(text: str, kind: str) -> None:
    assert kinds(f"It is {text}, he said.") == ([] if kind == "none" else [kind])


def test_aadhaar_by_verhoeffs_own_example() -> None:
    assert _ids.aadhaar("2363")  # 236 with the check digit 3


@pytest.mark.parametrize("position", range(16))
def test_one_wrong_digit_is_no_card(position: int) -> None:
    right = "4111111111111111"
    wrong = right[:position] + str((int(right[position]) + 1) % 10) + right[position + 1 :]
    assert not _ids.luhn(wrong)


@pytest.mark.parametrize("position", range(4, 22))
def test_one_wrong_digit_is_no_iban(position: int) -> None:
    right = "DE89370400440532013000"
    wrong = right[:position] + str((int(right[position]) + 1) % 10) + right[position + 1 :]
    assert _ids.iban(right)
    assert not _ids.iban(wrong)


def missed(planted_: list[planted.Plant]) -> Counter[str]:
    """Kinds of the planted sentences whose secret no finding covers."""
    out: Counter[str] = Counter()
    for plant in planted_:
        start = plant.text.index(plant.secret)
        end = start + len(plant.secret)
        if not any(s.kind == plant.kind and s.start <= start and s.end >= end for s in find(plant.text)):
            out[plant.kind] += 1
    return out


def test_recall_on_shapes_it_was_written_with() -> None:
    sentences = planted.plants(1000, seed=7)
    assert sum(missed(sentences).values()) <= 1


@pytest.mark.parametrize(
    "text", ["0049 (0)30 1234567", "0049 (30) 1234567", "0033 1 42 68 53 00", "0044 (0)20 7946 0018"]
)
def test_numbers_from_abroad_that_begin_with_zeros(text: str) -> None:
    assert kinds(f"she can be reached under {text} at noon") == ["phone"]


def unseen(chance: random.Random) -> planted.Plant:
    """A sentence in a shape that the patterns were not written for; none was changed after these were."""
    n = planted.number
    day, month, year = chance.randrange(1, 29), chance.randrange(1, 13), chance.randrange(1931, 2009)
    kind, secret, sentence = chance.choice([
        ("email", f"o'neil.{chance.randrange(99)}@sub.dept.example.ie", "cc: {}."),
        ("email", f"info+{chance.randrange(999)}@münchen-{chance.randrange(9)}.example", "Ihre Anfrage an {} wurde"),
        ("email", f"X{chance.randrange(999)}_Y@EXAMPLE.COM", "<a href='mailto:{}'>"),
        ("email", f"dana{chance.randrange(99)} [at] example [dot] net", "reach me: {} thanks"),
        ("phone", n(chance, "+351 91# ### ###"), "ligue {} hoje"),
        ("phone", n(chance, "+46-8-@## ## ##"), "({})"),
        ("phone", n(chance, "+81 (0)3-@###-####"), "{}\n"),
        ("phone", n(chance, "+15@#5550###"), "txt {} now"),
        ("phone", n(chance, "01@# @## ####"), "shop, {}, open daily"),
        ("phone", n(chance, "0171-@######"), "unter {} erreichbar"),
        ("phone", n(chance, "0@-##-##-##-##"), "au {}."),
        ("phone", n(chance, "1-8@@-@##-####"), "Orders {} ext. 4"),
        ("phone", n(chance, "@## @## ###"), "Teléfono: {}"),
        ("phone", n(chance, "8#@ ##-##-##"), "my phone number is {} ok"),
        ("iban", planted.iban(chance, "ES", "#" * 20), "cuenta {} a nombre de"),
        ("iban", planted.iban(chance, "CH", "#" * 17).replace(" ", ""), "Konto:{};"),
        ("iban", planted.iban(chance, "PL", "#" * 24).replace(" ", "-"), "acc {} ok"),
        ("card", planted.valid(chance, "6011-####-####-####", _ids.luhn), "Discover {}"),
        ("card", planted.valid(chance, "2221############", _ids.luhn), '"pan": "{}"'),
        ("id-IT", planted.valid(chance, "VRDLGU7#C0#H501", lambda s: True) + "?", "CF {}"),
        ("id-ES", planted.valid(chance, "########", lambda s: True) + "?", "con DNI {} y"),
        ("id-SE", planted.valid(chance, "20000#1#-####", _ids.personnummer), "pnr {}"),
        ("id-BR", planted.valid(chance, "###########", _ids.cpf), "CPF: {}"),
        ("id-US", planted.valid(chance, "@## ## ####", _ids.ssn), "Social Security Number: {}"),
        ("birth", f"{day}/{month}/{year}", "Birthdate {}"),
        ("birth", f"{day}. März {year}", "geb. am {} in Kiel"),
        ("birth", f"{day} juillet {year}", "née le {} à Lyon"),
        ("birth", f"May {day}, {year}", "was born on {} in"),
        ("street", f"{day} Upper Clapton Road", "flat, {}, London"),
        ("street", f"Mozartgasse {day}", "wohnhaft {}, Wien"),
        ("street", f"{day} bis, avenue des Ternes", "domiciliée {},"),
        ("street", f"Calle de Alcalá, {day}", "vive en {} desde"),
        ("ip", f"10.{day}.{month}.{chance.randrange(1, 255)}", "ssh root@{}"),
        ("ip", f"fe80::{day:x}ff:{month:x}:{year:x}", "via {} dev eth0"),
    ])  # fmt: skip
    if secret.endswith("?"):
        checks = {"id-IT": _ids.codice_fiscale, "id-ES": _ids.dni}
        letters = (secret[:-1] + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        secret = next(s for s in letters if checks[kind](s))
    return planted.Plant(sentence.format(secret), kind, secret)


def test_recall_on_shapes_it_has_not_seen() -> None:
    chance = random.Random(11)
    sentences = [unseen(chance) for _ in range(500)]
    lost = missed(sentences)
    assert 1 - sum(lost.values()) / len(sentences) >= 0.95, lost


def test_clean_text_raises_few_alarms() -> None:
    """The reference manual of Python: prose and code, 465,000 characters, with no personal data in it."""
    text = "\n".join(pydoc_data.topics.topics.values())
    found = find(text)
    assert len(text) > 300_000
    assert 1e6 * len(found) / len(text) <= 10, [text[s.start : s.end] for s in found]


def disguised(chance: random.Random) -> list[tuple[str, str, str]]:
    """Personal data written to be overlooked: the text, what of it is secret, and its kind."""
    address, number = planted.email(chance), planted.card(chance)
    digits, account = re.sub(r"\D", "", number), planted.iban(chance, "DE", "#" * 18)
    call = planted.number(chance, "+49 171 @######")
    wide, cyclic = {ord(d): ord(d) + 0xFEE0 for d in "0123456789"}, {ord(d): ord(d) + 0x630 for d in "0123456789"}
    written = [
        ("email", "Write to {}.", "\u200b".join(address)),
        ("email", "Write to {}.", address[:3] + "\u00ad" + address[3:]),
        ("email", "Write to {}.", address.replace("@", "＠").replace(".", "．")),
        ("email", "Write to {}.", address.replace("@", " (at) ").replace(".", " (dot) ")),
        ("card", "Card {}", " ".join(digits)),
        ("card", "Visa: {}, thanks", ".".join(digits)),
        ("card", "Card {}", number.translate(wide)),
        ("card", "Card {}", number.translate(cyclic)),
        ("card", "paid with {} today", number.replace(" ", "\u00a0").replace("-", "\u2011")),
        ("card", "Card {}", "\u200d".join(number)),
        ("iban", "IBAN {}", " ".join(account.replace(" ", ""))),
        ("iban", "transfer to {}.", account.translate(wide)),
        ("phone", "Tel. {}", " ".join(re.sub(r"[ +]", "", call))),
        ("phone", "at {}", call.replace(" ", "–")),
        ("phone", "at {}", call.translate(wide).replace("+", "＋")),
        ("ip", "host {}, port 80", "192.0.2.44".translate(wide).replace(".", "．")),
    ]
    return [(sentence.format(secret), secret, kind) for kind, sentence, secret in written]


def test_disguised_data_are_found_at_their_place() -> None:
    chance = random.Random(13)
    for _ in range(20):
        for text, secret, kind in disguised(chance):
            start = text.index(secret)
            spans = [s for s in find(text) if s.kind == kind and s.start <= start and s.end >= start + len(secret)]
            assert spans, text
            clean = redact(text)
            assert clean == text.replace(secret, f"[{kind}]"), clean
            assert find(clean) == []


def test_letters_that_look_like_digits_in_a_card() -> None:
    assert kinds("paid with 4lll I111 1111 1111 today") == ["card"]
    assert kinds("paid with 55OO OOOO OOOO OOO4") == []  # a letter more than digits: no card
    assert kinds("paid with 4ll2 1111 1111 1111 today") == []  # Luhn's sum is wrong


def test_a_disguise_far_off_changes_nothing_else() -> None:
    """Only the lines around it are looked at in the plain form, and places are those of the whole text."""
    lines = [f"line {i}: nothing of note is written here, and so it goes on to its end" for i in range(200)]
    lines[20] = "write to zoë@example.org"
    lines[100] = "write to \u200bjane\u200b@\u200bexample.org now"
    lines[101] = "or to ＪＯＨＮ＠example.org"
    text = "\n".join(lines)
    assert [text[s.start : s.end] for s in find(text)] == [
        "zoë@example.org", "jane\u200b@\u200bexample.org", "ＪＯＨＮ＠example.org",
    ]  # fmt: skip
    assert sum(len(p.text) for p in _disguise.plain(text)) < 1000


def test_plain_text_is_not_looked_at_twice() -> None:
    for text in ("plain", "Grüße aus Köln, à bientôt, 10 m² für 5 €", "日本語の文", ""):
        assert list(_disguise.plain(text)) == []


def test_numbers_set_apart_without_a_word_or_a_check_are_left_alone() -> None:
    """Rows of single digits as tables and games hold them; 15 of them are a French number one time in 600 or so."""
    chance = random.Random(17)
    rows = [
        " ".join(str(chance.randrange(10)) for _ in range(n)) for n in (7, 9, 11, 13, 16, 19, 30) for _ in range(500)
    ]
    assert [row for row in rows if find(row)] == []
    fifteen = [" ".join(str(chance.randrange(10)) for _ in range(15)) for _ in range(3000)]
    assert sum(bool(find(row)) for row in fifteen) <= 15
    assert find("version 1.2.3.4.5.6.7.8, then A B C D E F G H I J K L M N O P Q R S T") == []
    assert find("the numbers 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 in a row") == []


def test_disguised_signs_in_clean_text_raise_no_alarm() -> None:
    """The manual of Python once more, with the dashes, spaces and marks that typesetting adds."""
    text = "\n".join(pydoc_data.topics.topics.values())[:150_000]
    typeset = text.replace("--", "–").replace(" - ", "\u2009–\u2009").replace(". ", ".\u00a0").replace("-", "\u2011")
    assert find(typeset) == find(text) == []


@given(st.text(alphabet="0123456789 .-+@aeO\u200b\u00ad０１＠．\u0661Ａ²\n", max_size=120))
def test_findings_in_disguise_lie_within_the_text(text: str) -> None:
    spans = find(text)
    assert all(0 <= s.start < s.end <= len(text) for s in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))


@given(st.text(max_size=200))
def test_the_plain_form_keeps_its_places(text: str) -> None:
    for plain in _disguise.plain(text):
        assert len(plain.text) == len(plain.places)
        assert all(a < b for a, b in pairwise(plain.places))
        assert all(0 <= place < len(text) for place in plain.places)
        assert list(_disguise.plain(plain.text)) == []


def test_redaction_leaves_nothing_to_find_and_all_else_as_it_was() -> None:
    sentences = planted.plants(300, seed=3)
    text = "\n".join(p.text for p in sentences)
    clean = redact(text)
    assert find(clean) == []
    assert not [p.secret for p in sentences if p.secret in clean]
    for word in ("Date of birth", "IBAN", "She lives at"):
        assert text.count(word) == clean.count(word)


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    spans = find(text)
    assert all(0 <= s.start < s.end <= len(text) for s in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))


@pytest.mark.parametrize("piece", ["1 ", "a.", "a@", "1:", "0 ", "+1", "12 A ", "(at)", "call 1", "1-", "A1"])
def test_no_text_takes_long(piece: str) -> None:
    """Repetition is what makes careless expressions take exponential time; the suite's time limit would end it."""
    assert find(piece * 3000) is not None


def test_a_scan_counts_kinds_and_names_the_items() -> None:
    rows = [{"name": "Ann", "mail": "ann@example.org"}, {"name": "Bob", "mail": None}, {"n": 3.5}]
    found = scan([*rows, "call +44 20 7946 0958 or ann@example.org"])
    assert found.counts == {"email": 2, "phone": 1}
    assert sorted(found.items) == [0, 3]
    assert found.total == 3
    assert scan([1, 2]).total == 0
