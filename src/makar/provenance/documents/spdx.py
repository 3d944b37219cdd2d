"""The bundle's bill of materials as SPDX 3.0.1, JSON-LD, with the AI and Dataset profiles.

The model is an AIPackage; each split of the data a DatasetPackage, on which the model was `trainedOn` or `testedOn`;
the members of a mix are contained in the training data. Licences are elements of their own: what the data's maker
declared, and `NoAssertionLicense` where that is unknown.
Source: SPDX 3.0.1, sections Core, SimpleLicensing, Software, AI and Dataset.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from makar.provenance.documents._hub import UNKNOWN, licences, scores
from makar.provenance.documents._quoted import MEGAJOULE, check_json, clean, find, letters, listed, need, plain, slug
from makar.provenance.documents._rights import members, reasons
from makar.provenance.records import Records

_KINDS = {"pictures": "image", "text": "text", "rows": "structured", "points": "numeric"}
_NO_ASSERTION = "expandedlicensing_NoAssertionLicense"
_INFO = "_:creation"


@dataclass
class _Graph:
    """Elements as they are added, each named within one document."""

    base: str
    elements: list[dict[str, Any]] = field(default_factory=list)
    uses: int = 0

    def add(self, kind: str, local: str, /, **fields: Any) -> str:
        """Add an element without the fields that are None; returns its id."""
        own = f"{self.base}#{local}"
        stated = {key: value for key, value in fields.items() if value is not None and value != []}
        self.elements.append({"type": kind, "spdxId": own, "creationInfo": _INFO, **stated})
        return own

    def relate(self, source: str, how: str, targets: Iterable[str]) -> None:
        """Add a relationship; none where there is no target."""
        found = list(targets)
        name = f"{source.rpartition('#')[2]}-{how}"
        if found:
            self.add("Relationship", name, **{"from": source, "relationshipType": how, "to": found})


def spdx(records: Records) -> dict[str, Any]:
    """The JSON-LD document. Raises MakarError where a record lacks what SPDX requires."""
    own = uuid.uuid5(uuid.NAMESPACE_URL, f"{need(records, 'config.json', '/id')} {need(records, 'run.json', '/made')}")
    graph = _Graph(f"urn:uuid:{own}")
    makar = graph.add("SoftwareAgent", "makar", name="makar", comment=_maker(records))
    model = _model(records, graph, makar)
    maker = graph.add("Agent", "maker", name=plain(find(records, "data.json", "/attribution")))
    splits = {side: _split(records, graph, side, maker) for side in need(records, "data.json", "/counts")}
    graph.relate(model, "trainedOn", [own for side, own in splits.items() if side == "train"])
    graph.relate(model, "testedOn", [own for side, own in splits.items() if side != "train"])
    terms = _Licences(graph)
    for split in splits.values():
        graph.relate(split, "hasDeclaredLicense", [terms.element(each) for each in licences(records)])
    if "train" in splits:
        _members(records, graph, splits["train"], terms, maker)
    _libraries(records, graph, model)
    elements = [element["spdxId"] for element in graph.elements]
    graph.add(
        "SpdxDocument",
        "document",
        name=f"{clean(need(records, 'config.json', '/family'))} on {clean(need(records, 'data.json', '/name'))}",
        profileConformance=["core", "software", "simpleLicensing", "ai", "dataset"],
        rootElement=[model],
        element=elements,
    )
    creation = {
        "type": "CreationInfo",
        "@id": _INFO,
        "specVersion": "3.0.1",
        "created": _instant(records),
        "createdBy": [makar],
    }
    document = {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [creation, *graph.elements]}
    return check_json(document, records)


def _instant(records: Records) -> str:
    """The time of making as SPDX wants it: whole seconds, UTC, with a Z."""
    made = clean(need(records, "run.json", "/made"))
    return made.removesuffix("Z").removesuffix("+00:00").partition(".")[0] + "Z"


def _maker(records: Records) -> str:
    return (
        f"makar {clean(need(records, 'run.json', '/code/makar'))}, source {need(records, 'run.json', '/code/source')}"
    )


def _hash(digest: str) -> list[dict[str, str]]:
    return [{"type": "Hash", "algorithm": "sha256", "hashValue": digest}]


def _entries(pairs: Iterable[tuple[str, object]]) -> list[dict[str, str]]:
    return [{"type": "DictionaryEntry", "key": clean(key), "value": plain(value)} for key, value in pairs]


def _model(records: Records, graph: _Graph, makar: str) -> str:
    family, name = (clean(need(records, *at)) for at in (("config.json", "/family"), ("data.json", "/name")))
    return graph.add(
        "ai_AIPackage",
        "model",
        name=f"{family} on {name}",
        software_packageVersion=need(records, "config.json", "/id"),
        software_primaryPurpose="model",
        software_downloadLocation=f"{graph.base}#model.safetensors",
        suppliedBy=makar,
        originatedBy=[makar],
        releaseTime=_instant(records),
        builtTime=_instant(records),
        verifiedUsing=_hash(need(records, "digests.json", "/model.safetensors")),
        ai_typeOfModel=[family],
        ai_hyperparameter=_entries((find(records, "config.json", "/settings") or {}).items()),
        ai_informationAboutTraining=(
            f"{need(records, 'run.json', '/steps')} steps, {need(records, 'run.json', '/cpu_seconds')} CPU seconds, "
            f"{need(records, 'run.json', '/flops')} FLOPs by hand count, seed "
            f"{need(records, 'run.json', '/recipe/seed')}, budget {plain(need(records, 'run.json', '/recipe/budget'))}"
        ),
        ai_limitation="; ".join(reasons(records)) or None,
        ai_metric=_entries((score["name"], _valued(score)) for score in scores(records)),
        ai_energyConsumption=_energy(records),
    )


def _valued(score: dict[str, Any]) -> str:
    return f"{score['value']} [{score.get('low')}, {score.get('high')}]"


def _energy(records: Records) -> dict[str, Any] | None:
    joules = find(records, "run.json", "/joules")
    if joules is None:
        return None
    description = {
        "type": "ai_EnergyConsumptionDescription",
        "ai_energyQuantity": joules / MEGAJOULE,
        "ai_energyUnit": "megajoule",
    }
    return {"type": "ai_EnergyConsumption", "ai_trainingEnergyConsumption": [description]}


def _split(records: Records, graph: _Graph, side: str, maker: str) -> str:
    """One split as it was prepared here. Its times are the run's: when its maker released it is not recorded."""
    attribution = clean(find(records, "data.json", "/attribution") or "")
    notes = [clean(note) for note in listed(records, "data.json", "/notes")]
    return graph.add(
        "dataset_DatasetPackage",
        f"data/{slug(side)}",
        name=f"{clean(need(records, 'data.json', '/name'))}, {clean(side)}",
        software_packageVersion=need(records, "data.json", "/digest"),
        software_primaryPurpose="data",
        software_downloadLocation=f"{graph.base}#data.json",
        software_attributionText=[attribution] if attribution else None,
        originatedBy=[maker],
        builtTime=_instant(records),
        releaseTime=_instant(records),
        verifiedUsing=_hash(need(records, "digests.json", "/data.json")),
        dataset_datasetType=[_KINDS.get(need(records, "data.json", "/modality"), "other")],
        dataset_datasetSize=need(records, "data.json", f"/counts/{side}"),
        dataset_dataCollectionProcess=clean(need(records, "data.json", "/source")),
        dataset_dataPreprocessing=[clean(need(records, "data.json", "/split")), *notes],
        dataset_hasSensitivePersonalInformation="noAssertion",
    )


@dataclass
class _Licences:
    """Licence expressions as elements, each written once."""

    graph: _Graph
    known: dict[str, str] = field(default_factory=dict)

    def element(self, expression: str) -> str:
        """The id of the element of an expression."""
        if expression == UNKNOWN:
            return _NO_ASSERTION
        if expression not in self.known:
            name = f"licence/{letters(len(self.known) + 1)[-1]}"
            self.known[expression] = self.graph.add(
                "simplelicensing_LicenseExpression", name, simplelicensing_licenseExpression=expression
            )
        return self.known[expression]


def _members(records: Records, graph: _Graph, train: str, terms: _Licences, maker: str) -> None:
    """The parts of a mix, contained in the training data."""
    parts = []
    found = members(records)
    for place, member in zip(letters(len(found)), found, strict=True):
        part = graph.add(
            "dataset_DatasetPackage",
            f"part/{place}",
            name=plain(member.get("name")),
            software_packageVersion=member.get("digest"),
            software_primaryPurpose="data",
            originatedBy=[maker],
            builtTime=_instant(records),
            dataset_datasetType=[_KINDS.get(need(records, "data.json", "/modality"), "other")],
            dataset_dataCollectionProcess=plain(member.get("source")),
        )
        graph.relate(part, "hasDeclaredLicense", [terms.element(clean(member.get("licence") or UNKNOWN))])
        parts.append(part)
    graph.relate(train, "contains", parts)


def _libraries(records: Records, graph: _Graph, model: str) -> None:
    libraries = [
        graph.add(
            "software_Package",
            f"library/{slug(name)}",
            name=clean(name),
            software_packageVersion=clean(version),
            software_packageUrl=f"pkg:pypi/{clean(name)}@{clean(version)}",
        )
        for name, version in need(records, "run.json", "/environment").items()
    ]
    graph.relate(model, "dependsOn", libraries)
