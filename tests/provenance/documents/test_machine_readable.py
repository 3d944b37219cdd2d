"""Croissant, CycloneDX and SPDX documents, each held to its own project's validator."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import rdflib
import spdx_python_model
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from makar.core.errors import MakarError
from makar.provenance.documents.croissant import croissant
from makar.provenance.documents.cyclonedx import cyclonedx
from makar.provenance.documents.spdx import spdx
from makar.provenance.records import Records
from tests.provenance.documents import records

CASES = {
    "plain": records.make(),
    "mixed": records.mixed(),
    "scored, with energy": records.make(scored=True, run={"joules": 1234.5}),
    "unknown licence": records.make(data={"licence": "unknown"}, rights={"licences": {"digits": "unknown"}}),
    "a choice of licences": records.make(rights={"licences": {"digits": "MIT OR Zlib", "more": "CC0-1.0"}}),
    "nothing in rights.json or chain.json": Records(
        *(records.make().config, records.make().data, records.make().run), rights={}, digests=records.make().digests
    ),
    **{f"hostile {i}": records.hostile(text) for i, text in enumerate(records.HOSTILE)},
}
deprecated = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # mlcroissant's use of rdflib
every_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@every_case
@pytest.mark.parametrize(("version", "schema"), [("1.6", SchemaVersion.V1_6), ("1.7", SchemaVersion.V1_7)])
def test_cyclonedx_passes_the_strict_validator(case: Records, version: str, schema: SchemaVersion) -> None:
    assert JsonStrictValidator(schema).validate_str(json.dumps(cyclonedx(case, version))) is None


def test_the_strict_validator_finds_a_planted_mistake() -> None:
    bom = cyclonedx(records.make())
    bom["metadata"]["component"]["modelCard"]["modelParameters"]["approach"]["type"] = "guessing"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is not None


def test_cyclonedx_has_model_data_libraries_scores_and_no_energy_that_was_not_measured() -> None:
    bom = cyclonedx(records.make(scored=True))
    model = bom["metadata"]["component"]
    assert model["hashes"][0]["content"] == records.make().digests["model.safetensors"]
    metric = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]
    assert metric["value"] == "12.34567"
    assert metric["confidenceInterval"] == {"lowerBound": "11.5", "upperBound": "13.25"}
    assert {c["name"] for c in bom["components"] if c["type"] == "library"} == {"torch", "numpy", "scikit-learn"}
    assert [c["licenses"] for c in bom["components"] if c["type"] == "data"] == [[{"expression": "CC-BY-4.0"}]]
    assert "environmentalConsiderations" not in model["modelCard"]["considerations"]
    measured = cyclonedx(records.make(run={"joules": 7.2e6}))["metadata"]["component"]["modelCard"]
    cost = measured["considerations"]["environmentalConsiderations"]["energyConsumptions"][0]["activityEnergyCost"]
    assert cost == {"value": 2.0, "unit": "kWh"}


def test_cyclonedx_lists_the_parts_of_a_mix() -> None:
    bom = cyclonedx(records.mixed())
    data = {c["name"]: c for c in bom["components"] if c["type"] == "data"}
    assert list(data) == ["mix", "digits", "art"]
    assert data["mix"]["licenses"] == [{"expression": "CC-BY-4.0 AND CC-BY-NC-SA-4.0"}]
    assert data["art"]["licenses"] == [{"expression": "CC-BY-NC-SA-4.0"}]


@every_case
def test_spdx_is_read_and_written_by_the_projects_own_model(case: Records) -> None:
    model, graph = spdx_python_model.load_data(spdx(case))
    written = io.BytesIO()
    model.JSONLDSerializer().write(graph, written)  # raises where a required field is missing
    again = json.loads(written.getvalue())
    own = {element.get("spdxId") for element in spdx(case)["@graph"]} - {None}
    assert {element.get("spdxId") for element in again["@graph"]} - {None} == own
    assert not graph.missing_ids


def test_the_projects_model_finds_a_planted_mistake() -> None:
    document = spdx(records.make())
    package = next(e for e in document["@graph"] if e["type"] == "dataset_DatasetPackage")
    del package["dataset_datasetType"]
    model, graph = spdx_python_model.load_data(document)
    with pytest.raises(ValueError, match="dataset_datasetType"):
        model.JSONLDSerializer().write(graph, io.BytesIO())


def related(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (e["from"].rpartition("#")[2], e["relationshipType"], to.rpartition("#")[2])
        for e in document["@graph"]
        if e["type"] == "Relationship"
        for to in e["to"]
    }


def test_spdx_relations_say_what_was_trained_on_what_under_which_licence() -> None:
    found = related(spdx(records.mixed()))
    assert ("model", "trainedOn", "data/train") in found
    assert ("model", "testedOn", "data/held-out") in found
    assert {("data/train", "contains", "part/a"), ("data/train", "contains", "part/b")} <= found
    licences = {e["spdxId"].rpartition("#")[2]: e for e in spdx(records.mixed())["@graph"] if "spdxId" in e}
    (of_art,) = {to for source, how, to in found if source == "part/b" and how == "hasDeclaredLicense"}
    assert licences[of_art]["simplelicensing_licenseExpression"] == "CC-BY-NC-SA-4.0"
    unknown = related(spdx(CASES["unknown licence"]))
    assert ("data/train", "hasDeclaredLicense", "expandedlicensing_NoAssertionLicense") in unknown


@deprecated
@every_case
def test_croissant_has_no_error_and_only_the_warning_we_leave(case: Records, tmp_path: Path) -> None:
    import mlcroissant

    (tmp_path / "croissant.json").write_text(json.dumps(croissant(case)))
    (tmp_path / "data.json").write_bytes(records.manifest_bytes(case.data))
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    # a dataset's version would be ours to invent: manifests have digests instead
    assert [w for w in issues.warnings if "schema.org/version" not in w] == []
    for side, items in case.data["items"].items():
        read = [row[f"items_{side}/sha256"].decode() for row in dataset.records(f"items_{side}")]
        assert read == items


@deprecated
def test_mlcroissant_finds_a_planted_mistake(tmp_path: Path) -> None:
    import mlcroissant

    broken = croissant(records.make())
    del broken["distribution"][0]["contentUrl"]
    (tmp_path / "croissant.json").write_text(json.dumps(broken))
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld=str(tmp_path / "croissant.json"))


@pytest.mark.parametrize(
    "key", ["name", "description", "license", "url", "creator", "datePublished", "conformsTo", "distribution"]
)
def test_croissant_has_what_the_specification_requires(key: str) -> None:
    assert croissant(records.make())[key]


@deprecated
def test_croissant_says_in_odrl_what_may_be_done_and_in_prov_where_it_is_from() -> None:
    document = croissant(records.mixed())
    graph = rdflib.Graph().parse(data=json.dumps(document), format="json-ld")
    odrl, prov = rdflib.Namespace("http://www.w3.org/ns/odrl/2/"), rdflib.Namespace("http://www.w3.org/ns/prov#")
    forbidden = {graph.value(rule, odrl.action) for rule in graph.objects(None, odrl.prohibition)}
    permitted = {graph.value(rule, odrl.action) for rule in graph.objects(None, odrl.permission)}
    assert forbidden == {odrl.commercialize}
    assert permitted == {odrl.use}
    sources = {str(graph.value(part, prov.label)) for part in graph.objects(None, prov.wasDerivedFrom)}
    assert sources == {"digits", "art"}
    free = rdflib.Graph().parse(data=json.dumps(croissant(records.make())), format="json-ld")
    assert not list(free.objects(None, odrl.prohibition))


def test_what_is_unclear_is_neither_permitted_nor_prohibited() -> None:
    usage = croissant(records.make(rights={"model": "unclear", "train": "unclear"}))["usageInfo"]
    assert "odrl:permission" not in usage
    assert "odrl:prohibition" not in usage


@pytest.mark.parametrize("make", [croissant, cyclonedx, spdx])
@pytest.mark.parametrize(("file", "key"), [("run", "made"), ("data", "digest"), ("config", "id")])
def test_a_missing_field_is_named(make: Any, file: str, key: str) -> None:
    changes: dict[str, Any] = {file: {key: ""}}
    with pytest.raises(MakarError, match=rf"{file}\.json holds no {key}"):
        make(records.make(**changes))


@pytest.mark.parametrize("make", [croissant, cyclonedx, spdx])
def test_without_the_digest_of_a_file_there_is_no_document(make: Any) -> None:
    plain = records.make()
    bare = Records(plain.config, plain.data, plain.run, plain.rights, plain.chain)
    with pytest.raises(MakarError, match=r"digests\.json"):
        make(bare)
