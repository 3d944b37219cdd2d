"""Marks in pictures: how often a clean one is accused, how often a marked one is found after attacks, at what cost.

    python benchmarks/picture_watermarks.py [--only WHAT] [--most CELLS] [--out FILE]

Clean pictures for `dct` are pieces of three photographs (turned, mirrored, resized), random fields of spectrum 1/f^a,
and drawings, each with a key of its own, since pieces of one photograph are not independent: the chance in a p-value is
that of the key. Marked ones are attacked in the ways listed. `initial_noise` is measured on the digits with a model
trained here for 28 CPU seconds. "Found" is p < 1e-3 or p < 1e-6; pictures too small to be judged count as not found.
"""

from __future__ import annotations

import argparse
import ast
import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.cbook
import numpy as np
import torch
from _bench import RESULTS, Cell, Results, make, table
from PIL import Image, ImageDraw
from scipy.ndimage import uniform_filter
from sklearn.datasets import load_sample_images

import makar
from makar.core.digest import digest, short
from makar.data import load
from makar.metrics._intervals import wilson
from makar.verbs.sample import default_sampler, draw_rows
from makar.verbs.score import balanced_labels, score_things, yardstick
from makar.verbs.train import fit
from makar.watermarks.dct import DCT
from makar.watermarks.dct import Config as DCTConfig
from makar.watermarks.initial_noise import Config as NoiseConfig
from makar.watermarks.initial_noise import InitialNoise

Picture = np.ndarray
LEVELS = (1e-3, 1e-6)
CLEAN, PARTS = 2_500, 4  # clean pictures of 64 x 64 in a part, parts
SIDES = {48: 100, 64: 100, 128: 60, 256: 30, 512: 10}  # marked pictures of each size
FAMILIES = {"flow_matching": (64, 4096), "diffusion": (64, 4096)}  # pools of the initial noise


def key(*parts: Any) -> bytes:
    return bytes.fromhex(digest("benchmark key", *parts))


def code(name: str) -> str:
    """Digest of a mark's files: their syntax without comments and layout."""
    room = Path(makar.__file__).parent / "watermarks"
    texts = [(room / file).read_text(encoding="utf-8") for file in (f"{name}.py", "_spread.py")]
    return short(digest([ast.dump(ast.parse(text)) for text in texts]))


def photographs() -> list[Picture]:
    face = Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg"))
    return [*map(np.asarray, load_sample_images().images), np.asarray(face)]


def photograph(side: int, rng: np.random.Generator, whole: list[Picture]) -> Picture:
    """A piece of a photograph at a size between its own and the smallest that holds it, perhaps turned."""
    source = Image.fromarray(whole[int(rng.integers(len(whole)))])
    least = (side + 1) / min(source.size)
    scale = float(rng.uniform(least, 1.0)) if least < 1.0 else least
    source = source.resize(
        (math.ceil(source.width * scale), math.ceil(source.height * scale)), Image.Resampling.BICUBIC
    )
    left, top = (int(rng.integers(length - side + 1)) for length in source.size)
    piece = np.asarray(source)[top : top + side, left : left + side]
    return np.ascontiguousarray(np.rot90(piece, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))])


def field(side: int, rng: np.random.Generator) -> Picture:
    """Colour noise of amplitude 1/f^a, a from 0.5 to 2."""
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    f[0, 0] = 1.0
    size = f ** -rng.uniform(0.5, 2.0)
    waves = np.stack([np.fft.ifft2(np.fft.fft2(rng.normal(size=(side, side))) * size).real for _ in range(3)], -1)
    mixed = waves @ (np.eye(3) + rng.uniform(0, 2))
    mixed = (mixed - mixed.mean()) / mixed.std()
    return np.clip(128 + rng.uniform(15, 60) * mixed, 0, 255).astype(np.uint8)


def drawing(side: int, rng: np.random.Generator) -> Picture:
    """Flat shapes on a flat ground."""
    picture = Image.new("RGB", (side, side), tuple(rng.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 12))):
        box = np.sort(rng.integers(-side // 4, side * 5 // 4, (2, 2)), 0).flatten().tolist()
        colour = tuple(rng.integers(0, 256, 3).tolist())
        kind = int(rng.integers(3))
        if kind == 0:
            pen.ellipse(box, fill=colour)
        elif kind == 1:
            pen.rectangle(box, fill=colour)
        else:
            pen.line(box, fill=colour, width=int(rng.integers(1, 6)))
    return np.asarray(picture)


def picture(number: int, side: int, rng: np.random.Generator, whole: list[Picture]) -> tuple[str, Picture]:
    """Every second a photograph, every fourth a field, every fourth a drawing."""
    if number % 2 == 0:
        return "photographs", photograph(side, rng, whole)
    return ("fields", field(side, rng)) if number % 4 == 1 else ("drawings", drawing(side, rng))


def jpeg(p: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(p).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(p: Picture, scale: float) -> Picture:
    size = (round(p.shape[1] * scale), round(p.shape[0] * scale))
    return np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BICUBIC))


def noisy(p: Picture, size: float) -> Picture:
    noise = np.random.default_rng(int(p.sum()) % 2**32).normal(0.0, size, p.shape)
    return np.clip(np.rint(p + noise), 0, 255).astype(np.uint8)


def cropped(p: Picture, share: float) -> Picture:
    """Without this share of either side, three quarters of it from the top and the left."""
    top, left = (round(0.75 * share * side) for side in p.shape[:2])
    height, width = (round((1 - share) * side) for side in p.shape[:2])
    return p[top : top + height, left : left + width]


ATTACKS: dict[str, Callable[[Picture], Picture]] = {
    "none": lambda p: p,
    "JPEG q75": lambda p: jpeg(p, 75),
    "JPEG q50": lambda p: jpeg(p, 50),
    "resize 0.5 and back": lambda p: np.asarray(Image.fromarray(resized(p, 0.5)).resize(p.shape[1::-1])),
    "resize 0.5": lambda p: resized(p, 0.5),
    "crop 10 % of each side": lambda p: cropped(p, 0.1),
    "noise sd 5": lambda p: noisy(p, 5.0),
    "noise sd 10": lambda p: noisy(p, 10.0),
    "brightness +20, contrast 0.8": lambda p: np.clip((p - 128.0) * 0.8 + 148.0, 0, 255).astype(np.uint8),
    "screenshot (crop, resize 0.75, JPEG q70)": lambda p: jpeg(resized(cropped(p, 0.05), 0.75), 70),
    "blur (3 x 3 mean)": lambda p: uniform_filter(p, (3, 3, 1)),
    "turned by 2 degrees (not resisted)": lambda p: np.asarray(Image.fromarray(p).rotate(2)),
}


def psnr(a: Picture, b: Picture) -> float:
    return 10.0 * math.log10(255.0**2 / max(1e-9, float(np.mean((a.astype(float) - b) ** 2))))


def ssim(a: Picture, b: Picture) -> float:
    """Structural similarity of the brightness, windows of 7 x 7 (Wang et al. 2004, eq. 13)."""
    x, y = (p.astype(float) @ [0.299, 0.587, 0.114] for p in (a, b))
    mx, my = uniform_filter(x, 7), uniform_filter(y, 7)
    vx, vy = uniform_filter(x * x, 7) - mx**2, uniform_filter(y * y, 7) - my**2
    both = uniform_filter(x * y, 7) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def rate(values: list[float], level: float) -> list[float]:
    """Share at or below the level, with Wilson's interval."""
    hits = sum(v <= level for v in values)
    return [round(hits / len(values), 6), *(round(end, 6) for end in wilson(float(hits), len(values)))]


def clean(part: int, n: int) -> Cell:
    """P-values of clean pictures of 64 x 64, each under its own key."""
    rng, whole = np.random.default_rng(part), photographs()
    values = []
    for number in range(n):
        _, thing = picture(number, 64, rng, whole)
        p = DCT(DCTConfig(), key("clean", part, number)).detect(thing).p_value
        assert p is not None
        values.append(p)
    return {"n": n, "p": {str(level): sum(v <= level for v in values) for level in (1e-1, 1e-2, *LEVELS)},
            "least": min(values)}  # fmt: skip


def attacked(side: int, n: int) -> Cell:
    """Share of marked pictures found after each attack, and what the mark changes."""
    rng, whole = np.random.default_rng(side), photographs()
    found: dict[str, list[float]] = {}
    each: dict[str, list[float]] = {}
    ratios, similar = [], []
    for number in range(n):
        kind, thing = picture(number, side, rng, whole)
        mark = DCT(DCTConfig(), key("marked", side, number))
        marked = mark.stamp(thing)
        ratios.append(psnr(thing, marked))
        similar.append(ssim(thing, marked))
        for name, attack in ATTACKS.items():
            p = mark.detect(attack(marked)).p_value
            found.setdefault(name, []).append(1.0 if p is None else p)
            each.setdefault(f"{name}, {kind}", []).append(1.0 if p is None else p)
    return {
        "n": n,
        "psnr": [round(float(q), 2) for q in np.quantile(ratios, [0.0, 0.5, 1.0])],
        "ssim": [round(float(q), 4) for q in np.quantile(similar, [0.0, 0.5, 1.0])],
        "found": {name: {str(level): rate(v, level) for level in LEVELS} for name, v in found.items()},
        "found of each kind": {name: {str(level): rate(v, level)[0] for level in LEVELS} for name, v in each.items()},
    }


def timed(side: int) -> Cell:
    """Milliseconds of CPU to stamp and to detect, the median of 15, on a mark that has been used before."""
    rng, whole = np.random.default_rng(0), photographs()
    mark = DCT(DCTConfig(), key("time"))
    thing = photograph(side, rng, whole)
    marked = mark.stamp(thing)
    mark.detect(marked)
    spent: dict[str, list[float]] = {"stamp": [], "detect": []}
    for _ in range(15):
        for name, act in (("stamp", lambda: mark.stamp(thing)), ("detect", lambda: mark.detect(marked))):
            began = time.process_time()
            act()
            spent[name].append(1000 * (time.process_time() - began))
    return {f"{name}_ms": round(float(np.median(v)), 2) for name, v in spent.items()}


def initial(family: str, n: int) -> Cell:
    """The initial noise on digits: rates, false positives, and what it costs in quality and variety."""
    data = load("digits")
    trained = fit(family, data, "28s", 0)
    stick = yardstick(data)
    sampler = default_sampler(trained)
    classes = trained.model.classes
    labels = balanced_labels(stick.reference.train.labels, n, classes)

    def shown(x: torch.Tensor) -> list[Picture]:
        top = trained.levels - 1
        return [np.rint(p * (255.0 / top)).astype(np.uint8) for p in trained.codec.decode(x)]

    def scores(x: torch.Tensor) -> dict[str, Any]:
        wanted = ("fd", "recall", "precision", "coverage", "nn ratio")
        named = {s.name.split("[")[0]: s for s in score_things(stick, trained.codec.decode(x), labels)}
        values = {k: [round(v, 4) for v in (s.value, s.low, s.high)] for k, s in named.items() if k in wanted}
        gaps = torch.pdist(x.flatten(1).double()[:500])
        return values | {"mean distance": round(float(gaps.mean()), 3), "distinct": len(torch.unique(x, dim=0))}

    plain = draw_rows(trained.model, 1, range(n), labels, sampler)
    fresh = draw_rows(trained.model, 2, range(n), labels, sampler)
    cell: Cell = {"n": n, "unmarked": scores(plain), "unmarked, another seed": scores(fresh)}
    for pool in FAMILIES[family]:
        mark = InitialNoise(NoiseConfig(pool=pool), key(family), trained.model, trained.codec)
        assert mark.obstacle(sampler, (8, 8, 1)) is None
        x = draw_rows(trained.model, 1, range(n), labels, sampler, mark)
        things = shown(x)
        began = time.process_time()
        values = [mark.judge(w)[0] for w in mark.walked_back(things)]
        spent = (time.process_time() - began) / n
        attacks = {}
        for name in ("none", "JPEG q50", "noise sd 10"):
            after = [ATTACKS[name](t if name != "JPEG q50" else t[..., 0]).reshape(8, 8, 1) for t in things[:300]]
            attacks[name] = [mark.judge(w)[0] for w in mark.walked_back(after)]
        cell[f"pool {pool}"] = {
            "found": {str(level): rate(values, level) for level in LEVELS},
            "after attacks": {k: {str(level): rate(v, level)[0] for level in LEVELS} for k, v in attacks.items()},
            "detect_ms": round(1000 * spent, 2),
            "scores": scores(x),
        }
    held = shown(stick.reference.held_out.x)
    cell["clean"] = false_positives(trained, held, shown(plain)[:500], family)
    return cell


def false_positives(trained: Any, held: list[Picture], drawn: list[Picture], family: str) -> Cell:
    """Digits held out and unmarked draws, each walked back once and judged under ten keys of its own."""
    values: list[float] = []
    marks = InitialNoise(NoiseConfig(pool=64), key("any"), trained.model, trained.codec)
    for number, weights in enumerate(marks.walked_back(held + drawn)):
        for again in range(10):
            own = InitialNoise(NoiseConfig(pool=64), key(family, number, again), trained.model, trained.codec)
            values.append(own.judge(weights)[0])
    return {"n": len(values), "p": {str(level): sum(v <= level for v in values) for level in (1e-1, 1e-2, *LEVELS)},
            "least": min(values)}  # fmt: skip


def measure(what: str, which: Any, n: int) -> Cell:
    began = time.process_time()
    found = {"clean": clean, "attacked": attacked, "initial": initial}[what](which, n) if n else timed(which)
    return found | {"cpu_seconds": round(time.process_time() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--most", type=int, help="make at most so many cells now")
    parser.add_argument("--only", help="timed, attacked, initial or clean")
    parser.add_argument("--out", type=Path, default=RESULTS / "picture_watermarks.json")
    args = parser.parse_args()
    results = Results(args.out, {"clean": [CLEAN, PARTS], "levels": LEVELS})
    wanted = [{"what": "timed", "which": side, "n": 0, "code": code("dct")} for side in (64, 256, 512)]
    wanted += [{"what": "attacked", "which": side, "n": n, "code": code("dct")} for side, n in SIDES.items()]
    wanted += [{"what": "initial", "which": f, "n": 1000, "code": code("initial_noise")} for f in FAMILIES]
    wanted += [{"what": "clean", "which": part, "n": CLEAN, "code": code("dct")} for part in range(PARTS)]
    wanted = [cell for cell in wanted if args.only in (None, cell["what"])]
    make(results, wanted, measure, args.most)
    cells = [c for c in results.cells if "error" not in c]
    parts = [c for c in cells if c["what"] == "clean"]
    total = sum(c["n"] for c in parts)
    wrong = {level: sum(c["p"][level] for c in parts) for level in (parts[0]["p"] if parts else {})}
    summary = {"clean": total, "at or below": wrong, "upper": {k: wilson(float(v), total)[1] for k, v in wrong.items()}}
    results.write(summary=summary)
    print(f"clean pictures of 64 x 64: {total}; p at or below: {wrong}\n")
    sides = [c for c in cells if c["what"] == "attacked"]
    rows = [[name, *(" / ".join(f"{c['found'][name][str(level)][0]:.2f}" for level in LEVELS) for c in sides)]
            for name in ATTACKS]  # fmt: skip
    rows += [[what, *(" ".join(map(str, c[what])) for c in sides)] for what in ("psnr", "ssim")]
    print(table(["found at 1e-3 / 1e-6", *(f"{c['which']} (n={c['n']})" for c in sides)], rows))
    for c in cells:
        if c["what"] in ("timed", "initial"):
            print({k: v for k, v in c.items() if k != "code"})


if __name__ == "__main__":
    main()
