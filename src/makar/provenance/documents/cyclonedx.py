"""The bundle's bill of materials as CycloneDX 1.6 (ECMA-424), with its model card; valid as 1.7 too.

The model is the subject; the data and the libraries that it was trained with are components it depends on. Energy is
there only where joules were measured, scores with their intervals only where they were recorded.
"""

from __future__ import annotations

import uuid
from typing import Any

from makar.provenance.documents._hub import UNKNOWN, licences, scores
from makar.provenance.documents._quoted import (
    KILOWATT_HOUR,
    check_json,
    clean,
    find,
    letters,
    need,
    plain,
    record,
)
from makar.provenance.documents._rights import members, reasons
from makar.provenance.records import Records

MODEL = "model"
DATA = "data"
_KINDS = {"pictures": "image", "text": "text", "rows": "table", "points": "point"}


def cyclonedx(records: Records, version: str = "1.6") -> dict[str, Any]:
    """The JSON document. Raises MakarError where a record lacks what it must state."""
    made = clean(need(records, "run.json", "/made"))
    own = uuid.uuid5(uuid.NAMESPACE_URL, f"{need(records, 'config.json', '/id')} {made}")
    libraries = _libraries(records)
    parts = _parts(records)
    document = {
        "$schema": f"http://cyclonedx.org/schema/bom-{version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "serialNumber": f"urn:uuid:{own}",
        "version": 1,
        "metadata": {
            "timestamp": made,
            "tools": {"components": [_makar(records)]},
            "component": _model(records),
        },
        "components": [_data(records), *parts, *libraries],
        "dependencies": [
            {"ref": MODEL, "dependsOn": [DATA, *(library["bom-ref"] for library in libraries)]},
            {"ref": DATA, "dependsOn": [part["bom-ref"] for part in parts]},
        ],
    }
    return check_json(document, records)


def _makar(records: Records) -> dict[str, Any]:
    return {
        "type": "application",
        "name": "makar",
        "version": clean(need(records, "run.json", "/code/makar")),
        "hashes": [{"alg": "SHA-256", "content": need(records, "run.json", "/code/source")}],
    }


def _model(records: Records) -> dict[str, Any]:
    family, name = need(records, "config.json", "/family"), need(records, "data.json", "/name")
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": f"{clean(family)} on {clean(name)}",
        "version": need(records, "config.json", "/id"),
        "hashes": [{"alg": "SHA-256", "content": need(records, "digests.json", "/model.safetensors")}],
        "modelCard": {
            "modelParameters": _parameters(records),
            "quantitativeAnalysis": {"performanceMetrics": [_metric(score) for score in scores(records)]},
            "considerations": _considerations(records),
            "properties": _properties(records),
        },
    }


def _parameters(records: Records) -> dict[str, Any]:
    kind = _KINDS.get(need(records, "data.json", "/modality"), clean(need(records, "data.json", "/modality")))
    return {
        "approach": {"type": "unsupervised"},
        "task": "generation",
        "architectureFamily": clean(need(records, "config.json", "/family")),
        "datasets": [{"ref": DATA}],
        "outputs": [{"format": kind}],
    }


def _metric(score: dict[str, Any]) -> dict[str, Any]:
    metric: dict[str, Any] = {"type": clean(score["name"]), "value": str(score["value"])}
    low, high = score.get("low"), score.get("high")
    if low is not None and high is not None:
        metric["confidenceInterval"] = {"lowerBound": str(low), "upperBound": str(high)}
    return metric


def _considerations(records: Records) -> dict[str, Any]:
    limits = reasons(records)
    limits.append("The model has learnt the distribution of its data and inherits its gaps and biases.")
    found: dict[str, Any] = {"technicalLimitations": limits}
    joules = find(records, "run.json", "/joules")
    if joules is not None:
        measure = {"value": joules / KILOWATT_HOUR, "unit": "kWh"}
        provider = {
            "organization": {"name": UNKNOWN},
            "energySource": UNKNOWN,
            "energyProvided": measure,
        }
        found["environmentalConsiderations"] = {
            "energyConsumptions": [
                {"activity": "training", "energyProviders": [provider], "activityEnergyCost": measure}
            ]
        }
    return found


def _properties(records: Records) -> list[dict[str, str]]:
    """What the standard has no field for, under names of our own."""
    rights = record(records, "rights.json")
    stated = {
        "parameters": need(records, "config.json", "/parameters"),
        "steps": need(records, "run.json", "/steps"),
        "cpu_seconds": need(records, "run.json", "/cpu_seconds"),
        "flops": need(records, "run.json", "/flops"),
        "seed": need(records, "run.json", "/recipe/seed"),
        "commercial_use_of_model": rights.get("model"),
        "commercial_use_of_outputs": rights.get("outputs"),
        "chain": find(records, "chain.json", "/on"),
        "signer": find(records, "chain.json", "/signer"),
    }
    return [{"name": f"makar:{key}", "value": plain(value)} for key, value in stated.items()]


def _licensed(terms: str) -> list[dict[str, Any]]:
    return [{"license": {"name": UNKNOWN}}] if terms == UNKNOWN else [{"expression": terms}]


def _data(records: Records) -> dict[str, Any]:
    all_of_them = licences(records)
    terms = UNKNOWN if UNKNOWN in all_of_them else " AND ".join(_bracketed(each, all_of_them) for each in all_of_them)
    counts = need(records, "data.json", "/counts")
    return {
        "type": "data",
        "bom-ref": DATA,
        "name": clean(need(records, "data.json", "/name")),
        "version": need(records, "data.json", "/digest"),
        "hashes": [{"alg": "SHA-256", "content": need(records, "digests.json", "/data.json")}],
        "licenses": _licensed(terms),
        "copyright": plain(find(records, "data.json", "/attribution")),
        "data": [
            {
                "type": "dataset",
                "name": clean(need(records, "data.json", "/name")),
                "description": f"{clean(need(records, 'data.json', '/source'))}; items: {plain(counts)}",
                "contents": {"url": "data.json"},
            }
        ],
    }


def _bracketed(expression: str, among: list[str]) -> str:
    return f"({expression})" if len(among) > 1 and " " in expression else expression


def _parts(records: Records) -> list[dict[str, Any]]:
    """The members of a mix."""
    parts = members(records)
    return [
        {
            "type": "data",
            "bom-ref": f"{DATA}/{place}/{clean(member.get('name') or UNKNOWN)}",
            "name": clean(member.get("name") or UNKNOWN),
            "licenses": _licensed(clean(member.get("licence") or UNKNOWN)),
            "copyright": plain(member.get("attribution")),
            "data": [{"type": "dataset", "description": plain(member.get("source"))}],
        }
        for place, member in zip(letters(len(parts)), parts, strict=True)
    ]


def _libraries(records: Records) -> list[dict[str, Any]]:
    environment = need(records, "run.json", "/environment")
    return [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{clean(name)}@{clean(version)}",
            "name": clean(name),
            "version": clean(version),
            "purl": f"pkg:pypi/{clean(name)}@{clean(version)}",
        }
        for name, version in environment.items()
    ]
