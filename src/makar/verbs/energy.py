"""Energy: joules as the processor counts them, and nothing where it does not.

Linux shows the counters of Intel's and AMD's processors (RAPL: running average power limit) under /sys/class/powercap,
one folder a package, with `energy_uj` in microjoules since some moment, which begins anew at `max_energy_range_uj`.
The counters are of whole packages: what else the machine did meanwhile is in them too. Many systems let only the
administrator read them, and virtual machines have none; then there is no figure, and never an estimate.
"""

from __future__ import annotations

import re
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class Meter:
    """Joules used since it was made, by all packages of the machine."""

    def __init__(self, root: Path = POWERCAP) -> None:
        packages = sorted(root.glob("*-rapl:*")) if root.exists() else []
        self._packages = [p for p in packages if re.fullmatch(r"[a-z]+-rapl:\d+", p.name)]  # not the parts of one
        self._start = [_counter(p / "energy_uj") for p in self._packages]

    def joules(self) -> float | None:
        """Energy since then; None where it is not shown. A counter may have begun anew once."""
        total = 0
        for package, start in zip(self._packages, self._start, strict=True):
            now = _counter(package / "energy_uj")
            if start is None or now is None:
                return None
            if now < start:
                limit = _counter(package / "max_energy_range_uj")
                if limit is None:
                    return None
                now += limit
            total += now - start
        return total / 1e6 if self._packages else None


def _counter(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
