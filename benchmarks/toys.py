"""Densities on the plane that are known exactly: can a family's points be told from fresh points of the truth?

    python benchmarks/toys.py [--toys moons,...] [--families nsf,...] [--seeds 1] [--budget 15s] [--most CELLS]

Families or recipes train on 9,000 points. 1,000 made points meet 1,000 fresh ones of the true density (from a seed that
training never saw) in two permutation tests with 999 shuffles: energy distance, and maximum mean discrepancy with a
Gaussian kernel at the median distance (Gretton et al. 2012). A model passes with p > 0.01 in both. Where there is a
likelihood, the gap to the entropy is the mean of log p - log q over 2,000 fresh points, in nats a point: KL(p || q).

GANs, on `ring8` only, must reach at least 7 of 8 modes in four of five seeds: at least 20 of 1,000 points (a fair share
is 125) within three standard deviations of the mode's centre.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from _bench import RESULTS, Cell, Results, code, make, table
from torch import Tensor

from makar.data import load
from makar.data.sources import toy
from makar.metrics.energy import energies, sides
from makar.verbs.recipe import resolve
from makar.verbs.sample import draw
from makar.verbs.score import held_out_log_prob
from makar.verbs.train import fit

SHUFFLES, LEVEL = 999, 0.01
FRESH = 424_242  # the seed of the fresh points
MODES, LEAST, OF_FIVE = 7, 20, 4
MUST = ("realnvp", "nsf", "diffusion", "flow_matching")
ADVERSARIES = ("r3gan", "hinge_gan")


def p_value(d: Tensor, n: int) -> float:
    """Share of shuffled labellings, the given one among them, with a statistic as large; `d` (2n, 2n)."""
    labels = sides(torch.ones(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64))
    generator = torch.Generator().manual_seed(0)
    shuffled = torch.stack([labels[torch.randperm(2 * n, generator=generator)] for _ in range(SHUFFLES)])
    return (1 + int((energies(d, shuffled) >= energies(d, labels[None])[0]).sum())) / (SHUFFLES + 1)


def two_samples(made: np.ndarray, fresh: np.ndarray) -> tuple[float, float]:
    """p-values of energy distance and of maximum mean discrepancy."""
    both = torch.from_numpy(np.concatenate([made, fresh]).astype(np.float64))
    d = torch.cdist(both, both, compute_mode="donot_use_mm_for_euclid_dist")
    width = d[d > 0].median()
    # 1 - k in place of a distance turns the energy statistic into the unbiased squared discrepancy.
    return p_value(d, len(made)), p_value(1.0 - torch.exp(-0.5 * (d / width).square()), len(made))


def modes(points: np.ndarray) -> tuple[int, float]:
    """Modes of `ring8` that are reached, and the share of points that lie on any."""
    angle = 2.0 * np.pi * np.arange(8) / 8
    centres = 2.0 * np.stack([np.cos(angle), np.sin(angle)], 1)
    near = np.linalg.norm(points[:, None] - centres, axis=2) <= 3 * 0.2
    return int((near.sum(0) >= LEAST).sum()), float(near.any(1).mean())


def measure(name: str, spec: str, seed: int, budget: str) -> Cell:
    """One family or recipe on one density."""
    data, recipe = load(f"toy:{spec}"), resolve(name)
    how = {"sampler": recipe.sampler, "sampler_settings": recipe.sampler_settings}
    trained = fit(recipe.family, data, budget, seed, recipe.settings, **how)
    n = 1000
    made = np.stack(trained.codec.decode(draw(trained, n, seed + 1)))
    fresh, _ = toy.sample(spec, n, FRESH)
    energy, discrepancy = two_samples(made, fresh)
    found: Cell = {
        "steps": trained.record.steps,
        "train_cpu_seconds": round(trained.record.cpu_seconds, 2),
        "p_energy": energy,
        "p_mmd": discrepancy,
    }
    if spec == "ring8":
        found["modes"], found["on_modes"] = modes(made)
    points, _ = toy.sample(spec, 2000, FRESH + 1)
    began = time.process_time()
    likelihood = held_out_log_prob(trained.model, trained.codec.encode(list(points)), None, seed)
    if likelihood is not None:
        log_q = likelihood.nats.numpy() + trained.codec.nats(list(points)) / len(points)
        difference = toy.log_density(spec, points) - log_q
        found["gap_nats"] = round(float(difference.mean()), 4)
        found["gap_error"] = round(float(difference.std() / len(points) ** 0.5), 4)
        found["likelihood"] = likelihood.kind
        found["likelihood_cpu_seconds"] = round(time.process_time() - began, 2)
    return found


def row(cell: Cell) -> list[str]:
    passed = min(cell["p_energy"], cell["p_mmd"]) > LEVEL
    gap = f"{cell['gap_nats']:.3f} ± {cell['gap_error']:.3f} {cell['likelihood']}" if "gap_nats" in cell else "–"
    reached = f"{cell['modes']}/8 ({cell['on_modes']:.2f} on)" if "modes" in cell else "–"
    return [
        cell["toy"], cell["family"], str(cell["seed"]), f"{cell['p_energy']:.3f}", f"{cell['p_mmd']:.3f}",
        "pass" if passed else "FAIL", gap, reached, str(cell["steps"]),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--toys", default="ring8,moons,two_spirals,checkerboard")
    parser.add_argument("--families", default=",".join(MUST))
    parser.add_argument("--adversaries", default=",".join(ADVERSARIES), help="trained with five seeds on ring8")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", default="15s")
    parser.add_argument("--most", type=int, help="make at most so many cells now")
    parser.add_argument("--out", type=Path, default=RESULTS / "toys.json")
    args = parser.parse_args()
    results = Results(args.out, {"data": "toy, 9,000 points", "budget": args.budget, "shuffles": SHUFFLES})
    wanted = [(f, t, s) for s in range(args.seeds) for t in args.toys.split(",") for f in args.families.split(",")]
    wanted += [(f, "ring8", s) for s in range(5) for f in args.adversaries.split(",") if f]
    keys = [
        {"family": f, "toy": t, "seed": s, "budget": args.budget, "code": code(resolve(f).family)} for f, t, s in wanted
    ]
    make(results, keys, measure, args.most)
    cells = [cell for cell in results.cells if "p_energy" in cell]
    for name in args.adversaries.split(","):
        counts = [cell["modes"] for cell in cells if cell["family"] == name and cell["toy"] == "ring8"]
        if counts:
            kept = sum(c >= MODES for c in counts)
            print(f"{name}: at least {MODES} of 8 modes in {kept} of {len(counts)} seeds (bar: {OF_FIVE} of 5)")
    head = ["density", "family", "seed", "p energy", "p MMD", "", "gap to entropy, nats", "modes", "steps"]
    print(table(head, [row(cell) for cell in sorted(cells, key=lambda c: (c["toy"], c["family"], c["seed"]))]))


if __name__ == "__main__":
    main()
