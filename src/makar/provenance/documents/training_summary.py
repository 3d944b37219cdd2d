"""The public summary of training content that Article 53(1)(d) of Regulation (EU) 2024/1689 asks for.

It has the three parts of the Commission's template (C(2025) 8311): general information, list of data sources by kind,
aspects of data processing. The words are ours. What the records hold is filled in; what only the provider knows is
taken from answers; every other field is listed as not filled. Size bands and the rules on lists of domains are the
official annex's and are not repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from makar.provenance.documents._quoted import check, check_json, clean, listed, need, plain, record, say, words
from makar.provenance.documents._rights import known_origin, members, optouts
from makar.provenance.records import Records

NOT_LEGAL_ADVICE = "Not legal advice."
NOT_FILLED = "not filled"
BAND = "to be taken from the official annex"

KINDS = {
    "public": "Publicly available datasets",
    "licensed": "Private datasets obtained from third parties, commercially licensed or not",
    "crawled": "Data crawled or scraped from online sources",
    "users": "Data of users of the provider's services",
    "synthetic": "Synthetic data",
    "captured": "Other sources: data captured by the provider",
}
"""The template's kinds of source by a manifest's `origin`, of which "user" is none: there nobody has said."""

ANSWERS = {
    "provider.name": "name and contact of the provider",
    "provider.representative": "authorised representative in the Union",
    "provider.market_date": "date of placement on the Union market",
    "provider.base_model": "model that this one was made from",
    "provider.latest_data": "latest date at which data were acquired",
    "provider.languages": "languages and other characteristics of the content",
    "provider.crawlers": "names, purposes and behaviour of crawlers, and the time of crawling",
    "provider.domains": "most relevant domain names crawled",
    "provider.user_services": "services from which data of users were taken",
    "provider.synthetic_models": "models by which synthetic data were made",
    "provider.copyright_policy": "measures to respect reservations of rights before and during collection",
    "provider.illegal_content": "measures to avoid or remove illegal content",
    "provider.other_processing": "other aspects of data processing",
}
"""What only the provider can answer, by key."""


@dataclass(frozen=True)
class Entry:
    """One field of a form: its label, and what fills it or None."""

    label: str
    value: str | None


def training_summary(records: Records, answers: Mapping[str, str] | None = None) -> tuple[dict[str, Any], str]:
    """The summary as JSON data and as Markdown.

    Raises MakarError where a record lacks what must be stated, or where a number is cited that nobody holds.
    """
    given = answers or {}
    parts = {
        "General information": _general(records, given),
        "List of data sources": _sources(records, given),
        "Data processing aspects": _processing(records, given),
    }
    title = "Public summary of training content, Article 53(1)(d) of Regulation (EU) 2024/1689"
    text = check(form(title, parts), records, given.values())
    plain_form = {
        "notice": NOT_LEGAL_ADVICE,
        "title": title,
        "parts": [
            {
                "title": part,
                "fields": [{"label": entry.label, "value": entry.value and clean(entry.value)} for entry in entries],
            }
            for part, entries in parts.items()
        ],
        "not_filled": unfilled(parts),
    }
    return check_json(plain_form, records, given.values()), text


def form(title: str, parts: Mapping[str, list[Entry]]) -> str:
    """A form as Markdown: the notice, the fields by part, and the list of those that are not filled."""
    lines = [NOT_LEGAL_ADVICE, "", f"# {title}", ""]
    for part, entries in parts.items():
        lines += [f"## {part}", ""]
        lines += [say("- {}: {}", words(entry.label), words(entry.value or NOT_FILLED)) for entry in entries]
        lines.append("")
    missing = unfilled(parts)
    lines += ["## Not filled", "", *(say("- {}", words(label)) for label in missing)]
    return "\n".join(lines if missing else [*lines, "Every field is filled."]) + "\n"


def unfilled(parts: Mapping[str, list[Entry]]) -> list[str]:
    """The labels of the fields that nothing fills."""
    return [entry.label for entries in parts.values() for entry in entries if entry.value is None]


def asked(given: Mapping[str, str], *keys: str, among: Mapping[str, str]) -> list[Entry]:
    """Fields that a person answers, with the labels of `among`."""
    return [Entry(among[key], given.get(key, "").strip() or None) for key in keys]


def _general(records: Records, given: Mapping[str, str]) -> list[Entry]:
    name = f"{need(records, 'config.json', '/family')} on {need(records, 'data.json', '/name')}"
    return [
        *asked(given, "provider.name", "provider.representative", among=ANSWERS),
        Entry("model and version", f"{name}, {need(records, 'config.json', '/id')}"),
        *asked(given, "provider.base_model", "provider.market_date", among=ANSWERS),
        Entry("time of training", plain(need(records, "run.json", "/made"))),
        Entry("modality of the training data", plain(need(records, "data.json", "/modality"))),
        Entry("items", plain(need(records, "data.json", "/counts"))),
        Entry(f"size band ({BAND})", None),
        *asked(given, "provider.latest_data", "provider.languages", among=ANSWERS),
    ]


def _sources(records: Records, given: Mapping[str, str]) -> list[Entry]:
    """The datasets by kind of source. "None" is said only where the kind of every part is known."""
    parts = members(records) or [record(records, "data.json")]
    kinds = [known_origin(part) for part in parts]
    entries = []
    for kind, heading in KINDS.items():
        own = [_described(part) for part, known in zip(parts, kinds, strict=True) if known == kind]
        nothing = None if any(known not in KINDS for known in kinds) else "none by the records"
        entries.append(Entry(heading, "; ".join(own) or nothing))
        entries += asked(given, *(_MORE.get(kind, ()) if own or nothing is None else ()), among=ANSWERS)
    unsaid = [_described(part) for part, known in zip(parts, kinds, strict=True) if known not in KINDS]
    if unsaid:
        entries.append(Entry("Data of which nobody has said the kind", "; ".join(unsaid)))
    return entries


_MORE = {
    "crawled": ("provider.crawlers", "provider.domains"),
    "users": ("provider.user_services",),
    "synthetic": ("provider.synthetic_models",),
}


def _described(part: dict[str, Any]) -> str:
    """A dataset by name, source and licence."""
    return f"{plain(part.get('name'))} from {plain(part.get('source'))}, licence {plain(part.get('licence'))}"


def _processing(records: Records, given: Mapping[str, str]) -> list[Entry]:
    read = "; ".join(optouts(records)) or None
    notes = "; ".join(plain(note) for note in listed(records, "data.json", "/notes")) or None
    return [
        Entry("evidence of opt-outs that was read; a no is honoured", read),
        *asked(given, "provider.copyright_policy", "provider.illegal_content", among=ANSWERS),
        Entry("what was dropped or changed in preparation", notes),
        *asked(given, "provider.other_processing", among=ANSWERS),
    ]
