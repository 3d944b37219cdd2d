"""Train on handwritten digits, draw, save, load: the same seed makes the same bytes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

import makar

BUDGET = os.environ.get("MAKAR_EXAMPLE_BUDGET", "15s")
SHADES = " .:-=+*#%@"


def show(picture: np.ndarray) -> str:
    """A picture (H, W, 1) of 17 levels as characters."""
    return "\n".join("".join(SHADES[int(v) * 9 // 16] * 2 for v in row) for row in picture[..., 0])


def main() -> None:
    digits = makar.data("digits")
    model = makar.fit("flow_matching", digits, budget=BUDGET, seed=0)
    print(f"{model.record.steps} steps in {model.record.cpu_seconds:.1f} CPU seconds, model {model.id[:12]}")
    for kind in ("3", "7"):
        print(f"a {kind}:\n{show(model.sample(1, seed=0, label=kind)[0].content)}\n")
    with tempfile.TemporaryDirectory() as folder:
        place = model.save(Path(folder, "digits"))
        again = makar.load(place)
    before, after = model.sample(5, seed=1), again.sample(5, seed=1)
    assert all(np.array_equal(a.content, b.content) for a, b in zip(before, after, strict=True))
    print("saved and loaded, the same seed makes the same five pictures")


if __name__ == "__main__":
    main()
