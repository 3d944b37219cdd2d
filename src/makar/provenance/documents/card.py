"""The model card (Mitchell et al. 2019, "Model Cards for Model Reporting"), computed from a bundle's records.

All nine of their sections are there, with what the records hold. Where only a person can answer, the answer is quoted,
and without one the card says "not stated". A field that the records must hold and do not is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makar.provenance.documents._hub import front_matter, scores
from makar.provenance.documents._quoted import (
    NOT_STATED,
    Quoted,
    check,
    check_quoted,
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
from makar.provenance.documents._rights import credits_due, known_origin, members, optouts, reasons
from makar.provenance.records import Records

ANSWERS = {
    "card.intended_use": "what the model is for",
    "card.out_of_scope": "what it must not be used for",
    "card.users": "who is meant to use it",
    "card.factors": "groups, instruments and surroundings on which its quality may depend",
    "card.ethics": "risks and harms that were considered, and what was done about them",
    "card.caveats": "what else somebody who uses it must know",
}
"""What only a person can answer, by key."""

FIELDS = (
    ("config.json", "/id"),
    ("config.json", "/family"),
    ("config.json", "/parameters"),
    ("config.json", "/space"),
    ("data.json", "/name"),
    ("data.json", "/modality"),
    ("data.json", "/source"),
    ("data.json", "/licence"),
    ("data.json", "/attribution"),
    ("data.json", "/counts/train"),
    ("data.json", "/counts/held_out"),
    ("data.json", "/split"),
    ("data.json", "/digest"),
    ("data.json", "/origin"),
    ("run.json", "/made"),
    ("run.json", "/recipe/seed"),
    ("run.json", "/recipe/budget"),
    ("run.json", "/steps"),
    ("run.json", "/cpu_seconds"),
    ("run.json", "/flops"),
    ("run.json", "/joules"),
    ("run.json", "/machine"),
    ("run.json", "/code/makar"),
    ("run.json", "/code/source"),
    ("run.json", "/environment"),
    ("rights.json", "/licences"),
    ("rights.json", "/model"),
    ("rights.json", "/outputs"),
    ("chain.json", "/on"),
    ("chain.json", "/signer"),
    ("score.json", "/scores"),
)
"""What a complete card is computed from."""


def completeness(records: Records, answers: Mapping[str, str] | None = None) -> tuple[float, list[str]]:
    """The share of the card's fields that are filled, and the names of those that are not.

    The fields are those of FIELDS and the questions of ANSWERS, each counted once. Nothing is inferred: energy that
    could not be measured is missing, and so is a licence that is unknown.
    """
    given = answers or {}
    empty: tuple[Any, ...] = (None, "", [], {}, "unknown")
    missing = [
        f"{file}: {pointer.strip('/').replace('/', '.')}"
        for file, pointer in FIELDS
        if find(records, file, pointer) in empty
    ]
    missing += [key for key in ANSWERS if not given.get(key, "").strip()]
    total = len(FIELDS) + len(ANSWERS)
    return (total - len(missing)) / total, missing


def card(records: Records, answers: Mapping[str, str] | None = None) -> str:
    """Markdown with the front matter that model hubs read.

    `answers` are a person's, by the keys of ANSWERS. Raises MakarError where a record lacks what a card must state, or
    where the text cites a number that is in no record.
    """
    given = answers or {}
    family, name = (need(records, *at) for at in (("config.json", "/family"), ("data.json", "/name")))
    front = check_quoted(front_matter(records), records)
    lines = [
        say("# {} on {}", words(family), words(name)),
        "",
        *_details(records),
        *_chain(records),
        *_rights(records),
        *_cost(records),
        *_intended_use(given),
        *_factors(records, given),
        *_metrics(records),
        *_evaluation_data(records),
        *_training_data(records),
        *_analyses(records),
        *_ethics(records, given),
        *_caveats(records, given),
    ]
    return f"{front}\n\n" + check("\n".join(lines).rstrip() + "\n", records, given.values())


def _answer(given: Mapping[str, str], key: str) -> Quoted:
    return words(given.get(key, "").strip() or NOT_STATED)


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _details(records: Records) -> list[str]:
    classes = listed(records, "data.json", "/classes") if find(records, "config.json", "/condition") else []
    return _section(
        "Model details",
        [
            say(
                "- a {} model of {} with {} numbers learnt",
                words(need(records, "config.json", "/family")),
                words(need(records, "data.json", "/modality")),
                quote(records, "config.json", "/parameters", ","),
            ),
            say("- id: {}", code(need(records, "config.json", "/id"))),
            say(
                "- made at {} with makar {}, source code {}",
                words(need(records, "run.json", "/made")),
                words(need(records, "run.json", "/code/makar")),
                code(need(records, "run.json", "/code/source")),
            ),
            say("- settings: {}", words(find(records, "config.json", "/settings"))),
            say("- what the model reads and writes: {}", words(need(records, "config.json", "/space"))),
            say("- codec: {}", words(find(records, "config.json", "/codec"))),
            say("- conditioned on: {}", words(classes or "nothing")),
        ],
    )


def _chain(records: Records) -> list[str]:
    on, signer = find(records, "chain.json", "/on"), find(records, "chain.json", "/signer")
    if on is None:
        lines = ["**It is not recorded whether the chain was on; take it that nothing vouches for this model.**"]
    elif not on:
        lines = ["**The chain was off when this was made: no ledger entry, receipt or signature vouches for it.**"]
    elif not signer:
        lines = [
            "The chain was on: what was done is in the ledger.",
            "",
            "**This bundle is unsigned: the workspace had no key.**",
        ]
    else:
        lines = [say("The chain was on: what was done is in the ledger. Signed with the key {}.", code(signer))]
    mark = find(records, "chain.json", "/watermark")
    policy = find(records, "chain.json", "/policy")
    return _section(
        "Provenance",
        [
            *lines,
            "",
            say("- policy in force: {}", code(policy) if policy else words(None)),
            say("- watermark of outputs: {}", words(mark)),
        ],
    )


def _rights(records: Records) -> list[str]:
    rights = record(records, "rights.json")
    lines = [
        say("- training on the data is allowed: {}", words(rights.get("train"))),
        say("- commercial use of the model: {}", words(rights.get("model"))),
        say("- commercial use of outputs: {}", words(rights.get("outputs"))),
        say("- share alike: {}", words(rights.get("share_alike") or "not asked for by what is recorded")),
    ]
    licences = rights.get("licences")
    if isinstance(licences, dict):
        lines += [say("- {} is under {}", words(name), words(terms)) for name, terms in licences.items()]
    lines += [say("- limited to: {}", words(limit)) for limit in listed(records, "rights.json", "/field_limits")]
    lines += [say("- to be credited: {}", words(who)) for who in credits_due(records)]
    lines += [say("- {}", words(reason)) for reason in reasons(records)]
    accepted = rights.get("accepted") or find(records, "data.json", "/accepted")
    if accepted:
        lines.append(say("- **used although the licence is unknown, accepted by name: {}**", words(accepted)))
    return _section("What the licences allow", lines)


def _cost(records: Records) -> list[str]:
    joules = find(records, "run.json", "/joules")
    energy = "- energy: not measured; the machine shows no counter"
    if joules is not None:
        energy = say("- energy: {} joules, of the whole processor", quote(records, "run.json", "/joules", ",.1f"))
    return _section(
        "How it was trained",
        [
            say(
                "- budget: {}; seed {}",
                words(need(records, "run.json", "/recipe/budget")),
                quote(records, "run.json", "/recipe/seed"),
            ),
            say(
                "- steps: {}; CPU seconds: {}; FLOPs by hand count: {}",
                quote(records, "run.json", "/steps", ","),
                quote(records, "run.json", "/cpu_seconds", ".2f"),
                quote(records, "run.json", "/flops", ".3g"),
            ),
            energy,
            say("- machine: {}", words(need(records, "run.json", "/machine"))),
            _events(records),
        ],
    )


def _events(records: Records) -> str:
    events = listed(records, "run.json", "/events")
    if not events:
        return "- events: none; no spike, no non-finite number, no interruption"
    return say("- events: {}, the last of them {}", count(records, "run.json", "/events"), words(events[-1]))


def _intended_use(given: Mapping[str, str]) -> list[str]:
    return _section(
        "Intended use",
        [
            say("- use: {}", _answer(given, "card.intended_use")),
            say("- users: {}", _answer(given, "card.users")),
            say("- out of scope: {}", _answer(given, "card.out_of_scope")),
        ],
    )


def _factors(records: Records, given: Mapping[str, str]) -> list[str]:
    classes = listed(records, "data.json", "/classes")
    lines = [say("- relevant factors: {}", _answer(given, "card.factors"))]
    if classes:
        lines.append(say("- classes of the data, {}: {}", count(records, "data.json", "/classes"), words(classes)))
    shares = listed(records, "config.json", "/class_counts")
    if shares:
        lines.append(say("- items of each class in training, in that order: {}", words(shares)))
    return _section("Factors", lines)


def _metrics(records: Records) -> list[str]:
    found = scores(records)
    if not found:
        return _section("Metrics", ["No score is recorded. `makar score` on the bundle measures them."])
    return _section(
        "Metrics",
        [
            "Each name carries extractor, sample size and estimator; each value its 95 % interval.",
            "",
            *(say("- {}: {} is better", words(s["name"]), words(_direction(s))) for s in found),
        ],
    )


def _direction(score: Mapping[str, Any]) -> str:
    return {True: "higher", False: "lower", None: "nearer to the reference"}[score.get("higher_is_better")]


def _evaluation_data(records: Records) -> list[str]:
    if find(records, "data.json", "/counts/held_out") is None:
        return _section("Evaluation data", ["No items were held out."])
    return _section(
        "Evaluation data",
        [
            say(
                "{} items of the same data, held out and never trained on. Split: {}.",
                quote(records, "data.json", "/counts/held_out", ","),
                words(need(records, "data.json", "/split")),
            )
        ],
    )


def _training_data(records: Records) -> list[str]:
    lines = [
        say(
            "- {}, {} items trained on",
            words(need(records, "data.json", "/name")),
            quote(records, "data.json", "/counts/train", ","),
        ),
        say("- source: {}", words(need(records, "data.json", "/source"))),
        say("- origin: {}", words(known_origin(record(records, "data.json")))),
        say("- licence: {}", words(need(records, "data.json", "/licence"))),
        say("- attribution: {}", words(find(records, "data.json", "/attribution"))),
        say("- digest of the manifest: {}", code(need(records, "data.json", "/digest"))),
    ]
    lines += [say("- note: {}", words(note)) for note in listed(records, "data.json", "/notes")]
    lines += [
        say(
            "- part: {} from {}, licence {}, attribution {}, digest {}",
            *(words(member.get(key)) for key in ("name", "source", "licence", "attribution")),
            code(member.get("digest") or NOT_STATED),
        )
        for member in members(records)
    ]
    evidence = optouts(records)
    if evidence:
        lines.append(
            say("- evidence of opt-outs that was read: {}; a no is honoured", count(records, "data.json", "/optouts"))
        )
        lines += [say("  - {}", words(each)) for each in evidence]
    else:
        lines.append("- opt-outs: no evidence was recorded, for or against")
    return _section("Training data", lines)


def _analyses(records: Records) -> list[str]:
    found = scores(records)
    if not found:
        return _section("Quantitative analyses", ["None: no score is recorded."])
    lines = ["| score | value | low | high | items | caveats |", "| --- | --- | --- | --- | --- | --- |"]
    for place, score in enumerate(listed(records, "score.json", "/scores")):
        if score not in found:
            continue
        cells = [
            quote(records, "score.json", f"/scores/{place}/{key}", ",.5g")
            if score.get(key) is not None
            else words(None)
            for key in ("value", "low", "high")
        ]
        items = quote(records, "score.json", f"/scores/{place}/n", ",") if score.get("n") else words(None)
        caveats = words(score.get("caveats") or "none")
        lines.append(say("| {} | {} | {} | {} | {} | {} |", words(score["name"]), *cells, items, caveats))
    return _section("Quantitative analyses", [*lines, "", "By group: not stated unless a score's name says so."])


def _ethics(records: Records, given: Mapping[str, str]) -> list[str]:
    return _section(
        "Ethical considerations",
        [
            say("- considered: {}", _answer(given, "card.ethics")),
            "- it has learnt the distribution of its data and inherits its gaps and biases, and may give back what it "
            "has seen; `makar audit` measures copying, extraction and skew",
        ],
    )


def _caveats(records: Records, given: Mapping[str, str]) -> list[str]:
    missing = completeness(records, given)[1]
    return _section(
        "Caveats and recommendations",
        [
            say("- {}", _answer(given, "card.caveats")),
            say("- not in the records: {}", words(missing or "nothing that this card asks for")),
        ],
    )
