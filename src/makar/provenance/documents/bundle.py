"""The documents that travel in a bundle, as files."""

from __future__ import annotations

from collections.abc import Mapping

from makar.core import files
from makar.core.errors import MakarError, did_you_mean
from makar.provenance.documents import annexes, card, datasheet, training_summary
from makar.provenance.documents.croissant import croissant
from makar.provenance.documents.cyclonedx import cyclonedx
from makar.provenance.documents.spdx import spdx
from makar.provenance.records import Records

KEYS = {*card.ANSWERS, *datasheet.KEYS, *training_summary.ANSWERS, *annexes.ANSWERS}
"""Every question that a person can answer, for any document."""


def all_documents(records: Records, answers: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The documents of a bundle by file name; the same records and answers give the same bytes.

    `answers` are a person's, by the keys of KEYS. Raises MakarError for a key that no document asks for, for a field
    that the records lack, and for a number that no record holds.
    """
    given = dict(answers or {})
    for key in given:
        if key not in KEYS:
            raise MakarError(f"no document asks for '{key}'{did_you_mean(key, KEYS)}")
    return {
        "README.md": card.card(records, given).encode(),
        "datasheet.md": datasheet.datasheet(records, given).encode(),
        "croissant.json": files.to_json(croissant(records)).encode(),
        "bom.cdx.json": files.to_json(cyclonedx(records)).encode(),
        "spdx.json": files.to_json(spdx(records)).encode(),
    }


def flat(tables: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """The tables of a TOML file of answers as keys: `[motivation]` with `purpose = "…"` is "motivation.purpose"."""
    found: dict[str, str] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            found[prefix + key] = value
        else:
            raise MakarError(f"the answer to '{prefix}{key}' is {value!r}; answers are text in quotation marks")
    return found
