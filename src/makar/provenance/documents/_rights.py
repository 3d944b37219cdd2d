"""What rights.json and the evidence of opt-outs say, as words."""

from __future__ import annotations

from typing import Any

from makar.provenance.documents._quoted import clean, find, listed, plain
from makar.provenance.records import Records


def reasons(records: Records) -> list[str]:
    """One sentence for each thing that a licence does not allow or asks for."""
    return [_reason(reason) for reason in listed(records, "rights.json", "/reasons")]


def _reason(reason: Any) -> str:
    if not isinstance(reason, dict):
        return plain(reason)
    names = {"model": "commercial use of the model", "outputs": "commercial use of outputs"}
    what = names.get(reason.get("what", ""), plain(reason.get("what")))
    where = f" in {clean(reason['source'])}" if reason.get("source") else ""
    return f"{plain(reason.get('licence'))}{where}: {what} {plain(reason.get('value'))}, for {plain(reason.get('why'))}"


def credits_due(records: Records) -> list[str]:
    """Who must be named, in the words of the data's manifest."""
    due = listed(records, "rights.json", "/attribution")
    return [plain(each.get("words") or each.get("source")) if isinstance(each, dict) else plain(each) for each in due]


def optouts(records: Records) -> list[str]:
    """Each piece of opt-out evidence, without the list of what it governs, which data.json has."""
    found = listed(records, "data.json", "/optouts")
    return [
        plain({k: v for k, v in each.items() if k != "items"} if isinstance(each, dict) else each) for each in found
    ]


def members(records: Records) -> list[dict[str, Any]]:
    """The parts of a mix; none where the data are of one source."""
    return [member for member in listed(records, "data.json", "/members") if isinstance(member, dict)]


def known_origin(part: dict[str, Any]) -> str | None:
    """How data were come by; None where nobody has said ("user" is what a manifest has then) or the parts differ."""
    origin = part.get("origin")
    return None if origin in (None, "", "user", "mixed") else clean(origin)


def commercial(records: Records) -> str | None:
    """Whether model and outputs may both be used commercially: "yes", "no", "unclear", or None where nobody says."""
    verdicts = [find(records, "rights.json", at) for at in ("/model", "/outputs")]
    if None in verdicts:
        return None
    return "no" if "no" in verdicts else "yes" if verdicts == ["yes", "yes"] else "unclear"
