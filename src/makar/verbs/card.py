"""The model card: every number in it is read from the run's record or the data's manifest."""

from __future__ import annotations

import re

from makar.verbs.trained import Trained


def _front_matter(trained: Trained) -> list[str]:
    manifest = trained.manifest
    licence = manifest.licence.lower() if re.fullmatch(r"[A-Za-z0-9.+-]+", manifest.licence) else "other"
    lines = ["---", "library_name: makar", f"license: {licence if licence != 'unknown' else 'unknown'}"]
    lines += [
        "tags:",
        f"- {trained.family}",
        f"- {manifest.modality}",
        "- generative",
        "datasets:",
        f"- {_plain(manifest.name)}",
    ]
    return [*lines, "---"]


def _plain(text: str) -> str:
    """Text from outside as one line that YAML and Markdown read as plain words."""
    return re.sub(r"[^\w .,:/()+-]", "_", text, flags=re.UNICODE).replace(": ", " - ").strip()


def model_card(trained: Trained) -> str:
    """Markdown with the front matter that model hubs read."""
    record, manifest, model = trained.record, trained.manifest, trained.model
    events = [f"- step {e['step']}: {e['kind']}, {e['why']}" for e in record.events[:20]]
    last = record.history[-1] if record.history else {}
    budget = ", ".join(f"{limit} {amount:g}" for limit, amount in record.recipe["budget"].items())
    lines = [
        *_front_matter(trained),
        "",
        f"# {trained.family} on {_plain(manifest.name)}",
        "",
        f"A {trained.family} model of {manifest.modality}, {trained.parameters:,} numbers learnt, made with makar.",
        "",
        "## Trained on",
        "",
        f"- data: {_plain(manifest.name)} ({manifest.counts.get('train', 0):,} items trained on, "
        f"{manifest.counts.get('held_out', 0):,} held out)",
        f"- source: {_plain(manifest.source)}",
        f"- licence of the data: {_plain(manifest.licence)}",
        f"- attribution: {_plain(manifest.attribution) or 'none stated'}",
        f"- digest of the data: `{manifest.digest}`",
        "",
        "## How",
        "",
        f"- budget: {budget}; seed {record.recipe['seed']}",
        f"- {record.steps:,} steps, {record.cpu_seconds:.1f} CPU seconds, {record.flops:.3g} FLOPs by hand count",
        f"- machine: {record.machine.get('processor', 'unknown')}, {record.machine.get('threads', '?')} threads, "
        f"torch {record.machine.get('torch', '?')}",
        f"- last loss: {last['loss']:.4f} nats or as the family defines it" if "loss" in last else "- no loss recorded",
        f"- conditioned on: {', '.join(map(_plain, manifest.classes)) if model.classes else 'nothing'}",
        "",
        "## Events",
        "",
        *(events or ["None: no spike, no non-finite number, no interruption."]),
        "",
        "## Limits",
        "",
        "It has learnt the distribution of the data above and inherits its gaps and biases. Scores are not in this "
        "card: run `makar score` on the bundle, which prints each with its interval, floor and ceiling.",
    ]
    return "\n".join(lines) + "\n"
