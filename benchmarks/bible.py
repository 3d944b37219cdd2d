"""Bits a byte on the King James Bible: the text as files, and what a family makes of it at a budget.

    python benchmarks/bible.py prepare FOLDER [--text bible-kjv-text.deb --reader bible-kjv.deb]
    python benchmarks/bible.py measure FOLDER [--family ngram] [--budget 20s] [--codec bpe] [--set order=5 ...]

`prepare` writes FOLDER/{train,held_out}/BOOK-CHAPTER.txt, one verse a line without its number; every 20th chapter,
beginning with the first, is held out. It reads Debian's packages bible-kjv-text and bible-kjv (the text is compressed
in a format of its own, which the latter's program reads); where they are not given, `apt-get download` gets them.
The folder is a source for `makar ... text:FOLDER`.

`measure` scores the held-out chapters as one stream in windows that overlap by half: every symbol is scored once, and
beyond the first window with at least half a window of context.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import tempfile
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from makar.core.files import write_text
from makar.core.model import HasLogProb, Model
from makar.data import load
from makar.verbs.score import rolling_log_prob
from makar.verbs.train import fit

EVERY = 20
_VERSE = re.compile(r"(\d?[A-Za-z]+)(\d+):\d+ (.*)")


def verses(text: Path | None, reader: Path | None) -> list[tuple[str, int, str]]:
    """(book, chapter, words) of every verse, in order."""
    with tempfile.TemporaryDirectory() as folder:
        packages = [p.resolve() for p in (text, reader) if p is not None]
        missing = [name for name, p in (("bible-kjv-text", text), ("bible-kjv", reader)) if p is None]
        if missing:
            subprocess.run(["apt-get", "download", *missing], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            packages += sorted(Path(folder).glob("*.deb"))
        for package in packages:
            subprocess.run(["dpkg", "-x", package, "root"], cwd=folder, check=True)
        root = Path(folder) / "root" / "usr"
        command = [str(root / "bin" / "bible"), "-p", str(root / "lib"), "-f", "gen1:1-rev22:21"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = [_VERSE.fullmatch(line) for line in printed.splitlines()]
    return [(m[1], int(m[2]), m[3].strip()) for m in found if m is not None]


def prepare(folder: Path, text: Path | None, reader: Path | None) -> None:
    chapters = groupby(verses(text, reader), key=lambda verse: verse[:2])
    sizes = {"train": 0, "held_out": 0}
    for i, ((book, chapter), group) in enumerate(chapters):
        words = "".join(f"{verse[2]}\n" for verse in group)
        side = "train" if i % EVERY else "held_out"
        (folder / side).mkdir(parents=True, exist_ok=True)
        write_text(folder / side / f"{book}-{chapter}.txt", words)
        sizes[side] += len(words.encode())
    print(f"{folder}: {sizes['train']:,} bytes to train on, {sizes['held_out']:,} held out")


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Bits a byte of one family, and what they cost."""
    data = load(f"text:{folder}", licence="CC-PDDC")
    settings = {key: json.loads(value) for key, _, value in (pair.partition("=") for pair in args.set)}
    begun = time.process_time()
    trained = fit(args.family, data, args.budget, args.seed, settings, codec=args.codec)
    cost = time.process_time() - begun
    if not isinstance(trained.model, HasLogProb):
        raise SystemExit(f"{args.family} has no likelihood")
    begun = time.process_time()
    codec, documents = trained.codec, data.held_out.things
    rows = codec.encode(documents)

    def bits_per_byte(model: Model) -> tuple[float, str]:
        with torch.no_grad():
            likelihood = rolling_log_prob(model, rows, args.seed)
        nats = float(likelihood.nats.sum()) + codec.nats(documents)
        return -nats / math.log(2.0) / codec.units(documents), likelihood.kind

    bits, kind = bits_per_byte(trained.model)
    parts: list[Any] = list(trained.model.parts) if trained.family == "blend" else []
    return {
        "family": args.family,
        "settings": settings,
        "codec": args.codec,
        "budget": args.budget,
        "bits_per_byte": round(bits, 4),
        "kind": kind,
        "parts": [round(bits_per_byte(part)[0], 4) for part in parts],
        "steps": trained.record.steps,
        "bytes": codec.units(documents),
        "cpu_seconds_with_codec": round(cost, 1),
        "cpu_seconds_to_score": round(time.process_time() - begun, 1),
        "numbers": trained.record.history[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("prepare")
    first.add_argument("folder", type=Path)
    first.add_argument("--text", type=Path, help="bible-kjv-text_*.deb")
    first.add_argument("--reader", type=Path, help="bible-kjv_*.deb")
    second = commands.add_parser("measure")
    second.add_argument("folder", type=Path)
    second.add_argument("--family", default="ngram")
    second.add_argument("--budget", default="20s")
    second.add_argument("--codec", default="bpe")
    second.add_argument("--seed", type=int, default=0)
    second.add_argument("--set", nargs="*", default=[], metavar="KEY=JSON", help="settings of the family")
    args = parser.parse_args()
    if args.command == "prepare":
        prepare(args.folder, args.text, args.reader)
    else:
        print(json.dumps(measure(args.folder, args), indent=2))


if __name__ == "__main__":
    main()
