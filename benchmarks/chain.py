"""What the chain costs: CPU seconds added to a training, and CPU milliseconds added to an output.

    python benchmarks/chain.py [--rounds 5]

Each measurement is a process of its own with one thread, the chain on and off in turn; CPU seconds are of that process
and its children. Of a training only what follows it differs, so what is measured is to make the bundle: documents,
signature, ledger and the index of training items, imports included. Outputs are pictures of 8 x 8 (which have room for
a credential and no watermark), and of 64 x 64 with the watermark.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from makar.core import files
from makar.verbs.machine import describe

RESULTS = Path(__file__).parent / "results" / "chain.json"
TRAINING = 60.0  # seconds: the length of the training that the cost is compared with
COUNT = 200  # outputs


def cpu() -> float:
    """CPU seconds of this process and of the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def pictures(folder: Path) -> None:
    """Smooth pictures of 64 x 64, made up."""
    generator = np.random.default_rng(0)
    for i in range(40):
        small = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{i:02d}.png")


def save(spec: str, on: bool) -> dict[str, float]:
    """Train for a step, then make the bundle."""
    import makar
    from makar.verbs.chain import Chain
    from makar.verbs.guard import remember_items

    data = makar.data(spec, **({"licence": "CC0-1.0"} if ":" in spec else {}))
    trained = makar.fit("vae", data, budget="2 steps").trained
    chain = Chain.here(on)
    before = cpu()
    chain.save(trained, Path("runs/model"), {"spec": spec})
    remember_items(chain, data, trained)
    return {"seconds": cpu() - before}


def draw(on: bool) -> dict[str, float]:
    """Draw and write outputs, as `makar sample` does."""
    from makar.verbs import bundle
    from makar.verbs.chain import Chain
    from makar.verbs.hand_over import hand_over

    place = Path("runs/model")
    trained = bundle.load(place)
    before = cpu()
    done = hand_over(Chain.here(on), trained, Path("out"), COUNT, bundle=place)
    return {"ms": 1000 * (cpu() - before) / COUNT, "watermark": float(done.said.name is not None)}


def apart(words: list[str], folder: Path) -> dict[str, float]:
    """One measurement in a process of its own."""
    surroundings = os.environ | {"OMP_NUM_THREADS": "1", "MAKAR_HOME": str(folder / ".makar")}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), *words],
        cwd=folder, env=surroundings, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(rounds: int) -> dict[str, object]:
    """All figures: medians over rounds, on and off in turn."""
    from makar.provenance import keys
    from makar.provenance.home import Home

    found: dict[str, object] = {}
    for name in ("digits", "pictures"):
        saved: dict[str, list[float]] = {"on": [], "off": []}
        drawn: dict[str, list[float]] = {"on": [], "off": []}
        marked = 0.0
        for _ in range(rounds):
            for way in ("on", "off"):
                with tempfile.TemporaryDirectory() as place:
                    folder = Path(place)
                    keys.init(Home(folder / ".makar"), "benchmark")
                    spec = "digits" if name == "digits" else "folder:pictures"
                    (folder / "pictures").mkdir()
                    pictures(folder / "pictures")
                    saved[way].append(apart(["--save", spec, way], folder)["seconds"])
                    figures = apart(["--draw", way], folder)
                    drawn[way].append(figures["ms"])
                    marked = figures["watermark"] if way == "on" else marked
        added = statistics.median(saved["on"]) - statistics.median(saved["off"])
        found[name] = {
            "training_added_cpu_seconds": round(added, 3),
            "share_of_60_s": round(added / TRAINING, 4),
            "output_ms": {way: round(statistics.median(values), 2) for way, values in drawn.items()},
            "output_added_ms": round(statistics.median(drawn["on"]) - statistics.median(drawn["off"]), 2),
            "watermarked": bool(marked),
            "saved": saved,
            "drawn": drawn,
        }
    return found


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", nargs=2)
    parser.add_argument("--draw")
    given = parser.parse_args()
    if given.save:
        print(json.dumps(save(given.save[0], given.save[1] == "on")))
    elif given.draw:
        print(json.dumps(draw(given.draw == "on")))
    else:
        begun = time.time()
        found = measure(given.rounds) | {"rounds": given.rounds, "outputs": COUNT, "machine": describe()}
        files.write_json(RESULTS, found | {"wall_seconds": round(time.time() - begun)})
        print(json.dumps({k: v for k, v in found.items() if k != "machine"}, indent=1))


if __name__ == "__main__":
    main()
