"""Golden vectors for the metrics, made by others' implementations on fixed random features and rows.

    PEERS/bin/python benchmarks/golden_metrics.py        (an environment with prdc, torchmetrics and sdmetrics)

Writes tests/golden/metrics.json. It runs in the peers' environment and imports nothing of makar; what has no package
that installs without torchvision (torch-fidelity's `<=` balls) is typed anew from its definition.
"""

from __future__ import annotations

import contextlib
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from prdc import compute_prdc
from scipy.linalg import sqrtm
from sdmetrics.column_pairs import ContingencySimilarity, CorrelationSimilarity
from sdmetrics.single_column import KSComplement, TVComplement
from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

TARGET = Path(__file__).resolve().parent.parent / "tests" / "golden" / "metrics.json"
PACKAGES = ("numpy", "scipy", "torch", "prdc", "torchmetrics", "sdmetrics")


def features() -> dict[str, np.ndarray]:
    """Two sets of correlated features, and a generated set with duplicates; six decimals, so that JSON holds them."""
    chance = np.random.default_rng(20261121)
    mix = chance.normal(size=(6, 6))
    real = chance.normal(size=(60, 6)) @ mix
    made = 0.8 * chance.normal(size=(80, 6)) @ mix + 0.3
    tied = np.concatenate([real[:30], real[:10]])
    return {"real": real.round(6), "made": made.round(6), "tied": tied.round(6)}


def rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with two correlated numbers, one of them at times missing, and two categories."""
    chance = np.random.default_rng(seed)
    kind = chance.integers(0, 3, n)
    age = (chance.normal(40 + 8 * kind, 6)).round(2)
    pay = (np.exp(chance.normal(0.05 * age, 0.3))).round(3)
    missing = chance.random(n) < 0.05 * (seed % 2)
    flag = chance.random(n) < 0.2 + 0.3 * (kind == 2)
    return [
        {
            "age": float(age[i]),
            "pay": None if missing[i] else float(pay[i]),
            "kind": "abc"[kind[i]],
            "flag": "yes" if flag[i] else "no",
        }
        for i in range(n)
    ]


def inclusive(real: np.ndarray, made: np.ndarray, k: int) -> dict[str, float]:
    """Precision and recall with `<=`, as torch-fidelity has them, one distance at a time."""

    def gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.array([[np.sqrt(((x - y) ** 2).sum()) for y in b] for x in a])

    real_radius = np.sort(gap(real, real), 1)[:, k]
    made_radius = np.sort(gap(made, made), 1)[:, k]
    across = gap(real, made)
    return {
        "precision": float((across <= real_radius[:, None]).any(0).mean()),
        "recall": float((across <= made_radius[None]).any(1).mean()),
    }


def on_features(sets: dict[str, np.ndarray]) -> dict[str, Any]:
    """Distances and neighbourhoods of the fixed sets."""
    real, made, tied = sets["real"], sets["made"], sets["tied"]
    t = {k: torch.from_numpy(v) for k, v in sets.items()}
    gaussians = (t["made"].mean(0), torch.cov(t["made"].T), t["real"].mean(0), torch.cov(t["real"].T))
    c1, c2 = np.cov(made, rowvar=False), np.cov(real, rowvar=False)
    root = float(np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real) + ((made.mean(0) - real.mean(0)) ** 2).sum())
    # torchmetrics' `poly_mmd` leaves the diagonal out, but wants sets of one size
    out: dict[str, Any] = {
        "fd_torchmetrics": float(_compute_fid(*gaussians)),
        "fd_scipy_sqrtm": root,
        "kd_torchmetrics_first_60": float(poly_mmd(t["made"][:60], t["real"], 3, None, 1.0)),
        "inclusive_tied_k3": inclusive(real, tied, 3),
        "inclusive_tied_k5": inclusive(real, tied, 5),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        for k in (3, 5):
            found = compute_prdc(real_features=real, fake_features=made, nearest_k=k)
            out[f"prdc_k{k}"] = {name: float(v) for name, v in found.items()}
    return out


def on_rows(real: list[dict[str, Any]], made: list[dict[str, Any]]) -> dict[str, Any]:
    """SDMetrics' scores of the fixed rows."""
    a, b = pd.DataFrame(real), pd.DataFrame(made)
    types = {"age": "numerical", "pay": "numerical", "kind": "categorical", "flag": "categorical"}
    metadata = {"columns": {k: {"sdtype": v} for k, v in types.items()}}
    pairs = {}
    for k, j in (("age", "kind"), ("age", "flag"), ("pay", "kind"), ("pay", "flag"), ("kind", "flag")):
        continuous = [c for c in (k, j) if types[c] == "numerical"]
        score = ContingencySimilarity.compute_breakdown(
            a[[k, j]].copy(), b[[k, j]].copy(), continuous_column_names=continuous, real_association_threshold=1e-9
        )
        pairs[f"{k}/{j}"] = {"score": float(score["score"]), "association": float(score["real_association"])}
    return {
        "ks": {c: float(KSComplement.compute(a[c], b[c])) for c in ("age", "pay")},
        "tv": {c: float(TVComplement.compute(a[c], b[c])) for c in ("kind", "flag")},
        "correlation": float(CorrelationSimilarity.compute(a[["age", "pay"]], b[["age", "pay"]])),
        "contingency": pairs,
        "dcr": [round(float(v), 12) for v in calculate_dcr(b, a, metadata)],
    }


def main() -> None:
    sets, real, made = features(), rows(60, 1), rows(50, 3)
    golden = {
        "made_by": {p: version(p) for p in PACKAGES},
        "features": {k: v.tolist() for k, v in sets.items()},
        "rows": {"real": real, "made": made},
        "on_features": on_features(sets),
        "on_rows": on_rows(real, made),
    }
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(golden) + "\n", encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
