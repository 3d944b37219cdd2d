"""Technical documentation by Annex XI and information for integrators by Annex XII of Regulation (EU) 2024/1689.

The fields are the annexes'; the words are ours. What the records hold is filled in, what only the provider knows is
taken from answers, every other field is listed as not filled.
"""

from __future__ import annotations

from collections.abc import Mapping

from makar.provenance.documents._hub import licences, scores
from makar.provenance.documents._quoted import check, find, listed, need, plain
from makar.provenance.documents.training_summary import Entry, asked, form
from makar.provenance.records import Records

ANSWERS = {
    "annex.tasks": "tasks that the model is meant for, and systems it can be built into",
    "annex.acceptable_use": "acceptable use policy",
    "annex.release": "date of release and means of distribution",
    "annex.licence": "licence under which the model is released",
    "annex.integration": "technical means needed to build it into a system",
    "annex.interaction": "how it works with hardware or software that is not part of it",
    "annex.design": "key design choices, with their reasons and assumptions",
    "annex.data_selection": "how the data were obtained and selected, and how unsuitable sources and biases are found",
    "annex.adversarial_testing": "adversarial testing and adaptation (models with systemic risk)",
}
"""What only the provider can answer, by key."""


def annex_xi(records: Records, answers: Mapping[str, str] | None = None) -> str:
    """Technical documentation for the authorities, as Markdown."""
    given = answers or {}
    parts = {
        "General description": [
            *asked(given, "annex.tasks", "annex.acceptable_use", "annex.release", among=ANSWERS),
            *_architecture(records),
            *asked(given, "annex.licence", among=ANSWERS),
            _data_licences(records),
        ],
        "Elements of the model and its development": [
            *asked(given, "annex.integration", among=ANSWERS),
            *_training(records),
            *asked(given, "annex.design", among=ANSWERS),
            *_data(records),
            *asked(given, "annex.data_selection", among=ANSWERS),
            *_resources(records),
        ],
        "Evaluation and testing": [
            Entry("results of evaluation, with intervals", _evaluation(records)),
            *asked(given, "annex.adversarial_testing", among=ANSWERS),
        ],
    }
    title = "Technical documentation, Annex XI of Regulation (EU) 2024/1689"
    return check(form(title, parts), records, given.values())


def annex_xii(records: Records, answers: Mapping[str, str] | None = None) -> str:
    """Information for those who build the model into a system, as Markdown."""
    given = answers or {}
    parts = {
        "General description": [
            *asked(given, "annex.tasks", "annex.acceptable_use", "annex.release", "annex.interaction", among=ANSWERS),
            Entry("versions of software", plain(need(records, "run.json", "/environment"))),
            *_architecture(records),
            *asked(given, "annex.licence", among=ANSWERS),
            _data_licences(records),
        ],
        "Elements of the model and its development": [
            *asked(given, "annex.integration", among=ANSWERS),
            *_data(records),
        ],
    }
    title = "Information for integrators, Annex XII of Regulation (EU) 2024/1689"
    return check(form(title, parts), records, given.values())


def _architecture(records: Records) -> list[Entry]:
    return [
        Entry("architecture", plain(need(records, "config.json", "/family"))),
        Entry("number of parameters", plain(need(records, "config.json", "/parameters"))),
        Entry("modality of outputs", plain(need(records, "data.json", "/modality"))),
        Entry("format and largest size of outputs", plain(need(records, "config.json", "/space"))),
        Entry("format of inputs", plain(find(records, "config.json", "/condition") or "none; it is not conditioned")),
    ]


def _data_licences(records: Records) -> Entry:
    return Entry("licences of the training data", "; ".join(licences(records)))


def _training(records: Records) -> list[Entry]:
    recipe = need(records, "run.json", "/recipe")
    return [
        Entry("settings of the model", plain(find(records, "config.json", "/settings") or None)),
        Entry(
            "training process", f"budget {plain(need(records, 'run.json', '/recipe/budget'))}, seed {recipe['seed']}"
        ),
        Entry("code", plain(need(records, "run.json", "/code"))),
    ]


def _data(records: Records) -> list[Entry]:
    notes = "; ".join(plain(note) for note in listed(records, "data.json", "/notes")) or None
    return [
        Entry("data of training and testing", plain(need(records, "data.json", "/name"))),
        Entry("provenance of the data", plain(need(records, "data.json", "/source"))),
        Entry("number of data points", plain(need(records, "data.json", "/counts"))),
        Entry("how training and testing data were parted", plain(need(records, "data.json", "/split"))),
        Entry("curation: what was dropped or changed", notes),
    ]


def _resources(records: Records) -> list[Entry]:
    joules = find(records, "run.json", "/joules")
    return [
        Entry("computation in FLOPs, by hand count", plain(need(records, "run.json", "/flops"))),
        Entry("time of training in seconds", plain(need(records, "run.json", "/seconds"))),
        Entry("time of processors in seconds", plain(need(records, "run.json", "/cpu_seconds"))),
        Entry("hardware", plain(need(records, "run.json", "/machine"))),
        Entry("energy in joules, measured (no estimate is made)", None if joules is None else plain(joules)),
    ]


def _evaluation(records: Records) -> str | None:
    found = [f"{plain(s['name'])} {s['value']} [{s.get('low')}, {s.get('high')}]" for s in scores(records)]
    return "; ".join(found) or None
