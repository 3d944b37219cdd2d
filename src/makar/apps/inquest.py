"""What the commands of inquiry print, gathered from the verbs: attacks, inbreeding, explanations, detectors, styles."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from makar.core import files
from makar.core.clock import now
from makar.core.digest import short
from makar.core.errors import MakarError
from makar.data import Dataset, pictures
from makar.data import load as load_data
from makar.provenance import nearest, safety
from makar.verbs import audit, bundle, export, recipe
from makar.verbs.audits import detector, inbreeding, redteam, style
from makar.verbs.audits import explain as explaining
from makar.verbs.audits._result import Result
from makar.verbs.chain import Chain, shape_of
from makar.verbs.guard import guard
from makar.verbs.permit import permit
from makar.verbs.sample import default_sampler, sample
from makar.verbs.trained import Trained

Said = tuple[dict[str, Any], str]
"""Facts as JSON data, and the same in words."""

_OF_THE_CHAIN = ("chain", "files")  # aims of attacks that must never get through
_CHECKED = 6  # outputs, at least, that the sanity check of an explanation rests on
_JUDGED = 3  # one in so many items is not learnt from
_MAP_SIDE = 256  # pixels of a map of attribution
_LARGEST = 64 << 20  # bytes of a suite or of a text that are read


def _figures(result: Result) -> list[str]:
    said = f"{result.name}: {result.finding}; {result.why} ({result.cpu_seconds:.1f} CPU s)"
    return [
        said,
        *(f"    {s.name:<52} {s.value:.4g}  ({s.low:.4g} to {s.high:.4g}, n = {s.n})" for s in result.figures),
    ]


# Attacks


def attacked(model: Path, spec: str | None, out: Path | None, against: Path | None) -> Said:
    """All attacks on a model, kept in the workspace; and what changed since an earlier suite."""
    old = None if against is None else _suite(against)  # refused before minutes are spent
    chain = Chain.here()
    trained = bundle.load(model)
    data, missing = _where_known(trained, chain, spec)
    suite = redteam.run(model, chain.home, data)
    kept = safety.keep(suite.results(), chain.home)
    broken = [o.name for o in suite.outcomes if o.verdict == "broken"]
    chain.record("audit", {"model": suite.model, "audits": ["red team"], "alarms": broken, "file": kept.name})
    if out is not None:
        redteam.save(suite, out)
    changes = [] if old is None else redteam.diff(old, suite)
    if old is None:
        wrong = [o.name for o in suite.outcomes if o.verdict == "broken" and o.aim in _OF_THE_CHAIN]
    else:
        wrong = [c.name for c in changes if c.after == "broken"]
    facts = {
        "holds": not wrong, "wrong": wrong, "broken": broken, "kept": str(kept),
        "changes": [asdict(c) for c in changes], "suite": suite.to_json(),
    }  # fmt: skip
    lines = [_outcome(o) for o in suite.outcomes]
    if missing:
        lines.append(f"without the data: {missing}")
    if old is not None and old.model != suite.model:
        lines.append(f"note: {against} is of another model, {short(old.model)}")
    lines += [f"changed: {change.words()}" for change in changes]
    what = "the chain was broken by" if old is None else "got through, and did not before:"
    lines.append(f"{what} {', '.join(wrong)}" if wrong else _nothing_wrong(old is None))
    return facts, "\n".join([*lines, f"kept in {kept}"])


def _nothing_wrong(alone: bool) -> str:
    return "no attack on the chain or its readers got through" if alone else "nothing gets through that did not before"


def _outcome(o: Any) -> str:
    if not o.tried:
        return f"{o.verdict:<9}  {o.name}: {o.why}"
    allowed = f", {o.allowed:.0%} allowed" if o.allowed else ""
    return f"{o.verdict:<9}  {o.name}: {o.through} of {o.tried} tries got through{allowed}; {o.about}"


def _suite(path: Path) -> redteam.Suite:
    """An earlier suite, as --out wrote it."""
    try:
        return redteam.Suite.from_json(json.loads(files.read(path, _LARGEST)))
    except (ValueError, RecursionError):
        raise MakarError(f"{path} is not JSON; name a file that --out wrote") from None


def _where_known(trained: Trained, chain: Chain, spec: str | None) -> tuple[Dataset | None, str]:
    """A model's data, or None with the reason where nobody named it and this workspace cannot open it."""
    if spec is not None:
        return audit.reopened(trained, chain, spec), ""
    try:
        return audit.reopened(trained, chain), ""
    except MakarError as error:
        return None, str(error)


# Inbreeding


def bred(
    family: str, spec: str, options: dict[str, Any], generations: int, keep_real: float, budget: str, seed: int
) -> Said:
    """Generations of models trained on models. No bundle is written, and the ledger names what was found."""
    chain = Chain.here()
    plan = recipe.resolve(family)
    data = load_data(spec, **options, blocked=tuple(chain.policy.blocked))
    permit(chain, "train", data.manifest)
    result = inbreeding.inbreed(plan.family, data, budget, generations, keep_real, seed, plan.settings)
    alarms = [result.name] if result.finding == "alarm" else []
    body = {"data": data.manifest.digest, "family": plan.family, "audits": [result.name], "alarms": alarms}
    chain.record("audit", body | {"models": result.details["models"]})
    return result.to_json(), "\n".join(_figures(result))


# Explanations


def explained(model: Path, spec: str | None, n: int, seed: int, label: str | None, out: Path | None) -> Said:
    """The first n outputs of a seed explained, as `makar sample` makes them; their maps as PNG where wanted.

    The sanity check rests on six outputs at least, since one alone cannot be judged. Maps show no output, only where
    the model looks: what is handed over goes through the guard and gets a receipt, which is what `makar sample` does.
    """
    chain = Chain.here()
    trained = bundle.load(model)
    permit(chain, "sample", trained.manifest, [trained.id])
    data = audit.reopened(trained, chain, spec)
    mark, _ = chain.watermark(trained, default_sampler(trained))
    artifacts = sample(trained, max(n, _CHECKED), seed, label, mark=mark)
    things = [a.content for a in artifacts]
    labels = np.array([a.recipe["label"] for a in artifacts]) if trained.model.classes else None
    index = nearest.load(chain.home, data.manifest.digest)
    result = explaining.explain(trained, data, things, labels, index, seed=seed)
    outputs = result.details["outputs"][:n]
    written = [] if out is None else _maps(trained, things, outputs, out)
    lines = _figures(result)
    for i, one in enumerate(outputs):
        lines += _near(i, one)
        worth = one.get("attribution", [])
        one["attribution"] = [w if math.isfinite(w) else None for w in worth]
    withheld = guard(chain, trained, artifacts[:n]).withheld
    lines += [f"note: `makar sample` withholds {sentence}" for sentence in withheld]
    if written:
        lines.append(f"wrote {', '.join(map(str, written))}: red parts make the output likelier, blue ones less likely")
    plain = result.to_json()
    plain["details"] |= {"outputs": outputs, "withheld": withheld}
    return plain | {"files": [str(p) for p in written]}, "\n".join(lines)


def _near(i: int, one: dict[str, Any]) -> list[str]:
    near = one["nearest"]
    lines = [
        f"output {i}: nearest training item {near['item']}, distance {near['distance']:.3g} "
        f"(copies lie below {near['threshold']:.3g}; {near['measure']})"
    ]
    alike = ", ".join(f"{a['item'][:12]} ({a['distance']:.3g})" for a in one["alike"])
    moved = ", ".join(f"{a['item'][:12]} ({a['cosine']:.2f})" for a in one["influence"])
    if alike:
        lines.append(f"    alike in features (distance): {alike}")
    if moved:
        lines.append(f"    moves the model alike (cosine): {moved}")
    return lines


def _maps(trained: Trained, things: Sequence[Any], outputs: Sequence[dict[str, Any]], out: Path) -> list[Path]:
    """A map for every picture that has an attribution."""
    if trained.manifest.modality != "pictures":
        raise MakarError(f"maps are drawn of pictures, and this model makes {trained.manifest.modality}; leave --out")
    written = []
    for i, one in enumerate(outputs):
        worth = np.array(one.get("attribution", []))
        x = trained.codec.encode(things[i : i + 1])
        if not len(worth) or x.ndim != 4 or not np.isfinite(worth).all():
            continue
        parts = explaining.cut(trained.codec.space, x)[:, 0].numpy()
        path = out / f"{i:03d}-attribution.png"
        files.write_bytes(path, export.png(_heat(np.tensordot(worth, parts, 1))))
        written.append(path)
    return written


def _heat(worth: np.ndarray) -> Image.Image:
    """Numbers (H, W) as colours: white is 0, red the largest magnitude above it and blue below."""
    share = worth / max(float(np.abs(worth).max()), 1e-30)
    colours = np.stack([1 + np.minimum(share, 0), 1 - np.abs(share), 1 - np.maximum(share, 0)], 2)
    zoom = max(1, _MAP_SIDE // max(share.shape))
    return Image.fromarray(np.rint(255 * colours).astype(np.uint8).repeat(zoom, 0).repeat(zoom, 1))


# Detectors


def taught(models: Sequence[Path], spec: str | None, n: int, seed: int) -> Said:
    """A detector of what some models make, judged on what it has not learnt from, and kept."""
    chain = Chain.here()
    trained = [bundle.load(path) for path in models]
    data = audit.reopened(trained[0], chain) if spec is None else load_data(spec)
    for path, one in zip(models, trained, strict=True):
        _same_kind(path, one, data)
        permit(chain, "sample", one.manifest, [one.id])
    real = _fresh(data, trained)
    made: dict[str, list[Any]] = {}
    for one in trained:
        made.setdefault(one.family, []).extend(a.content for a in sample(one, n, seed))
    learnt = {name: _others(things) for name, things in made.items()}
    found = detector.train(_others(real), learnt, data.modality, _levels(data))
    result = detector.judged(found, real[::_JUDGED], {name: things[::_JUDGED] for name, things in made.items()}, seed)
    place = detector.save(found, detector.root(chain.home) / data.modality)
    facts = _judgement(found, result, [one.id for one in trained], data) | {"place": str(place)}
    files.write_json(place.with_suffix(".json"), facts)
    body = {"data": data.manifest.digest, "models": facts["models"], "audits": [result.name]}
    chain.record("audit", body | {"alarms": [result.name] if result.finding == "alarm" else []})
    return facts, "\n".join([*_figures(result), _told(facts), f"kept in {place}; makar detect uses it"])


def _judgement(found: detector.Detector, result: Result, models: list[str], data: Dataset) -> dict[str, Any]:
    lost = [name for name in result.details.get("weak", ()) if ";learnt;attack=none]" in name]
    return {
        "modality": found.modality, "families": list(found.families), "clean": len(found.clean), "time": now(),
        "models": models, "data": data.manifest.digest, "tells": not lost, "judged": result.to_json(),
    }  # fmt: skip


def _told(facts: dict[str, Any]) -> str:
    names = ", ".join(facts["families"])
    rate = f"a false-positive rate of {100 * detector.RATE:g} % calibrated on {facts['clean']} clean items"
    if facts["clean"] * detector.RATE < 1:
        rate = f"{facts['clean']} clean items, too few for a false-positive rate of {100 * detector.RATE:g} %"
    return f"{facts['modality']}: what {names} make, at {rate}"


def _others(things: Sequence[Any]) -> list[Any]:
    """The things to learn from: those that are not kept for judging."""
    return [thing for i, thing in enumerate(things) if i % _JUDGED]


def _levels(data: Dataset) -> int:
    return data.levels if data.modality == "pictures" else 0


def _fresh(data: Dataset, trained: Sequence[Trained]) -> list[Any]:
    """The items of the data that none of the models was trained on."""
    known = {sha for one in trained for sha in one.manifest.items["train"]}
    sides = ((data.train, "train"), (data.held_out, "held_out"))
    return [
        thing
        for split, side in sides
        for thing, sha in zip(split.things, data.manifest.items[side], strict=True)
        if sha not in known
    ]


def _same_kind(path: Path, one: Trained, data: Dataset) -> None:
    """Refuse a model whose outputs could be told from the data by their form alone."""
    if one.manifest.modality != data.modality:
        raise MakarError(f"{path} makes {one.manifest.modality}, and {data.name} holds {data.modality}")
    if data.modality != "pictures":
        return
    ours, shape = (one.levels, shape_of(one)), tuple(data.train.things[0].shape)
    if ours[0] != data.levels or ours[1] not in (None, shape):
        raise MakarError(
            f"{path} makes pictures of {ours[0]} levels and shape {ours[1]}, and those of {data.name} have "
            f"{data.levels} and {shape}: size alone would tell them apart; give data of the same form"
        )


def detectors() -> tuple[list[dict[str, Any]], str]:
    """The detectors that are kept, each with how it was judged."""
    root = detector.root(Chain.here().home)
    facts = []
    for place in sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else ():
        found = detector.load(place)
        try:
            plain = json.loads(place.with_suffix(".json").read_bytes())
            whole = dict(plain) | {"families": list(found.families), "clean": len(found.clean)}
            Result.from_json(whole["judged"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise MakarError(f"how the detector in {place} was judged cannot be read; train it anew") from None
        facts.append(whole)
    lines = [line for one in facts for line in (*_figures(Result.from_json(one["judged"])), _told(one))]
    return facts, "\n".join(lines) or "no detector is kept here; make one with: makar detector train BUNDLE"


# Styles


def style_added(name: str, folder: Path, spec: str, options: dict[str, Any]) -> Said:
    """A style from the works in a folder, calibrated on the training items of clean data and judged on the others.

    Where there are enough works a third of them judges it, and does not make it.
    """
    chain = Chain.here()
    data = load_data(spec, **options)
    works = _works(folder, data)
    aside = len(works) >= _JUDGED * style.LEAST
    references = _others(works) if aside else works
    made = style.build(name, references, list(data.train.things), data.modality, _levels(data))
    judged = style.blocked(made, list(data.held_out.things), works[::_JUDGED]) if aside else None
    place = style.save(made, chain.home)
    facts = _style(made, chain) | {"place": str(place), "judged": None if judged is None else judged.to_json()}
    lines = _figures(judged) if judged else [f"not judged: that takes {_JUDGED * style.LEAST} works, of {len(works)}"]
    return facts, "\n".join([*lines, _style_words(facts), f"kept in {place}"])


def _works(folder: Path, data: Dataset) -> list[Any]:
    """The works in a folder, in the form of the items of the data: shape, colours and levels of its pictures."""
    if not folder.is_dir():
        raise MakarError(f"there is no folder at {folder}; give one of works in the style")
    listed = sorted(p for p in folder.iterdir() if p.is_file())
    if data.modality == "text":
        texts = [p for p in listed if p.suffix == ".txt"]
        return [files.read(p, _LARGEST).decode("utf-8", "replace") for p in texts]
    if data.modality != "pictures":
        raise MakarError(f"styles are of pictures and text, and {data.name} holds {data.modality}")
    height, width, channels = data.train.things[0].shape
    found, opened, tally = [], [], pictures.Tally()
    for path in filter(pictures.is_picture, listed):
        try:
            opened.append(pictures.opened(path, tally))
        except pictures.BadPicture as reason:
            raise MakarError(f"{path} cannot be used: {reason}; take it out of the folder") from None
    for picture in (pictures.shallow(deep, tally) for deep in opened):
        plain = picture.convert("L" if channels == 1 else "RGB")
        fitted = ImageOps.fit(plain, (width, height), Image.Resampling.LANCZOS)
        values = np.asarray(fitted, np.float64).reshape(height, width, channels)
        found.append(np.rint(values * ((data.levels - 1) / 255.0)).astype(np.uint8))
    return found


def _style(found: style.Style, chain: Chain) -> dict[str, Any]:
    return {
        "name": found.name, "modality": found.modality, "references": found.references, "clean": len(found.clean),
        "threshold": found.threshold, "rate": found.rate,
        "in_force": any(s.name == found.name for s in style.in_force(chain.home, chain.policy, found.modality)),
    }  # fmt: skip


def _style_words(facts: dict[str, Any]) -> str:
    stands = "in force" if facts["in_force"] else f"not in force: put '{facts['name']}' into the policy's `blocked`"
    return (
        f"{facts['name']}: {facts['modality']}, {facts['references']} works; refuses {100 * facts['rate']:.2g} % of "
        f"clean items in expectation ({facts['clean']} calibrate it); {stands}"
    )


def _named(place: Path) -> str:
    """The name of the style in a file of the workspace."""
    try:
        return str(json.loads(place.read_bytes())["name"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise MakarError(f"{place} names no style; remove {place.parent} and build the style anew") from None


def styles() -> tuple[list[dict[str, Any]], str]:
    """The styles that the workspace knows."""
    chain = Chain.here()
    root = chain.home.root / "styles"
    known = [_named(place) for place in sorted(root.glob("*/style.json"))]
    facts = [_style(found, chain) for name in sorted(known) if (found := style.load(chain.home, name)) is not None]
    return facts, "\n".join(map(_style_words, facts)) or "no style is known here; make one with: makar style add"
