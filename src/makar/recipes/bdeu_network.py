"""A Bayesian network learnt by score and search (Heckerman, Geiger & Chickering 1995).

For tables: the graph of greatest BDeu score that tabu search finds, with Dirichlet-smoothed tables. Fills in what is
missing by exact inference.
"""

from __future__ import annotations

from typing import Any

from makar.core.recipe import Recipe, Size

_SIZES: dict[Size, dict[str, Any]] = {
    "tiny": {"bins": 4, "parents": 2},
    "laptop": {"bins": 8, "parents": 3},
    "gpu": {"bins": 16, "parents": 4},
}


def bdeu_network(size: Size = "laptop") -> Recipe:
    """At most three parents a column, BDeu with 10 pseudo-items."""
    return Recipe(
        family="bayesnet",
        settings=dict(_SIZES[size]),
        paper="Heckerman, Geiger & Chickering 1995, Learning Bayesian networks, Machine Learning 20",
        claim="recovers the arcs of a known small network from its samples, up to equivalence",
    )
