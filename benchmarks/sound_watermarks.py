"""Marks in sounds: how often a clean one is accused, how often a marked one is found after attacks, at what cost.

    python benchmarks/sound_watermarks.py [--only WHAT] [--most CELLS] [--out FILE]

No family makes sound yet, so clean sounds are synthesised at 44.1 kHz: noises of several colours, chirps, melodies by
rule, wavering harmonics with breath, and bursts. Each has a key of its own. "Lossy" is no MP3 coder but what such a
coder does to the signal: coefficients of a modified cosine transform (576 bands, sine window) quantised in 21 groups at
a stated signal-to-noise ratio a group, after a low-pass. "Found" is p < 1e-3 or p < 1e-6.
"""

from __future__ import annotations

import argparse
import ast
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from _bench import RESULTS, Cell, Results, make, table
from scipy.signal import butter, resample_poly, sosfiltfilt

import makar
from makar.core.digest import digest, short
from makar.metrics._intervals import wilson
from makar.watermarks.spread_spectrum import Config, SpreadSpectrum

Sound = np.ndarray
RATE = 44_100
LEVELS = (1e-3, 1e-6)
CLEAN, PARTS = 2_500, 4  # clean clips in a part, parts
SHORT = 20_000  # samples of a clean clip
SECONDS = {0.5: 100, 1.0: 100, 2.0: 60, 5.0: 30}  # marked sounds of each length


def key(*parts: Any) -> bytes:
    return bytes.fromhex(digest("benchmark key", *parts))


def code() -> str:
    """Digest of the mark's files: their syntax without comments and layout."""
    room = Path(makar.__file__).parent / "watermarks"
    texts = [(room / file).read_text(encoding="utf-8") for file in ("spread_spectrum.py", "_spread.py")]
    return short(digest([ast.dump(ast.parse(text)) for text in texts]))


def scaled(wave: np.ndarray, peak: float) -> Sound:
    return np.asarray(peak * wave / max(1e-9, float(np.abs(wave).max())), np.float32)[:, None]


def noise(n: int, rng: np.random.Generator) -> Sound:
    spectrum = np.fft.rfft(rng.normal(size=n))
    return scaled(np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20) ** rng.uniform(0, 1), n), 0.4)


def chirp(n: int, rng: np.random.Generator) -> Sound:
    """Six gliding sines at once: one alone fills too few cells to carry a mark."""
    t = np.arange(n) / RATE
    ends = rng.uniform(100, 6000, (6, 2))
    return scaled(sum(np.sin(2 * np.pi * (a * t + (b - a) * t * t * RATE / (2 * n))) for a, b in ends), 0.5)


def melody(n: int, rng: np.random.Generator) -> Sound:
    """Plucked notes of eleven partials on a scale, two at a time."""
    wave, note = np.zeros(n), int(rng.uniform(0.12, 0.4) * RATE)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    for start in range(0, n, note):
        t = np.arange(min(note, n - start)) / RATE
        for step in rng.integers(0, 21, 2):
            pitch = 110.0 * 2.0 ** ((scale[step % 7] + 12 * (step // 7)) / 12)
            tone = sum(np.sin(2 * np.pi * pitch * h * t + rng.uniform(0, 6)) / h**1.2 for h in range(1, 12))
            wave[start : start + len(t)] += tone * np.exp(-4 * t) * (1 - np.exp(-200 * t))
    return scaled(wave, 0.6)


def voice(n: int, rng: np.random.Generator) -> Sound:
    """Twenty partials of a wavering pitch and loudness, with a little breath."""
    t = np.arange(n) / RATE
    phase = 2 * np.pi * rng.uniform(90, 400) * t + rng.uniform(1, 4) * np.sin(2 * np.pi * rng.uniform(3, 7) * t)
    wave = sum(np.sin(h * phase) / h for h in range(1, 20)) * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 8) * t))
    return scaled(wave / np.abs(wave).max() + 0.01 * rng.normal(size=n), 0.4)


def bursts(n: int, rng: np.random.Generator) -> Sound:
    """A rhythm of noise that dies away."""
    t = np.arange(n) % int(rng.uniform(0.1, 0.3) * RATE) / RATE
    return scaled(rng.normal(size=n) * np.exp(-t * rng.uniform(10, 40)), 0.5)


KINDS: dict[str, Callable[[int, np.random.Generator], Sound]] = {
    "noise": noise, "chirps": chirp, "melody": melody, "voice": voice, "bursts": bursts,
}  # fmt: skip


def cosine(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Basis (size, 2 size) and sine window of the modified discrete cosine transform."""
    i, k = np.arange(2 * size), np.arange(size)[:, None]
    window = np.sin(np.pi * (i + 0.5) / (2 * size))
    return np.sqrt(2 / size) * np.cos(np.pi / size * (i + 0.5 + size / 2) * (k + 0.5)) * window, window


BASIS = cosine(576)[0]
EDGES = np.unique(np.r_[np.geomspace(4, 576, 21).round().astype(int), 0])


def lossy(sound: Sound, ratio: float, top: float) -> Sound:
    """Low-pass at `top` Hz, then quantisation at `ratio` dB in each group of coefficients of each frame."""
    low = sosfiltfilt(butter(8, top, fs=RATE, output="sos"), sound[:, 0])
    padded = np.r_[np.zeros(576), low, np.zeros(576 * 2 - len(low) % 576)]
    frames = np.lib.stride_tricks.sliding_window_view(padded, 1152)[::576]
    spectrum = frames @ BASIS.T
    for a, b in pairwise(EDGES):
        power = np.mean(spectrum[:, a:b] ** 2, 1, keepdims=True)
        step = np.sqrt(12 * power * 10 ** (-ratio / 10)) + 1e-6
        spectrum[:, a:b] = np.rint(spectrum[:, a:b] / step) * step
    out = np.zeros(len(padded))
    for number, frame in enumerate(spectrum @ BASIS):
        out[576 * number : 576 * number + 1152] += frame
    return np.clip(out[576 : 576 + len(sound)], -1, 1).astype(np.float32)[:, None]


def noisy(sound: Sound, ratio: float) -> Sound:
    rng = np.random.default_rng(len(sound))
    size = float(np.sqrt(np.mean(sound**2))) * 10 ** (-ratio / 20)
    return np.clip(sound + size * rng.normal(size=sound.shape), -1, 1).astype(np.float32)


def resampled(sound: Sound, up: int, down: int) -> Sound:
    return np.clip(resample_poly(sound, up, down, axis=0), -1, 1).astype(np.float32)


ATTACKS: dict[str, Callable[[Sound], Sound]] = {
    "none": lambda x: x,
    "22.05 kHz and back": lambda x: resampled(resampled(x, 1, 2), 2, 1)[: len(x)],
    "22.05 kHz": lambda x: resampled(x, 1, 2),
    "48 kHz": lambda x: resampled(x, 160, 147),
    "lossy: 12 dB a group, low-pass 16 kHz": lambda x: lossy(x, 12.0, 16_000.0),
    "lossy: 6 dB a group, low-pass 8 kHz": lambda x: lossy(x, 6.0, 8_000.0),
    "gain -10 dB": lambda x: x * np.float32(10**-0.5),
    "noise at 30 dB": lambda x: noisy(x, 30.0),
    "noise at 20 dB": lambda x: noisy(x, 20.0),
    "cut 10 %": lambda x: x[round(0.06 * len(x)) : len(x) - round(0.04 * len(x))],
    "16 to 8 bits": lambda x: (np.rint(x * 127) / 127).astype(np.float32),
    "2 % faster (not resisted)": lambda x: resampled(x, 50, 51),
}


def rate(values: list[float], level: float) -> list[float]:
    """Share at or below the level, with Wilson's interval."""
    hits = sum(v <= level for v in values)
    return [round(hits / len(values), 6), *(round(end, 6) for end in wilson(float(hits), len(values)))]


def made(number: int, count: int, rng: np.random.Generator) -> tuple[str, Sound]:
    kind = list(KINDS)[number % len(KINDS)]
    return kind, KINDS[kind](count, rng)


def clean(part: int, n: int) -> Cell:
    """P-values of clean clips, each under its own key."""
    rng = np.random.default_rng(part)
    values = []
    for number in range(n):
        p = SpreadSpectrum(Config(), key("clean", part, number)).detect(made(number, SHORT, rng)[1]).p_value
        assert p is not None
        values.append(p)
    return {"n": n, "p": {str(level): sum(v <= level for v in values) for level in (1e-1, 1e-2, *LEVELS)},
            "least": min(values)}  # fmt: skip


def apart(sound: Sound, marked: Sound) -> tuple[float, float]:
    """Signal-to-change ratio in dB, and the mean absolute difference in level of the cells of a spectrogram, in dB."""
    ratio = 10 * np.log10(np.sum(sound.astype(float) ** 2) / np.sum((marked.astype(float) - sound) ** 2))
    views = [np.lib.stride_tricks.sliding_window_view(x[:, 0].astype(float), 1024)[::512] for x in (sound, marked)]
    a, b = (np.abs(np.fft.rfft(v * np.hanning(1024))) for v in views)
    loud = a > 1e-3 * a.max()
    return float(ratio), float(np.mean(np.abs(20 * np.log10(b[loud] / a[loud]))))


def attacked(seconds: float, n: int) -> Cell:
    """Share of marked sounds found after each attack, what the mark changes, and milliseconds of CPU."""
    rng = np.random.default_rng(round(10 * seconds))
    found: dict[str, list[float]] = {}
    each: dict[str, list[float]] = {}
    changes, stamping, detecting = [], [], []
    for number in range(n):
        kind, sound = made(number, round(seconds * RATE), rng)
        mark = SpreadSpectrum(Config(), key("marked", seconds, number))
        began = time.process_time()
        marked = mark.stamp(sound)
        stamping.append(1000 * (time.process_time() - began))
        changes.append(apart(sound, marked))
        for name, attack in ATTACKS.items():
            after = attack(marked)
            began = time.process_time()
            p = mark.detect(after).p_value
            detecting.append(1000 * (time.process_time() - began))
            found.setdefault(name, []).append(1.0 if p is None else p)
            each.setdefault(f"{name}, {kind}", []).append(1.0 if p is None else p)
    ratios, levels = np.array(changes).T
    return {
        "n": n,
        "snr_db": [round(float(q), 2) for q in np.quantile(ratios, [0.0, 0.5, 1.0])],
        "level_difference_db": [round(float(q), 3) for q in np.quantile(levels, [0.0, 0.5, 1.0])],
        "stamp_ms": round(float(np.median(stamping)), 2),
        "detect_ms": round(float(np.median(detecting)), 2),
        "found": {name: {str(level): rate(v, level) for level in LEVELS} for name, v in found.items()},
        "found of each kind": {name: {str(level): rate(v, level)[0] for level in LEVELS} for name, v in each.items()},
    }


def measure(what: str, which: Any, n: int) -> Cell:
    began = time.process_time()
    found = clean(which, n) if what == "clean" else attacked(which, n)
    return found | {"cpu_seconds": round(time.process_time() - began, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--most", type=int, help="make at most so many cells now")
    parser.add_argument("--only", help="attacked or clean")
    parser.add_argument("--out", type=Path, default=RESULTS / "sound_watermarks.json")
    args = parser.parse_args()
    results = Results(args.out, {"clean": [CLEAN, PARTS, SHORT], "levels": LEVELS, "rate": RATE})
    wanted = [{"what": "attacked", "which": s, "n": n, "code": code()} for s, n in SECONDS.items()]
    wanted += [{"what": "clean", "which": part, "n": CLEAN, "code": code()} for part in range(PARTS)]
    wanted = [cell for cell in wanted if args.only in (None, cell["what"])]
    make(results, wanted, measure, args.most)
    cells = [c for c in results.cells if "error" not in c]
    parts = [c for c in cells if c["what"] == "clean"]
    total = sum(c["n"] for c in parts)
    wrong = {level: sum(c["p"][level] for c in parts) for level in (parts[0]["p"] if parts else {})}
    summary = {"clean": total, "at or below": wrong, "upper": {k: wilson(float(v), total)[1] for k, v in wrong.items()}}
    results.write(summary=summary)
    print(f"clean clips of {SHORT:,} samples: {total}; p at or below: {wrong}\n")
    lengths = sorted((c for c in cells if c["what"] == "attacked"), key=lambda c: c["which"])
    rows = [[name, *(" / ".join(f"{c['found'][name][str(level)][0]:.2f}" for level in LEVELS) for c in lengths)]
            for name in ATTACKS]  # fmt: skip
    for what in ("snr_db", "level_difference_db", "stamp_ms", "detect_ms"):
        rows.append([what, *(str(c[what]) for c in lengths)])
    print(table(["found at 1e-3 / 1e-6", *(f"{c['which']:g} s (n={c['n']})" for c in lengths)], rows))


if __name__ == "__main__":
    main()
