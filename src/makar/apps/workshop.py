"""One model at a time from the command line: train it, draw from it, score it, look at its data."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from makar.apps import place
from makar.apps.contents import contents
from makar.apps.progress import follow
from makar.core.errors import MakarError, plain
from makar.core.score import Score
from makar.data import Manifest
from makar.data import load as load_data
from makar.data.manifest import losses
from makar.verbs import bundle, export, recipe, stability
from makar.verbs import score as scoring
from makar.verbs.budget import Budget
from makar.verbs.chain import Chain
from makar.verbs.estimate import estimate
from makar.verbs.guard import remember_items
from makar.verbs.hand_over import hand_over
from makar.verbs.permit import permit
from makar.verbs.train import fit, prepare
from makar.verbs.trained import Record
from makar.verbs.verify import listing
from makar.verbs.words import short

_NAMED = 4  # files that are named where more were written
_WIDE = 150  # columns of the table of scores in a file or a pipe
READING = 60.0
"""CPU seconds that the likelihood of held-out items may take when one model is scored; then fewer of them count."""


def train_one(
    family: str,
    spec: str,
    options: dict[str, Any],
    budget: str,
    price: float | None,
    out: Path | None,
    seed: int,
    settings: dict[str, Any],
    codec: str | None,
    chain: Chain,
    scored: int | None,
    as_json: bool,
) -> None:
    """Train and write the bundle; the checkpoint beside it is what a killed run goes on from."""
    plan = recipe.resolve(family)
    limits = Budget.parse(budget, price)
    data = load_data(spec, **options, blocked=tuple(chain.policy.blocked))
    _tell(data.manifest, quiet=as_json)
    permit(chain, "train", data.manifest)
    of_family, of_codec = _parted(settings)
    kept = plan.codec_settings if codec in (None, plan.codec) else {}
    given: dict[str, Any] = {
        "settings": plan.settings | of_family,
        "codec": codec or plan.codec,
        "codec_settings": kept | of_codec,
        "sampler": plan.sampler,
        "sampler_settings": plan.sampler_settings,
    }
    run, fitted = prepare(plan.family, data, limits, seed, **given)
    cost = estimate(run)
    if not as_json:
        typer.echo(f"{plan.family} on {data.name}, {limits.words()}, seed {seed}: {cost.words()}")
        if laid := fitted.words():
            typer.echo(f"codec {run.recipe['codec']}: {laid}")
    out = out or place.default(plan.family, data.name, seed)
    place.require_free(out, run.recipe)
    with place.claimed(out):
        checkpoint = out.with_name(f".{out.name}.checkpoint")
        with follow(plan.family, quiet=as_json) as watch:
            trained = fit(plan.family, data, limits, seed, checkpoint=checkpoint, watch=watch, **given)
        scores = scoring.score(trained, data, scored, seconds=READING) if scored is not None else []
        place.require_free(out, run.recipe)  # it may have come to be there meanwhile
        chain.save(trained, out, {"spec": spec, "options": options}, scores)
    remember_items(chain, data, trained)
    record = trained.record
    facts = {
        "out": str(out), "id": trained.id, "family": trained.family, "steps": record.steps, "seed": seed,
        "cpu_seconds": round(record.cpu_seconds, 3), "seconds": round(record.seconds, 3),
        "parameters": trained.parameters, "loss": record.history[-1].get("loss") if record.history else None,
        "licence": data.manifest.licence, "events": record.events, "chain": chain.words(),
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    tell_trained(record, facts)


def tell_trained(record: Record, facts: dict[str, Any]) -> None:
    """What came of a training: jumps of the loss, other events, and where the bundle is."""
    spikes = [event for event in record.events if event["kind"] == "spike"]
    if spikes:
        steps = ", ".join(f"{event['step']:,}" for event in spikes[:_NAMED]) + (", …" if len(spikes) > _NAMED else "")
        times = "once" if len(spikes) == 1 else f"{len(spikes):,} times"
        typer.echo(f"note: the loss jumped {times} (step {steps}); it matters only where it did not come down again")
    for event in record.events:
        if event["kind"] != "spike":
            typer.echo(f"note, step {event['step']}: {event['kind']}: {event['why']}")
    loss, out = facts["loss"], facts["out"]
    typer.echo(
        f"wrote {out}: {record.steps:,} step{'' if record.steps == 1 else 's'} in {record.cpu_seconds:.1f} CPU s"
        + (f", last loss {loss:.4f}" if loss is not None else "")
        + f"; licence of the data: {facts['licence']}"
    )
    typer.echo(f"{facts['chain']}\nnext: makar sample {shlex.quote(out)} -n 16 --out out/")


def _parted(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the family, and those that are named codec.… of the codec."""
    of_codec = {key.removeprefix("codec."): value for key, value in settings.items() if key.startswith("codec.")}
    return {key: value for key, value in settings.items() if not key.startswith("codec.")}, of_codec


def _tell(manifest: Manifest, quiet: bool) -> None:
    """Say what of the data was left out or read as something else."""
    for note in [] if quiet else losses(manifest):
        typer.echo(f"note: {note}")


def sample_from(
    model: Path,
    n: int,
    label: str | None,
    seed: int,
    out: Path,
    sampler: str | None,
    settings: dict[str, Any],
    prompt: str,
    length: int | None,
    chain: Chain,
    as_json: bool,
) -> None:
    """Draw and write files with their receipts, and a grid or a preview to look at."""
    trained = bundle.load(model)
    done = hand_over(chain, trained, out, n, seed, label, sampler, settings, model, prompt, length)
    if as_json:
        new = {path.name for path in done.written}
        typer.echo(json.dumps([e for e in listing(out) if e["file"] in new], ensure_ascii=False, indent=1))
        return
    _tell(trained.manifest, quiet=as_json)
    for sentence in done.withheld:
        typer.echo(f"withheld: {sentence}")
    if done.artifacts[0].kind == "text":
        for artifact in done.artifacts[:2]:
            typer.echo(f"--- {artifact.id[:12]}\n{artifact.content[:600]}")
    names = [path.name for path in done.written]
    shown = ", ".join(names) if len(names) <= _NAMED else f"{', '.join(names[: _NAMED - 1])} … {names[-1]}"
    typer.echo(f"wrote {len(names)} files to {out}: {shown}")
    typer.echo(f"watermark: {done.said.name or f'none, for {done.said.why}'}")
    typer.echo(f"{chain.words()}; next: makar verify {shlex.quote(str(done.written[0]))}")


def score_one(model: Path, spec: str, options: dict[str, Any], n: int | None, seed: int, as_json: bool) -> None:
    """Scores of a bundle, beside the floor and the ceiling."""
    trained = bundle.load(model)
    data = load_data(spec, **options)
    scoring.require_alike(trained, data)
    if said := _other(model, trained.manifest, data.manifest):
        typer.echo(f"note: {said}", err=True)
    stick = scoring.yardstick(data)
    scores = scoring.score(trained, data, n, seed, stick, READING)
    anchors = scoring.anchors(data, n, seed, stick)
    if as_json:
        named = {"scores": scores, **anchors}
        plain = {key: {s.name: s.to_json() for s in values} for key, values in named.items()}
        typer.echo(json.dumps(plain, ensure_ascii=False, indent=1))
        return
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width of its own, and names need not be broken
        console = Console(width=_WIDE)
    console.print(_table(scores, anchors["floor"], anchors["ceiling"]))
    for caveat in dict.fromkeys(f"{short(s.name)}: {c}" for s in scores for c in s.caveats):
        console.print(caveat, style="dim", markup=False, highlight=False, soft_wrap=True)


def _other(model: Path, learnt: Manifest, data: Manifest) -> str:
    """What to know of data that the model was not trained on as they are here; empty where they are its own."""
    if data.items == learnt.items:
        return ""
    held_out = set(data.items["held_out"])
    seen = len(held_out & set(learnt.items["train"]) - set(learnt.items["held_out"]))
    if seen:
        return (
            f"{seen:,} of the {len(held_out):,} held-out items of {data.name} were among those that {model} learnt "
            "from, so that its scores flatter it"
        )
    return f"{model} was trained on other data than {data.name}; none of the held-out items was among them"


def _table(scores: list[Score], floor: list[Score], ceiling: list[Score]) -> Table:
    table = Table(title=None, pad_edge=False, box=None, header_style="bold")
    table.add_column("score", overflow="fold")
    for title in ("value", "95 % interval", "floor", "ceiling", "better"):
        table.add_column(title, justify="right", no_wrap=True)
    floors, ceilings = ({s.name: s.value for s in anchor} for anchor in (floor, ceiling))
    for s in scores:
        better = {True: "higher", False: "lower", None: ""}[s.higher_is_better]
        ends = [f"{a[s.name]:.4g}" if s.name in a else "" for a in (floors, ceilings)]
        table.add_row(escape(s.name), f"{s.value:.4g}", f"{s.low:.4g} … {s.high:.4g}", *ends, better)
    return table


def show_stability(
    family: str,
    spec: str,
    options: dict[str, Any],
    budget: str,
    seeds: int,
    n: int | None,
    settings: dict[str, Any],
    as_json: bool,
) -> None:
    """How steady a family is over learning rates and seeds."""
    plan = recipe.resolve(family)
    given: dict[str, Any] = {
        "codec": plan.codec,
        "codec_settings": plan.codec_settings,
        "sampler": plan.sampler,
        "sampler_settings": plan.sampler_settings,
    }
    data = load_data(spec, **options)
    found = stability.stability(plan.family, data, budget, seeds, n, plan.settings | settings, **given)
    typer.echo(found.model_dump_json(indent=1) if as_json else found.words())


def show_data(spec: str, options: dict[str, Any], sheet: Path | None, as_json: bool) -> None:
    """The manifest, and a contact sheet of pictures where one is asked for."""
    from makar.core import files
    from makar.data.manifest import contact_sheet, summary

    data = load_data(spec, **options)
    if sheet is not None:
        if data.modality != "pictures":
            raise MakarError(
                f"a contact sheet is for pictures, and {data.name} holds {data.modality}; leave --sheet out"
            )
        files.write_bytes(sheet, export.png(contact_sheet(data.train, data.levels)))
    if as_json:
        typer.echo(data.manifest.model_dump_json(indent=1))
        return
    first, *rest = summary(data.manifest).split("\n")
    typer.echo("\n".join(map(plain, [first, *contents(data), *rest])))
    if sheet is not None:
        typer.echo(f"wrote {sheet}")
