"""The loop in your own hands: a learning curve, and a stop of your own choosing."""

from __future__ import annotations

import os

import makar

BUDGET = os.environ.get("MAKAR_EXAMPLE_BUDGET", "20s")
PATIENCE = 400  # steps without a better average loss


def main() -> None:
    digits = makar.data("digits")
    run = makar.training("vae", digits, budget=BUDGET, seed=0)
    smooth, best, best_step = None, float("inf"), 0
    for step in run:
        loss = step.numbers["loss"]
        smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
        if smooth < best:
            best, best_step = smooth, step.step
        if step.step % 100 == 0:
            print(f"step {step.step:5d}  {step.progress:4.0%} of the budget  loss {smooth:8.3f} nats a picture")
        if step.step - best_step > PATIENCE:
            print(f"no better for {PATIENCE} steps: stopped")
            break
    model = run.fitted()
    print(f"{model.record.steps} steps; {len(model.record.events)} events; model {model.id[:12]}")
    print(f"drawn: {len(model.sample(16, seed=0))} pictures")


if __name__ == "__main__":
    main()
