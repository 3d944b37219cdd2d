"""n-gram against transformer on a language whose entropy is known exactly: no model can do better than that."""

from __future__ import annotations

import math
import os

import makar

BUDGET = os.environ.get("MAKAR_EXAMPLE_BUDGET", "15s")


def main() -> None:
    language = makar.data("grammar:small", n=300)
    assert language.entropy is not None
    print(f"entropy of the language: {language.entropy / math.log(2):.3f} bits a character")
    for family, settings in (("ngram", {}), ("transformer", {"width": 64, "depth": 2, "heads": 4})):
        model = makar.fit(family, language, budget=BUDGET, seed=0, settings=settings)
        bits = next(s for s in model.score(language, n=40) if s.name.startswith("bits/"))
        text = model.sample(1, seed=0)[0].content
        print(f"\n{family}: {bits.name} {bits.value:.3f} ({bits.low:.3f} to {bits.high:.3f})")
        print(f"  it says: {text[:110]}…")


if __name__ == "__main__":
    main()
