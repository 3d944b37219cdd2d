"""Audit: what a model tells of its training data, and whom it serves worse, as numbers with intervals.

    copying      near-copies of training items, C_T and authenticity
    extraction   training text continued word for word; generated items nearer to training than to held-out items
    membership   can one tell which items were trained on? True positives at 1 % and 0.1 % false positives
    leakage      held-out items among the training ones; personal data in either and in outputs
    bias         shares, quality and associations by group
    canaries     planted secrets and their exposure: trains the recipe again, so it is run only when it is named

Results are kept in the workspace, where policies look for them, and entered in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from makar.core.clock import now
from makar.core.errors import MakarError, did_you_mean
from makar.data import Dataset
from makar.data import load as load_data
from makar.provenance import safety
from makar.provenance.findings import Finding
from makar.verbs import sample
from makar.verbs.audits._result import Result
from makar.verbs.audits.bias import bias
from makar.verbs.audits.canaries import canaries
from makar.verbs.audits.copying import copying
from makar.verbs.audits.extraction import extraction
from makar.verbs.audits.leakage import overlap, personal_data
from makar.verbs.audits.membership import membership
from makar.verbs.bundle import sha256
from makar.verbs.chain import Chain
from makar.verbs.machine import installed
from makar.verbs.trained import Trained

Audit = Callable[[Trained, Dataset], list[Result]]


def _leakage(trained: Trained, data: Dataset) -> list[Result]:
    outputs = [a.content for a in sample.sample(trained, 100, seed=1)]
    return [overlap(data), personal_data(data, outputs)]


AUDITS: dict[str, Audit] = {
    "copying": lambda trained, data: [copying(trained, data)],
    "extraction": lambda trained, data: [extraction(trained, data)],
    "membership": lambda trained, data: [membership(trained, data)],
    "leakage": _leakage,
    "bias": lambda trained, data: list(bias(trained, data)),
    "canaries": lambda trained, data: [canaries(trained, data)],
}
_KINDS = {"overlap": "leakage", "personal data": "leakage"}
USUAL = ("copying", "extraction", "membership", "leakage", "bias")


def chosen(names: str | None) -> Sequence[str]:
    """Names of audits from words with commas; the usual ones where nothing is said."""
    if names is None:
        return USUAL
    found = [name.strip() for name in names.split(",") if name.strip()]
    for name in found:
        if name not in AUDITS:
            raise MakarError(f"there is no audit '{name}'{did_you_mean(name, AUDITS)}")
    return found or USUAL


def reopened(trained: Trained, chain: Chain, spec: str | None = None, **options: Any) -> Dataset:
    """The data that a model was trained on, opened again: as the user says, or as the ledger remembers.

    Raises MakarError where neither knows, and where what is opened is not what was trained on.
    """
    if not options and chain.home.ledger.is_dir():
        for entry in chain.ledger.entries("model"):
            if entry.body.get("id") == trained.id and entry.body.get("told"):
                told = entry.body["told"]
                spec, options = spec or told.get("spec"), dict(told.get("options") or {})
    if trained.manifest.label:
        options.setdefault("label", trained.manifest.label)
    if spec is None:
        raise MakarError("this workspace does not remember the data of this model; name it with --data")
    data = load_data(spec, **{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
    if data.manifest.digest != trained.manifest.digest:
        raise MakarError(
            f"'{spec}' is not what the model was trained on: its digest is {data.manifest.digest[:12]}, "
            f"and the model names {trained.manifest.digest[:12]}"
        )
    return data


def audit(trained: Trained, data: Dataset, names: Sequence[str] = USUAL) -> list[Result]:
    """The named audits, one after the other."""
    return [result for name in names for result in AUDITS[name](trained, data)]


def replayed(trained: Trained, data: Dataset, chain: Chain) -> list[Finding]:
    """Run the newest kept audits again: are the figures the same? They are drawn with fixed seeds.

    Raises MakarError where none are kept.
    """
    kept = [(p, r) for p, r in safety.kept(chain.home, trained.id) if {line.audit for line in r.results} & set(AUDITS)]
    if not kept:
        raise MakarError(f"no audits of model {trained.id[:12]} are kept here; run: makar audit BUNDLE")
    path, before = kept[-1]
    told = {(r.audit, r.name): r.figure for r in before.results}
    kinds = {audit for audit, _ in told}
    again = audit(trained, data, [name for name in AUDITS if name in kinds])
    now_told = {(line.audit, line.name): line.figure for result in again for line in _lines(result)}
    found = []
    for (kind, name), figure in told.items():
        new = now_told.get((kind, name))
        same = new is not None and abs(new - figure) <= 1e-9 * max(1.0, abs(figure))
        why = (
            f"it is {figure:.6g} again"
            if same
            else f"it was {figure:.6g} and is now {new if new is None else f'{new:.6g}'}"
        )
        found.append(Finding(f"{kind}: {name} in {path.name}", "holds" if same else "fails", why))
    return found


def keep(trained: Trained, results: Sequence[Result], chain: Chain, place: Path) -> Path:
    """Keep results in the workspace and enter them in the ledger; returns the file."""
    found = safety.Results(
        model=trained.id,
        weights=sha256((place / "model.safetensors").read_bytes()),
        time=now(),
        makar=installed("makar") or "unknown",
        results=[line for result in results for line in _lines(result)],
    )
    path = safety.keep(found, chain.home)
    alarms = [result.name for result in results if result.finding == "alarm"]
    chain.record(
        "audit", {"model": trained.id, "audits": [r.name for r in results], "alarms": alarms, "file": path.name}
    )
    return path


def _lines(result: Result) -> list[safety.Result]:
    """An audit as figures to exchange: whether it raised an alarm, and what it measured."""
    kind = _KINDS.get(result.name, result.name.partition(" ")[0])
    alarm = float(result.finding == "alarm")
    figures = [
        safety.Result(
            audit=kind, name=s.name, figure=s.value, low=min(s.low, s.value), high=max(s.high, s.value), n=s.n
        )
        for s in result.figures
    ]
    if result.finding == "not measurable":
        return figures
    said = safety.Result(
        audit=kind,
        name=f"{result.name}: alarm",
        figure=alarm,
        low=alarm,
        high=alarm,
        n=1,
        threshold=0.0,
        note=result.why,
    )
    return [said, *figures]
