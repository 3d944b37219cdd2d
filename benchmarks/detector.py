"""Detectors of synthetic pictures: how well do they tell families that they know, that they do not, and after attack?

    python benchmarks/detector.py [--budget 3s] [--most CELLS]

Every family trains on 697 digits and makes 550. A detector learns 660 digits that no model has seen against outputs of
families in `LEARNT` (two thirds of those digits; the rest calibrates it), and is judged on 440 further digits and on
outputs that it has not seen: AUROC with DeLong's interval, and the share found at the threshold that 1 % of clean
digits exceed. Attacks are made on digits and outputs alike. No bar: where a detector fails is what this shows.
"""

from __future__ import annotations

import argparse
import base64
import zlib
from pathlib import Path

import numpy as np
import torch
from _bench import RESULTS, Cell, Results, code, make, table

from makar.data import load
from makar.verbs.audits import detector
from makar.verbs.audits._distort import ATTACKS
from makar.verbs.audits._result import Result
from makar.verbs.sample import asked_labels, draw
from makar.verbs.score import yardstick
from makar.verbs.train import fit

LEARNT = ("gaussian", "vae", "mixture")
UNSEEN = ("kernel", "gan", "flow_matching", "pixelcnn")
HELD, REAL, MADE, TAUGHT = 1100, 660, 550, 220


def outputs(family: str, budget: str) -> Cell:
    """Pictures that one family makes, as base64 of zlib of their bytes."""
    data = load("digits", held_out=HELD)
    trained = fit(family, data, budget, seed=0)
    labels = asked_labels(trained, MADE, None, 1)
    things = trained.codec.decode(draw(trained, MADE, 1, labels))
    return {
        "train_cpu_seconds": round(trained.record.cpu_seconds, 2),
        "steps": trained.record.steps,
        "outputs": base64.b64encode(zlib.compress(np.stack(things).tobytes(), 9)).decode(),
    }


def pictures(text: str) -> list[np.ndarray]:
    """The inverse of what `outputs` keeps."""
    return list(np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(-1, 8, 8, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--budget", default="3s")
    parser.add_argument("--most", type=int)
    parser.add_argument("--out", type=Path, default=RESULTS / "detector.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = Results(args.out, {"data": "digits", "held out": HELD, "budget": args.budget, "made": MADE})
    wanted = [{"family": f, "budget": args.budget, "code": code(f)} for f in (*LEARNT, *UNSEEN)]
    make(results, wanted, outputs, args.most)
    made = {c["family"]: pictures(c["outputs"]) for c in results.cells if "outputs" in c}
    if set(LEARNT) - set(made):
        return
    data = load("digits", held_out=HELD)
    real = list(data.held_out.things)
    taught = {f: made[f][:TAUGHT] for f in LEARNT}
    found = detector.train(real[:REAL], taught, "pictures", data.levels)
    result = detector.judged(found, real[REAL:], {f: t[TAUGHT:] for f, t in made.items()})
    stick = yardstick(data)
    assert stick.reference.held_out.features is not None
    held = stick.reference.held_out.features.numpy()
    tells = {}
    for f, things in made.items():
        features = stick.extract(stick.codec.encode(things)).numpy()
        tells[f] = detector.indistinguishability(features, held, stick.extract.name).to_json()
    results.write(detector=result.to_json(), indistinguishability=tells)
    show(result, made, tells)


def show(result: Result, made: Cell, tells: Cell) -> None:
    """The tables."""
    attacks = ["none", *ATTACKS["pictures"]]
    rows = []
    for family in made:
        seen = "learnt" if family in LEARNT else "unseen"
        scores = [result.figure(f"auroc[{family};{seen};attack={a}]") for a in attacks]
        at = result.figure(f"found[{family};{seen};attack=none")
        rows.append([family, seen, *(f"{s.value:.2f}" for s in scores), f"{100 * at.value:.0f} %"])
    rates = [result.figure(f"false positives[attack={a}]") for a in attacks]
    rows.append(["false positives", "", *(f"{100 * s.value:.1f} %" for s in rates), ""])
    print(table(["AUROC", "", *attacks, "found at 1 %"], rows))
    print("\n" + result.why)
    right = [
        [f, *(f"{s['value']:.3f} ({s['low']:.3f} to {s['high']:.3f})" for s in t["figures"])] for f, t in tells.items()
    ]
    print("\n" + table(["accuracy of telling apart", "logistic", "boosting"], right))


if __name__ == "__main__":
    main()
