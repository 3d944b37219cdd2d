"""How columns hang together: correlations between the features of every two columns, of any kinds.

A number is described by its rank among the training rows, u in [-1, 1], by u^2 (which sees a valley or a spread that
grows), and where any is missing by a flag; a category by flags of its 20 commonest values. With R and S the
correlations of two sets of rows, their squared distance is the mean over pairs of columns of

    sum over the cells of the pair's block of (R - S)^2 / the block's shorter side

which for two yes-no columns and S = 0 is twice phi^2. No pair is left out for being weak. Of a table with more than 400
features a fixed random choice of columns with at most as many is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from makar.metrics._intervals import Array
from makar.metrics._table import Codes, Table

MOST = 400
_COMMON = 20


class Pairs:
    """The features of `real` and of other tables with the same columns; ranks and categories are those of `train`."""

    def __init__(self, train: Table, real: Table, others: Sequence[Table]) -> None:
        tables = (real, *others)
        blocks = [_number(v, [t.numeric[k] for t in tables]) for k, v in train.numeric.items()]
        blocks += [_category(v, [t.categorical[k] for t in tables]) for k, v in train.categorical.items()]
        order = np.random.Generator(np.random.Philox(0)).permutation(len(blocks))
        sizes = np.array([b[0].shape[1] for b in blocks])
        keep = order[np.cumsum(sizes[order]) <= MOST] if sizes.sum() > MOST else np.arange(len(blocks))
        self.columns, self.left_out = len(keep), len(blocks) - len(keep)
        self._features = [np.concatenate([blocks[b][t] for b in keep], 1) for t in range(len(tables))]
        owner = np.repeat(np.arange(len(keep)), sizes[keep])
        side = np.minimum(sizes[keep][owner][:, None], sizes[keep][owner][None])
        apart = owner[:, None] != owner[None]
        self._weights = np.where(apart, 1.0 / side, 0.0) / max(1, self.columns * (self.columns - 1))

    def squared(self, rows: Sequence[Codes]) -> Array:
        """Squared distance of each other table, of these rows of it, from these rows of the real one."""
        real, *others = (_correlations(f[i]) for f, i in zip(self._features, rows, strict=True))
        return np.array([float(((r - real) ** 2 * self._weights).sum()) for r in others])


def _correlations(features: Array) -> Array:
    """Pearson's (d, d); 0 where a feature is constant."""
    centred = features - features.mean(0)
    unit = np.sqrt((centred**2).sum(0))
    centred = centred / np.where(unit > 1e-9, unit, np.inf)
    product: Array = centred.T @ centred
    return product


def _number(train: Array, columns: Sequence[Array]) -> list[Array]:
    present = np.sort(train[~np.isnan(train)])
    parts = []
    for values in columns:
        place = np.searchsorted(present, values, "left") + np.searchsorted(present, values, "right")
        u = np.where(np.isnan(values), 0.0, place / max(1, len(present)) - 1.0)
        parts.append(np.stack([u, u**2], 1))
    missing = [np.isnan(values).astype(np.float64) for values in columns]
    if len(present) < len(train) or any(m.any() for m in missing):
        parts = [np.concatenate([p, m[:, None]], 1) for p, m in zip(parts, missing, strict=True)]
    return parts


def _category(train: Codes, columns: Sequence[Codes]) -> list[Array]:
    found, counts = np.unique(train, return_counts=True)
    commonest = found[np.argsort(-counts, kind="stable")][:_COMMON]
    return [(codes[:, None] == commonest).astype(np.float64) for codes in columns]
