"""What the Hugging Face Hub reads of a card: the front matter, and evaluation results in both of its forms.

YAML is written as JSON, which it contains, so that no name from outside can end a string and begin a key.
Source: the Hub's documentation, "Model Cards", "Licenses" and "Evaluation results"; the card's metadata specification.
"""

from __future__ import annotations

import json
from typing import Any

from makar.provenance.documents._quoted import clean, find, listed, need, slug, version_of_licence
from makar.provenance.records import Records

_KNOWN = """
apache-2.0 mit afl-3.0 artistic-2.0 bsl-1.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc0-1.0 cc-by-2.0
cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0
cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0
cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl-2.0
gpl-3.0 lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib
pddl
"""
_WITHOUT_VERSION = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl", "c-uda-1.0": "c-uda"}
_TASKS = {"pictures": "unconditional-image-generation", "text": "text-generation"}
UNKNOWN = "unknown"


def licences(records: Records) -> list[str]:
    """The different licence expressions of the data, in order."""
    stated = find(records, "rights.json", "/licences")
    each = stated.values() if isinstance(stated, dict) and stated else [need(records, "data.json", "/licence")]
    return list(dict.fromkeys(clean(expression) for expression in each))


def licence_fields(records: Records) -> dict[str, str]:
    """`license` by the Hub's rules: an identifier of its own, `unknown`, or `other` with a name and a link."""
    all_of_them = licences(records)
    if UNKNOWN in all_of_them:
        return {"license": UNKNOWN}
    plain = version_of_licence(all_of_them[0]) if len(all_of_them) == 1 else ""
    plain = _WITHOUT_VERSION.get(plain, plain)
    if plain in _KNOWN.split():
        return {"license": plain}
    name = slug(all_of_them[0]) if len(all_of_them) == 1 else "several-licences"
    return {"license": "other", "license_name": name, "license_link": "rights.json"}


def scores(records: Records) -> list[dict[str, Any]]:
    """The scores of score.json, those without a name or a value left out."""
    kept = []
    for score in listed(records, "score.json", "/scores"):
        value = score.get("value") if isinstance(score, dict) else None
        if value is not None and score.get("name") and isinstance(value, int | float):
            kept.append(score)
    return kept


def front_matter(records: Records) -> str:
    """The YAML between the two lines of hyphens with which a card begins."""
    family, modality = need(records, "config.json", "/family"), need(records, "data.json", "/modality")
    names = [m.get("name") for m in listed(records, "data.json", "/members") if isinstance(m, dict)]
    fields: dict[str, Any] = {
        **licence_fields(records),
        "library_name": "makar",
        "tags": [slug(family), slug(modality), "generative", "makar"],
        "datasets": list(dict.fromkeys(map(slug, names or [need(records, "data.json", "/name")]))),
        **_model_index(records),
    }
    return "\n".join(
        ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()), "---"]
    )


def _model_index(records: Records) -> dict[str, Any]:
    """The scores as `model-index` wants them: for a task that the Hub knows, and not without a score."""
    task = _TASKS.get(need(records, "data.json", "/modality"))
    found = scores(records)
    if task is None or not found:
        return {}
    name = need(records, "data.json", "/name")
    metrics = [{"type": slug(score["name"]), "value": score["value"], "name": clean(score["name"])} for score in found]
    dataset = {"name": clean(name), "type": slug(name), "split": "held_out"}
    result = {"task": {"type": task}, "dataset": dataset, "metrics": metrics}
    title = f"{slug(need(records, 'config.json', '/family'))} on {slug(name)}"
    return {"model-index": [{"name": title, "results": [result]}]}


def eval_results(records: Records) -> str:
    """The scores as a file of the Hub's folder `.eval_results/`, one entry a score; the empty list without any."""
    dataset = slug(need(records, "data.json", "/name"))
    entries = [
        {
            "dataset": {"id": dataset, "task_id": slug(score["name"])},
            "value": score["value"],
            "date": need(records, "run.json", "/made"),
            "notes": clean("; ".join([str(score["name"]), *map(str, score.get("caveats", []))])),
        }
        for score in scores(records)
    ]
    return "".join(f"- {json.dumps(entry, ensure_ascii=False)}\n" for entry in entries) or "[]\n"
