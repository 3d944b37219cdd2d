"""Content credentials: what do signing and reading one small picture cost, over what the C2PA library itself costs?

    python benchmarks/credentials.py [--calls 50]

A PNG of 64 x 64 with random pixels. CPU milliseconds a call (process time, median of 9 rounds), and bytes added. The
floor is the library with a manifest of one action. Bars: signing under 15 ms, growth under 8,000 bytes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
from _bench import RESULTS, table
from PIL import Image

from makar.core.files import write_json
from makar.provenance import credentials, keys
from makar.provenance.credentials import Claim, ModelIngredient, Parent, SourceType
from makar.provenance.home import Home
from makar.provenance.keys import Anchors, Keys
from makar.provenance.media import SOURCE_TYPES
from makar.verbs.machine import describe

PNG = "image/png"
ROUNDS, MOST_MS, MOST_BYTES = 9, 15.0, 8_000
MADE: SourceType = "trainedAlgorithmicMedia"
RECEIPT: dict[str, Any] = {
    "version": 1, "kind": "pictures", "media_type": PNG, "content": "a" * 64, "outputs": ["b" * 64],
    "recipe": {"sampler": "heun", "steps": 18, "seed": 7, "index": 3}, "model": "c" * 64, "family": "diffusion",
    "bundle": "d" * 64, "data": "e" * 64, "rights": {"commercial": True}, "policy": "f" * 64, "prompt": "",
    "watermark": {"name": "dct", "why": "", "key": "0" * 16}, "nearest": None, "labels": [],
    "made": "2026-11-22T09:00:00Z", "makar": "0.1.0",
}  # fmt: skip


def picture(seed: int) -> bytes:
    out = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def milliseconds(work: Callable[[], Any], calls: int) -> dict[str, float]:
    """CPU time a call: median, least and most of the rounds."""
    work()
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(calls):
            work()
        rounds.append((time.process_time() - started) / calls * 1e3)
    return {"median": statistics.median(rounds), "least": min(rounds), "most": max(rounds)}


class Floor:
    """The library alone, its objects kept between calls."""

    def __init__(self, own: Keys) -> None:
        info = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, own.chain, own.signer_key, None)
        settings = {"trust": {"user_anchors": own.root.decode()}, "builder": {"thumbnail": {"enabled": False}}}
        self.context = c2pa.Context.from_dict(settings, signer=c2pa.Signer.from_info(info))
        created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES[MADE] + MADE}
        self.definition = {
            "claim_generator_info": [{"name": "floor"}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
        }

    def sign(self, data: bytes) -> bytes:
        out = BytesIO()
        with c2pa.Builder(self.definition, context=self.context) as builder:
            builder.sign(PNG, BytesIO(data), out)
        return out.getvalue()

    def read(self, data: bytes) -> str:
        with c2pa.Reader(PNG, BytesIO(data), context=self.context) as reader:
            return str(reader.json())


def measure(own: Keys, anchors: Anchors, calls: int) -> list[dict[str, Any]]:
    data, other, floor = picture(0), picture(1), Floor(own)
    model = ModelIngredient("diffusion on digits", "c" * 64, "1" * 64)
    claim = Claim("000.png", PNG, MADE, RECEIPT, model, watermark="dct")
    made = credentials.sign(data, claim, own).data
    step = Claim("001.png", PNG, "humanEdits", RECEIPT, parent=Parent(made, PNG), actions=("c2pa.edited",))
    edited = credentials.sign(other, step, own).data
    bare = floor.sign(data)
    known = credentials.read(made, PNG, None, anchors)
    if known.state != "holds" or credentials.read(edited, PNG, None, anchors).state != "holds":
        raise SystemExit(f"what was signed does not hold: {known.why}")
    works: list[tuple[str, Callable[[], Any], int | None]] = [
        ("sign, library alone", lambda: floor.sign(data), len(bare) - len(data)),
        ("sign", lambda: credentials.sign(data, claim, own), len(made) - len(data)),
        ("sign an edit", lambda: credentials.sign(other, step, own), len(edited) - len(other)),
        ("read, library alone", lambda: floor.read(bare), None),
        ("read", lambda: credentials.read(made, PNG, None, anchors), None),
        ("read two steps", lambda: credentials.read(edited, PNG, None, anchors), None),
        ("read a file without", lambda: credentials.read(data, PNG, None, anchors), None),
    ]
    return [{"what": what, "bytes": size, "cpu_ms": milliseconds(work, calls)} for what, work, size in works]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50, help="calls in each of 9 rounds")
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        found = measure(keys.init(home, "benchmark"), Anchors.of(home), calls)
    rows = [
        [cell["what"], *(f"{cell['cpu_ms'][k]:.2f}" for k in ("median", "least", "most")), cell["bytes"] or ""]
        for cell in found
    ]
    print(table(["what", "CPU ms, median", "least", "most", "bytes added"], rows))
    signing = next(cell for cell in found if cell["what"] == "sign")
    met = signing["cpu_ms"]["median"] < MOST_MS and signing["bytes"] < MOST_BYTES
    print(f"bars: signing under {MOST_MS} ms, growth under {MOST_BYTES} bytes: {'met' if met else 'MISSED'}")
    protocol = {"calls": calls, "rounds": ROUNDS, "picture": "PNG 64x64x3, random", "c2pa": c2pa.sdk_version()}
    write_json(RESULTS / "credentials.json", {"protocol": protocol, "machine": describe(), "cells": found})
    if not met:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
