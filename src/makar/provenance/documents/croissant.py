"""The data as Croissant 1.1 (MLCommons) with the RAI 1.0 vocabulary, W3C PROV-O and W3C ODRL.

What is described is what a bundle holds of the data: the manifest, a file with the sha256 of every item. Each split is
a record set that reads those digests from it, so that any Croissant reader can list them.
Source: Croissant specification 1.1, sections "Dataset-level Information", "Resources", "RecordSets" and "Responsible
AI and Governance"; Croissant RAI specification 1.0.
"""

from __future__ import annotations

from typing import Any

from makar.provenance.documents._hub import UNKNOWN, licences
from makar.provenance.documents._quoted import (
    NOT_STATED,
    check_json,
    clean,
    find,
    listed,
    need,
    plain,
    record,
)
from makar.provenance.documents._rights import commercial, known_origin, members, optouts, reasons
from makar.provenance.records import Records

_TERMS = (
    "annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field fileProperty fileObject "
    "fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path readLines recordSet references "
    "regex repeated replace samplingRate sdVersion separator source subField transform unArchive value"
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS.split()},
}
MANIFEST = "data.json"


def croissant(records: Records) -> dict[str, Any]:
    """The JSON-LD. Raises MakarError where a record lacks what Croissant requires."""
    made = need(records, "run.json", "/made")
    digest = need(records, "data.json", "/digest")
    splits = [side for side in need(records, "data.json", "/counts") if side.isidentifier()]
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": clean(need(records, "data.json", "/name")),
        "description": _description(records),
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "license": [_licence(terms) for terms in licences(records)],
        "url": f"urn:sha256:{clean(digest)}",
        "creator": {"@type": "Organization", "name": plain(find(records, "data.json", "/attribution"))},
        "datePublished": clean(made),
        "keywords": [clean(need(records, "data.json", "/modality")), *map(clean, _classes(records))],
        "distribution": [_manifest(records, side) for side in splits],
        "recordSet": [_split(side) for side in splits],
        "usageInfo": _usage(records),
        **_rai(records),
        **_provenance(records),
    }
    if cite := find(records, "data.json", "/attribution"):
        document["citeAs"] = clean(cite)
    return check_json(document, records)


def _classes(records: Records) -> list[Any]:
    return listed(records, "data.json", "/classes")


def _description(records: Records) -> str:
    name, modality, source = (clean(need(records, "data.json", f"/{key}")) for key in ("name", "modality", "source"))
    counts = ", ".join(f"{size} {clean(side)}" for side, size in need(records, "data.json", "/counts").items())
    return f"{name}: {modality} from {source}; items: {counts}. The manifest lists the sha256 of every item."


def _licence(terms: str) -> str:
    """The licence's address where it is one of SPDX's, else the expression; unknown is said."""
    single = " " not in terms and not terms.startswith("LicenseRef-") and terms != UNKNOWN
    return f"https://spdx.org/licenses/{terms}" if single else terms


def _manifest(records: Records, side: str) -> dict[str, Any]:
    """The manifest as the source of one split: mlcroissant reads all record sets of one FileObject as one table."""
    return {
        "@type": "cr:FileObject",
        "@id": f"manifest_{side}",
        "name": f"manifest_{side}",
        "description": "The manifest: source, licence and the sha256 of every item by split.",
        "contentUrl": MANIFEST,
        "encodingFormat": "application/json",
        "sha256": need(records, "digests.json", f"/{MANIFEST}"),
    }


def _split(side: str) -> dict[str, Any]:
    own = f"items_{side}"
    return {
        "@type": "cr:RecordSet",
        "@id": own,
        "name": own,
        "description": f"The items of the split {clean(side)}, in its order.",
        "key": {"@id": f"{own}/sha256"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{own}/sha256",
                "name": f"{own}/sha256",
                "description": "The sha256 of one item.",
                "dataType": "sc:Text",
                "source": {"fileObject": {"@id": f"manifest_{side}"}, "extract": {"jsonPath": f"$.items.{side}[*]"}},
            }
        ],
    }


def _usage(records: Records) -> dict[str, Any]:
    """What the licences allow as an ODRL offer: what is not allowed is a prohibition, what is owed a duty."""
    rights = record(records, "rights.json")
    offer: dict[str, Any] = {
        "@type": ["CreativeWork", "odrl:Offer"],
        "name": "What the licences of the data allow",
        "text": "; ".join(reasons(records)) or NOT_STATED,
    }
    verdicts = {"train": rights.get("train"), "commercial": commercial(records)}
    actions = {"train": ("odrl:use", "training"), "commercial": ("odrl:commercialize", "commercial use")}
    duties = []
    if listed(records, "rights.json", "/attribution"):
        duties.append({"@type": "odrl:Duty", "odrl:action": {"@id": "odrl:attribute"}})
    if rights.get("share_alike"):
        duties.append({"@type": "odrl:Duty", "odrl:action": {"@id": "odrl:shareAlike"}})
    for key, (action, name) in actions.items():
        if verdicts[key] not in ("yes", "no"):  # what is unclear is neither permitted nor prohibited
            continue
        allowed = verdicts[key] == "yes"
        rule: dict[str, Any] = {
            "@type": "odrl:Permission" if allowed else "odrl:Prohibition",
            "name": name,
            "odrl:action": {"@id": action},
        }
        if allowed and duties:
            rule["odrl:duty"] = duties
        offer.setdefault("odrl:permission" if allowed else "odrl:prohibition", []).append(rule)
    return offer


def _rai(records: Records) -> dict[str, Any]:
    """The RAI properties that the records answer; the others are left to the datasheet, where they are shown empty."""
    notes = [clean(note) for note in listed(records, "data.json", "/notes")]
    evidence = optouts(records)
    answered: dict[str, Any] = {
        "rai:dataCollection": clean(need(records, "data.json", "/source")),
        "rai:dataCollectionType": [known_origin(record(records, "data.json")) or ""],
        "rai:dataPreprocessingProtocol": [clean(need(records, "data.json", "/split")), *notes],
        "rai:dataLimitations": reasons(records),
        "rai:dataManipulationProtocol": "; ".join(["opt-outs read; a no is honoured", *evidence]) if evidence else "",
        "rai:dataUseCases": [f"trained the model {need(records, 'config.json', '/id')}"],
    }
    return {key: value for key, value in answered.items() if value not in ("", [], [""])}


def _provenance(records: Records) -> dict[str, Any]:
    """Where the data are from: the parts of a mix, or the one source; and what made the manifest."""
    sources = [_part(member) for member in members(records)]
    if not sources:
        sources = [{"@type": "prov:Entity", "prov:label": clean(need(records, "data.json", "/source"))}]
    activity = {
        "@type": "prov:Activity",
        "prov:label": f"prepared with makar {clean(need(records, 'run.json', '/code/makar'))}",
        "prov:endedAtTime": clean(need(records, "run.json", "/made")),
    }
    agent = {"@type": "prov:Agent", "prov:label": plain(find(records, "data.json", "/attribution"))}
    return {"prov:wasDerivedFrom": sources, "prov:wasGeneratedBy": activity, "prov:wasAttributedTo": agent}


def _part(member: dict[str, Any]) -> dict[str, Any]:
    """One part of a mix; its digest is its name where it has one."""
    own = {"@id": f"urn:sha256:{clean(member['digest'])}"} if member.get("digest") else {}
    return {
        "@type": "prov:Entity",
        **own,
        "prov:label": plain(member.get("name")),
        "name": plain(member.get("source")),
        "license": _licence(clean(member.get("licence") or UNKNOWN)),
    }
