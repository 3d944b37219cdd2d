"""The datasheet of the data (Gebru et al. 2018, "Datasheets for Datasets"), from records and a person's answers.

All questions of their seven sections are there. What a record can answer, it answers; a person's answer stands beside
it; what neither answers is shown as "not answered" and never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from makar.provenance.documents._quoted import (
    Quoted,
    check,
    code,
    count,
    find,
    listed,
    need,
    quote,
    record,
    say,
    words,
)
from makar.provenance.documents._rights import known_origin, members, optouts, reasons
from makar.provenance.records import Records

NOT_ANSWERED = "not answered"

SECTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "motivation": (
        ("purpose", "For which purpose was the dataset made, and which gap was it to fill?"),
        ("creators", "Who made it, and on whose behalf?"),
        ("funding", "Who paid for it, and under which grant?"),
        ("other", "Anything else on motivation?"),
    ),
    "composition": (
        ("instances", "What does one instance stand for, and are there several kinds?"),
        ("count", "How many instances of each kind are there?"),
        ("sample", "Is it everything there is, or a sample of a larger set, and how representative?"),
        ("contents", "What does each instance consist of: raw data or features?"),
        ("labels", "Does each instance have a label or target?"),
        ("missing", "Is anything missing from individual instances, and why?"),
        ("relations", "Are relations between instances made explicit?"),
        ("splits", "Are there recommended splits, and what is their reason?"),
        ("errors", "Are there errors, noise or redundancies?"),
        ("external", "Is it self-contained, or does it rely on outside resources, and will those last?"),
        ("confidential", "Does it hold confidential data?"),
        ("offensive", "Does it hold data that may offend, insult, threaten or frighten?"),
        ("subpopulations", "Does it identify groups of people, such as by age or gender?"),
        ("identifiable", "Can individual people be identified from it, directly or indirectly?"),
        ("sensitive", "Does it hold data that are sensitive for a person?"),
        ("other", "Anything else on composition?"),
    ),
    "collection": (
        ("acquisition", "How were the data of each instance acquired: observed, reported or inferred?"),
        ("mechanisms", "By which instruments or procedures, and how were these validated?"),
        ("strategy", "If it is a sample, how was it drawn?"),
        ("workers", "Who took part in the collection, and how were they paid?"),
        ("timeframe", "Over which time were the data collected, and is that when they came about?"),
        ("ethics", "Was there an ethical review, and what came of it?"),
        ("directness", "Were the data obtained from the people themselves or through others?"),
        ("notice", "Were those people told of the collection?"),
        ("consent", "Did they consent to collection and use?"),
        ("revocation", "Can they take their consent back, and how?"),
        ("impact", "Was the effect on those people analysed?"),
        ("other", "Anything else on collection?"),
    ),
    "preprocessing": (
        ("steps", "Were the data preprocessed, cleaned or labelled, and how?"),
        ("raw", "Were the raw data kept as well?"),
        ("software", "Is the software that did it available?"),
        ("other", "Anything else on preprocessing?"),
    ),
    "uses": (
        ("past", "Has it been used for any task already?"),
        ("repository", "Is there a place that lists papers or systems that use it?"),
        ("possible", "What else could it be used for?"),
        ("consequences", "Does anything in how it was made bear on future uses, and can harm be lessened?"),
        ("excluded", "For which tasks should it not be used?"),
        ("other", "Anything else on uses?"),
    ),
    "distribution": (
        ("third_parties", "Will it be given to parties outside the body that made it?"),
        ("means", "How will it be distributed, and has it an identifier such as a DOI?"),
        ("date", "When will it be distributed?"),
        ("licence", "Under which licence or terms of use?"),
        ("restrictions", "Have third parties put restrictions on the data?"),
        ("export", "Do export controls or other rules apply?"),
        ("other", "Anything else on distribution?"),
    ),
    "maintenance": (
        ("maintainer", "Who supports, hosts and maintains it?"),
        ("contact", "How can its owner be reached?"),
        ("errata", "Is there a list of errata?"),
        ("updates", "Will it be updated, by whom and how often?"),
        ("retention", "If it is about people, are there limits on how long their data are kept?"),
        ("versions", "Will older versions be kept up?"),
        ("contributions", "Can others extend it, and how is that checked?"),
        ("other", "Anything else on maintenance?"),
    ),
}
"""Every question, by section and key; the words are ours, the questions are theirs."""

KEYS = [f"{section}.{key}" for section, questions in SECTIONS.items() for key, _ in questions]


def datasheet(records: Records, answers: Mapping[str, str]) -> str:
    """Markdown with every question and what answers it.

    `answers` are a person's, by keys such as "motivation.purpose". Raises MakarError where a record lacks what a
    datasheet must state, or where the text cites a number that neither a record nor a person holds.
    """
    lines = [say("# Datasheet of {}", words(need(records, "data.json", "/name"))), ""]
    unanswered = 0
    for section, questions in SECTIONS.items():
        lines += [f"## {section.capitalize()}", ""]
        for key, question in questions:
            name = f"{section}.{key}"
            found = [*_from_records(name, records), *_from_person(answers.get(name, ""))]
            unanswered += not found
            lines += [f"**{question}**", "", *(found or [NOT_ANSWERED]), ""]
    if unanswered:
        lines += [f'Questions that nobody has answered are marked "{NOT_ANSWERED}".']
    return check("\n".join(lines) + "\n", records, answers.values())


def _from_person(answer: str) -> Iterable[str]:
    return [say("{}", words(answer))] if answer.strip() else []


def _from_records(name: str, records: Records) -> list[str]:
    return list(_ANSWERS[name](records)) if name in _ANSWERS else []


def _creators(records: Records) -> list[str]:
    who = find(records, "data.json", "/attribution")
    return [say("As attributed: {}.", words(who))] if who else []


def _instances(records: Records) -> list[str]:
    return [say("One item of the kind {}.", words(need(records, "data.json", "/modality")))]


def _count(records: Records) -> list[str]:
    return [
        say("- {}: {} items", words(side), quote(records, "data.json", f"/counts/{side}", ","))
        for side in need(records, "data.json", "/counts")
    ]


def _contents(records: Records) -> list[str]:
    return [say("As the model reads them: {}.", words(need(records, "config.json", "/space")))]


def _labels(records: Records) -> list[str]:
    if not listed(records, "data.json", "/classes"):
        return ["No classes are recorded."]
    classes = words(listed(records, "data.json", "/classes"))
    return [say("One of {} classes: {}.", count(records, "data.json", "/classes"), classes)]


def _splits(records: Records) -> list[str]:
    return [say("{}.", words(need(records, "data.json", "/split")))]


def _external(records: Records) -> list[str]:
    digest = code(need(records, "data.json", "/digest"))
    return [say("The manifest lists the sha256 of every item; its own digest is {}.", digest)]


def _acquisition(records: Records) -> list[str]:
    origin = words(known_origin(record(records, "data.json")))
    lines = [say("Source: {}. Origin: {}.", words(need(records, "data.json", "/source")), origin)]
    parts = [say("- part {} from {}", words(m.get("name")), words(m.get("source"))) for m in members(records)]
    return [*lines, *parts]


def _consent(records: Records) -> list[str]:
    return [say("- opt-out evidence that was read; a no is honoured: {}", words(each)) for each in optouts(records)]


def _steps(records: Records) -> list[str]:
    return [say("- {}", words(note)) for note in listed(records, "data.json", "/notes")]


def _software(records: Records) -> list[str]:
    made_with: tuple[Quoted, Quoted] = (
        words(need(records, "run.json", "/code/makar")),
        code(need(records, "run.json", "/code/source")),
    )
    return [say("makar {}, source code {}.", *made_with)]


def _past(records: Records) -> list[str]:
    family, own = (need(records, "config.json", at) for at in ("/family", "/id"))
    return [say("To train the {} model {}.", words(family), code(own))]


def _licence(records: Records) -> list[str]:
    licence, who = (find(records, "data.json", at) for at in ("/licence", "/attribution"))
    return [say("{}; attribution: {}.", words(licence), words(who))]


def _restrictions(records: Records) -> list[str]:
    rights = record(records, "rights.json")
    stated = [
        say("- commercial use of a model: {}", words(rights.get("model"))),
        say("- commercial use of its outputs: {}", words(rights.get("outputs"))),
    ]
    return [*stated, *(say("- {}", words(reason)) for reason in reasons(records))] if rights else []


def _versions(records: Records) -> list[str]:
    return [say("This version is the one of digest {}.", code(need(records, "data.json", "/digest")))]


_ANSWERS: dict[str, Callable[[Records], list[str]]] = {
    "motivation.creators": _creators,
    "composition.instances": _instances,
    "composition.count": _count,
    "composition.contents": _contents,
    "composition.labels": _labels,
    "composition.splits": _splits,
    "composition.external": _external,
    "collection.acquisition": _acquisition,
    "collection.revocation": _consent,
    "preprocessing.steps": _steps,
    "preprocessing.software": _software,
    "uses.past": _past,
    "distribution.licence": _licence,
    "distribution.restrictions": _restrictions,
    "maintenance.versions": _versions,
}
