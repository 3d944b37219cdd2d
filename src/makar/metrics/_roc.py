"""The area under the ROC curve."""

from __future__ import annotations

import numpy as np

from makar.metrics._intervals import Array


def auc(positive: Array, negative: Array) -> tuple[float, float]:
    """Area under the ROC curve of two sets of outputs, and its variance (DeLong et al. 1988)."""
    ordered_p, ordered_n = np.sort(positive), np.sort(negative)
    # for each item the share of the other set that it outdoes, ties counting half
    wins = (np.searchsorted(ordered_n, positive, "left") + np.searchsorted(ordered_n, positive, "right")) / 2
    losses = (np.searchsorted(ordered_p, negative, "left") + np.searchsorted(ordered_p, negative, "right")) / 2
    p, q = wins / len(negative), 1.0 - losses / len(positive)
    return float(p.mean()), float(p.var(ddof=1) / len(p) + q.var(ddof=1) / len(q))
