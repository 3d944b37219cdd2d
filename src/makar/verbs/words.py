"""Numbers, durations and lists in words: the same ones in the terminal, the report and the advice."""

from __future__ import annotations

from collections.abc import Sequence


def short(full: str) -> str:
    """A score's name without sizes and estimator: "fd[probe-digits-1a2b]@1000/500" is "fd"; "bits/byte" stays."""
    return full.split("[")[0].split("@")[0].strip()


def number(value: float | None) -> str:
    """Three significant figures (two below 0.1); an exponent only where nothing else can be read."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if 999.5 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    if 0.1 <= abs(value) < 999.5:
        return f"{value:#.3g}".rstrip(".")
    return f"{value:.2g}" if 1e-3 <= abs(value) < 0.1 else f"{value:.1e}"


def tidy(value: float) -> str:
    """A round number, as short as it can be."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:g}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them."""
    if seconds is None:
        return "–"
    for limit, scale, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (120.0, 1.0, "s"), (7200.0, 1 / 60, "min")):
        if seconds < limit:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def listed(names: Sequence[str]) -> str:
    """Names as a list in words: "a, b and c"."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def counted(value: float | None) -> str:
    """A large number with a suffix: 767k, 1.2M."""
    if value is None:
        return "–"
    for limit, scale, unit in ((1e3, 1.0, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M"), (1e12, 1e9, "G")):
        if value < limit:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.2e}"
