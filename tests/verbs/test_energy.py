"""Energy is read from the system's counters, and is nothing where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

import makar
from makar.verbs import energy
from makar.verbs.energy import Meter


def package(root: Path, name: str, microjoules: int, limit: int = 10_000_000) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{limit}\n")
    return folder


def test_it_is_the_difference_of_all_packages_and_not_of_their_parts(tmp_path: Path) -> None:
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0", "dtpm"):
        package(tmp_path, name, 1_000_000)
    meter = Meter(tmp_path)
    assert meter.joules() == 0.0
    for name, now in (("intel-rapl:0", 3_500_000), ("intel-rapl:1", 1_250_000), ("intel-rapl:0:0", 9_000_000)):
        package(tmp_path, name, now)
    assert meter.joules() == pytest.approx(2.75)


def test_a_counter_that_began_anew(tmp_path: Path) -> None:
    folder = package(tmp_path, "intel-rapl:0", 9_000_000)
    meter = Meter(tmp_path)
    package(tmp_path, "intel-rapl:0", 500_000)
    assert meter.joules() == pytest.approx(1.5)
    (folder / "max_energy_range_uj").unlink()
    assert meter.joules() is None


def test_no_counter_is_no_figure(tmp_path: Path) -> None:
    assert Meter(tmp_path / "nowhere").joules() is None
    assert Meter(tmp_path).joules() is None
    folder = package(tmp_path, "intel-rapl:0", 1)
    (folder / "energy_uj").unlink()
    assert Meter(tmp_path).joules() is None


def test_a_training_records_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = makar.data("toy:ring8")
    monkeypatch.setattr(energy.Meter.__init__, "__defaults__", (tmp_path / "nowhere",))
    assert makar.fit("gaussian", ring, "1 steps").record.joules is None
    package(tmp_path, "intel-rapl:0", 5_000_000)
    monkeypatch.setattr(energy.Meter.__init__, "__defaults__", (tmp_path,))
    assert makar.fit("gaussian", ring, "1 steps").record.joules == 0.0
