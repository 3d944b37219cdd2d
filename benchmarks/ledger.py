"""A ledger is verified in one pass at 100,000 entries a second or more, and an entry costs little to make.

    python benchmarks/ledger.py [--entries 300000] [--batch 64] [--rounds 3]

Entries are like those that sampling makes, of some 400 bytes; heads are signed with ECDSA over P-256, as the keys of a
workspace sign. All times are CPU seconds of the process; those of appending leave out the wait for the disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from _bench import RESULTS

from makar.core.files import write_json
from makar.provenance import keys
from makar.provenance.findings import holds
from makar.provenance.home import Home
from makar.provenance.ledger import Ledger
from makar.verbs.machine import describe

BAR = 100_000
PURPOSE = "ledger head"


class Key:
    """The keys of a workspace as the ledger wants them."""

    def __init__(self, home: Home) -> None:
        self.keys = keys.init(home, "Benchmark")
        self.anchors = keys.Anchors.of(home)
        self.fingerprint = self.keys.fingerprint

    def sign(self, data: bytes) -> str:
        return keys.sign(self.keys, PURPOSE, data)

    def check(self, data: bytes, signature: str) -> str | None:
        return keys.check(self.anchors, PURPOSE, data, signature)


def body(n: int) -> dict[str, Any]:
    """What is entered for an output."""
    digests = {name: sha256(f"{name} {n}".encode()).hexdigest() for name in ("content", "receipt")}
    return {"file": f"out/{n:06d}.png", "model": sha256(b"model").hexdigest()[:16], "seed": n} | digests


def seconds(act: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    began = time.process_time()
    act()
    return time.process_time() - began


def measure(entries: int, batch: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Rates for a ledger of so many entries with a signed head for every `batch` of them."""
    key = Key(Home(folder / "home"))
    ledger = Ledger(folder / "ledger", key)

    def fill() -> None:
        for start in range(0, entries, batch):
            ledger.append_all([("output", body(n)) for n in range(start, min(start + batch, entries))])

    filling = seconds(fill)
    size = sum(path.stat().st_size for path in ledger.folder.glob("[0-9]*.jsonl"))
    assert holds(ledger.verify(key))
    verifying = [seconds(lambda: ledger.verify(key)) for _ in range(rounds)]
    single = seconds(lambda: [ledger.append("output", body(n)) for n in range(200)]) / 200
    return {
        "entries": entries,
        "batch": batch,
        "bytes_an_entry": round(size / entries),
        "append_us_an_entry": round(filling / entries * 1e6, 1),
        "append_one_ms": round(single * 1e3, 2),
        "head_ms": round(seconds(ledger.head) * 1e3, 2),
        "prove_seconds": round(seconds(lambda: ledger.prove(entries // 3)), 2),
        "verify_entries_a_second": [round(entries / t) for t in verifying],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "ledger.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args.entries, args.batch, args.rounds, Path(folder))
    for name, value in found.items():
        print(f"{name}: {value}")
    kept = min(found["verify_entries_a_second"]) >= BAR
    print(f"bar {BAR} entries a second: {'kept' if kept else 'MISSED'}")
    write_json(args.out, {"machine": describe(), "bar": BAR, "kept": kept} | found)


if __name__ == "__main__":
    main()
