"""One trained model, three solvers: how good the points are for how many evaluations of the net."""

from __future__ import annotations

import os
import time

import makar
from makar.core import registry
from makar.core.score import Generated
from makar.verbs.sample import draw, make_sampler
from makar.verbs.score import yardstick

BUDGET = os.environ.get("MAKAR_EXAMPLE_BUDGET", "12s")
DRAWN = 300
SOLVERS = {"euler": (4, 16, 48), "heun": (2, 8, 24), "midpoint": (2, 8, 24)}


def main() -> None:
    ring = makar.data("toy:ring8", n=2000)
    model = makar.fit("flow_matching", ring, budget=BUDGET, seed=0)
    stick = yardstick(ring)
    metric = registry.load("metrics", "energy")()
    print(f"{'solver':10} {'steps':>5} {'CPU s':>6}  energy distance")
    for solver, counts in SOLVERS.items():
        for steps in counts:
            sampler = make_sampler(model.trained.model, solver, {"steps": steps})
            begun = time.process_time()
            points = draw(model.trained, DRAWN, seed=0, sampler=sampler)
            spent = time.process_time() - begun
            made = stick.sample(model.trained.things(points))
            energy = next(s for s in metric(stick.reference, Generated(made)) if s.name.startswith("energy["))
            print(f"{solver:10} {steps:5d} {spent:6.2f}  {energy.value:.4f} ({energy.low:.4f} to {energy.high:.4f})")


if __name__ == "__main__":
    main()
