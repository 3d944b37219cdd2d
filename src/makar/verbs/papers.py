"""Papers: the documents that ask for a person's answers, computed from a bundle's records, which stay as they are.

card.md, datasheet.md       as in the bundle, with the answers
training_summary.md, .json  Regulation (EU) 2024/1689, Article 53(1)(d)
annex_xi.md, annex_xii.md   the same Regulation, Annexes XI and XII
registry_cn.json            what China's algorithm registry asks
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from makar.core import files
from makar.core.digest import short
from makar.core.errors import MakarError, did_you_mean
from makar.data.rights import Verdict
from makar.provenance.documents import annexes, card, datasheet, training_summary
from makar.provenance.documents.bundle import flat
from makar.provenance.home import Home
from makar.provenance.records import Records
from makar.verbs import bundle
from makar.verbs.evidence import registry_entry

REGISTRY = {
    "registry.provider": "provider",
    "registry.service": "service",
    "registry.field": "field of application",
    "registry.self_assessment": "self-assessment report",
    "registry.security_assessment": "security assessment",
}
"""What only the provider can answer for the registry, by key: the entry's field."""


def questions() -> dict[str, str]:
    """Every question that a person can answer, by key, in the order of the documents."""
    asked = {f"{section}.{key}": question for section, each in datasheet.SECTIONS.items() for key, question in each}
    return {**card.ANSWERS, **asked, **training_summary.ANSWERS, **annexes.ANSWERS, **REGISTRY}


def questionnaire() -> str:
    """All questions as a TOML file of answers, none of them given yet."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Answers for: makar card BUNDLE --answers THIS_FILE. An answer left empty is shown as not given."
    table = ""
    for key, question in questions().items():
        section, _, name = key.partition(".")
        if section != table:
            table = section
            yield f"\n[{section}]"
        yield f'{name} = ""  # {question}'


def answers_in(path: Path) -> dict[str, str]:
    """The answers in a TOML file. Raises MakarError where it is none, or answers what nobody asks."""
    try:
        given = flat(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise MakarError(f"the answers {path} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MakarError(f"the answers {path} are not TOML: {error}") from None
    known = questions()
    for key in given:
        if key not in known:
            raise MakarError(f"{path} answers '{key}', which no document asks for{did_you_mean(key, known)}")
    return given


def records_of(path: Path) -> Records:
    """A bundle's records, each as its digest says. Raises MakarError where one is missing or altered."""
    digests = bundle.read_digests(path)
    if any(name not in digests for name in bundle.RECORDS):
        raise MakarError(f"{path} is of a format without rights and chain; train it again with this makar")
    found = {}
    for name in (*bundle.RECORDS, *([bundle.SCORES] if bundle.SCORES in digests else [])):
        place = path / name
        if not place.is_file() or place.is_symlink():
            raise MakarError(f"{place} is missing or no plain file; the bundle was altered")
        found[name] = place.read_bytes()
        if bundle.sha256(found[name]) != digests[name]:
            raise MakarError(f"{place} does not match its digest; it was truncated or altered")
        if not _is_object(found[name]):
            raise MakarError(f"{place} holds no JSON object; the bundle was altered")
    known = {name: digests[name] for name in (*bundle.RECORDS, "model.safetensors") if name in digests}
    return replace(bundle.records(found | {"model.safetensors": b""}), digests=known)


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def model_id(path: Path) -> str:
    """The id of a bundle's model, which may be used to name files. Raises MakarError where it is no id."""
    found = str(records_of(path).config.get("id"))
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise MakarError(f"{path}/config.json names no model by its id; the bundle was altered")
    return found


def rights_of(path: Path) -> Verdict:
    """The verdict that travels in a bundle."""
    return Verdict.from_json(records_of(path).rights, f"{path}/rights.json")


def completeness(path: Path, answers: Mapping[str, str]) -> tuple[float, list[str]]:
    """The share of the card's fields that are filled, and those that are not."""
    return card.completeness(records_of(path), answers)


def papers(path: Path, answers: Mapping[str, str]) -> dict[str, bytes]:
    """The documents by file name. Raises MakarError where a record lacks what one of them must state."""
    records = records_of(path)
    given = {key: answer for key, answer in answers.items() if key not in REGISTRY}
    summary, text = training_summary.training_summary(records, given)
    plain: dict[str, Any] = registry_entry(path)
    plain |= {field: answers[key].strip() for key, field in REGISTRY.items() if answers.get(key, "").strip()}
    return {
        "card.md": card.card(records, given).encode(),
        "datasheet.md": datasheet.datasheet(records, given).encode(),
        "training_summary.md": text.encode(),
        "training_summary.json": files.to_json(summary).encode(),
        "annex_xi.md": annexes.annex_xi(records, given).encode(),
        "annex_xii.md": annexes.annex_xii(records, given).encode(),
        "registry_cn.json": files.to_json(plain).encode(),
    }


def write(path: Path, answers: Mapping[str, str], home: Home, to: Path | None = None) -> list[Path]:
    """Write the documents of a bundle to a folder, by default where profiles look for them."""
    folder = to or home.root / "documents" / short(model_id(path))
    written = []
    for name, data in papers(path, answers).items():
        files.write_bytes(folder / name, data)
        written.append(folder / name)
    return written
