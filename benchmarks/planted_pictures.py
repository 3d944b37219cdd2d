"""Do planted sets of pictures rank as the eye ranks them, are copies found, and is anything good accused?

    python benchmarks/planted_pictures.py [--seeds 20] [--most N] [--folder NAME=FOLDER ...]

For every seed the data are split anew into training, held-out and fresh pictures, and the sets of
`tests/metrics/pictures.py` are made from them: what is fresh ("good"), slightly and heavily blurred and noisy, of two
kinds only, one picture, the mean picture, independent pixels, and copies as they are, in noise, moved, dimmed, and as a
tenth of the set. The data are scikit-learn's digits and drawn figures of 28 pixels (grey) and 32 (colour); a folder of
pictures of one size, in folders by kind, may be given too.

Reported, with the number of seeds: in how many the Frechet distance ranks good < slight < heavy < one, mean and
trivial (at 8 pixels: good < heavy < one and mean), and in how many each alarm goes off for each set. Bars: the rank in
19 of 20; COPYING for copies in 19 of 20 (at 8 pixels not for noisy ones), for what is no copy in none.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import RESULTS
from torch import Tensor

from makar.core.files import write_json
from makar.core.registry import load
from makar.core.spaces import Levels
from makar.metrics.frechet import frechet_of
from makar.verbs.machine import describe

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.metrics.pictures import TOP, judged, planted, shapes  # noqa: E402

OUT = RESULTS / "planted_pictures.json"


def pictures(name: str, folders: dict[str, str]) -> tuple[Tensor, Tensor]:
    """All pictures (n, C, H, W) of a kind of data, on 0..255, and their kinds."""
    if name == "digits8":
        from sklearn.datasets import load_digits

        digits = load_digits()
        x = torch.from_numpy(digits.images)[:, None] * (TOP / 16)
        return x.round().long(), torch.from_numpy(digits.target).long()
    if name in folders:
        from PIL import Image

        files = sorted(Path(folders[name]).glob("*/*.png"))
        kinds = sorted({f.parent.name for f in files})
        stack = np.stack([np.asarray(Image.open(f)) for f in files])
        x = torch.from_numpy(stack.astype(np.int64)).reshape(*stack.shape[:3], -1).permute(0, 3, 1, 2).contiguous()
        return x, torch.tensor([kinds.index(f.parent.name) for f in files])
    side, channels = {"figures28": (28, 1), "figures32": (32, 3)}[name]
    return shapes(1200, 11, side, channels)


def measure(x: Tensor, kinds: Tensor, seed: int) -> dict[str, Any]:
    """Distances and alarms of every planted set for one split."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    third = min(200, len(x) // 4)
    held, fresh, train = order[:third], order[third : 2 * third], order[2 * third : 2 * third + 800]
    _, near = torch.unique(kinds, return_inverse=True)
    sets = planted(x[train], near[train], x[fresh], near[fresh], seed)
    reference, made = judged(x[train], x[held], sets)
    assert isinstance(reference.space, Levels)
    real = reference.held_out.features
    found: dict[str, Any] = {}
    for name, generated in made.items():
        features = generated.sample.features
        assert real is not None
        assert features is not None
        scores = [s for metric in ("copying", "looks") for s in load("metrics", metric)()(reference, generated)]
        alarms = {c.partition(":")[0] for s in scores for c in s.caveats if c.partition(" ")[0].endswith(":")}
        found[name] = {"fd": round(frechet_of(features, real), 5), "alarms": sorted(alarms)}
    return found


def ranked(found: dict[str, Any], small: bool) -> bool:
    """Whether the distances are in the order of the eye."""
    fd = {name: f["fd"] for name, f in found.items()}
    slight = [fd["slightly blurred"], fd["slightly noisy"]]
    heavy = [fd["blurred"], fd["snowy"]]
    worst = [fd["one picture"], fd["mean picture"]]
    if small:
        return bool(fd["good"] < min(heavy) and max(heavy) < min(worst))
    return bool(fd["good"] < min(slight) and max(slight) < min(heavy) and max(heavy) < min(*worst, fd["trivial"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--most", type=int, default=10**9, help="make at most so many measurements now")
    parser.add_argument("--folder", action="append", default=[], help="NAME=FOLDER of pictures of one size")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folders = dict(f.split("=", 1) for f in args.folder)
    results: dict[str, Any] = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {"cells": {}}
    made = 0
    for name in (*folders, "digits8", "figures28", "figures32"):
        cells = results["cells"].setdefault(name, {})
        x, kinds = pictures(name, folders)
        for seed in range(args.seeds):
            if str(seed) not in cells and made < args.most:
                cells[str(seed)] = measure(x, kinds, seed)
                made += 1
                write_json(OUT, results | {"machine": describe()})
        report(name, cells, small=x.shape[-1] < 16)


def report(name: str, cells: dict[str, Any], small: bool) -> None:
    print(f"{name}: ranked in {sum(ranked(c, small) for c in cells.values())} of {len(cells)}")
    for planted_set in next(iter(cells.values()), {}):
        of = [cell[planted_set] for cell in cells.values()]
        counts = {a: sum(a in f["alarms"] for f in of) for a in ("COPYING", "COLLAPSE", "NOISE")}
        print(
            f"  {planted_set:18} fd {np.median([f['fd'] for f in of]):7.3f}", *(f"{a} {n:2}" for a, n in counts.items())
        )


if __name__ == "__main__":
    main()
